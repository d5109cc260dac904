"""Every field that the services document for their objects is there, with its type, in each answer that carries the object.

Source: Replicate's HTTP API reference, "trainings"; Decthings' API reference, "Debug"; Pieces' OpenAPI description, "Model".
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from conformance_tools import DIGITS, SLEEPS, Opened
from integration_tools import until
from pieces_tools import MODEL, pieces_engine

from jupyter_ext.ipc import processes, run_files

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

LAB = "http://localhost:8888/lab"
TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z")
ALWAYS: dict[str, Any] = {
    "id": str,
    "model": str,
    "version": str,
    "status": str,
    "input": dict,
    "created_at": TIME,
    "source": str,
    "urls": {"get": str, "cancel": str, "web": str},
}
RUNNING = ALWAYS | {"error": None, "completed_at": None, "output": None}
SUCCEEDED = ALWAYS | {
    "error": None,
    "started_at": TIME,
    "completed_at": TIME,
    "metrics": {"predict_time": float, "total_time": float},
    "output": {"version": str, "weights": str},
}


def mismatches(found: Any, wanted: Any, place: str = "") -> list[str]:
    """List what is missing or has another type; more than is wanted is fine."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            return [f"{place} is {found!r}, no object"]
        missing = [f"{place}.{key} is missing" for key in wanted if key not in found]
        return missing + [
            text
            for key in wanted
            if key in found
            for text in mismatches(found[key], wanted[key], f"{place}.{key}")
        ]
    if wanted is None:
        fits = found is None
    elif isinstance(wanted, re.Pattern):
        fits = isinstance(found, str) and wanted.fullmatch(found) is not None
    else:
        fits = isinstance(found, wanted) and not (wanted is not bool and isinstance(found, bool))
    return [] if fits else [f"{place} is {found!r}, not {wanted}"]


@pytest.fixture(scope="module")
def trained(opened: Opened) -> Iterator[dict[str, dict[str, Any]]]:
    """Return what create, get, list and cancel answered while a Jupyter server lives, and a list from before."""
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    untold = opened.json("GET", "/v1/trainings")
    process = {"pid": server.pid, "ticks": processes.start_ticks(server.pid), **run_files.here()}
    opened.json("POST", "/native/page", json={"url": LAB, **process})
    try:
        yield {"untold": untold["results"][0], **answers(opened)}
    finally:
        server.communicate()


def answers(opened: Opened) -> dict[str, dict[str, Any]]:
    """Return what create, get, list and cancel answer."""
    destination = opened.make_model("documented")

    def create(cell: str, name: str, **inputs: Any) -> Any:
        model, version = opened.upload(name, cell).split(":")
        path = f"/v1/models/{model}/versions/{version}/trainings"
        return opened.json("POST", path, json={"destination": destination, "input": inputs})

    created = create(DIGITS, "digits", steps=1)
    get = f"/v1/trainings/{created['id']}"
    until(lambda: opened.json("GET", get)["status"] == "succeeded", "the end", 90)
    sleeping = create(SLEEPS, "sleeps", seconds=60)
    page = opened.json("GET", "/v1/trainings")
    return {
        "created": created,
        "got": opened.json("GET", get),
        "page": page,
        "listed": next(item for item in page["results"] if item["id"] == created["id"]),
        "canceled": opened.json("POST", f"/v1/trainings/{sleeping['id']}/cancel"),
    }


@pytest.mark.parametrize(
    ("answer", "wanted"),
    [
        ("created", RUNNING | {"logs": str}),
        ("got", SUCCEEDED | {"logs": str}),
        ("listed", SUCCEEDED),
        ("canceled", ALWAYS),
        ("page", {"previous": None, "results": list, "next": object}),
    ],
)
def test_a_training_has_every_documented_field(
    trained: dict[str, dict[str, Any]], answer: str, wanted: dict[str, Any]
) -> None:
    assert mismatches(trained[answer], wanted, answer) == []


def test_the_page_in_jupyterlab_is_named_where_one_is_known(trained: dict[str, dict[str, Any]]) -> None:
    for answer in ("created", "got", "listed", "canceled"):
        run = trained[answer]
        assert run["urls"]["web"] == f"{LAB}?jupyter-ext=training:{run['id']}"
    assert {"get", "cancel"} <= trained["untold"]["urls"].keys()
    assert "web" not in trained["untold"]["urls"]


def test_a_list_carries_no_logs(trained: dict[str, dict[str, Any]]) -> None:
    assert "logs" not in trained["listed"]
    assert trained["got"]["source"] in ("api", "web")
    assert trained["got"]["status"] in ("starting", "processing", "succeeded", "failed", "canceled")


def test_a_long_text_among_the_inputs_is_shown_as_the_link_of_a_file(opened: Opened) -> None:
    cell = "def train(text: str, short: str = 'x'):\n    return len(text)\n"
    model, version = opened.upload("long-text", cell).split(":")
    text = "ä" * (64 << 10) + "end"
    path = f"/v1/models/{model}/versions/{version}/trainings"
    created = opened.json("POST", path, json={"input": {"text": text}})
    get = f"/v1/trainings/{created['id']}"
    until(lambda: opened.json("GET", get)["status"] == "succeeded", "the end", 90)
    assert opened.json("GET", get)["output"] == len(text)
    page = opened.json("GET", "/v1/trainings")
    listed = next(item for item in page["results"] if item["id"] == created["id"])
    for answer in (created, opened.json("GET", get), listed):
        assert httpx.get(answer["input"]["text"], trust_env=False).content.decode() == text


PIECES_MODEL = {
    "id": str,
    "version": str,
    "created": {"value": str},
    "name": str,
    "cloud": bool,
    "type": str,
    "usage": str,
    "downloaded": bool,
    "loaded": bool,
    "downloading": bool,
    "custom": bool,
}


def test_a_model_has_every_documented_field_whatever_was_done() -> None:
    body = {
        "name": "MiniLM",
        "version": "1.0",
        "created": {"value": "2026-01-01T00:00:00Z"},
        "cloud": False,
        "type": "SPEED",
        "usage": "TEXT_EMBEDDING",
        "unique": "acme/minilm",
    }
    path = f"/model/{MODEL.replace(':', '%3A').replace('/', '%2F')}"
    with pieces_engine() as pieces, pieces.http() as http:

        def answer(method: str, path: str, **options: Any) -> Any:
            response = http.request(method, path, **options)
            assert response.status_code == 200, response.text
            return response.json()

        assert mismatches(answer("POST", "/models/create", json=body), PIECES_MODEL, "create") == []
        assert mismatches(answer("POST", f"{path}/download"), PIECES_MODEL, "download") == []
        until(lambda: answer("GET", path)["downloaded"], "the download", 90)
        progress = answer("GET", f"{path}/download/progress")
        assert mismatches(progress, {"status": str, "percentage": (int, float)}, "progress") == []
        for name, wanted in (
            ("load", PIECES_MODEL),
            ("unload", PIECES_MODEL),
            ("download/cancel", PIECES_MODEL),
        ):
            assert mismatches(answer("POST", f"{path}/{name}"), wanted, name) == []
        snapshot = answer("GET", path)
        assert mismatches(snapshot, PIECES_MODEL | {"bytes": {"value": int}}, "snapshot") == []
        assert mismatches(answer("POST", "/model/update", json=snapshot), PIECES_MODEL, "update") == []
        listed = answer("GET", "/models")
        assert mismatches(listed, {"iterable": list}, "models") == []
        assert mismatches(listed["iterable"][0], PIECES_MODEL, "listed") == []
