"""`log`, `progress`, `should_stop`: what training code says about itself. Standard library only.

Inside a run every call is one write to the run's journal: no thread, no socket, and where the same keys come again with
plain numbers, no lock; nothing that can stall a training. Outside of one (the function called by hand in a notebook) `log` prints a line, at most one a second.
"""

from __future__ import annotations

import math
import os
import sys
import time
from array import array
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.journal_format import float64_bytes
from jupyter_ext.worker.sdk.journal_writer import JournalWriter, plain_numbers
from jupyter_ext.worker.sdk.reentrancy import is_from_signal_handler

if TYPE_CHECKING:
    from jupyter_ext.worker.sdk.media.recorder import MediaRecorder
    from jupyter_ext.worker.sdk.media.types import Media

_PRINT_INTERVAL_S = 1.0
_MAX_ALERT = 1_000
STREAM_VARIABLE = "JUPYTER_EXT_STREAM"
"""Environment variable with the rank of the training's worker, for the processes that it starts."""


class Reporter:
    """Writes for one run, from one process."""

    def __init__(self, run_dir: Path, rank: str, first_call: int = 0) -> None:
        self.run_dir = run_dir
        self._rank = rank
        self._media: MediaRecorder | None = None
        self._journal = JournalWriter(run_dir, rank, first_call=first_call, keeps_room=True)
        self._stop_file = str(run_dir / "stop")
        self._polls_stop = False
        self._says_progress = False
        self._complained: set[str] = set()
        self.try_fast_append = self._journal.try_fast_append

    def points(self, values: Mapping[str, object], step: float | None) -> None:
        """Write what `try_fast_append` did not: one point of each key; what is no number is left out and told of."""
        if not isinstance(values, Mapping):
            self._complain(
                "values", f"log: {values!r:.60} is no mapping of names to numbers; nothing was recorded."
            )
            return
        at = None if step is None else self._step(step)
        media: list[tuple[str, Media | list[Media]]] = []
        numbers = self._numbers(values, media)
        for key, value in media:
            self.media(key, value, self.num_calls if at is None else at)
        self._journal.points(numbers, at)

    def media(self, key: str, value: Media | list[Media], step: float) -> None:
        """Store a medium, or several; one that cannot be stored is left out and told of."""
        try:
            self._recorder().record(key, value, step)
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            reason = str(error) if isinstance(error, ValueError) else f"{type(error).__name__}: {error}"
            self._complain(key, f"log: {key} was left out: {reason}.")

    def _recorder(self) -> MediaRecorder:
        if self._media is None:
            from jupyter_ext.worker.sdk.media.recorder import MediaRecorder

            def stored(count: int, num_bytes: int) -> None:
                self._journal.mark("media", count=count, bytes=num_bytes)

            self._media = MediaRecorder(self.run_dir, self._rank, stored, self._complain)
        return self._media

    def many(self, key: str, steps: Iterable[float], values: Iterable[float]) -> None:
        """Write many points of one key; those whose step is not finite are left out and told of."""
        step_bytes, value_bytes = float64_bytes(steps), float64_bytes(values)
        at = memoryview(step_bytes).cast("B").cast("d")
        if len(step_bytes) == len(value_bytes) and not math.isfinite(sum(at)):
            read = memoryview(value_bytes).cast("B").cast("d")
            kept = [(step, value) for step, value in zip(at, read, strict=True) if math.isfinite(step)]
            if len(kept) < len(at):
                text = f"log_many: {len(at) - len(kept)} steps of {key} are not finite; those points were left out."
                self._complain(f"{key} steps", text)
                self._journal.many(
                    key, array("d", (step for step, _ in kept)), array("d", (value for _, value in kept))
                )
                return
        self._journal.many(key, _as_floats(step_bytes), _as_floats(value_bytes))

    def progress(self, current: Any, total: Any = None, *, automatic: bool = False) -> None:
        """Write how far it is; what is no finite number is left out, and named once.

        Args:
            current: Units done.
            total: Units in all, or `None`.
            automatic: Whether a library says so, and not the code itself; then only while the code does not.
        """
        if automatic and self._says_progress:
            return
        self._says_progress = self._says_progress or not automatic
        done, whole = _finite(current), None if total is None else _finite(total)
        if done is None or (total is not None and whole is None):
            self._complain(
                "progress()", f"progress({current!r:.40}, {total!r:.40}) is not finite; it was left out."
            )
        if done is not None:
            self.mark("progress", current=done, total=whole)

    def mark(self, kind: str, **fields: Any) -> None:
        """Write something that is not a point."""
        self._journal.mark(kind, **fields)

    @property
    def num_calls(self) -> int:
        """How many `log()` calls there have been, those of the run that this one resumes included."""
        return self._journal.num_calls

    @property
    def last_step(self) -> float:
        """The step of the last `log()` call; −1 before the first."""
        return self._journal.last_step

    def should_stop(self) -> bool:
        """Tell whether a stop was asked for."""
        if not self._polls_stop:
            self._polls_stop = True
            self._journal.mark("polls_stop")
            (Path(self._stop_file).parent / "polls_stop").touch(mode=0o600)
        return os.path.exists(self._stop_file)

    def close(self) -> None:
        """Store what still waits, and close the journal."""
        if self._media is not None:
            self._media.close()
        self._journal.close()

    def _numbers(
        self, values: Mapping[str, object], media: list[tuple[str, Media | list[Media]]], prefix: str = ""
    ) -> dict[str, float]:
        """Flatten nested mappings with `/`, return the numbers and put media aside; say once of each key what was left out."""
        numbers: dict[str, float] = {}
        for name, value in values.items():
            key = f"{prefix}{name}"
            if isinstance(value, Mapping):
                numbers.update(self._numbers(value, media, f"{key}/"))
                continue
            try:
                numbers[key] = float(value.item() if hasattr(value, "item") else cast("float", value))
            except Exception as error:
                if is_from_signal_handler(error):
                    raise
                if (medium := _medium(value)) is not None:
                    media.append((key, medium))
                    continue
                kind = type(value).__name__
                self._complain(key, f"log: {key} is a {kind}, not one number; it was left out.{_hint(value)}")
                continue
            if isinstance(value, Real):
                plain_numbers.add(type(value))
        return numbers

    def _step(self, step: Any) -> float | None:
        number = _finite(step)
        if number is None:
            kind = str(step) if isinstance(step, float) else f"a {type(step).__name__}"
            self._complain("step", f"log: step is {kind}, not one finite number; calls are counted instead.")
        return number

    def _complain(self, about: str, text: str) -> None:
        """Tell the user once, in the panel and in the log."""
        if about not in self._complained:
            self._complained.add(about)
            self._journal.mark("notice", text=text)
            print(text, file=sys.stderr)


