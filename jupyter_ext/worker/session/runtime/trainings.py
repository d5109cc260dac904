"""Trainings inside of a session: their state, their metrics by index, and what their code tells us. Standard library only.

Rule: a metric is there for everybody the moment its call returns, also while the main thread is busy. Times are Unix
seconds.
"""

from __future__ import annotations

import base64
import contextlib
import math
import os
import sys
import threading
import time
from array import array
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from jupyter_ext.ipc.decthings.codec import metric_value
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.ipc.payloads.session_reports import TRAINING_FILE, MetricReport, TrainingFile, TrainingReport
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.journal_writer import JournalWriter
from jupyter_ext.worker.sdk.media.types import Media
from jupyter_ext.worker.session.runtime.main_thread import Job

RUNNING, COMPLETED, FAILED = "running", "completed", "failed"
JOURNAL_STREAM = "0"


def new_id() -> str:
    """Make an id for something in a session: 16 characters of lower-case base32."""
    return base64.b32hexencode(os.urandom(10)).decode().lower()


class Series:
    """One metric: `times`, `steps` and `values` by index. Plain numbers take 24 bytes a point; anything else is kept whole."""

    def __init__(self) -> None:
        self.times = array("d")
        self.steps = array("d")
        self.numbers: array[float] | None = array("d")
        self.values: list[Any] = []
        self.tensor_type: str | None = None
        """The type in which Decthings' code reported it."""

    def __len__(self) -> int:
        return len(self.times)

    def add(self, at: float, step: float, value: Any) -> float | None:
        """Add a point; the times go last, so that a reader in another thread finds what it counts on. Gives its number."""
        plain = _plain_number(value)
        if self.numbers is not None and plain is None:
            self.values = list(self.numbers)
            self.numbers = None
        if self.numbers is not None and plain is not None:
            self.numbers.append(plain)
        else:
            self.values.append(_kept(value))
        self.steps.append(step)
        self.times.append(at)
        return plain


class Points(TypedDict):
    """Points of a metric by index, `numbers` where all are plain numbers, `values` otherwise."""

    times: array[float]
    steps: array[float]
    numbers: NotRequired[array[float]]
    values: NotRequired[list[Any]]


