"""PyPI `pieces_os_client` 5.0.1, unmodified, against a running engine: all of ModelApi and ModelsApi, and the wrapper."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from integration_tools import until
from pieces_tools import MODEL, SLOW_BYTES_PER_S, PiecesEngine, pieces_engine

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]

SCRIPTS = Path(__file__).parent / "scripts"
SCRIPT_TIMEOUT_S = 200


@pytest.fixture(scope="module")
def pieces() -> Iterator[PiecesEngine]:
    with pieces_engine() as opened:
        yield opened


@pytest.fixture(scope="module")
def run(pieces: PiecesEngine, client_python: Callable[[str], Path]) -> Callable[..., Any]:
    """Return a function that runs a script with the official client and gives the JSON it printed last."""

    def run(script: str, **environment: str) -> Any:
        clean = {key: value for key, value in os.environ.items() if key in ("PATH", "HOME", "LANG", "TMPDIR")}
        result = subprocess.run(
            [client_python("pieces"), "-W", "ignore", SCRIPTS / script],
            env=clean
            | {"PIECES_URL": pieces.url, "PIECES_TOKEN": pieces.token, "NO_PROXY": "127.0.0.1,localhost"}
            | environment,
            capture_output=True,
            text=True,
            timeout=SCRIPT_TIMEOUT_S,
        )
        assert result.returncode == 0, f"{script} failed:\n{result.stdout[-3000:]}\n{result.stderr[-3000:]}"
        return json.loads(result.stdout.strip().splitlines()[-1])

    return run


@pytest.fixture(scope="module")
def told(pieces: PiecesEngine, run: Callable[..., Any]) -> Any:
    """Return what the generated client was told, with a hub slow enough for a cancel."""
    pieces.hub.bytes_per_s = SLOW_BYTES_PER_S
    try:
        return run("pieces_models.py")
    finally:
        pieces.hub.bytes_per_s = None


IDLE = {"downloaded": False, "downloading": False, "loaded": False}
HERE = {"downloaded": True, "downloading": False, "loaded": False}


def test_neighbours(told: Any) -> None:
    assert told["health"].startswith("ok")
    assert told["version"]


def test_create_is_always_custom_and_makes_no_second_one(told: Any) -> None:
    assert told["empty"] == 0
    assert told["created"] == {"id": MODEL, "custom": True, "again": MODEL, "type": "SPEED", **IDLE}
    assert told["listed"] == [MODEL]


def test_what_was_only_described_cannot_be_fetched(told: Any) -> None:
    id, (status, text, content_type) = told["bare"]
    assert id == "custom:only described@1.0"
    assert (status, content_type.partition(";")[0]) == (500, "text/plain")
    assert "without saying where its files are" in text


def test_an_unknown_model_is_gone_everywhere(told: Any) -> None:
    assert told["snapshot"] == "MiniLM"
    for status, text, content_type in told["gone"]:
        assert (status, content_type.partition(";")[0]) == (410, "text/plain")
        assert "hub:no/such" in text
    assert told["update_unknown"][0] == told["deleted"][0] == 410


def test_download_answers_at_once_and_twice_is_once(told: Any, pieces: PiecesEngine) -> None:
    assert told["idle"] == "UNKNOWN"
    assert told["download"] == told["twice"] == {"downloaded": False, "downloading": True, "loaded": False}
    assert told["download_done"] == HERE
    assert told["begun"][-1][0] == "IN-PROGRESS"
    assert {status for status, _ in told["begun"]} <= {"INITIALIZED", "IN-PROGRESS"}
    assert "MiB" in told["readable"]


def test_cancel_is_told_and_idempotent_and_the_next_download_goes_on(told: Any) -> None:
    assert told["canceled"] == told["cancel_idle"] == IDLE
    assert told["after_cancel"][0] == "CANCELED"
    assert told["completed"] == ["COMPLETED", 100.0]


def test_progress_as_lines_of_json(told: Any) -> None:
    first, last, number, content_type = told["ndjson"]
    assert content_type.startswith("application/x-ndjson")
    assert first["status"] in ("INITIALIZED", "IN-PROGRESS")
    assert (last["status"], last["percentage"]) == ("COMPLETED", 100.0)
    assert number > 2


def test_a_whole_model_says_what_it_is(told: Any) -> None:
    whole = told["whole"]
    assert {key: whole[key] for key in HERE} == HERE
    assert whole["bytes"] > 90_000_000
    assert whole["ram"] > 90_000_000
    assert 0.02 < whole["parameters"] < 0.025
    assert (whole["provider"], whole["unique"]) == ("HUGGING_FACE", "acme/minilm")


def test_load_and_unload_answer_when_they_are_true(told: Any) -> None:
    assert told["load_before"][0] == 500
    assert "download it first" in told["load_before"][1]
    assert told["loaded"] == told["loaded_again"] == {**HERE, "loaded": True}
    assert told["unloaded"] == told["unload_idle"] == told["unload_all"] == HERE
    assert told["delete_loaded"][0] == 500
    assert "unload it first" in told["delete_loaded"][1]


def test_update_merges_and_decides_what_is_true_itself(told: Any) -> None:
    assert told["update"] == {
        "description": "changed",
        "foundation": "POTION",
        "type": "SPEED",
        "custom": True,
        "loaded": False,
        "renamed": "renamed",
    }
    assert told["update_nothing"][0] == 422


def test_scores_and_identifiers(told: Any) -> None:
    assert told["score"] == [3, 0, 2, 1]
    assert told["identifiers"] == ["custom:only described@1.0", MODEL]


def test_delete_cache_keeps_the_model_and_delete_does_not(told: Any) -> None:
    assert told["delete_cache"] == told["delete_cache_twice"] == MODEL
    assert told["without_files"] == IDLE
    assert told["left"] == 0


def others_listen(ours: str) -> bool:
    """Tell whether some other engine of this machine, of another test run say, listens in the range as well."""
    for port in range(39300, 39334):
        try:
            if f"http://127.0.0.1:{port}" != ours:
                httpx.head(f"http://127.0.0.1:{port}/.well-known/health", timeout=1, trust_env=False)
                return True
        except httpx.TransportError:
            continue
    return False


def test_the_wrapper_finds_the_engine_in_its_range(
    told: Any, pieces: PiecesEngine, run: Callable[..., Any]
) -> None:
    with pieces.http() as http:
        seed = {
            "name": "MiniLM", "version": "1", "unique": "acme/minilm", "cloud": False, "type": "SPEED",
            "usage": "UNKNOWN", "created": {"value": "2026-01-01T00:00:00Z"},
        }  # fmt: skip
        assert http.post("/models/create", json=seed).status_code == 200
        pieces.hub.bytes_per_s = SLOW_BYTES_PER_S
        try:
            port = pieces.open_url.rpartition(":")[2] if others_listen(pieces.open_url) else ""
            seen = run("pieces_wrapper.py", PIECES_MODEL=MODEL, PIECES_PORT=port)
        finally:
            pieces.hub.bytes_per_s = None
            http.post("/models/hub%3Aacme%2Fminilm/delete")
    assert seen["found"] == pieces.open_url or port
    assert (seen["host"], seen["started"], seen["running"]) == (pieces.open_url, True, True)
    assert seen["health"].startswith("ok")
    assert seen["stream"]
    assert seen["user"]
    assert seen["application"] == "OPEN_SOURCE"
    assert seen["ltm"] is False
    assert seen["model_name"] == "GPT-3.5-turbo Chat Model"
    assert (seen["first"], seen["last"]) == ("UNKNOWN", ["COMPLETED", 100.0])
    assert [status for status in seen["statuses"] if status != "INITIALIZED"] == [
        "UNKNOWN",
        "IN-PROGRESS",
        "COMPLETED",
    ]
    assert seen["rising"]
    assert seen["closed"]
    assert seen["models"] == ["MiniLM"]


# -- what no client shows -----------------------------------------------------------------------------------------


def test_the_open_port_has_models_only_and_no_web_page_gets_in(pieces: PiecesEngine) -> None:
    with pieces.open_http() as http:
        assert http.head("/.well-known/health").status_code == 200
        assert http.get("/models").status_code == 200
        for path in ("/native/models", "/native/engine", "/v1/trainings", "/native/trainings"):
            assert http.get(path).status_code == 404
        for headers in (
            {"Host": "evil.example"},
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
        ):
            assert http.post("/models/unload", headers=headers).status_code == 403
        assert http.post("/models/unload", headers={"Origin": pieces.open_url}).status_code == 204


def test_the_open_port_tells_nothing_of_files_and_addresses(pieces: PiecesEngine, tmp_path: Path) -> None:
    (tmp_path / "model.safetensors").write_bytes(b"\2\0\0\0\0\0\0\0{}")
    places = [
        str(tmp_path), str(tmp_path / "none"), str(tmp_path / "model.safetensors"), "/etc", "/root/.ssh", "~", "~root",
        "~nobody/x", ".", "..", "./x", "file:/etc", "file:/none", f"file:{tmp_path}", "training:abcdefghijklmnopqrstuvwxyz",
        "url:http://127.0.0.1:1/m.safetensors", "http://169.254.169.254/x", "custom:x", "service:http://127.0.0.1#x", "a b",
        "\x00", "hub:../x", "hub:a/b/c", "hub:/etc", "..@x", "", " ",
    ]  # fmt: skip
    with pieces.open_http() as http:
        before = http.get("/models").json()
        answers = {
            place: http.post("/models/create", json={"name": "x", "unique": place})
            for place in places
            if place
        }
        assert {(answer.status_code, answer.text) for answer in answers.values()} == {
            (422, next(iter(answers.values())).text)
        }
        assert http.get("/models").json() == before
        assert http.get("/model/file%3A%2Fetc").status_code == 410
        made = http.post("/models/create", json={"name": "x", "unique": "acme/by-name@main"})
        assert made.status_code == 200
        assert http.post(f"/models/{quote(made.json()['id'], safe='')}/delete").status_code == 204


def test_the_port_with_a_token_tells_its_health_only(pieces: PiecesEngine) -> None:
    with httpx.Client(base_url=pieces.url, trust_env=False) as http:
        assert http.get("/.well-known/health").text.startswith("ok")
        for path in ("/models", "/user", "/.well-known/version", "/model/x/download/progress"):
            assert http.get(path).status_code == 401
        assert http.get("/models", headers={"X-Application-ID": "wrong"}).status_code == 401
        assert http.get("/models", headers={"X-Application-ID": pieces.token}).status_code == 200
        assert http.get("/models", headers={"Authorization": f"Bearer {pieces.token}"}).status_code == 200


def test_bodies_that_are_wrong_change_nothing(pieces: PiecesEngine) -> None:
    with pieces.http() as http:
        for body in (
            b"{", b"[]", b'"x"', b"null", b"{}", b'{"name": 3}', b'{"name": "x", "unique": "a b"}',
            b'{"name": "x", "bytes": {"value": 1.5, "readable": ""}}', b'{"name": "x", "parameters": "many"}',
            b'{"name": "x", "unique": "/no/such/folder"}', b'{"name": "x", "parameters": NaN}',
            b'{"name": "half \\ud800"}', b'{"name": "x", "description": "\\udfff"}', b'{"name": "x", "type": "\\ud800"}',
            b'{"name": "x", "capabilities": ' + b'{"a":' * 70 + b"1" + b"}" * 71, b"[" * 100_000,
            b'{"name": "x", "capabilities": {"temporal": Infinity}}',
        ):  # fmt: skip
            answer = http.post("/models/create", content=body)
            assert 400 <= answer.status_code < 500, body
            assert answer.headers["content-type"].startswith("text/plain")
            assert "\n" not in answer.text
            assert "Traceback" not in answer.text
        assert http.get("/models").json()["iterable"] == []


def test_what_is_not_custom_is_neither_updated_nor_deleted(pieces: PiecesEngine) -> None:
    model_id, path = "hub:acme/minilm", "hub%3Aacme%2Fminilm"
    with pieces.http() as http:
        assert http.post("/native/models", json={"id": model_id}).status_code == 201
        try:
            assert http.get(f"/model/{path}").json()["custom"] is False
            for answer in (
                http.post("/model/update", json={"id": model_id, "name": "mine", "custom": True}),
                http.post(f"/models/{path}/delete"),
            ):
                assert answer.status_code == 500
                assert "only custom models" in answer.text
            assert http.get(f"/model/{path}").json()["name"] == "acme/minilm"
            assert http.post(f"/models/{path}/delete/cache", json={}).status_code == 200
        finally:
            assert http.delete(f"/native/models/{path}").status_code == 204


def test_a_failed_download_is_told_with_its_reason(pieces: PiecesEngine) -> None:
    path = "hub%3Aacme%2Fnone"
    with pieces.http() as http:
        assert http.post("/native/models", json={"id": "hub:acme/none"}).status_code == 201
        http.post(f"/model/{path}/download")
        until(
            lambda: http.get(f"/model/{path}/download/progress").json()["status"] == "FAILED", "the failure"
        )
        assert "no model 'acme/none'" in http.get(f"/model/{path}").json()["description"]
        http.delete(f"/native/models/{path}")