_active: Reporter | None = None
_try_fast_append: Callable[[Mapping[str, object], float | None], bool] | None = None
_last_print = 0.0
_told: set[str] = set()
_has_looked = False
"""Whether this process knows that it is, or is not, one that a training has started."""


def activate(reporter: Reporter | None) -> None:
    """Make `reporter` the one that the functions of this module write to."""
    global _active, _try_fast_append
    _active = reporter
    _try_fast_append = None if reporter is None else reporter.try_fast_append


def active() -> Reporter | None:
    """Return the reporter of this process's training, or `None` outside of one.

    A process that a training has started (a spawned rank, a script) gets one that writes a stream of its own.
    """
    global _has_looked
    if _active is None and not _has_looked:
        _has_looked = True
        if (reporter := _of_a_child()) is not None:
            activate(reporter)
    return _active


def _of_a_child() -> Reporter | None:
    """Return a reporter for the training whose process, or whose process's process, has started this one."""
    run_dir, rank = os.environ.get("JUPYTER_EXT_RUN_DIR"), os.environ.get(STREAM_VARIABLE)
    if run_dir is None or rank is None:
        return None
    start = run_files.read_start(Path(run_dir))
    if start is None or not run_files.is_here(start) or not processes.is_alive(**start["worker"]):
        return None  # it is over: what it has started and outlived it has nobody to report to
    own_rank = os.environ.get("RANK", "")
    return Reporter(Path(run_dir), own_rank if own_rank.isdecimal() else rank)


def log(values: Mapping[str, object] | None = None, /, step: float | None = None, **metrics: Any) -> None:
    """Record one point of each given metric.

    Nothing that this returned from is lost when the process is killed. A value that is no single number is left out
    and named once in the panel; it never ends a training.

    Args:
        values: Metrics by name; nested mappings are flattened with `/`. 0-d tensors are read once. Media too, such as
            `jx.Image(x)`, `jx.Histogram(w)`, a figure, a DataFrame, or a list of media.
        step: The x value; by default the number of `log` calls so far. Steps may repeat or decrease.
        **metrics: More metrics, as `log(loss=0.3, acc=0.9)`.
    """
    if values is None:
        values = metrics
    elif metrics:
        values = {**values, **metrics}
    if _try_fast_append is not None and _try_fast_append(values, step):
        return
    if (reporter := active()) is not None:
        reporter.points(values, step)
    else:
        _print(values, step)


