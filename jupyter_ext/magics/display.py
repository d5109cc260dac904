"""What the magics show: the live panel, and lists for people."""

from __future__ import annotations

import asyncio
import concurrent.futures
import contextlib
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from IPython.display import DisplayHandle, display

from jupyter_ext.client.requests import comm_bridge
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.notebook_place import ShownIn, shown_in
from jupyter_ext.client.trainings.comparison import Comparison
from jupyter_ext.client.trainings.handle import MIME_TYPE, Training, mime_content
from jupyter_ext.client.trainings.listing import TrainingList, duration_s, format_duration, format_number
from jupyter_ext.client.trainings.snapshot_svg import draw
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol import trainings
from jupyter_ext.protocol.counts import counted, counted_runs

log = logging.getLogger(__name__)

SAVED_PICTURE_INTERVAL_S = 15.0
_PICTURE_BUCKETS = 150
_WIDGET_TYPE = "application/vnd.jupyter.widget-view+json"
_VIEWED_WITHIN_S = 3.0
"""A page that draws the widget has said so by then."""
_LOADED_WITHIN_S = 60.0
_LOOK_INTERVAL_S = 0.25


def show(run: Training) -> None:
    """Display the panel of a training: live in three ways, and as a picture where nothing is alive."""
    data, widget = _bundle(run)
    shown = display(data, raw=True, display_id=True)
    if isinstance(shown, DisplayHandle):
        loop_thread().submit(_keep_saved_output_current(run, shown, data, widget))


def show_view(view: str, data: Mapping[str, object], still: Mapping[str, object]) -> None:
    """Display a live view: by its MIME type, as a widget, and still where nothing is alive.

    Args:
        view: Its name in `widgets/src/views`, such as `trainings`.
        data: What it is drawn from.
        still: `text/plain`, and what else shows it where nothing of ours is there.
    """
    shown = show_live(view, data, still)
    if isinstance(shown.slot, DisplayHandle) and shown.widget is not None:
        loop_thread().submit(_drop_unviewed(shown))


@dataclass
class LiveOutput:
    """A live view in an output: where it is, what it was drawn from, and its widget where that can be."""

    view: str
    slot: Any
    data: Mapping[str, object]
    still: Mapping[str, object]
    widget: Any
    shown_at: float = field(default_factory=time.monotonic)
    shown_in: ShownIn | None = field(default_factory=shown_in)

    def bundle(self) -> dict[str, object]:
        """Return the MIME bundle. A widget that no page drew is not in it, once one would have."""
        stays = self.widget is not None and (
            self.widget.is_viewed or time.monotonic() - self.shown_at < _VIEWED_WITHIN_S
        )
        place = {} if self.shown_in is None else {"shown_in": self.shown_in}
        found = {f"application/vnd.jupyter-ext.{self.view}+json": {**self.data, **place}, **self.still}
        return {**found, **_widget_view(self.widget)} if stays else found

    def update(self, data: Mapping[str, object], still: Mapping[str, object], *, is_last: bool) -> None:
        """Put newer content into the saved output.

        Args:
            data: What it is drawn from.
            still: What shows it where nothing of ours is there.
            is_last: Whether this is how it stays. Before that, nothing is put into an output whose widget is looked at: an
                update would draw it anew before its reader's eyes.
        """
        self.data, self.still = data, still
        if self.slot is None or (not is_last and _is_viewed(self.widget)):
            return
        if is_last and self.widget is not None:
            time.sleep(max(0.0, self.shown_at + _VIEWED_WITHIN_S - time.monotonic()))
            self.widget.data = data
        self.slot.update(self.bundle(), raw=True)


def show_live(view: str, data: Mapping[str, object], still: Mapping[str, object]) -> LiveOutput:
    """Display a live view, for whoever keeps its output current; arguments as of `show_view`."""
    shown = LiveOutput(view, None, data, still, _widget(view, data))
    shown.slot = display(shown.bundle(), raw=True, display_id=True)
    return shown


async def _drop_unviewed(shown: LiveOutput) -> None:
    """Take a widget that no page drew out of the saved output; see `_keep_saved_output_current`."""
    await asyncio.sleep(_VIEWED_WITHIN_S)
    if not shown.widget.is_viewed:
        shown.slot.update(shown.bundle(), raw=True)
        await _close_when_loaded(shown.widget)


async def _close_when_loaded(widget: Any) -> None:
    """Close a widget once a page has read its code, or none seems to: anywidget throws where one closes before."""
    deadline = time.monotonic() + _LOADED_WITHIN_S
    while not widget.is_loaded and time.monotonic() < deadline:
        await asyncio.sleep(_LOOK_INTERVAL_S)
    widget.close()


def show_table(runs: TrainingList) -> None:
    """Display the live table of runs; a list that is not the answer to a question stays as it is."""
    still = {"text/html": runs._repr_html_(), "text/plain": repr(runs)}
    if runs.table is None:
        display(still, raw=True)
    else:
        show_view("trainings", runs.table, still)


