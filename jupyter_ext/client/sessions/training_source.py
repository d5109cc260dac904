"""Trainings of a session on this machine: asked over its socket, and from the engine once it has ended."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar, cast

from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.sessions import requests
from jupyter_ext.client.sessions.channel import SessionChannel, decoded
from jupyter_ext.client.sessions.training import MetricPoints, SessionPage
from jupyter_ext.errors import SessionEnded, SessionError
from jupyter_ext.ipc.payloads.session_messages import CancelAnswer, MetricRange, MetricsAnswer
from jupyter_ext.ipc.payloads.session_reports import TrainingReport
from jupyter_ext.protocol.sessions import DebugTraining as TrainingResource

A = TypeVar("A")


class SessionTrainings:
    """What handles of trainings ask.

    Args:
        channel: The session's.
    """

    def __init__(self, channel: SessionChannel) -> None:
        self._channel = channel
        self.session_id = channel.session_id
        self.session_name = channel.name

    def status(self, training_id: str, wait_s: float | None = None) -> TrainingResource:
        """Return a training, once it is over or after `wait_s` seconds."""
        params = {} if wait_s is None else {"wait_s": wait_s}
        return TrainingResource.model_validate(
            self._ask("training_status", training_id, TrainingReport, **params)
        )

    def points(self, training_id: str, ranges: Sequence[MetricRange] | None) -> list[MetricPoints]:
        """Return points of metrics; of all metrics from their beginning where `ranges` is `None`."""
        import numpy as np

        params: dict[str, list[MetricRange]] = {} if ranges is None else {"metrics": list(ranges)}
        answer = self._ask("training_metrics", training_id, MetricsAnswer, **params)
        found = []
        for metric, part in zip(answer["metrics"], answer["value"], strict=True):
            times, steps = (np.frombuffer(part[key]).tolist() for key in ("times", "steps"))
            numbers = np.frombuffer(part["numbers"]).tolist() if "numbers" in part else part["values"]
            found.append(MetricPoints(metric["name"], metric["start"], times, steps, numbers))
        return found

    def cancel(self, training_id: str, wait_s: float) -> None:
        """Cancel a training: ask, then interrupt.

        Raises:
            SessionError: It has not reacted within `wait_s`, or is over already.
        """
        answer = self._channel.call(
            "cancel_training", answer=CancelAnswer, training_id=training_id, wait_s=wait_s
        )
        if not answer["ended"]:
            raise SessionError(answer.get("hint", ""))

    def changes(self, training_id: str) -> Iterator[TrainingResource]:
        """Yield a training now and whenever its session changed, and as it was left where that has ended."""
        try:
            for session in self._channel.watch():
                found = next((one for one in session["trainings"] if one["id"] == training_id), None)
                if found is None:
                    return
                yield TrainingResource.model_validate(found)
        except SessionEnded:
            yield self.status(training_id)

    def page_content(self, training: TrainingResource) -> SessionPage:
        """Return what a page draws it live from, without any kernel."""
        session = loop_thread().run(requests().get(self.session_id))
        shown = session.model_copy(update={"trainings": [training]})
        return {
            "version": 1,
            "id": self.session_id,
            "training": training.id,
            "session": shown.model_dump(mode="json"),
        }

    def _ask(self, op: str, training_id: str, kind: type[A], **params: Any) -> A:
        """Ask the session; where that has ended, the engine reads its files."""
        try:
            return self._channel.call(op, answer=kind, training_id=training_id, **params)
        except SessionEnded:
            asking = requests().call(self.session_id, op, {"training_id": training_id, **params})
            return cast("A", decoded(*loop_thread().run(asking)))
