"""A data directory that the tree wrote before its modules moved opens in this one, with all that was in it.

How it was made, and what is in it: `tests/fixtures/make_data_before_rooms.py`.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import old_data
import pytest
from integration_tools import EngineUnderTest, until
from receiver import Receiver
from upgrade_records import Peer, plain

import jupyter_ext as jx
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.process_client import reset_client
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import InvalidInput

EXPECTED = old_data.expected()
RUNS = {(one["name"], one["status"], one["resumed_from"] is not None): one for one in EXPECTED["trainings"]}


def run_named(name: str, status: str = "succeeded") -> dict[str, Any]:
    """Return a training of the fixture."""
    return RUNS[name, status, False]


@pytest.fixture
def home() -> Iterator[Path]:
    """Unpack the data directory for one test."""
    yield from _unpacked()


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineUnderTest]:
    """Return an engine on the data directory that tests may add to."""
    for root in _unpacked():
        under_test = _engine(root)
        discovery.ensure(where=under_test.where)
        yield under_test
        under_test.close()


@pytest.fixture
def _notebook(engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Let the notebook's names use that engine."""
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(engine.where.data_dir))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(engine.where.runtime_dir))
    reset_client()
    yield
    reset_client()


def _unpacked() -> Iterator[Path]:
    root = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    old_data.unpack(root)
    yield root
    shutil.rmtree(root, ignore_errors=True)


def _engine(root: Path) -> EngineUnderTest:
    return EngineUnderTest(Locations(root / "data", root / "run"))


def peer_of(engine: EngineUnderTest) -> Peer:
    """Return a plain client of an engine."""
    root = str(engine.where.data_dir.parent)
    return Peer(
        discovery.ensure(where=engine.where).socket_path,
        {sys.executable: "@ROOT@/venv/bin/python", root: "@ROOT@"},
    )