def show_comparison(comparison: Comparison) -> None:
    """Display the live chart of several trainings."""
    show_view("compare", comparison.content, {"text/plain": repr(comparison)})


def show_in(slot: DisplayHandle, run: Training) -> concurrent.futures.Future[None]:
    """Display the panel in the place of an earlier output; cancel what this gives before the place gets another."""
    data, widget = _bundle(run)
    slot.update(data, raw=True)
    return loop_thread().submit(_keep_saved_output_current(run, slot, data, widget))


def _bundle(run: Training) -> tuple[dict[str, object], Any]:
    data: dict[str, object] = {MIME_TYPE: mime_content(run.known), "text/plain": repr(run)}
    widget = _widget("training", mime_content(run.known))
    return {**data, **_widget_view(widget)}, widget


def show_and_wait(run: Training) -> None:
    """Display the panel and wait for the end; an interrupt ends the waiting only."""
    show(run)
    try:
        run.wait()
    except KeyboardInterrupt:
        print(f"Stopped waiting; {run.name} goes on: %training {run.id}")


def _widget_view(widget: Any) -> Mapping[str, object]:
    if widget is None:
        return {}
    return {_WIDGET_TYPE: {"version_major": 2, "version_minor": 0, "model_id": widget.model_id}}


def _widget(view: str, data: Mapping[str, object]) -> Any:
    try:
        from jupyter_ext_widgets import LiveView
    except ImportError as error:
        log.info("no widget: %s", error)
        return None
    return LiveView(view, data, bridge=comm_bridge.CommBridge())


async def _keep_saved_output_current(
    run: Training, shown: DisplayHandle, data: dict[str, object], widget: Any
) -> None:
    """Put the last picture and text into the saved output, for where neither engine nor kernel is there.

    A widget stays in it only where one is looked at: front ends prefer a widget, also a dead one, to every picture.
    """
    from jupyter_ext.client.requests.process_client import client

    shown_at = drawn_at = time.monotonic()
    try:
        async with contextlib.aclosing(client().follow(run.id, after_seq=None)) as stream:
            async for event in stream:
                if event.training is not None:
                    training = event.training
                is_last = event.kind == "end"
                if not is_last and (
                    time.monotonic() - drawn_at < SAVED_PICTURE_INTERVAL_S
                    or _is_viewed(widget)  # an update would draw it anew before its reader's eyes
                ):
                    continue
                drawn_at = time.monotonic()
                picture = draw(training, await client().metrics(run.id, buckets=_PICTURE_BUCKETS))
                content = {
                    MIME_TYPE: mime_content(training),
                    "text/plain": summary(training),
                    "image/svg+xml": picture,
                }
                shown.update({**data, **content}, raw=True)
                if widget is None:
                    continue
                widget.data = mime_content(training)
                if is_last:
                    await asyncio.sleep(max(0.0, shown_at + _VIEWED_WITHIN_S - time.monotonic()))
                    if not widget.is_viewed:
                        data.pop(_WIDGET_TYPE)
                        shown.update({**data, **content}, raw=True)
    except JupyterExtError as error:
        log.info("the saved output of %s stays as it is: %s", run.id, error)


def _is_viewed(widget: Any) -> bool:
    return widget is not None and widget.is_viewed


def summary(training: trainings.Training) -> str:
    """Describe a training in a line or two of text."""
    parts = [f"Training {training.name} ({training.id}): {training.status}"]
    if (seconds := duration_s(training)) is not None:
        parts.append(f"in {format_duration(seconds)}")
    text = " ".join(parts)
    values = "  ".join(
        f"{key}={format_number(point.value)}"
        for key, point in training.last.items()
        if not key.startswith("system/")
    )
    lines = [text, values, training.cause.message if training.cause and training.status == "failed" else ""]
    return "\n".join(line for line in lines if line)


class EngineStatus:
    """Displays what an engine says of itself."""

    def __init__(self, info: trainings.EngineInfo) -> None:
        self._info = info

    def __repr__(self) -> str:
        """Return it as text."""
        info = self._info
        lines = [
            f"Engine {info.version}, pid {info.pid}, {info.memory_mib:.0f} MiB",
            f"  running: {counted_runs(info.active, info.sessions) or 'nothing'}; {counted(info.viewers, 'viewer')}",
            f"  {counted(info.models_loaded, 'model')} loaded, {info.models_fetching} on the way",
            f"  data in {info.data_dir}",
        ]
        if info.listening_as_pieces:
            lines.append(f"  listening as Pieces OS on {info.listening_as_pieces}, without a token")
        if info.listening:
            lines.append(f"  listening on {info.listening}")
        for environment in info.environments:
            memory = "" if environment.memory_mib is None else f", {environment.memory_mib:.0f} MiB"
            torch = "" if environment.torch is None else f", torch {environment.torch}"
            detail = "" if environment.detail is None else f" ({environment.detail})"
            extra = "" if environment.extra is None else ", for models of transformers"
            lines.append(f"  {environment.python}{extra}: {environment.state}{torch}{memory}{detail}")
        return "\n".join(lines)
