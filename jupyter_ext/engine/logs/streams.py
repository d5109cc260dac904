"""Which bytes of a log stderr wrote, as the worker has marked them in `stderr.bin`.

Rule: what is not marked is stdout's, so that a log of an older version, or of a service, reads as before.
"""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jupyter_ext.engine.common.file_pieces import read_piece
from jupyter_ext.ipc.late_import import late
from jupyter_ext.ipc.run_files import STDERR_MARK

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")

LogStream = Literal["stdout", "stderr"]
STREAMS: tuple[LogStream, ...] = ("stdout", "stderr")
_READ_BYTES = 1 << 20
_MARK = [("begin", "<u8"), ("end", "<u8")]
_MAX_PLACE = (1 << 53) - 1


class StderrSpans:
    """The marked bytes of one log, read on as they come. Threads may share it.

    Args:
        path: `stderr.bin`, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._size = 0
        self._begins: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._ends: NDArray[np.uint64] = np.empty(0, np.uint64)

    def streams(self, offsets: list[int]) -> list[LogStream]:
        """Return which stream wrote each of some bytes."""
        begins, ends = self._read()
        at = np.array(offsets, np.uint64)
        places = np.searchsorted(begins, at, "right").astype(np.int64) - 1
        is_error = (places >= 0) & (np.append(ends, np.uint64(0))[places] > at)
        return ["stderr" if each else "stdout" for each in is_error.tolist()]

    def between(self, begin: int, end: int) -> list[tuple[int, int]]:
        """Return stderr's spans within a piece of the log, each from its first byte to before its last."""
        begins, ends = self._read()
        first = int(np.searchsorted(ends, begin, "right"))
        last = int(np.searchsorted(begins, end, "left"))
        pairs = zip(begins[first:last].tolist(), ends[first:last].tolist(), strict=True)
        return [(max(start, begin), min(stop, end)) for start, stop in pairs]

    def _read(self) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        """Read what is new; return where spans that do not touch begin and end, in order."""
        with self._lock:
            while data := read_piece(self._path, self._size, _READ_BYTES):
                whole = len(data) - len(data) % STDERR_MARK.size
                if not whole:
                    break
                self._size += whole
                self._add(np.frombuffer(data[:whole], _MARK))
            return self._begins, self._ends

    def _add(self, marks: NDArray[np.void]) -> None:
        marks = marks[(marks["begin"] < marks["end"]) & (marks["end"] <= _MAX_PLACE)]
        begins = np.concatenate([self._begins, marks["begin"]])
        ends = np.concatenate([self._ends, marks["end"]])
        if not len(begins):
            return
        order = np.argsort(begins, kind="stable")
        begins, ends = begins[order], np.maximum.accumulate(ends[order])
        is_first = np.append(True, begins[1:] > ends[:-1])
        self._begins, self._ends = begins[is_first], ends[np.append(is_first[1:], True)]
