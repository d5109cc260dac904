"""A training inside of a debug session, as a handle: how it stands, its points, its curves."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NotRequired, Protocol, TypedDict

from jupyter_ext.client import display_hook
from jupyter_ext.errors import (
    JupyterExtError,
    NotOver,
    SessionCallFailed,
    SessionEnded,
    SessionError,
    TrainingCanceled,
)
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import MetricRange
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


class SessionPage(TypedDict):
    """What a page draws a session live from, or one training of it; `session` is its resource."""

    version: int
    id: str
    training: NotRequired[str]
    session: JsonObject


class TrainingSource(Protocol):
    """Where a training in a session is: what its handle asks."""

    @property
    def session_id(self) -> str:
        """The session's id."""

    @property
    def session_name(self) -> str:
        """What the user calls the session."""

    def status(self, training_id: str, wait_s: float | None = None) -> TrainingResource:
        """Return a training, once it is over or after `wait_s` seconds."""

    def points(self, training_id: str, ranges: Sequence[MetricRange] | None) -> list[MetricPoints]:
        """Return points of metrics; of all metrics from their beginning where `ranges` is `None`."""

    def cancel(self, training_id: str, wait_s: float) -> None:
        """Cancel a training.

        Raises:
            JupyterExtError: It has not reacted within `wait_s` seconds, or is over already.
        """

    def changes(self, training_id: str) -> Iterator[TrainingResource]:
        """Yield a training now and whenever it changed, at least until it is over."""

    def page_content(self, training: TrainingResource) -> SessionPage | None:
        """Return what a page draws it live from; `None` where no page can reach it."""


class DebugTraining:
    """A training inside of a session. How it ended and its numbers can be read when the session is gone, too.

    Args:
        source: Where it is.
        resource: What is known of it.
    """

    def __init__(self, source: TrainingSource, resource: TrainingResource) -> None:
        self._source = source
        self._resource = resource

    def __repr__(self) -> str:
        """Return a line that says how it stands."""
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
            self._resource = self._source.status(self.id)
        return self._resource

    def mime_content(self) -> SessionPage | None:
        """Return the content of the session's MIME type from which a page draws this training live, without any kernel.

        `None` where no page can reach it, as on a service.
        """
        return self._source.page_content(self._resource)

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
            TrainingCanceled: It was canceled.
            SessionError: It failed otherwise.
            NotOver: It is not over after that many seconds.
        """
        left = timeout_s
        while self._resource.state == "running":
            wait_s = _WAIT_S if left is None else min(_WAIT_S, left)
            self._resource = self._source.status(self.id, wait_s)
            if left is not None:
                left -= wait_s
                if left <= 0 and self._resource.state == "running":
                    raise NotOver(f"Training {self.id} is not over after {timeout_s:g} s; it goes on.")
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
            self._source.cancel(self.id, wait_s)
        except JupyterExtError:
            if self.status != "running":
                return self
            raise
        self._resource = self._source.status(self.id)
        return self

    def points(self, name: str, start: int = 0, amount: int | None = None) -> MetricPoints:
        """Return points of one metric by index."""
        return self._source.points(self.id, [{"name": name, "start": start, "amount": amount}])[0]

    def metrics(self) -> pd.DataFrame:
        """Return every point as a DataFrame with columns `key`, `step`, `value` and `time` (UTC)."""
        import pandas as pd

        found = self._source.points(self.id, None)
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
        for resource in self._source.changes(self.id):
            self._resource = resource
            ranges: list[MetricRange] = [
                {"name": one.name, "start": have.get(one.name, 0)}
                for one in self._resource.metrics
                if one.amount > have.get(one.name, 0)
            ]
            for found in self._source.points(self.id, ranges) if ranges else []:
                have[found.name] = found.start + len(found.times)
                yield found
            if self._resource.state != "running":
                return

    def columns(self, max_points: int | None = None) -> list[SeriesColumns]:
        """Return the metrics that are numbers as numpy columns, every n-th point where there are more than `max_points`."""
        import numpy as np

        from jupyter_ext.protocol.metrics_codec import SeriesColumns

        columns = []
        for index, found in enumerate(self._source.points(self.id, None)):
            if all(isinstance(value, float) for value in found.values):
                every = 1 if max_points is None else max(1, -(-len(found.times) // max_points))
                steps, values, times = (
                    np.array(part[::every], np.float64) for part in (found.steps, found.values, found.times)
                )
                columns.append(SeriesColumns(index, found.name, "0", steps, values, times))
        return columns

    def figure(self) -> go.Figure:
        """Draw its metrics as a plotly figure."""
        from jupyter_ext.client.trainings.curves.figure import FigureOptions, curves_figure
        from jupyter_ext.client.trainings.curves.grouping import plots_of

        plots = plots_of(self.columns())
        return curves_figure(f"debug training {self.id}", plots, FigureOptions(), origins={})

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

    def _raise_for_status(self) -> DebugTraining:
        fail = self._resource.fail
        if fail is None:
            return self
        code, message, name = fail.get("code"), fail.get("message"), self._source.session_name
        if code == "exception" and "exception" in fail:
            from jupyter_ext.client.sessions.report import failure_text

            raise SessionCallFailed(fail["message"], failure_text(fail["exception"], name))
        if code == "cancelled":
            raise TrainingCanceled(f"Training {self.id} was canceled.")
        if code == "session_ended":
            raise SessionEnded(f"Training {self.id} ended with its session {name}: {message}")
        raise SessionError(f"Training {self.id} failed ({code}): {message}")

    def _ipython_display_(self) -> None:
        display_hook.show("debug_training", self, lambda: {"text/plain": repr(self)})
