"""Curves of a script that only prints, read from its lines into a stream of its own, `log`, beside what `log()` writes.

Rules: the lines are the truth. A reader that begins anew reads them from the first on and leaves out, of each name, as many points as
are stored, so that no line counts twice and none is missed, whatever was killed. A run that calls `log()` itself before
anything was read has no need of this; a name is given up as soon as `log()` is called with it. A name counts from its second
value on: what is printed once, such as a setting, is no curve.
"""

from __future__ import annotations

import re
import time
from collections.abc import Collection, Mapping
from pathlib import Path

from jupyter_ext.engine.common.file_pieces import read_piece
from jupyter_ext.protocol.log_metrics import LineNews, read_line
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

STREAM = "log"
MAX_BYTES = 64 << 20
"""So much of a log is read for curves."""
MAX_NAMES = 100
_PIECE_BYTES = 128 << 10
_MAX_STATE = 4 << 10
"""Of a line, or of a state of one that is drawn over again, so many last bytes are looked at."""
_TURN_LINES, _TURN_S = 256, 0.0005
"""After so many lines the interpreter is left to the engine's other threads, seconds."""
_BREAK = re.compile(rb"[\r\n]+")
_CANDIDATE = re.compile(rb"[0-9]")
_WORD = re.compile(r"[^a-z0-9]+")


class LogCurves:
    """Reads one run's log. One caller at a time, in any thread.

    Args:
        run_dir: The run directory.
        stored: How many points of each name are stored already.
    """

    def __init__(self, run_dir: Path, stored: Mapping[str, int]) -> None:
        self._path = run_dir / "logs.txt"
        self._run_dir = run_dir
        self._to_skip = dict(stored)
        self._journal: JournalWriter | None = None
        self.offset = 0
        """How far the log was read, bytes."""
        self._rest = b""
        self._firsts: dict[str, tuple[float, float, float]] = {}
        """Step, value and time of names that were seen once."""
        self._counts: dict[str, int] = {}
        """Of each curve, how many points it has."""
        self._bases = _Bases()
        self.is_off = False
        """Whether there is nothing to read: the code calls `log()`, or the bound is reached."""

    @property
    def has_any(self) -> bool:
        """Whether there is a curve."""
        return bool(self._counts)

    def read(self, own_names: Collection[str], *, final: bool = False) -> bool:
        """Read the next piece of the log.

        Args:
            own_names: What the code has given to `log()`; names that mean the same are given up.
            final: The run is over, so that an unfinished line counts.

        Returns:
            Whether there may be more to read now.
        """
        if self.is_off or (own_names and not self.has_any and not self._to_skip):
            self.is_off = True
            return False
        data = read_piece(self._path, self.offset, _PIECE_BYTES)
        if not data:
            if final and self._rest:
                rest, self._rest = self._rest, b""
                self._take(rest, _forms(own_names))
            return False
        self.offset += len(data)
        *lines, rest = _BREAK.split(self._rest + data)
        self._rest = rest[-_MAX_STATE:]
        own = _forms(own_names)
        for number, line in enumerate(lines, 1):
            if _CANDIDATE.search(line):
                self._take(line, own)
            if number % _TURN_LINES == 0:
                time.sleep(_TURN_S)
        if self.offset >= MAX_BYTES:
            self.is_off = True
        return True

    def close(self) -> None:
        """Close the journal."""
        if self._journal is not None:
            self._journal.close()
            self._journal = None

    def _take(self, line: bytes, own: Collection[str]) -> None:
        news = read_line(line[-_MAX_STATE:].decode("utf-8", "replace"))
        if not news.metrics:
            return
        step, metrics = self._step(news)
        now = time.time()
        points: dict[float, dict[str, float]] = {}
        for name, value in metrics.items():
            if _form(name) in own or _form(name.rpartition("/")[2]) in own:
                continue
            for at, number in self._counted(name, step, value, now):
                points.setdefault(at, {})[name] = number
        for at, values in points.items():
            self._write(values, at, now)

    def _counted(self, name: str, step: float | None, value: float, now: float) -> list[tuple[float, float]]:
        """Return the points, step and value, that a name has by now and that are not stored."""
        count = self._counts.get(name)
        if count is None:
            first = self._firsts.get(name)
            if first is None:
                if len(self._firsts) < 4 * MAX_NAMES:
                    self._firsts[name] = (0.0 if step is None else step, value, now)
                return []
            if len(self._counts) >= MAX_NAMES:
                return []
            self._counts[name] = 2
            found = [first[:2], (1.0 if step is None else step, value)]
        else:
            self._counts[name] = count + 1
            found = [(float(count) if step is None else step, value)]
        while found and self._to_skip.get(name, 0) > 0:
            self._to_skip[name] -= 1
            found.pop(0)
        return found

    def _step(self, news: LineNews) -> tuple[float | None, dict[str, float]]:
        """Return where a line is, or `None` where it does not say: then points of a name are counted."""
        metrics = dict(news.metrics)
        epoch = metrics.pop("epoch", None)
        if news.step is not None:
            return news.step, metrics
        if news.within is not None:
            return self._bases.step(tuple(sorted(metrics)), *news.within), metrics
        return epoch, metrics

    def _write(self, values: Mapping[str, float], step: float, now: float) -> None:
        if self._journal is None:
            self._journal = JournalWriter(self._run_dir, STREAM)
        self._journal.points(values, step, now)


class _Bases:
    """Steps that go on where a bar or an epoch begins again."""

    def __init__(self) -> None:
        self._places: dict[tuple[str, ...], tuple[float, float, float]] = {}

    def step(self, names: tuple[str, ...], current: float, total: float) -> float:
        """Return the step at which a bar is, all its rounds before this one counted.

        Args:
            names: What the line says besides, by which bars are told apart.
            current: Where it is.
            total: Of how many, or 0 where that is not said; then a round is as long as it was seen to be.
        """
        base, before, length = self._places.get(names, (0.0, 0.0, 0.0))
        if current < before:
            base += length
        if len(self._places) < 4 * MAX_NAMES:
            self._places[names] = (base, current, max(total, current))
        return base + current


def _form(name: str) -> str:
    """Return what is the same of `train loss`, `Train/Loss` and `train_loss`."""
    return _WORD.sub(" ", name.lower()).strip()


def _forms(names: Collection[str]) -> set[str]:
    return {form for name in names for form in (_form(name), _form(name.rpartition("/")[2]))}