class Training:
    """One training in a session; only its own code and the session change it.

    Args:
        model_id: The instantiated model that it trains.
        on_change: Called, in any thread, when something can be seen to have changed.
        kept_in: Directory with a directory for each training, whose journal has every number that was logged: it is there
            when this process was killed.
    """

    def __init__(self, model_id: str, on_change: Callable[[], None], kept_in: Path) -> None:
        self.id = new_id()
        self.directory = kept_in / self.id
        self._journal: JournalWriter | None = None
        self.model_id = model_id
        self.created_at = time.time()
        self.started_at: float | None = None
        self.finished_at: float | None = None
        self.state = RUNNING
        self.progress = 0.0
        self.series: dict[str, Series] = {}
        self.fail: CallFailure | None = None
        self.reported_failure: str | None = None
        self.result: Any = None
        self.cancel_stage: str | None = None
        self.looks_for_stop = False
        self.job = Job("train", self.id)
        self.done = threading.Event()
        self._on_change = on_change
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], Any]] = []
        self._types: dict[str, str] = {}

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state != RUNNING

    def add(self, values: Mapping[str, object], step: float | None = None) -> None:
        """Add one point to each metric."""
        at = time.time()
        with self._lock:
            kept: dict[float, dict[str, float]] = {}
            for name, value in values.items():
                series = self.series.get(name)
                if series is None:
                    series = self.series[name] = Series()
                number_of_point = len(series) if step is None else step
                plain = series.add(at, number_of_point, value)
                if plain is not None:
                    kept.setdefault(number_of_point, {})[name] = plain
            for number_of_point, numbers in kept.items():
                self._keep(numbers, number_of_point, at)
        self._on_change()

    def set_progress(self, share: float) -> None:
        """Say how far it is, 0 to 1; what is outside is kept as it is, and what is no finite number is passed over."""
        if math.isfinite(share):
            self.progress = float(share)
            self._on_change()

    def on_cancel(self, callback: Callable[[], Any]) -> None:
        """Have a function called when a cancel is asked for; at once where it has been."""
        self.looks_for_stop = True
        if self.cancel_stage is not None:
            callback()
        else:
            self._callbacks.append(callback)

    def should_stop(self) -> bool:
        """Return whether a cancel was asked for."""
        self.looks_for_stop = True
        return self.cancel_stage is not None

    def begin_cancel(self) -> list[Callable[[], Any]]:
        """Raise the flag; returns what is to be called."""
        if self.cancel_stage is None:
            self.cancel_stage = "flag"
        callbacks, self._callbacks = self._callbacks, []
        self._on_change()
        return callbacks

    def finish(self, fail: CallFailure | None) -> None:
        """End it."""
        if fail is None and self.reported_failure is not None:
            fail = {"code": "unknown", "message": self.reported_failure}
        self.finished_at = time.time()
        self.fail = fail
        self.state = COMPLETED if fail is None else FAILED
        if fail is None:
            self.progress = max(self.progress, 1.0)
        with self._lock:
            journal, self._journal = self._journal, None
        if journal is not None:
            journal.close()
        self.record()
        self.done.set()
        self._on_change()

    def record(self) -> None:
        """Write to its directory how it stands: all that is known of it when this process is gone."""
        try:
            self.directory.mkdir(parents=True, exist_ok=True)
            content: TrainingFile = {**self.describe(), "types": self._types}
            write_json(self.directory / TRAINING_FILE, content)
        except OSError as error:
            print(f"Training {self.id} cannot be recorded: {error}", file=sys.stderr)

    def set_type(self, name: str, tensor_type: str | None) -> None:
        """Keep the type in which Decthings' code reports a metric."""
        self.series[name].tensor_type = tensor_type
        if tensor_type is not None and self._types.get(name) != tensor_type:
            self._types[name] = tensor_type
            self.record()

    def _keep(self, numbers: Mapping[str, float], step: float, at: float) -> None:
        """Write points of one step to the journal, under the lock; what a disk refuses is dropped there, and stays here."""
        if self._journal is None:
            try:
                self.directory.mkdir(parents=True, exist_ok=True)
            except OSError:
                return
            self._journal = JournalWriter(self.directory, JOURNAL_STREAM)
        self._journal.points(numbers, step, at)

    def describe(self) -> TrainingReport:
        """Describe it for clients."""
        with self._lock:
            metrics: list[MetricReport] = [
                {"name": name, "amount": len(series), "last": _last(series)}
                for name, series in self.series.items()
            ]
        return {
            "id": self.id,
            "model_id": self.model_id,
            "created_at": self.created_at,
            "started_at": self.started_at,
            "finished_at": self.finished_at,
            "duration_s": None
            if self.finished_at is None or self.started_at is None
            else self.finished_at - self.started_at,
            "state": self.state,
            "progress": self.progress,
            "cancel_stage": self.cancel_stage,
            "fail": self.fail,
            "metrics": metrics,
        }

    def points(self, name: str, start: int, amount: int | None) -> Points:
        """Return points of a metric by index."""
        with self._lock:
            series = self.series.get(name) or Series()
            end = len(series) if amount is None else min(len(series), start + amount)
            cut = slice(min(start, end), end)
            payload: Points = {"times": series.times[cut], "steps": series.steps[cut]}
            if series.numbers is not None:
                return {**payload, "numbers": series.numbers[cut]}
            return {**payload, "values": series.values[cut]}


class TrainTracker:
    """What a training's code is given as `tracker`. Source: decthings-model 0.0.7, TrainTracker."""

    def __init__(self, training: Training) -> None:
        self._training = training
        self.onCancel = self.on_cancel

    def metrics(self, metrics: Mapping[str, object] | Iterable[Any]) -> None:
        """Report values of metrics: pairs `(name, value)`, dicts with `name` and `value`, or a mapping."""
        pairs = metrics.items() if isinstance(metrics, Mapping) else map(_pair, metrics)
        for name, value in pairs:
            plain, tensor_type = metric_value(value)
            self._training.add({str(name): plain})
            self._training.set_type(str(name), tensor_type)

    def progress(self, progress: float) -> None:
        """Say how far the training is, 0 to 1."""
        self._training.set_progress(progress)

    def on_cancel(self, callback: Callable[[], Any]) -> None:
        """Have a function called when somebody cancels; code that asks for this is given time before it is interrupted."""
        self._training.on_cancel(callback)

    def should_stop(self) -> bool:
        """Return whether somebody cancels."""
        return self._training.should_stop()

    def failed(self, reason: object = "the training said so") -> None:
        """Have the training end as failed, with this reason, when it returns."""
        self._training.reported_failure = str(reason)


