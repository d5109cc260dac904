"""Trainings of a session on a service, polled: the service tells of metrics and ends only when it is asked."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Protocol

from typing_extensions import TypeVar

from jupyter_ext.client.sessions.training import MetricPoints
from jupyter_ext.errors import SessionError
from jupyter_ext.ipc.decthings.codec import as_value
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import MetricRange
from jupyter_ext.protocol.decthings.answers import FailReason, MetricsAnswer, TrainingStatus
from jupyter_ext.protocol.decthings.tensors import Tensor
from jupyter_ext.protocol.sessions import DebugMetric, DebugTraining

_POLL_S = (0.05, 1.0)
_METRICS_AT_ONCE = 1000


A = TypeVar("A", default=JsonObject)


class Asking(Protocol):
    """The session that trainings are in."""

    id: str
    name: str

    def ask(
        self,
        method: str,
        params: Mapping[str, object],
        blobs: Sequence[bytes] = (),
        answer: type[A] | None = None,
    ) -> tuple[A, list[bytes]]:
        """Call a method of the session."""


class ServiceTrainings:
    """What handles of trainings ask.

    Args:
        session: Theirs.
    """

    def __init__(self, session: Asking) -> None:
        self._session = session

    @property
    def session_id(self) -> str:
        """The session's id."""
        return self._session.id

    @property
    def session_name(self) -> str:
        """What the user calls the session."""
        return self._session.name

    def status(self, training_id: str, wait_s: float | None = None) -> DebugTraining:
        """Return a training, once it is over or after `wait_s` seconds."""
        deadline, pause_s = time.monotonic() + (wait_s or 0.0), _POLL_S[0]
        while True:
            found = self._look(training_id)
            left = deadline - time.monotonic()
            if found.state != "running" or left <= 0:
                return found
            time.sleep(min(left, pause_s))
            pause_s = min(_POLL_S[1], pause_s * 1.5)

    def points(self, training_id: str, ranges: Sequence[MetricRange] | None) -> list[MetricPoints]:
        """Return points of metrics; a step is a point's index, as the service knows no other."""
        amounts = {one.name: one.amount for one in self._look(training_id).metrics}
        wanted: Sequence[MetricRange] = [{"name": name} for name in amounts] if ranges is None else ranges
        found = []
        for one in wanted:
            start, amount = one.get("start", 0), one.get("amount")
            stop = amounts.get(one["name"], 0)
            stop = stop if amount is None else min(stop, start + amount)
            times, values = self._entries(training_id, one["name"], start, stop)
            steps = [float(start + index) for index in range(len(times))]
            found.append(MetricPoints(one["name"], start, times, steps, values))
        return found

    def cancel(self, training_id: str, wait_s: float) -> None:
        """Cancel a training, and wait until it is over.

        Raises:
            SessionError: It has not reacted within `wait_s`.
        """
        self._session.ask("cancelTrainingSession", {"trainingSessionId": training_id})
        if self.status(training_id, wait_s).state == "running":
            raise SessionError(
                f"Training {training_id} has not reacted for {wait_s:.0f} s; it was asked to. "
                f"Terminating session {self._session.name} ends it."
            )

    def changes(self, training_id: str) -> Iterator[DebugTraining]:
        """Yield a training now and whenever it changed, until it is over."""
        seen: DebugTraining | None = None
        pause_s = _POLL_S[0]
        while seen is None or seen.state == "running":
            found = self._look(training_id)
            changed = found != seen
            if changed:
                yield found
            seen = found
            pause_s = _POLL_S[0] if changed else min(_POLL_S[1], pause_s * 1.5)
            if found.state == "running":
                time.sleep(pause_s)

    def page_content(self, training: DebugTraining) -> None:
        """Return nothing: no page reaches the service."""

    def _look(self, training_id: str) -> DebugTraining:
        answer, _ = self._session.ask(
            "getTrainingStatus", {"trainingSessionId": training_id}, answer=TrainingStatus
        )
        return as_resource(answer)

    def _entries(self, training_id: str, name: str, start: int, stop: int) -> tuple[list[float], list[Any]]:
        times: list[float] = []
        values: list[Any] = []
        while start + len(times) < stop:
            begin = start + len(times)
            one = {"name": name, "startIndex": begin, "amount": min(_METRICS_AT_ONCE, stop - begin)}
            answer, blobs = self._session.ask(
                "getTrainingMetrics",
                {"trainingSessionId": training_id, "metrics": [one]},
                answer=MetricsAnswer,
            )
            entries = answer["metrics"][0]["entries"]
            if not entries:
                break
            times += [entry["timestamp"] / 1000 for entry in entries]
            values += [_value(blob) for blob in blobs]
        return times, values


def as_resource(status: TrainingStatus) -> DebugTraining:
    """Return a training of a service as one of this machine."""
    state, begun = status["status"], status["status"]["state"] != "starting"
    finished_at, took = state.get("finishedAt"), state.get("trainDuration")
    created_at = status["createdAt"] / 1000
    return DebugTraining(
        id=status["id"],
        model_id="",
        state="running" if state["state"] == "starting" else state["state"],
        progress=1.0 if state["state"] == "completed" else float(state.get("progress", 0.0)),
        created_at=created_at,
        started_at=created_at if begun else None,
        finished_at=None if finished_at is None else finished_at / 1000,
        duration_s=None if took is None else took / 1000,
        fail=_fail(state.get("failReason")) if state["state"] == "failed" else None,
        metrics=[DebugMetric(name=one["name"], amount=one["amount"]) for one in status["metrics"]],
    )


def _fail(reason: FailReason | None) -> JsonObject:
    code = "unknown" if reason is None else reason["code"]
    if reason is None or code != "exception":
        return {"code": code, "message": code.replace("_", " ")}
    text = (reason.get("exceptionDetails") or "The model's code raised an exception.").strip()
    last = text.splitlines()[-1]
    kind, _, message = last.partition(": ")
    return {
        "code": code,
        "message": last,
        "exception": {"type": kind, "message": message, "text": text, "frames": []},
    }


def _value(blob: bytes) -> Any:
    tensor, _ = Tensor.decode(blob)
    if tensor.shape:
        return as_value(tensor)
    value = tensor.item()
    return float(value) if isinstance(value, int | float) else value
