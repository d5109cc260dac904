"""Trainings of debug sessions as the wire has them."""

from __future__ import annotations

from typing import TypedDict, cast

from jupyter_ext.engine.api.decthings.rpc.calls import Call
from jupyter_ext.engine.api.decthings.sessions import details, milliseconds
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.ipc.payloads.session_messages import MetricsAnswer as SessionMetrics
from jupyter_ext.protocol.decthings.answers import (
    FailReason,
    MetricsAnswer,
    TrainingItem,
    TrainingState,
    TrainingStatus,
)
from jupyter_ext.protocol.sessions import DebugTraining


class AskedMetric(TypedDict):
    """Which entries of a metric are asked for."""

    name: str
    start: int
    amount: int


def asked_metrics(call: Call) -> list[AskedMetric]:
    """Read which entries of which metrics are asked for."""
    asked: list[AskedMetric] = []
    for item in call.array("metrics"):
        one = Call(call.method, item if isinstance(item, dict) else {}, [])
        asked.append(
            {"name": one.text("name"), "start": one.integer("startIndex", 0), "amount": one.integer("amount")}
        )
    return asked


def show_metrics(answer: SessionMetrics) -> MetricsAnswer:
    """Return entries of metrics as the wire has them."""
    return {
        "metrics": [
            {
                "name": metric["name"],
                "startIndex": metric["start"],
                "entries": [{"timestamp": milliseconds(at)} for at in metric.get("times", [])],
            }
            for metric in answer["metrics"]
        ]
    }


def show_status(training: DebugTraining) -> TrainingStatus:
    """Return a training's status as the wire has it."""
    return {
        "id": training.id,
        "createdAt": milliseconds(training.created_at),
        "metrics": [{"name": metric.name, "amount": metric.amount} for metric in training.metrics],
        "status": _status(training),
    }


def show_in_list(training: DebugTraining) -> TrainingItem:
    """Return a training as the list of a session's has it."""
    state = "starting" if training.state == "running" and training.started_at is None else training.state
    return {"id": training.id, "createdAt": milliseconds(training.created_at), "state": state}


def _status(training: DebugTraining) -> TrainingState:
    if training.state == "running":
        return {"state": "running", "progress": training.progress}
    status: TrainingState = {"state": training.state}
    status["finishedAt"] = milliseconds(training.finished_at or training.created_at)
    if training.duration_s is not None:
        status["trainDuration"] = milliseconds(training.duration_s)
    if training.state == "failed":
        status["failReason"] = _fail_reason(cast("CallFailure | None", training.fail))
    return status


def _fail_reason(fail: CallFailure | None) -> FailReason:
    code = None if fail is None else fail.get("code")
    if fail is not None and code in ("exception", "not_offered"):
        return {"code": "exception", "exceptionDetails": details(fail)}
    return {"code": "cancelled" if code in ("cancelled", "interrupted") else "unknown"}
