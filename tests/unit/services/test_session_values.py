"""What a session, its code and its callers say never costs a list, an answer or a neighbour."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import jupyter_ext as jx
from jupyter_ext.engine.api.decthings.rpc.calls import Call
from jupyter_ext.engine.api.decthings.rpc.dispatch import Rpc
from jupyter_ext.engine.sessions import archive
from jupyter_ext.engine.sessions.record import SessionRecord
from jupyter_ext.ipc import json_values
from jupyter_ext.protocol.decthings.framing import decode_response, encode_response
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.session.runtime.trainings import SessionReporter, Training, TrainTracker, reporting

ODD_TEXT = b"caf\xe9.png".decode(errors="surrogateescape")
DEEP: Any = []
for _ in range(500):
    DEEP = [DEEP]


def record(tmp_path: Path) -> SessionRecord:
    spec = {"name": "s", "created_at": 1.0, "python": "python", "cwd": "/", "calls": "/x.call"}
    return SessionRecord("0" * 26, tmp_path, spec)


@pytest.mark.parametrize(
    "reported",
    [
        {"notices": [ODD_TEXT]},
        {"states": [ODD_TEXT], "code_error": {"message": ODD_TEXT}},
        {
            "trainings": [
                {"id": "t", "state": "running", "progress": float("inf"), "metrics": [{"name": ODD_TEXT}]}
            ]
        },
        {"trainings": "none", "busy": 7, "models": None},
        {"failure": DEEP},
        {"expires_at": float("nan")},
    ],
)
def test_odd_reports_are_resources_that_json_can_carry(tmp_path: Path, reported: dict[str, Any]) -> None:
    one = record(tmp_path)
    one.reported = archive.complete(tmp_path, reported)
    content = one.resource().model_dump(mode="json")
    assert json.loads(json_values.dump(content))["name"] == "s"


@pytest.mark.parametrize("share", [float("inf"), float("-inf"), float("nan")])
def test_progress_that_is_no_number_is_passed_over(tmp_path: Path, share: float) -> None:
    training = Training("m", lambda: None, tmp_path)
    tracker, reporter = TrainTracker(training), SessionReporter(training, tmp_path)
    tracker.progress(0.5)
    tracker.progress(share)
    reporter.progress(share, 1)
    reporter.progress(1, share)
    assert training.describe()["progress"] == 0.5
    reporter.progress(3, 4)
    assert training.describe()["progress"] == 0.75


def test_everything_that_training_code_calls_reaches_its_session(tmp_path: Path) -> None:
    """The reporter of a session has no journal; whatever the one of a training gains has to work without."""
    training = Training("m", lambda: None, tmp_path)
    with reporting(training, tmp_path):
        jx.log({"loss": 1.0})
        jx.log(loss=2.0, step=5)
        jx.log_many("many", [0, 1, float("inf")], [1.0, 2.0, 3.0])
        jx.progress(1, 2)
        jx.progress(3)
        assert jx.should_stop() is False
        logging.tell("a notice")
    found = training.describe()
    assert {one["name"]: one["amount"] for one in found["metrics"]} == {"loss": 2, "many": 2}
    assert found["progress"] == 0.5


def test_odd_points_are_kept_as_texts(tmp_path: Path) -> None:
    training = Training("m", lambda: None, tmp_path)
    reporter = SessionReporter(training, tmp_path)
    for value in (1.0, float("nan"), float("inf")):
        reporter.points({ODD_TEXT: value}, float("nan"))
    training.finish({"code": "exception", "message": ODD_TEXT})
    found = archive.complete(tmp_path.parent, {})
    assert json.loads(json_values.dump(training.describe()))["metrics"][0]["last"] == "inf"
    assert found["trainings"] == [] or json_values.fault(found) is None


async def test_calls_with_what_no_resource_carries_are_refused_by_name() -> None:
    async def method(call: Call) -> Any:
        raise AssertionError("it never gets there")

    rpc = Rpc({"Dataset": {"createDataset": method}})
    for params, name in [
        ({"name": ODD_TEXT}, "name"),
        ({"keys": [{"name": ODD_TEXT}]}, "keys.0.name"),
        ({"tags": DEEP}, "tags"),
        ({"limit": float("nan")}, "limit"),
    ]:
        answer, _ = await rpc.answer("Dataset", Call("createDataset", params, []))
        assert answer["error"]["code"] == "invalid_parameter"
        assert answer["error"]["parameterName"].startswith(name)


def test_answers_on_the_wire_carry_anything() -> None:
    content = {"result": {"progress": float("inf"), "text": ODD_TEXT}}
    assert decode_response(encode_response(content)).content["result"]["progress"] == "Infinity"
