"""The client of services like Pieces OS, against one that answers oddly or not at all."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from odd_service import OddService

from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.interfaces import LoadOptions
from jupyter_ext.engine.models.service.provider import ModelProvider
from jupyter_ext.engine.models.service.remote_models import RemoteModels
from jupyter_ext.engine.services.pieces import (
    PiecesClient,
    ServiceUnreachable,
    normal_base_url,
    read_progress,
    split_id,
)
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.models import ModelUser
from jupyter_ext.protocol.problems import Problem


def packed(content: Any) -> bytes:
    return json.dumps(content).encode()


async def listed(content: Any) -> Any:
    with OddService({"GET /models": (200, packed(content))}) as service:
        client = PiecesClient(service.url)
        try:
            return await client.models()
        finally:
            await client.aclose()


async def test_what_is_missing_or_odd_is_unknown_and_what_is_more_is_passed_over() -> None:
    found = await listed(
        {
            "iterable": [
                {"id": "a"},
                {"id": "b", "name": "B", "downloaded": True, "bytes": {"value": 5.0}, "ram": 7, "new": [1]},
                {"id": "c", "downloaded": "yes", "loaded": 1, "bytes": "big", "parameters": True, "created": 3},
                {"id": "d", "loaded": True, "cloud": True, "parameters": 1.5, "created": {"value": "2026-01-01"}},
                {"id": "e", "downloading": True, "name": 7, "bytes": {"value": -1}},
                {"id": 5}, {}, None, "model", {"id": ""},
            ]
        }
    )  # fmt: skip
    assert [split_id(model.id)[1] for model in found] == ["a", "b", "c", "d", "e"]
    assert [model.state for model in found] == ["absent", "downloaded", "absent", "loaded", "downloading"]
    assert [model.name for model in found] == ["a", "B", "c", "d", "e"]
    assert [model.bytes for model in found] == [None, 5, None, None, None]
    assert (found[1].memory_bytes, found[3].num_parameters, found[2].num_parameters) == (
        7,
        1_500_000_000,
        None,
    )
    assert found[3].cloud
    assert {model.source for model in found} == {"service"}


@pytest.mark.parametrize("content", [[], "x", {"iterable": 5}, {}, None])
async def test_what_is_no_list_is_refused_with_the_next_step(content: Any) -> None:
    with pytest.raises(RequestRefused, match="speaks Pieces' API"):
        await listed(content)


async def test_refusals_are_one_line_and_the_token_goes_nowhere_else() -> None:
    with OddService() as other, OddService() as service:
        service.answers = {
            "GET /models": (302, f"{other.url}/models".encode()),
            "POST /model/a/load": (500, b"not enough\nmemory, it needs 5 GB"),
            "POST /model/b/load": (500, packed({"detail": "no"})),
            "GET /model/c": (200, b"<html>"),
        }
        client = PiecesClient(service.url, "secret-token")
        with pytest.raises(RequestRefused, match="302"):
            await client.models()
        with pytest.raises(RequestRefused, match="answered 500: not enough memory, it needs 5 GB"):
            await client.act("a", "load")
        with pytest.raises(RequestRefused, match="answered 500: no"):
            await client.act("b", "load")
        with pytest.raises(RequestRefused, match="sent no JSON"):
            await client.get("c")
        with pytest.raises(UnknownId, match="not found"):
            await client.get("d/../e")
        assert service.asked[-1] == "GET /model/d%2F..%2Fe"
        assert other.asked == []
        assert all(headers["x-application-id"] == "secret-token" for headers in service.headers)
        service.close()
        with pytest.raises(ServiceUnreachable, match="is the service running") as told:
            await client.models()
        assert "secret-token" not in str(told.value)
        await client.aclose()


async def test_a_service_without_a_progress_socket_is_asked_again_and_again() -> None:
    model = {"id": "m", "bytes": {"value": 100, "readable": ""}, "downloading": True}
    with OddService(
        {"POST /model/m/download": (200, packed(model)), "GET /model/m": (200, packed(model))}
    ) as service:
        service.answers["GET /models"] = (200, packed({"iterable": [model]}))
        remote = RemoteModels(PubSub(), frozenset)
        base_url = await remote.connect(service.url)
        id = f"service:{base_url}#m"
        assert (await remote.download(id)).state == "downloading"
        service.answers["GET /model/m"] = (200, packed({**model, "downloading": False, "downloaded": True}))
        async with asyncio.timeout(60):
            while (found := remote.known(id)) is None or found.state != "downloaded":
                await asyncio.sleep(0.01)
            while found.transfer is None or found.transfer.status != "completed":
                await asyncio.sleep(0.01)
                found = remote.known(id)
                assert found is not None
        assert found.transfer.bytes_done == 100
        await remote.close()


async def test_a_service_that_goes_away_is_told_and_its_models_stay_named() -> None:
    with OddService({"GET /models": (200, packed({"iterable": [{"id": "m", "loaded": True}]}))}) as service:
        remote = RemoteModels(PubSub(), frozenset)
        await remote.connect(service.url)
        assert [model.state for model in await remote.page()] == ["loaded"]
        service.close()
        (model,) = await remote.page()
        assert model.state == "absent"
        assert "does not answer" in (model.error or "")
        with pytest.raises(RequestRefused, match="does not answer"):
            await remote.unload(model.id)
        with pytest.raises(UnknownId, match="--on http://127"):
            await remote.get("service:http://127.0.0.1:1#m")
        await remote.close()


@pytest.mark.parametrize(
    "text", ["", "pieces2", "ftp://x", "http://", "http://user@host", "http://h/?x=1", "h:5"]
)
def test_what_is_no_base_url_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="no base URL"):
        normal_base_url(text)


@pytest.mark.parametrize(
    ("frame", "means"),
    [
        ('{"status":"IN-PROGRESS","percentage":12.5}', ("IN-PROGRESS", 12.5)),
        ('{"status":"IN_PROGRESS","percentage":101}', ("IN-PROGRESS", 100.0)),
        ('{"status":"UNKNOWN"}', ("UNKNOWN", None)),
        ('{"percentage":null,"status":5}', ("UNKNOWN", None)),
        ('{"percentage":"half"}', ("UNKNOWN", None)),
        ("[]", ("UNKNOWN", None)),
        ("no json", ("UNKNOWN", None)),
        (b"\xff", ("UNKNOWN", None)),
    ],
)
def test_frames_of_all_kinds(frame: str | bytes, means: tuple[str, float | None]) -> None:
    assert read_progress(frame) == means


@pytest.mark.parametrize(
    ("ask", "named"),
    [
        (lambda models, id: models.download(id, weights=["a.bin"]), "takes no weights"),
        (lambda models, id: models.update(id, check_only=True), "does not tell whether there is a newer"),
        (lambda models, id: models.load(id, LoadOptions("python", device="cuda")), "takes no device"),
        (lambda models, id: models.load(id, LoadOptions("python", pin=True)), "takes no pin"),
        (
            lambda models, id: models.load(id, LoadOptions("python", extra={"factory": "x"})),
            "takes no factory",
        ),
        (lambda models, id: models.keep(id, pinned=True), "takes no pinning"),
        (lambda models, id: models.attach(id, ModelUser(id="u", name="u", since="")), "takes no users"),
        (lambda models, id: models.detach(id, "u"), "takes no users"),
    ],
)
async def test_what_a_service_cannot_do_is_refused_by_name(
    ask: Callable[[ModelProvider, str], Awaitable[object]], named: str
) -> None:
    with OddService({"GET /models": (200, packed({"iterable": [{"id": "m"}]}))}) as service:
        remote = RemoteModels(PubSub(), frozenset)
        base_url = await remote.connect(service.url)
        with pytest.raises(Problem) as raised:
            await ask(remote, f"service:{base_url}#m")
        assert named in raised.value.detail
        await remote.close()


@pytest.mark.parametrize(
    "odd",
    [
        {"parameters": 1e300},
        {"parameters": -5},
        {"parameters": 10**400},
        {"bytes": {"value": 1e308}},
        {"bytes": {"value": 10**400}},
        {"ram": {"value": float("nan")}},
        {"name": "half \ud800"},
        {"description": "\udfff", "version": "\ud800"},
        {"capabilities": {"temporal": float("inf")}},
        {"id": "\ud800"},
        {"created": {"value": "\ud800"}},
        {"quantization": ["x"] * 3},
    ],
)
async def test_one_odd_value_of_a_service_costs_no_list(odd: dict[str, Any]) -> None:
    models = [{"id": "before"}, {"id": "odd", **odd}, {"id": "after"}]
    content = json.dumps({"iterable": models}).encode()
    with OddService({"GET /models": (200, content)}) as service:
        remote = RemoteModels(PubSub(), frozenset)
        await remote.connect(service.url)
        found = await remote.page()
        assert [model.id.partition("#")[2] for model in found][::2] == ["before", "after"]
        for model in found:
            json.loads(JSONResponse(model.model_dump(mode="json")).body, parse_constant=pytest.fail)
        await remote.close()