class SessionReporter(logging.Reporter):
    """Lets `log()`, `progress()` and `should_stop()` of a training's code reach its session."""

    def __init__(self, training: Training, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._training = training
        self._complained: set[str] = set()
        self._says_progress = False
        self._num_calls = 0
        self._last_step = -1.0
        self.try_fast_append = self._try_fast_append

    @property
    def num_calls(self) -> int:
        """How many `log()` calls there have been."""
        return self._num_calls

    @property
    def last_step(self) -> float:
        """The step of the last `log()` call; −1 before the first."""
        return self._last_step

    def points(self, values: Mapping[str, object], step: float | None) -> None:
        """Add one point of each key."""
        if not isinstance(values, Mapping):
            self._complain(
                "values", f"log: {values!r:.60} is no mapping of names to numbers; nothing was recorded."
            )
            return
        at = float(self._num_calls) if step is None else self._step(step)
        self._num_calls += 1
        self._last_step = self._num_calls - 1.0 if at is None else at
        media: list[tuple[str, Media | list[Media]]] = []
        numbers = self._numbers(values, media)
        for key, _ in media:
            self._complain(
                key, f"log: {key} was left out: a debug session's training keeps numbers, no media."
            )
        self._training.add(numbers, self._last_step)

    def many(self, key: str, steps: Iterable[float], values: Iterable[float]) -> None:
        """Add many points of one key."""
        pairs = [(float(step), float(value)) for step, value in zip(steps, values, strict=True)]
        kept = [pair for pair in pairs if math.isfinite(pair[0])]
        if len(kept) < len(pairs):
            self._complain(
                f"{key} steps",
                f"log_many: {len(pairs) - len(kept)} steps of {key} are not finite; those points were left out.",
            )
        for step, value in kept:
            self._training.add({key: value}, step)

    def mark(self, kind: str, **fields: Any) -> None:
        """Take over how far the code says it is; a session keeps no other marks."""
        if kind == "progress" and fields.get("total"):
            self._training.set_progress(fields["current"] / fields["total"])

    def should_stop(self) -> bool:
        """Return whether somebody cancels."""
        return self._training.should_stop()

    def close(self) -> None:
        """Do nothing: a session's training has no journal."""

    def _complain(self, about: str, text: str) -> None:
        if about not in self._complained:
            self._complained.add(about)
            print(text, file=sys.stderr)

    def _try_fast_append(self, values: Mapping[str, object], step: float | None = None) -> bool:
        return False


@contextlib.contextmanager
def reporting(training: Training, run_dir: Path) -> Iterator[None]:
    """Have this process's `log()` and its neighbours write to a training for a while."""
    logging.activate(SessionReporter(training, run_dir))
    try:
        yield
    finally:
        logging.activate(None)


def _pair(item: Any) -> tuple[Any, Any]:
    name, value = (item["name"], item["value"]) if isinstance(item, Mapping) else item
    return name, value


def _plain_number(value: Any) -> float | None:
    if type(value) in (float, int):
        return float(value)
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item") and not hasattr(value, "serialize"):
        plain = value.item()
        return float(plain) if isinstance(plain, int | float) else None
    return None


def _kept(value: Any) -> Any:
    """Keep a value as it is now: the training's code goes on and may write into it."""
    if hasattr(value, "detach"):
        return value.detach().cpu().clone()
    return value.copy() if hasattr(value, "dtype") and hasattr(value, "copy") else value


def _last(series: Series) -> float | str | None:
    numbers: Sequence[float] | None = series.numbers
    if not numbers:
        return None
    last = numbers[-1]
    return last if last - last == 0 else str(last)