def log_many(key: str, steps: Iterable[float], values: Iterable[float]) -> None:
    """Record many points of one metric at once.

    Args:
        key: The metric's name.
        steps: x values, n numbers.
        values: y values, n numbers.

    Raises:
        ValueError: `steps` and `values` differ in length.
    """
    if (reporter := active()) is not None:
        reporter.many(key, steps, values)


def tell(text: str) -> None:
    """Tell the user a line about this training, once: in the panel, and in the log."""
    if text in _told:
        return
    _told.add(text)
    if (reporter := active()) is not None:
        reporter.mark("notice", text=text)
    print(text, file=sys.stderr)


def recorded(key: str, mode: str) -> None:
    """Say that a metric is one of the run's own, not only a curve: `replace`, `incr` or `append`. For Cog's trainers."""
    if (reporter := active()) is not None:
        reporter.mark("recorded", key=key, mode=mode)


ALERT_LEVELS = ("info", "warning", "error")


def alert(text: object, *, level: object = "warning", step: float | None = None) -> None:
    """Tell whoever watches this training something that needs attention: a mark on its chart, a notification, its webhook.

    Args:
        text: What.
        level: `info`, `warning` or `error`.
        step: Where; by default the step of the last `log()`.
    """
    known = str(getattr(level, "value", level)).lower()
    known = {"warn": "warning"}.get(known, known)
    if known not in ALERT_LEVELS:
        tell(f"alert: there is no level {level!r}, only {', '.join(ALERT_LEVELS)}; warning is taken.")
        known = "warning"
    line = str(text)[:_MAX_ALERT]
    if (reporter := active()) is not None:
        at = None if step is None else _finite(step)
        reporter.mark("alert", text=line, level=known, step=max(0, reporter.last_step) if at is None else at)
    print(f"{known}: {line}", file=sys.stderr)


def progress(current: float, total: float | None = None) -> None:
    """Say how far the training is, such as `progress(epoch + 1, epochs)`.

    Args:
        current: Units done, from 0.
        total: Units in all, or `None` where nobody knows.
    """
    if (reporter := active()) is not None:
        reporter.progress(current, total)


def should_stop() -> bool:
    """Tell whether somebody asked this training to stop: finish the step, save, and return.

    Code that asks is given a second to act before it is interrupted. Costs about 2 microseconds.
    """
    reporter = active()
    return reporter is not None and reporter.should_stop()


def _print(values: Mapping[str, object], step: float | None) -> None:
    global _last_print
    now = time.monotonic()
    if now - _last_print < _PRINT_INTERVAL_S:
        return
    _last_print = now
    shown = "  ".join(f"{name}={_short(value)}" for name, value in values.items())
    print(shown if step is None else f"step {step}  {shown}")


def _medium(value: Any) -> Media | list[Media] | None:
    """Return the medium that a value is, or the media that a list holds; `None` where it is neither."""
    from jupyter_ext.worker.sdk.media.types import wrap

    if isinstance(value, list | tuple) and value:
        found = [medium for item in value if (medium := wrap(item)) is not None]
        return found if len(found) == len(value) else None
    return wrap(value)


def _hint(value: Any) -> str:
    if getattr(value, "ndim", 0):
        return " Wrap it to keep it: jx.Image(x), jx.Histogram(x)."
    return " To keep it, log jx.Text(x)." if isinstance(value, str) else ""


def _as_floats(data: bytes | memoryview) -> Any:
    return memoryview(data).cast("B").cast("d")


def _finite(value: Any) -> float | None:
    """Return a finite number, or `None` where it is none."""
    try:
        number = float(value.item() if hasattr(value, "item") else value)
    except Exception as error:
        if is_from_signal_handler(error):
            raise
        return None
    return number if math.isfinite(number) else None


def _short(value: Any) -> str:
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError, RuntimeError):
        return str(value)


for _public in (log, log_many, progress, should_stop, alert):
    _public.__module__ = (
        "jupyter_ext"  # stored bundles name them by it, so it must outlive this module's path
    )
