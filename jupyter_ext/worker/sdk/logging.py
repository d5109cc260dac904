"""`log`, `progress`, `should_stop`: what training code says about itself. Standard library only.

Inside a run every call is one write to the run's journal: no thread, no socket, and where the same keys come again with
plain numbers, no lock; nothing that can stall a training. Outside of one (the function called by hand in a notebook) `log` prints a line, at most one a second.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from jupyter_ext.worker.sdk.journal_writer import JournalWriter, plain_numbers
from jupyter_ext.worker.sdk.reentrancy import is_from_signal_handler

_PRINT_INTERVAL_S = 1.0


class Reporter:
    """Writes for one run, from one process."""

    def __init__(self, run_dir: Path, rank: str, first_call: int = 0) -> None:
        self.run_dir = run_dir
        self._journal = JournalWriter(run_dir, rank, first_call=first_call)
        self._stop_file = str(run_dir / "stop")
        self._polls_stop = False
        self._complained: set[str] = set()
        self.try_fast_append = self._journal.try_fast_append

    def points(self, values: Mapping[str, Any], step: float | None) -> None:
        """Write what `try_fast_append` did not: one point of each key; what is no number is left out and told of."""
        if not isinstance(values, Mapping):
            self._complain(
                "values", f"log: {values!r:.60} is no mapping of names to numbers; nothing was recorded."
            )
            return
        self._journal.points(self._numbers(values), None if step is None else self._step(step))

    def many(self, key: str, steps: Iterable[float], values: Iterable[float]) -> None:
        """Write many points of one key."""
        self._journal.many(key, steps, values)

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
            (Path(self._stop_file).parent / "polls_stop").touch()
        return os.path.exists(self._stop_file)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _numbers(self, values: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
        """Flatten nested mappings with `/` and keep what is a number; say once of each key what was left out."""
        numbers: dict[str, float] = {}
        for name, value in values.items():
            key = f"{prefix}{name}"
            if isinstance(value, Mapping):
                numbers.update(self._numbers(value, f"{key}/"))
                continue
            try:
                numbers[key] = float(value.item() if hasattr(value, "item") else value)
            except Exception as error:
                if is_from_signal_handler(error):
                    raise
                kind = type(value).__name__
                self._complain(key, f"log: {key} is a {kind}, not one number; it was left out.")
                continue
            if isinstance(value, Real):
                plain_numbers.add(type(value))
        return numbers

    def _step(self, step: Any) -> float | None:
        try:
            return float(step.item() if hasattr(step, "item") else step)
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            kind = type(step).__name__
            self._complain("step", f"log: step is a {kind}, not one number; calls are counted instead.")
            return None

    def _complain(self, about: str, text: str) -> None:
        """Tell the user once, in the panel and in the log."""
        if about not in self._complained:
            self._complained.add(about)
            self._journal.mark("notice", text=text)
            print(text, file=sys.stderr)


_active: Reporter | None = None
_try_fast_append: Callable[[Mapping[str, Any], float | None], bool] | None = None
_last_print = 0.0
_told: set[str] = set()


def activate(reporter: Reporter | None) -> None:
    """Make `reporter` the one that the functions of this module write to."""
    global _active, _try_fast_append
    _active = reporter
    _try_fast_append = None if reporter is None else reporter.try_fast_append


def active() -> Reporter | None:
    """Give the reporter of this process's training, or `None` outside of one."""
    return _active


def log(values: Mapping[str, Any] | None = None, /, *, step: float | None = None, **metrics: Any) -> None:
    """Record one point of each given metric.

    Nothing that this returned from is lost when the process is killed. A value that is no single number is left out
    and named once in the panel; it never ends a training.

    Args:
        values: Metrics by name; nested mappings are flattened with `/`. 0-d tensors are read once.
        step: The x value; by default the number of `log` calls so far. Steps may repeat or decrease.
        **metrics: More metrics, as `log(loss=0.3, acc=0.9)`.
    """
    if values is None:
        values = metrics
    elif metrics:
        values = {**values, **metrics}
    if _try_fast_append is not None and _try_fast_append(values, step):
        return
    if _active is not None:
        _active.points(values, step)
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
    if _active is not None:
        _active.many(key, steps, values)


def tell(text: str) -> None:
    """Give the user a line about this training, once: in the panel, and in the log."""
    if text in _told:
        return
    _told.add(text)
    if _active is not None:
        _active.mark("notice", text=text)
    print(text, file=sys.stderr)


def recorded(key: str, mode: str) -> None:
    """Say that a metric is one of the run's own, not only a curve: `replace`, `incr` or `append`. For Cog's trainers."""
    if (reporter := active()) is not None:
        reporter.mark("recorded", key=key, mode=mode)


def progress(current: float, total: float | None = None) -> None:
    """Say how far the training is, such as `progress(epoch + 1, epochs)`.

    Args:
        current: Units done, from 0.
        total: Units in all, or `None` where nobody knows.
    """
    if _active is not None:
        _active.mark("progress", current=float(current), total=None if total is None else float(total))


def should_stop() -> bool:
    """Tell whether somebody asked this training to stop: finish the step, save, and return.

    Code that asks is given a second to act before it is interrupted. Costs about 2 microseconds.
    """
    return _active is not None and _active.should_stop()


def _print(values: Mapping[str, Any], step: float | None) -> None:
    global _last_print
    now = time.monotonic()
    if now - _last_print < _PRINT_INTERVAL_S:
        return
    _last_print = now
    shown = "  ".join(f"{name}={_short(value)}" for name, value in values.items())
    print(shown if step is None else f"step {step}  {shown}")


def _short(value: Any) -> str:
    try:
        return f"{float(value):.4g}"
    except (TypeError, ValueError, RuntimeError):
        return str(value)


for _public in (log, log_many, progress, should_stop):
    _public.__module__ = (
        "jupyter_ext"  # stored bundles name them by it, so it must outlive this module's path
    )