def missing(expected: Any, found: Any, at: str = "") -> list[str]:
    """Tell what is not as expected; fields that are new do not count."""
    if isinstance(expected, dict) and isinstance(found, dict):
        return [
            text
            for key, value in expected.items()
            for text in (
                missing(value, found[key], f"{at}/{key}") if key in found else [f"{at}/{key} is gone"]
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [
            text
            for n, (one, other) in enumerate(zip(expected, found, strict=True))
            for text in missing(one, other, f"{at}/{n}")
        ]
    return [] if expected == found else [f"{at}: {expected!r:.200} has become {found!r:.200}"]


def without_times(records: dict[str, Any]) -> dict[str, Any]:
    """Leave out when models and versions were made, and the order of models that follows from it."""
    by_name = {
        f"{one['owner']}/{one['name']}": {key: value for key, value in one.items() if "version" not in key}
        for one in records["v1 models"]
    }
    for one in by_name.values():
        del one["created_at"]
    versions = {
        name: [{key: value for key, value in one.items() if key != "created_at"} for one in page["results"]]
        for name, page in records["v1 versions"].items()
    }
    return records | {"v1 models": by_name, "v1 versions": versions}


async def columns(client: AsyncClient, training_id: str) -> list[dict[str, Any]]:
    """Return all metrics of a training but those of its processes."""
    return [
        plain(series) for series in await client.metrics(training_id) if not series.key.startswith("system/")
    ]


@pytest.mark.parametrize("catalog", ["as it was", "made anew"])
async def test_every_record_is_listed_with_the_same_fields(home: Path, catalog: str) -> None:
    if catalog == "made anew":
        old_data.lose_catalog(home)
    engine = _engine(home)
    try:
        found = peer_of(engine).records()
        expected = {key: EXPECTED[key] for key in found}
        if catalog == "made anew":  # when a version was made is known to it alone
            expected, found = without_times(expected), without_times(found)
        assert missing(expected, found) == []
        async with AsyncClient(engine.where) as client:
            for training_id, series in EXPECTED["metrics"].items():
                assert missing(series, await columns(client, training_id)) == []
            for training_id, keys in EXPECTED["system metrics"].items():
                assert {one.key for one in await client.metrics(training_id)}.issuperset(keys)
    finally:
        engine.close()


def test_a_session_that_has_ended_answers_for_its_training(engine: EngineUnderTest) -> None:
    (session,) = [one for one in EXPECTED["session"] if one["name"] == "net"]
    asked = {"op": "training_metrics", "params": {"training_id": session["trainings"][0]["id"]}}
    answer = peer_of(engine).json("POST", f"/native/sessions/{session['id']}/call", asked)
    assert answer == EXPECTED["session call"]


@pytest.mark.parametrize("name", ["canceled", "fails"])
async def test_trainings_resume_from_their_checkpoints(engine: EngineUnderTest, name: str) -> None:
    before = next(
        one for one in EXPECTED["trainings"] if one["name"] == name and one["status"] != "succeeded"
    )
    async with AsyncClient(engine.where) as client:
        resumed = await client.resume(before["id"], {"stuck_at": -1, "fail_at": -1, "n": 40})
        ended = await client.wait(resumed.id, 60)
        assert (ended.status, ended.output) == ("succeeded", 40.0)
        assert ended.resumed_from is not None
        assert ended.resumed_from.loaded
        (weight,) = await client.metrics(ended.id, ["train/w"])
    np.testing.assert_array_equal(weight.steps, np.arange(40))
    np.testing.assert_array_equal(weight.values, np.arange(1, 41))


@pytest.mark.usefixtures("_notebook")
@pytest.mark.parametrize("name", ["by_module_path", "cell with names", "script", "cog-project", "all else"])
async def test_stored_code_runs_again(engine: EngineUnderTest, name: str) -> None:
    """Whatever it took along of ours; `all else` has a value of each of our classes that can be pickled."""
    before = next(one for one in EXPECTED["trainings"] if one["name"] == name and not one["destination"])
    async with AsyncClient(engine.where) as client:
        ended = await client.wait((await client.again(before["id"])).id, 60)
        assert (ended.status, ended.error) == ("succeeded", None)
        assert (ended.output, ended.version) == (before["output"], before["version"])
        again, first = await columns(client, ended.id), EXPECTED["metrics"][before["id"]]
    assert _curves(again) == _curves(first)


def _curves(series: list[dict[str, Any]]) -> dict[str, Any]:
    return {one["key"]: (one["steps"], one["values"]) for one in series}


async def test_a_function_takes_its_old_inputs_and_refuses_wrong_ones(engine: EngineUnderTest) -> None:
    before = run_named("by_module_path")
    async with AsyncClient(engine.where) as client:
        ended = await client.wait((await client.again(before["id"], {"epochs": 2})).id, 60)
        assert (ended.status, ended.output["saved"]) == ("succeeded", 1)
        assert ended.checkpoint is not None
        with pytest.raises(InvalidInput, match="epochs=51"):
            await client.again(before["id"], {"epochs": 51})


def test_a_trained_version_predicts(engine: EngineUnderTest) -> None:
    peer = peer_of(engine)
    version = run_named("digits")["output"]["version"].partition(":")[2]
    made = peer.json("POST", "/v1/predictions", {"version": version, "input": {"x": 4.0}})
    ended = until(lambda: _ended(peer, f"/v1/predictions/{made['id']}"), "the prediction", 60)
    assert (ended["status"], ended["output"]) == ("succeeded", 4.0 * 2.5 + 6.5)


def _ended(peer: Peer, path: str) -> dict[str, Any] | None:
    found = peer.json("GET", path)
    return found if found["status"] in ("succeeded", "failed", "canceled") else None


def test_files_download(engine: EngineUnderTest) -> None:
    peer = peer_of(engine)
    files = {one["name"]: one for one in EXPECTED["v1 files"]["results"]}
    assert peer.download(files["rows.txt"]["id"]) == b"1\n2\n3.5\n"
    assert peer.download(files["un used é.bin"]["id"]) == bytes(range(256))
    assert json.loads(peer.download(files["weights.json"]["id"])) == {"factor": 2.5, "sum": 6.5}
    output = peer.json("GET", f"/native/trainings/{run_named('digits')['id']}")["output"]
    assert json.loads(Path(output["weights"]).read_text()) == {"factor": 2.5, "sum": 6.5}


@pytest.mark.usefixtures("_notebook")
def test_datasets_read_and_grow() -> None:
    rows = jx.datasets.get("rows")
    found = [{key: np.asarray(value).tolist() for key, value in entry.items()} for entry in rows]
    assert found == EXPECTED["rows"]
    other = jx.datasets.get("other")
    assert len(other.append(x=[4.5])) == 4
    assert [float(entry["x"]) for entry in other] == [1.5, 2.5, 3.5, 4.5]


@pytest.mark.usefixtures("_notebook")
def test_labels_can_be_changed() -> None:
    run = jx.trainings.get(run_named("by_module_path")["id"])
    assert (run.tags, run.notes) == (["good", "paper"], "the one for the paper\nwith two lines")
    assert [one.id for one in jx.trainings.list(q="paper")] == [run.id]
    run.label(tags=["old"])
    assert [one.id for one in jx.trainings.list(q="old")] == [run.id]


@pytest.mark.usefixtures("_notebook")
def test_models_load(engine: EngineUnderTest) -> None:
    path = engine.where.data_dir.parent / "notebooks" / "weights" / "one.safetensors"
    model = jx.models.get(str(path))
    model.load()
    assert model.state == "loaded"
    model.unload()


def test_a_model_that_was_uploaded_makes_another_state(engine: EngineUnderTest) -> None:
    peer = peer_of(engine)
    (model,) = peer.rpc("Model/getModels", {})["result"]["models"]
    (launcher,) = peer.rpc("PersistentLauncher/getPersistentLaunchers", {})["result"]["persistentLaunchers"]
    where = {"type": "persistentLauncher", "persistentLauncherId": launcher["id"]}
    asked = {"modelId": model["id"], "executionLocation": where, "name": "second", "params": []}
    answer = peer.rpc("Model/createState", asked)
    assert "result" in answer, answer

    def names() -> list[str]:
        return [state["name"] for state in peer.rpc("Model/getModels", {})["result"]["models"][0]["states"]]

    until(lambda: names() == ["first", "second"], "the state", 40)


def test_an_undelivered_webhook_is_delivered(home: Path) -> None:
    receiver = Receiver()
    (path,) = (home / "data" / "webhooks").glob("*.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"url": receiver.url}))
    engine = _engine(home)
    try:
        discovery.ensure(where=engine.where)
        until(lambda: receiver.messages, "the webhook")
        assert (receiver.bodies[0]["id"], receiver.bodies[0]["status"]) == (path.stem, "succeeded")
        until(lambda: not path.exists(), "its file to be removed")
    finally:
        engine.close()
        receiver.close()
