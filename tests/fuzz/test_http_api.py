"""Schemathesis asks a real engine what its own OpenAPI documents allow, and what they do not; it never answers 5xx, or what is no problem."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import torch
from integration_tools import EngineUnderTest, finish
from model_tools import save

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine.api.native import model_requests
from jupyter_ext.engine_process import discovery

schemathesis = pytest.importorskip("schemathesis")
hypothesis = pytest.importorskip("hypothesis")

NUM_EXAMPLES = int(os.environ.get("EXAMPLES", "3"))
"""Of each operation; `make fuzz` asks for more."""
NOT_ASKED = {
    "/native/engine/stop",
    "/native/engine/drain",
    "/native/engine/listen",
    "/native/page",
    "/native/engine/page",
}
"""They end the engine, open ports or wait."""
DOCUMENTS = ("/native/openapi.json", "/openapi.json")


@dataclass
class Port:
    """An engine's loopback port."""

    url: str
    headers: dict[str, str]
    log: Any
    ids: dict[str, str]
    """Something that is there, by the beginning of the paths that are about it."""

    def document(self, path: str) -> dict[str, Any]:
        return dict(httpx.get(self.url + path, headers=self.headers).raise_for_status().json())


@pytest.fixture(scope="module")
def port(session_engine_home: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Port]:
    where = Locations(session_engine_home.data_dir, session_engine_home.runtime_dir)
    engine = EngineUnderTest(where)
    path = discovery.ensure(where=where).socket_path
    _, told = discovery.request(path, "POST", "/native/engine/listen", {"port": 0})
    ids = asyncio.run(_made(where, tmp_path_factory.mktemp("weights")))
    yield Port(told["url"], {"Authorization": f"Bearer {told['token']}"}, where.engine_log, ids)
    engine.close()
    shutil.rmtree(where.data_dir, ignore_errors=True)


async def _made(where: Locations, folder: Path) -> dict[str, str]:
    """Make a training and a model to ask for."""
    async with AsyncClient(where) as client:
        training = await finish(
            client, "from jupyter_ext import log\ndef train(n: int = 3):\n    for i in range(n): log(a=i)"
        )
        model = await client.models.add(f"file:{save(folder / 'w.safetensors', {'w': torch.ones(2)})}")
        ids = {f"/{place}/": training.id for place in ("native/trainings", "v1/trainings")}
        return {**ids, "/native/models/": quote(model.id, safe="")}


def test_the_documents_name_every_route_and_resolve(port: Port) -> None:
    for path in DOCUMENTS:
        document = port.document(path)
        names = set(document["components"]["schemas"])
        text = json.dumps(document)
        assert {part.split('"')[0] for part in text.split("#/components/schemas/")[1:]} <= names
        assert "#/$defs/" not in text
        for operations in document["paths"].values():
            assert all(operation["summary"] for operation in operations.values())
        ids = [one["operationId"] for operations in document["paths"].values() for one in operations.values()]
        assert len(ids) == len(set(ids))
    assert {"/native/trainings/{id}", "/native/models/{id}/load", "/native/sessions"} <= port.document(
        DOCUMENTS[0]
    )["paths"].keys()
    assert {"/v1/trainings/{id}", "/v1/predictions"} <= port.document(DOCUMENTS[1])["paths"].keys()


def test_the_bodies_that_are_read_are_those_that_are_documented() -> None:
    from jupyter_ext.engine.api.http.openapi import models_of
    from jupyter_ext.engine.api.native.models import LocalModelsAPI

    num_bodies = 0
    for name, endpoint in vars(LocalModelsAPI).items():
        code = getattr(endpoint, "__code__", None)
        read = {
            found
            for used in (code.co_names if code else ())
            if isinstance(found := getattr(model_requests, used, None), type)
            and issubclass(found, model_requests.Body)
        }
        documented = models_of(endpoint).body
        assert read == ({documented} if documented else set()), name
        num_bodies += len(read)
    assert num_bodies >= 6


@pytest.mark.slow
@pytest.mark.timeout(600)
@pytest.mark.parametrize("path", DOCUMENTS)
def test_no_request_is_answered_with_a_fault_of_ours(port: Port, path: str) -> None:
    schema = schemathesis.openapi.from_dict(port.document(path))
    faults, statuses = list[str](), Counter[int]()
    with httpx.Client(base_url=port.url, headers=port.headers, timeout=60) as client:
        for found in schema.get_all_operations():
            operation = found.ok()
            if operation.path not in NOT_ASKED:
                faults += _ask(client, operation, statuses, port.ids)
    print(f"{path}: {statuses.total()} requests, {dict(sorted(statuses.items()))}")
    assert statuses.total() > 50
    assert len(statuses) >= 3
    assert not faults, "\n".join(faults[:20]) + "\n" + _traceback(port)


def _ask(client: httpx.Client, operation: Any, statuses: Counter[int], ids: dict[str, str]) -> list[str]:
    """Ask for one operation with what fits its schema, and what does not."""
    modes = schemathesis.GenerationMode
    faults: list[str] = []

    @hypothesis.settings(
        max_examples=NUM_EXAMPLES, deadline=None, database=None, derandomize=NUM_EXAMPLES < 10,
        suppress_health_check=list(hypothesis.HealthCheck), phases=[hypothesis.Phase.generate],
    )  # fmt: skip
    @hypothesis.given(
        case=operation.as_strategy(generation_mode=modes.POSITIVE)
        | operation.as_strategy(generation_mode=modes.NEGATIVE)
    )
    def ask(case: Any) -> None:
        known = next((id for place, id in ids.items() if operation.path.startswith(place)), None)
        if known and "id" in case.path_parameters and operation.method.upper() != "DELETE":
            case.path_parameters["id"] = known
        options = case.as_transport_kwargs(base_url=str(client.base_url))
        options.pop("cookies", None)
        headers = {
            name: value
            for name, value in dict(options.pop("headers", {})).items()
            if name.lower() != "authorization"
        }
        body = {key: options[key] for key in ("json", "data", "params") if options.get(key) is not None}
        if isinstance(body.get("data"), bytes):
            body["content"] = body.pop("data")
        with suppress(httpx.InvalidURL, UnicodeError, TypeError):
            answer = client.request(options["method"], options["url"], headers=headers, **body)
            statuses[answer.status_code] += 1
            problem = _what_is_wrong(answer)
            if problem:
                faults.append(f"{options['method']} {options['url'][:150]} {str(body)[:200]}: {problem}")

    ask()
    return faults


def _what_is_wrong(answer: httpx.Response) -> str | None:
    if answer.status_code >= 500 and answer.status_code not in (502, 503, 504, 507):
        return f"{answer.status_code} {answer.text[:200]}"
    if answer.status_code >= 400 and answer.content:
        told = answer.json()
        if "detail" not in told or "Traceback" in answer.text:
            return f"no problem: {answer.text[:200]}"
    return None


def _traceback(port: Port) -> str:
    return "\n".join(port.log.read_text(errors="replace").splitlines()[-40:])
