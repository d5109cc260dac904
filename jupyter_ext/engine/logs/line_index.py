"""Find a log's lines by number, by byte and by time, without reading it from its beginning each time.

Rule: lines are what stands between newlines, and are counted from 0. What was counted is never counted again: a log only grows.
"""

from __future__ import annotations

import threading
from bisect import bisect_right
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from jupyter_ext.engine.common.file_pieces import read_piece
from jupyter_ext.engine.metrics.serving.index import LOG, RECORD_FIELDS
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")

_EVERY = 1_000
"""Of so many lines, where the first begins is held."""
_READ_BYTES = 8 << 20
_MAX_PAGE_BYTES = 1 << 20
MAX_LINE_BYTES = 64 << 10
"""Of a longer line, the end is given: that is where a bar stands."""
_NEWLINE = 10


class Line(NamedTuple):
    """One line: where it begins, in bytes, and its text without the newline."""

    offset: int
    text: str


class Page(NamedTuple):
    """Lines from number `first` on; `total` counts those there are, an unfinished one included."""

    first: int
    total: int
    lines: list[Line]


class LineIndex:
    """The lines of one log. Threads may share it.

    Args:
        path: The file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._starts = [0]
        """Where line 0, `_EVERY`, 2 `_EVERY` … begin."""
        self._num_newlines = 0
        self._size = 0

    def total(self) -> int:
        """Count the lines there are now."""
        with self._lock:
            return self._count()

    def page(self, first: int, count: int) -> Page:
        """Return up to `count` lines from number `first` on, about 1 MiB of them at most."""
        with self._lock:
            total = self._count()
        if first >= total:
            return Page(first, total, [])
        offset = self.offset_of(first)
        data = read_piece(self._path, offset, _MAX_PAGE_BYTES)
        pieces = data.split(b"\n", count)
        if len(pieces) > count or (len(data) == _MAX_PAGE_BYTES and len(pieces) > 1):
            pieces.pop()
        lines = []
        for piece in pieces[: total - first]:
            lines.append(Line(offset, piece[-MAX_LINE_BYTES:].decode("utf-8", "replace")))
            offset += len(piece) + 1
        return Page(first, total, lines)

    def offset_of(self, line: int) -> int:
        """Return the byte at which a line begins; of one beyond the end, the file's size."""
        with self._lock:
            total = self._count()
            if line >= total:
                return self._size
            place, rest = divmod(line, _EVERY)
            offset = self._starts[place]
        while rest:
            data = read_piece(self._path, offset, 1 << 18)
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
            if len(ends) >= rest:
                return offset + int(ends[rest - 1]) + 1
            if not data:
                break
            rest -= len(ends)
            offset += len(data)
        return offset

    def line_of(self, offset: int) -> int:
        """Return the number of the line that a byte is in."""
        with self._lock:
            total = self._count()
            offset = max(0, min(offset, self._size))
            place = bisect_right(self._starts, offset) - 1
            at = self._starts[place]
        line = place * _EVERY
        while at < offset:
            data = read_piece(self._path, at, min(_READ_BYTES, offset - at))
            if not data:
                break
            line += data.count(b"\n")
            at += len(data)
        return min(line, max(0, total - 1))

    def _count(self) -> int:
        """Count what is new; return how many lines there are."""
        while data := read_piece(self._path, self._size, _READ_BYTES):
            ends = np.flatnonzero(np.frombuffer(data, np.uint8) == _NEWLINE)
            first = -self._num_newlines % _EVERY or _EVERY
            self._starts += (ends[first - 1 :: _EVERY] + (self._size + 1)).tolist()
            self._num_newlines += len(ends)
            self._size += len(data)
        ends_whole = self._size == 0 or read_piece(self._path, self._size - 1, 1) == b"\n"
        return self._num_newlines + (0 if ends_whole else 1)


def offset_at(run_dir: Path, time: float) -> int:
    """Return the byte of the log at which it was at a time: what was written by then ends there.

    Args:
        run_dir: The run directory.
        time: Unix seconds.
    """
    times, ends = _times(run_dir)
    place = int(np.searchsorted(times, time, "right"))
    return int(ends[place - 1]) if place else 0


def time_at(run_dir: Path, offset: int) -> float | None:
    """Return when a byte of the log was read, Unix seconds, within some hundredths of a second of when it was written."""
    times, ends = _times(run_dir)
    place = int(np.searchsorted(ends, offset, "right"))
    return float(times[place]) if place < len(times) else None


def times_at(run_dir: Path, offsets: list[int]) -> list[float | None]:
    """Return what `time_at` does, of several bytes."""
    times, ends = _times(run_dir)
    places = np.searchsorted(ends, np.array(offsets, np.uint64), "right").tolist()
    return [float(times[place]) if place < len(times) else None for place in places]


def batches(run_dir: Path, begin: int, end: int) -> list[tuple[int, float]]:
    """Return where in a piece of the log each batch that was read ends, in bytes, and when it was read."""
    times, ends = _times(run_dir)
    first, last = int(np.searchsorted(ends, begin, "right")), int(np.searchsorted(ends, end, "left")) + 1
    return list(zip(ends[first:last].tolist(), times[first:last].tolist(), strict=True))


def _times(run_dir: Path) -> tuple[np.ndarray, np.ndarray]:
    """Return the time of each batch of the log, and where it ends."""
    try:
        data = (run_dir / "index.bin").read_bytes()
    except OSError:
        data = b""
    record = np.dtype(RECORD_FIELDS)
    rows = np.frombuffer(data, record, len(data) // record.itemsize)
    rows = rows[rows["kind"] == LOG]
    return rows["time"], rows["end_offset"]
