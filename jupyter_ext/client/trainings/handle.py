"""Handles: what `jx.train` and the magics give, and what a user asks a training with."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jupyter_ext.client import display_hook
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.event_stream import Event
from jupyter_ext.client.trainings.snapshot import snapshot
from jupyter_ext.errors import TrainingCanceled, TrainingFailed
from jupyter_ext.protocol import trainings
from jupyter_ext.protocol.exports import format_of
from jupyter_ext.protocol.metrics_codec import SeriesColumns

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd
    import plotly.graph_objects as go
    from numpy.typing import NDArray

    from jupyter_ext.client.trainings.curves.smoothing import Smoothing
    from jupyter_ext.client.trainings.media import MediaList

Ranks = Collection[int] | Literal["all"] | None
MIME_TYPE = "application/vnd.jupyter-ext.training+json"


class Training:
    """One training, wherever it runs and whoever started it. Displays as its live panel."""

    def __init__(self, client: AsyncClient, resource: trainings.Training) -> None:
        self._client = client
        self._resource = resource

    def __repr__(self) -> str:
        """Return a line that says what it is and how it stands."""
        return f"<Training {self._resource.name} {self.id} {self._resource.status}>"

    @property
    def id(self) -> str:
        """Its id, 26 characters."""
        return self._resource.id

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._resource.name

    @property
    def resource(self) -> trainings.Training:
        """Everything the engine says of it, asked anew unless it is over."""
        if (
            self._resource.status not in trainings.TERMINAL or self._resource.cut
        ):  # a list carries only a part
            self._resource = loop_thread().run(self._client.get(self.id))
        return self._resource

    @property
    def known(self) -> trainings.Training:
        """What was last heard of it, without asking."""
        return self._resource

    @property
    def status(self) -> str:
        """One of `starting`, `processing`, `succeeded`, `failed`, `canceled`."""
        return self.resource.status

    @property
    def output(self) -> Any:
        """What `train()` returned, as JSON; `None` until it succeeded."""
        return self.resource.output

    @property
    def weights(self) -> Path:
        """The file of weights that it has left, on this machine; of one that ran on a service it is fetched first.

        Raises:
            RequestRefused: It has not succeeded, or the service does not give them.
            UnknownId: It has left none.
        """
        return loop_thread().run(self._client.weights(self.id))

    @property
    def error(self) -> str | None:
        """Why it failed, in one line."""
        return self.resource.error

    def wait(self, timeout_s: float | None = None) -> Training:
        """Wait until it is over; an interrupt stops the waiting, not the training.

        Raises:
            TrainingFailed: It failed; the text holds the traceback of the user's own frames.
            TrainingCanceled: It was canceled.
            NotOver: It is not over after that many seconds.
        """
        return self._raise_for_status(loop_thread().run(self._client.wait(self.id, timeout_s)))

    def __await__(self) -> Generator[Any, None, Training]:
        """Wait in an asynchronous cell: `await run`."""
        future = asyncio.wrap_future(loop_thread().submit(self._client.wait(self.id)))
        return self._raise_for_status((yield from future.__await__()))

    def cancel(self) -> Training:
        """Begin to stop it: flag, interrupt, SIGTERM, SIGKILL. One that is over stays as it is."""
        self._resource = loop_thread().run(self._client.cancel(self.id))
        return self

    def resume(self, /, **changed: Any) -> Training:
        """Start a new training that goes on from this one's last checkpoint, and return at once.

        Args:
            **changed: Inputs that are to be others, such as `epochs=20`; the rest stays as it was.

        Raises:
            RequestRefused: It runs, has succeeded or has no checkpoint; the text says what to do instead.
            InvalidInput: A changed input is wrong.
        """
        return Training(self._client, loop_thread().run(self._client.resume(self.id, changed)))

    @property
    def tags(self) -> list[str]:
        """Tags that a person gave it."""
        return list(self.resource.tags)

    @property
    def notes(self) -> str:
        """Notes that a person wrote about it."""
        return self.resource.notes

    def label(self, tags: Sequence[str] | None = None, notes: str | None = None) -> Training:
        """Replace its tags, its notes or both; they are kept in its directory."""
        self._resource = loop_thread().run(self._client.label(self.id, tags, notes))
        return self

    def again(self, /, **changes: Any) -> Training:
        """Start the same code with the same inputs, but for `changes`.

        Raises:
            InvalidInput: An input is unknown, mistyped or out of range.
        """
        return Training(self._client, loop_thread().run(self._client.again(self.id, changes)))

    def promote(self, destination: str) -> str:
        """Make a version of a model of what it has returned; return it as `owner/name:version`.

        Args:
            destination: `owner/name` of the model, which is made where there is none.

        Raises:
            RequestRefused: It has not succeeded, or its files are gone.
        """
        return loop_thread().run(self._client.promote(self.id, destination))

    def delete(self) -> None:
        """Forget it and delete its files.

        Raises:
            RequestRefused: It is not over.
        """
        loop_thread().run(self._client.delete(self.id))

    def logs(self, tail: int | None = None) -> str:
        """Return what it printed, or the last lines of it."""
        return loop_thread().run(self._client.logs(self.id, tail))

    def stacks(self) -> str:
        """Tell where each of its threads stands now."""
        return loop_thread().run(self._client.stacks(self.id))

    def columns(
        self,
        keys: list[str] | None = None,
        buckets: int | None = None,
        *,
        chain: bool = True,
        ranks: Ranks = None,
    ) -> list[SeriesColumns]:
        """Return metrics as numpy columns, one object per series.

        Args:
            keys: Only these metrics.
            buckets: At most twice so many real points of each series, spikes kept; by default all points.
            chain: Of a resumed training also the curve before it, up to the checkpoint that it went on from.
            ranks: Of a group of workers, as of `metrics`.
        """
        found = loop_thread().run(self._client.metrics(self.id, keys, buckets, chain=chain))
        if ranks is None and self._resource.workers > 1:
            ranks = (0,)
        if ranks is None or ranks == "all":
            return found
        wanted = {str(rank) for rank in ([ranks] if isinstance(ranks, int | str) else ranks)}
        return [one for one in found if one.rank in wanted or one.key.startswith("system/")]

    def metrics(
        self,
        keys: list[str] | None = None,
        *,
        system: bool = False,
        chain: bool = True,
        ranks: Ranks = None,
    ) -> pd.DataFrame:
        """Return every point as a DataFrame with columns `key`, `step`, `value`, `time` (UTC) and `rank`.

        Args:
            keys: Only these metrics.
            system: Also CPU and memory of the training's processes.
            chain: Of a resumed training also the curve before it, up to the checkpoint that it went on from.
            ranks: Of a group of workers, which ranks: numbers, or "all"; by default rank 0. Of one process, all that it has
                started besides.
        """
        import numpy as np
        import pandas as pd

        series = [
            item
            for item in self.columns(keys, chain=chain, ranks=ranks)
            if system or not item.key.startswith("system/")
        ]
        codes = np.repeat(np.arange(len(series)), [len(item.steps) for item in series])

        def joined(part: str) -> NDArray[np.float64]:
            return np.concatenate([getattr(item, part) for item in series] or [np.empty(0)])

        return pd.DataFrame(
            {
                "key": pd.Categorical(np.array([item.key for item in series], object)[codes]),
                "step": joined("steps"),
                "value": joined("values"),
                "time": pd.to_datetime(pd.Series(joined("times")), unit="s", utc=True),
                "rank": pd.Categorical(np.array([item.rank for item in series], object)[codes]),
            }
        )

    def media(
        self, key: str | None = None, *, kind: str | None = None, step: float | None = None
    ) -> MediaList:
        """Return what it has logged besides numbers, by step: pictures, histograms, tables and the like.

        Args:
            key: Only of this name.
            kind: Only of this kind, such as `image`.
            step: Only of this step.
        """
        from jupyter_ext.client.trainings import media

        return media.read(self._client, self.id, key, kind, step)

    @property
    def alerts(self) -> list[trainings.Alert]:
        """What its code or a rule told whoever watches."""
        return list(self.resource.alerts)

    @property
    def rules(self) -> list[trainings.Rule]:
        """What it is watched for; `fired` says what was found."""
        return list(self.resource.rules)

    def tell_me_when(self, metric: str, op: str, value: float) -> Training:
        """Have an alert at the first point of a metric that is so: `run.tell_me_when("val/loss", "<", 0.1)`.

        Args:
            metric: Its name.
            op: `<`, `<=`, `>` or `>=`.
            value: What it is compared with.

        Raises:
            RequestRefused: It is over.
        """
        return self._add_rule(kind="threshold", action="tell", metric=metric, op=op, value=value)

    def stop_when(self, metric: str, op: str, value: float) -> Training:
        """Stop it at the first point of a metric that is so; see `tell_me_when`."""
        return self._add_rule(kind="threshold", action="stop", metric=metric, op=op, value=value)

    def stop_on_nan(self, metric: str | None = None) -> Training:
        """Stop it at the first value that is NaN or infinite, of one metric or of any."""
        return self._add_rule(kind="nan", action="stop", metric=metric)

    def stop_early(
        self, metric: str, patience: int, *, mode: str = "min", min_delta: float = 0.0
    ) -> Training:
        """Stop it once a metric has not improved for `patience` values in a row.

        Args:
            metric: Its name.
            patience: How many, from 1.
            mode: Whether `min` or `max` is better.
            min_delta: By how much a value must be better to count.
        """
        rule = {"metric": metric, "patience": patience, "mode": mode, "min_delta": min_delta}
        return self._add_rule(kind="patience", action="stop", **rule)

    def _add_rule(self, **rule: object) -> Training:
        self._resource = loop_thread().run(self._client.add_rule(self.id, rule))
        return self

    def export(self, path: str | os.PathLike[str]) -> Path:
        """Write every point to a file as its ending says: `.csv`, `.parquet`, or `.zip` for TensorBoard; return the file.

        Raises:
            InvalidInput: It has another ending, or cannot be written there.
        """
        file = Path(path).expanduser()
        return loop_thread().run(self._client.export(self.id, format_of(file.name), file))

    def to_tensorboard(self, folder: str | os.PathLike[str]) -> Path:
        """Write its metrics as an event file that TensorBoard reads; return the file.

        Args:
            folder: Where; TensorBoard takes each folder as a run.
        """
        from jupyter_ext.client.imports.encoding import to_tensorboard

        return to_tensorboard(self.columns(), Path(folder).expanduser(), self.id)

    def figure(
        self,
        keys: list[str] | None = None,
        buckets: int = 1000,
        *,
        x: str = "step",
        log_x: bool = False,
        log_y: bool = False,
        smoothing: float = 0.0,
        smoothing_kind: Smoothing = "ema",
        ignore_outliers: bool = False,
    ) -> go.Figure:
        """Draw its metrics as a plotly figure, as the panel draws them.

        Args:
            keys: Only these metrics.
            buckets: At most twice so many real points of each series.
            x: `step`; `time`, seconds since the start; `clock`, the time of day; or a metric, such as `epoch`.
            log_x: Draw x on a logarithmic axis.
            log_y: Draw y on a logarithmic axis.
            smoothing: Weight of the past per sample, from 0 (none) to below 1.
            smoothing_kind: `ema` as TensorBoard does it, `gaussian`, or `mean`, a running mean.
            ignore_outliers: Leave values far from most others out of the y axis.

        Raises:
            ValueError: An option is out of range, or x names a metric that was not logged.
        """
        from jupyter_ext.client.trainings.curves.figure import FigureOptions, curves_figure
        from jupyter_ext.client.trainings.curves.grouping import plots_of
        from jupyter_ext.client.trainings.curves.marks import marks_of, start_of

        options = FigureOptions(x, log_x, log_y, smoothing, smoothing_kind, ignore_outliers)
        wanted = None if keys is None or x in ("step", "time", "clock") else [*keys, x]
        plots = plots_of(self.columns(wanted or keys, buckets))
        training = self.resource
        origins = {"": start_of(training)}
        return curves_figure(self.name, plots, options, origins=origins, marks=marks_of(training))

    def follow(self, after_seq: int | None = 0) -> Iterator[Event]:
        """Yield what happens until it is over, also over a restart of the engine.

        Args:
            after_seq: Events up to this number are left out; 0 gives all, `None` only what comes from now on.
        """
        events = self._client.follow(self.id, after_seq)
        while True:
            try:
                event: Event = loop_thread().run(_next(events))
            except StopAsyncIteration:
                return
            yield event

    def _raise_for_status(self, resource: trainings.Training) -> Training:
        self._resource = resource
        if resource.status == "failed":
            error = resource.exception.text if resource.exception else resource.error
            raise TrainingFailed(f"Training {self.name} ({self.id}) failed.\n{error}")
        if resource.status == "canceled":
            raise TrainingCanceled(f"Training {self.name} ({self.id}) was canceled.")
        return self

    def _ipython_display_(self) -> None:
        display_hook.show("training", self, self._mime_bundle)

    def _mime_bundle(self) -> dict[str, object]:
        return {MIME_TYPE: mime_content(self._resource), "text/plain": repr(self)}


async def _next(events: AsyncIterator[Event]) -> Event:
    return await anext(events)


def mime_content(training: trainings.Training) -> dict[str, object]:
    """Return the content of the MIME type from which JupyterLab re-attaches to a training."""
    return {"id": training.id, "version": 1, "training": snapshot(training)}
