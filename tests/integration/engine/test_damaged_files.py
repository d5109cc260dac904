"""One foreign, damaged or newer file never keeps the engine from starting, never breaks a list, and is never deleted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.ids import new_training_id

NOW = "2026-01-01T00:00:00.000000Z"
LISTS = {
    "/native/trainings?limit=500": "trainings",
    "/v1/trainings": "results",
    "/v1/predictions": "results",
    "/v1/files": "results",
    "/v1/models": "results",
    "/native/models": "models",
    "/native/sessions": "sessions",
    "/native/datasets": "datasets",
}


def spec(run_id: str) -> dict[str, Any]:
    return {
        "id": run_id,
        "kind": "training",
        "name": "cell",
        "model": "local/cell",
        "version": "0" * 64,
        "input": {"lr": 0.1},
        "given": {"lr": 0.1},
        "created_at": NOW,
        "created_unix": 1767225600.0,
        "python": "/usr/bin/python3",
        "cwd": "/tmp",
        "captured": [{"name": "x", "type": "int", "bytes": 28}],
        "notices": ["a line"],
        "sys_path": ["/tmp"],
        "destination": None,
        "cancel_after_s": None,
    }


def ended(run_id: str) -> dict[str, Any]:
    urls = {"get": f"/v1/trainings/{run_id}", "cancel": f"/v1/trainings/{run_id}/cancel"}
    keys = ("id", "name", "model", "version", "input", "created_at")
    return {key: spec(run_id)[key] for key in keys} | {"status": "succeeded", "urls": urls, "output": 1}


def session(session_id: str) -> dict[str, Any]:
    return {
        "id": session_id,
        "name": "s",
        "created_at": 1767225600.0,
        "python": "/usr/bin/python3",
        "cwd": "/tmp",
        "calls": "/tmp/nobody.call",
        "inactive_s": None,
        "captured": [],
    }


EXIT = {"code": 0, "signal": None, "started_at": 1.0, "ended_at": 2.0, "swept": 0, "stop": None}


def run(where: Locations, run_id: str, **files: Any) -> Path:
    """Write a run that has ended, but for the files that are given."""
    directory = where.runs_dir / run_id
    contents = {
        "spec.json": spec(run_id),
        "exit.json": EXIT,
        "output.json": 1,
        "training.json": ended(run_id),
    }
    for name, content in {**contents, **files}.items():
        write(directory / name, content)
    return directory


def write(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return path


def version(where: Locations, name: str) -> Path:
    directory = where.versions_dir / (name.encode().hex() + "0" * 64)[:64]
    write(directory / "code.py", "def train(): pass")
    write(directory / "origin.json", {"python": "/usr/bin/python3", "cwd": "/tmp", "sys_path": []})
    trained = {"model": "local/t", "training": new_training_id(), "weights": None, "python": "p", "cwd": "/"}
    write(directory / "trained.json", trained)
    manifest = {"format": 1, "kind": "cell", "name": "t", "entry": "train", "source": "code.py"}
    write(directory / "manifest.json", manifest)
    return directory


def stored_file(where: Locations, id: str) -> Path:
    write(where.files_dir / id / "content", "bytes")
    about = {"id": id, "name": "f", "content_type": "text/plain", "size": 5, "sha256": "0", "md5": "0"}
    return write(where.files_dir / id / "file.json", {**about, "created_at": 1.0, "metadata": {}})


def dataset(where: Locations, id: str) -> Path:
    placed = {"index": "entries-0.idx", "count": 0, "bytes": 0}
    write(where.datasets_dir / id / "entries-0.idx", "")
    about = {"name": "d", "description": "", "tags": [], "created_at": 1.0, "keys": [], "version_id": "1"}
    more = {"lists": {"entries": placed, "review": placed}, "first_chunk": 0, "chunk": 0}
    waiting = {"waiting": {"count": 0, "bytes": 0}}
    return write(where.datasets_dir / id / "dataset.json", about | more | waiting)


def debug_model(where: Locations, id: str) -> Path:
    about = {"name": "m", "description": "", "tags": [], "created_at": 1.0, "states": [], "launchers": []}
    definitions: dict[str, Any] = {}
    more = {"active_state": None, "definitions": definitions, "python": "p", "language": "python"}
    return write(where.debug_models_dir / id / "model.json", about | more)


MAKERS: dict[str, Callable[[Locations, str], Path]] = {
    "spec": lambda where, id: run(where, id) / "spec.json",
    "spec of one that ran": lambda where, id: without(run(where, id), "training.json") / "spec.json",
    "end": lambda where, id: run(where, id) / "training.json",
    "exit": lambda where, id: without(run(where, id), "training.json") / "exit.json",
    "output": lambda where, id: without(run(where, id), "training.json") / "output.json",
    "labels": lambda where, id: (
        run(where, id, **{"labels.json": {"tags": ["a"], "notes": "n"}}) / "labels.json"
    ),
    "streams": lambda where, id: (
        run(where, id, **{"streams.json": {"streams": ["0"], "boot_id": "b"}}) / "streams.json"
    ),
    "index": lambda where, id: run(where, id, **{"index.bin": "x" * 80}) / "index.bin",
    "webhook": lambda where, id: write(
        run(where, id).parent.parent / "webhooks" / f"{id}.json",
        {"url": "http://127.0.0.1:9/", "events": ["completed"], "base_url": "http://engine"},
    ),
    "file": stored_file,
    "named model": lambda where, id: write(
        where.models_dir / f"{id}.json", {"owner": "local", "name": f"m{id}", "created_at": NOW}
    ),
    "model record": lambda where, id: write(
        where.local_models_dir / "records" / f"{id}.json",
        {"id": f"hub:org/{id}", "name": f"org/{id}", "created_at": NOW},
    ),
    "session": lambda where, id: write(
        write(where.sessions_dir / id / "exit.json", EXIT).parent / "spec.json", session(id)
    ),
    "last of a session": lambda where, id: write(
        write(write(where.sessions_dir / id / "exit.json", EXIT).parent / "spec.json", session(id)).parent
        / "last.json",
        {"trainings": [], "busy": None, "functions": ["f"]},
    ),
    "dataset": dataset,
    "debug model": debug_model,
    "manifest": lambda where, id: version(where, id) / "manifest.json",
    "origin": lambda where, id: version(where, f"o{id}") / "origin.json",
    "trained": lambda where, id: version(where, f"t{id}") / "trained.json",
    "launchers": lambda where, id: write(
        where.debug_models_dir / "launchers.json", [{"id": id, "name": "l", "spec": {}, "created_at": 1.0}]
    ),
    "link secret": lambda where, id: write(where.link_secret, "ab" * 32),
    "webhook secret": lambda where, id: write(where.webhook_secret, "whsec_" + "A" * 32),
    "pieces id": lambda where, id: write(where.pieces_id, "0" * 36),
    "catalog": lambda where, id: write(where.catalog, "SQLite format 3\0 and no more"),
}


def without(directory: Path, name: str) -> Path:
    (directory / name).unlink()
    return directory


def as_directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def newer(path: Path) -> None:
    try:
        content = json.loads(path.read_text())
    except ValueError:
        return
    items = content if isinstance(content, list) else [content]
    for item in items:
        if isinstance(item, dict):
            item["from_the_future"] = {"a": [1]}
    path.write_text(json.dumps(content))


def mistyped(path: Path) -> None:
    try:
        content = json.loads(path.read_text())
    except ValueError:
        content = {}
    items = content if isinstance(content, list) else [content]
    wrong = [{key: [[]] for key in item} if isinstance(item, dict) else [[]] for item in items]
    path.write_text(json.dumps(wrong if isinstance(content, list) else wrong[0]))


DAMAGES: dict[str, Callable[[Path], Any]] = {
    "truncated": lambda path: path.write_bytes(path.read_bytes()[: path.stat().st_size // 2]),
    "an empty object": lambda path: path.write_text("{}"),
    "newer": newer,
    "mistyped": mistyped,
    "a directory": as_directory,
    "not UTF-8": lambda path: path.write_bytes(b'{"name": "\xff\xfe"}'),
    "empty": lambda path: path.write_bytes(b""),
    "null": lambda path: path.write_text("null"),
    "deep": lambda path: path.write_text("[" * 100_000),
}


@dataclass
class Home:
    """A data directory with damaged files and sound neighbours of the same kinds."""

    engine: EngineUnderTest
    damaged: dict[str, Path]
    ids: dict[str, str]
    sound: dict[str, str]


@pytest.fixture(scope="module", params=DAMAGES)
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Home]:
    """Start an engine in a data directory with one damaged file of every kind."""
    where = Locations(tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("run"))
    where.make()
    damaged, ids, sound = {}, {}, {}
    for kind, make in MAKERS.items():
        sound[kind], ids[kind] = new_training_id(), new_training_id()
        make(where, sound[kind])
        damaged[kind] = make(where, ids[kind])
    for path in damaged.values():
        DAMAGES[request.param](path)
    (where.runs_dir / "a stray file").write_text("not ours")
    (where.runs_dir / new_training_id()).write_text("a file in place of a directory")
    under_test = EngineUnderTest(where)
    discovery.ensure(where=where)
    yield Home(under_test, damaged, ids, sound)
    under_test.close()


def ask(home: Home, path: str) -> Any:
    status, body = discovery.request(discovery.ensure(where=home.engine.where).socket_path, "GET", path)
    assert status == 200, f"{path}: {body}"
    return body


def test_every_list_answers_and_has_the_sound_neighbours(home: Home) -> None:
    listed = json.dumps([ask(home, path)[key] for path, key in LISTS.items()])
    for kind in ("spec", "end", "exit", "labels", "index", "file", "named model", "model record", "session"):
        assert home.sound[kind] in listed, kind
    assert home.sound["dataset"] in listed
    for kind in ("spec", "end", "labels", "streams", "index"):
        ask(home, f"/native/trainings/{home.sound[kind]}/logs")
        ask(home, f"/v1/trainings/{home.sound[kind]}")


def test_what_cannot_be_read_is_told_and_left_where_it_is(home: Home, request: pytest.FixtureRequest) -> None:
    problems = "\n".join(ask(home, "/native/engine")["problems"])
    is_newer = request.node.callspec.params["home"] == "newer"
    for kind in (
        "spec",
        "file",
        "named model",
        "model record",
        "session",
        "dataset",
        "debug model",
        "webhook",
    ):
        path = home.damaged[kind]
        assert path.exists(), kind
        if is_newer:
            assert str(path) not in problems, kind
        else:
            assert f"{path} cannot be read" in problems, kind
    listed = json.dumps([ask(home, path)[key] for path, key in LISTS.items()])
    if is_newer:
        for kind in ("spec", "end", "file", "named model", "model record", "session", "dataset"):
            assert home.ids[kind] in listed, kind


def test_every_training_can_be_asked_for_by_itself(home: Home) -> None:
    socket = discovery.ensure(where=home.engine.where).socket_path
    for training in ask(home, "/native/trainings?limit=500")["trainings"]:
        for path in ("", "/metrics?buckets=10", "/logs", "/logs?limit=9999999999999", "/logs?tail=9999999"):
            status, body = discovery.request(socket, "GET", f"/native/trainings/{training['id']}{path}")
            assert status in (200, 404, 409), (path, body)
