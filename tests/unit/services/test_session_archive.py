"""What a session left: trainings and their numbers, whichever process died and whether an engine had heard of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jupyter_ext.engine.sessions import archive
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.session_reports import TRAINING_FILE
from jupyter_ext.protocol.decthings.tensors import Tensor
from jupyter_ext.protocol.sessions import DebugTraining
from jupyter_ext.worker.session.runtime.trainings import Training, TrainTracker


def begun(session_dir: Path) -> Training:
    """Return a training that a session has just answered the start of."""
    training = Training("model", lambda: None, session_dir / "trainings")
    training.record()
    return training


def trainings(session_dir: Path, reported: dict[str, object]) -> dict[str, DebugTraining]:
    """Return what the archive finds, by id."""
    found = archive.complete(session_dir, reported)["trainings"]
    return {one["id"]: DebugTraining.model_validate(one) for one in found}


def test_one_that_died_before_its_first_report_is_known(tmp_path: Path) -> None:
    training = begun(tmp_path)
    found = trainings(tmp_path, {})[training.id]
    assert (found.state, found.metrics, found.model_id) == ("running", [], "model")


@pytest.mark.parametrize("heard", ["nothing", "its beginning", "all"])
@pytest.mark.parametrize("died", ["while it ran", "after its end", "after it failed"])
def test_every_number_is_there_whatever_an_engine_had_heard(tmp_path: Path, heard: str, died: str) -> None:
    training = begun(tmp_path)
    reported = {"nothing": {}, "its beginning": {"trainings": [training.describe()]}}
    tracker = TrainTracker(training)
    for n in range(5):
        tracker.metrics({"loss": Tensor("f32", [], np.float32(n).tobytes()).encode()})
        training.add({"weights": np.arange(3.0)})
    if died == "after its end":
        training.finish(None)
    if died == "after it failed":
        training.finish({"code": "exception", "message": "ValueError: bad"})
    found = trainings(tmp_path, reported.get(heard, {"trainings": [training.describe()]}))
    assert list(found) == [training.id]
    one = found[training.id]
    assert (
        one.state
        == {"while it ran": "running", "after its end": "completed", "after it failed": "failed"}[died]
    )
    assert [(metric.name, metric.amount, metric.last) for metric in one.metrics] == [("loss", 5, 4.0)]
    assert "types" not in one.model_dump()
    asked = {
        "training_id": training.id,
        "metrics": [{"name": "loss", "start": 1, "amount": 2}, {"name": "weights"}],
    }
    answer, blobs = archive.answer(tmp_path, found, "training_metrics", asked)
    loss, weights = values.decode(answer["value"], blobs)
    assert np.frombuffer(loss["numbers"]).tolist() == [1.0, 2.0]
    assert weights["numbers"] == b""
    answer, blobs = archive.answer(tmp_path, found, "training_metrics", {**asked, "encoding": "decthings"})
    assert [(one["name"], len(one["times"])) for one in answer["metrics"]] == [("loss", 2), ("weights", 0)]
    decoded = [Tensor.decode(blob)[0] for blob in blobs]
    assert [(tensor.type, tensor.item()) for tensor in decoded] == [("f32", 1.0), ("f32", 2.0)]
    status, _ = archive.answer(tmp_path, found, "training_status", asked)
    assert status["id"] == training.id


def test_a_damaged_record_hides_no_other_and_an_unknown_id_is_refused(tmp_path: Path) -> None:
    good, bad = begun(tmp_path), begun(tmp_path)
    (bad.directory / TRAINING_FILE).write_text('{"id": ')
    (tmp_path / "trainings" / "stray").write_text("")
    assert list(trainings(tmp_path, {})) == [good.id]
    with pytest.raises(CallError, match="had no training 'nobody'"):
        archive.answer(tmp_path, {}, "training_status", {"training_id": "nobody"})
