"""A training inside of a debug session, as a handle: how it stands, its points, its curves."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_ext.client import display_hook
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.sessions import requests
from jupyter_ext.client.sessions.channel import SessionChannel
from jupyter_ext.errors import SessionCallFailed, SessionEnded, SessionError
from jupyter_ext.ipc import values
from jupyter_ext.protocol.sessions import DebugTraining as TrainingResource

if TYPE_CHECKING:
    import pandas as pd
    import plotly.graph_objects as go

    from jupyter_ext.protocol.metrics_codec import SeriesColumns

_WAIT_S = 30.0
_SHOWN_POINTS = 500


@dataclass(frozen=True)
class MetricPoints:
    """New points of a metric: `times` (Unix seconds), `steps`, and `values`, numbers or what was reported."""

    name: str
    start: int
    times: list[float]
    steps: list[float]
    values: list[Any]


class DebugTraining:
    """A training inside of a session. How it ended and its numbers can be read when the session is gone, too."""

    def __init__(self, channel: SessionChannel, resource: TrainingResource) -> None:
        self._channel = channel
        self._resource = resource

    def __repr__(self) -> str:
        """Give a line that says how it stands."""
        known = self._resource
        last = "  ".join(f"{one.name}={one.last}" for one in known.metrics if one.last is not None)
        return f"<DebugTraining {self.id} {known.state} {known.progress:.0%} {last}>"

    @property
    def id(self) -> str:
        """Its id in the session."""
        return self._resource.id

    @property
    def resource(self) -> TrainingResource:
        """Everything the session says of it, asked anew unless it is over."""
        if self._resource.state == "running":
            self._take(self._asked("training_status"))
        return self._resource

    def mime_content(self) -> dict[str, Any]:
        """Give the content of the session's MIME type from which a page draws this training live, without any kernel."""
        session_id = self._channel.session_id
        session = (
            loop_thread().run(requests().get(session_id)).model_copy(update={"trainings": [self._resource]})
        )
        return {
            "version": 1,
            "id": session_id,
            "training": self.id,
            "session": session.model_dump(mode="json"),
        }

    @property
    def status(self) -> str:
        """One of `running`, `completed`, `failed`."""
        return self.resource.state

    @property
    def progress(self) -> float:
        """How far it says it is, 0 to 1."""
        return self.resource.progress

    def wait(self, timeout_s: float | None = None) -> DebugTraining:
        """Wait until it is over; an interrupt stops the waiting, not the training.

        Raises:
            SessionCallFailed: Its code raised.
            SessionError: It failed otherwise, or was canceled.
            TimeoutError: It is not over after that many seconds.
        """
        left = timeout_s
        while self._resource.state == "running":
            wait_s = _WAIT_S if left is None else min(_WAIT_S, left)
            self._take(self._asked("training_status", wait_s=wait_s))
            if left is not None:
                left -= wait_s
                if left <= 0 and self._resource.state == "running":
                    raise TimeoutError(f"training {self.id} is not over after {timeout_s} s; it goes on")
        return self._raise_for_status()

    def __await__(self) -> Generator[Any, None, DebugTraining]:
        """Wait in an asynchronous cell: `await training`."""
        return (yield from asyncio.to_thread(self.wait).__await__())

    def cancel(self, wait_s: float = 10.0) -> DebugTraining:
        """Cancel it: ask, then interrupt; the model stays as it is then.

        Raises:
            SessionError: It has not reacted within `wait_s`; the text says what that means.
        """
        try:
            told = self._channel.call("cancel_training", training_id=self.id, wait_s=wait_s)
        except SessionError:
            if self.status != "running":
                return self
            raise
        if not told["ended"]:
            raise SessionError(told["hint"])
        self._take(self._channel.call("training_status", training_id=self.id))
        return self

    def points(self, name: str, start: int = 0, amount: int | None = None) -> MetricPoints:
        """Give points of one metric by index."""
        return self._points([{"name": name, "start": start, "amount": amount}])[0]

    def metrics(self) -> pd.DataFrame:
        """Give every point as a DataFrame with columns `key`, `step`, `value` and `time` (UTC)."""
        import pandas as pd

        found = self._points(None)
        table = pd.DataFrame(
            {
                "key": [one.name for one in found for _ in one.times],
                "step": [step for one in found for step in one.steps],
                "value": [value for one in found for value in one.values],
                "time": pd.to_datetime([at for one in found for at in one.times], unit="s", utc=True),
            }
        )
        return table.astype({"key": "category"})

    def follow(self) -> Iterator[MetricPoints]:
        """Yield new points of each metric as they come, until it is over."""
        have: dict[str, int] = {}
        for session in self._states():
            mine = next((one for one in session["trainings"] if one["id"] == self.id), None)
            if mine is None:
                return
            self._take(mine)
            asked = [
                {"name": one.name, "start": have.get(one.name, 0)}
                for one in self._resource.metrics
                if one.amount > have.get(one.name, 0)
            ]
            for found in self._points(asked) if asked else []:
                have[found.name] = found.start + len(found.times)
                yield found
            if self._resource.state != "running":
                return

    def columns(self, max_points: int | None = None) -> list[SeriesColumns]:
        """Give the metrics that are numbers as numpy columns, every n-th point where there are more than `max_points`."""
        import numpy as np

        from jupyter_ext.protocol.metrics_codec import SeriesColumns

        columns = []
        for index, found in enumerate(self._points(None)):
            if all(isinstance(value, float) for value in found.values):
                every = 1 if max_points is None else max(1, -(-len(found.times) // max_points))
                steps, values, times = (
                    np.array(part[::every], np.float64) for part in (found.steps, found.values, found.times)
                )
                columns.append(SeriesColumns(index, found.name, "0", steps, values, times))
        return columns

    def figure(self) -> go.Figure:
        """Draw its metrics as a plotly figure."""
        from jupyter_ext.client.trainings.figure import training_figure

        return training_figure(f"debug training {self.id}", self.columns())

    def picture(self) -> str:
        """Draw its metrics as SVG, as a cell shows it."""
        from jupyter_ext.client.trainings.snapshot_svg import draw
        from jupyter_ext.protocol.trainings import Training

        known = self._resource
        status = {"running": "processing", "completed": "succeeded", "failed": "failed"}[known.state]
        if known.fail is not None and known.fail.get("code") == "cancelled":
            status = "canceled"
        took = {} if known.duration_s is None else {"predict_time": known.duration_s}
        shown = Training.model_construct(name=f"debug training {self.id}", status=status, metrics=took)
        return draw(shown, self.columns(_SHOWN_POINTS))

    def _points(self, asked: list[dict[str, Any]] | None) -> list[MetricPoints]:
        import numpy as np

        params: dict[str, Any] = {} if asked is None else {"metrics": asked}
        answer = self._asked("training_metrics", **params)
        found = []
        for told, part in zip(answer["metrics"], answer["value"], strict=True):
            times, steps = (np.frombuffer(part[key]).tolist() for key in ("times", "steps"))
            values = np.frombuffer(part["numbers"]).tolist() if "numbers" in part else part["values"]
            found.append(MetricPoints(told["name"], told["start"], times, steps, values))
        return found

    def _asked(self, op: str, **params: Any) -> dict[str, Any]:
        """Ask the session; where that has ended, the engine reads its files."""
        try:
            return self._channel.call(op, training_id=self.id, **params)
        except SessionEnded:
            asking = requests().call(self._channel.session_id, op, {"training_id": self.id, **params})
            answer, blobs = loop_thread().run(asking)
            if "value" in answer:
                answer = {**answer, "value": values.decode(answer["value"], blobs)}
            return answer

    def _states(self) -> Iterator[dict[str, Any]]:
        """Yield the session's state whenever it changed, and as it was left where it ended."""
        try:
            yield from self._channel.watch()
        except SessionEnded:
            yield {"trainings": [{**self._asked("training_status"), "id": self.id}]}

    def _take(self, told: Mapping[str, Any]) -> None:
        self._resource = TrainingResource.model_validate(told)

    def _raise_for_status(self) -> DebugTraining:
        fail = self._resource.fail
        if fail is None:
            return self
        if fail.get("code") == "exception" and "exception" in fail:
            from jupyter_ext.client.sessions.report import failure_text

            raise SessionCallFailed(fail["message"], failure_text(fail["exception"], self._channel.name))
        if fail.get("code") == "session_ended":
            raise SessionEnded(
                f"Training {self.id} ended with its session {self._channel.name}: {fail['message']}"
            )
        raise SessionError(f"Training {self.id} failed ({fail.get('code')}): {fail.get('message')}")

    def _ipython_display_(self) -> None:
        display_hook.show("debug_training", self, lambda: {"text/plain": repr(self)})
