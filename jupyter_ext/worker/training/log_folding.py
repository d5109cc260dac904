"""Fold what the ranks of a group print into one log. Standard library only.

Rule: rank 0's output passes as it is, so that the log of a group reads like that of one process, its progress bars included.
Other ranks give whole lines, with their rank before each; of a bar only what it shows at its end.
"""

from __future__ import annotations

import codecs
import os
import threading
from collections.abc import Mapping
from pathlib import Path

INTERVAL_S = 0.05
_READ_BYTES = 1 << 18


class LogFolder:
    """Copies new output of all ranks to one descriptor, in a thread, until it is closed.

    Args:
        paths: The log of each rank; those that are not there yet count as empty.
        descriptor: Where the folded log goes, opened to append.
    """

    def __init__(self, paths: Mapping[int, Path], descriptor: int) -> None:
        self._tails = [_Tail(rank, path) for rank, path in sorted(paths.items())]
        self._descriptor = descriptor
        self._at_line_start = True
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="folds logs", daemon=True)

    def start(self) -> None:
        """Begin to copy."""
        self._thread.start()

    def close(self) -> None:
        """Copy what is left, also lines without an end, and stop."""
        self._over.set()
        if self._thread.ident is not None:
            self._thread.join()
        self.fold(final=True)
        for tail in self._tails:
            tail.close()

    def fold(self, *, final: bool = False) -> None:
        """Copy what is new."""
        for tail in self._tails:
            while text := tail.read(final=final):
                self._write(tail, text)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self.fold()

    def _write(self, tail: _Tail, text: str) -> None:
        begins_line = tail.rank != 0 or not tail.goes_on
        if begins_line and not self._at_line_start:
            text = f"\n{text}"
        tail.goes_on = not text.endswith("\n")
        self._at_line_start = text.endswith("\n")
        for other in self._tails:
            if other is not tail:
                other.goes_on = False
        data = memoryview(text.encode())
        while data:
            try:
                data = data[os.write(self._descriptor, data) :]
            except OSError:
                return  # a full disk: the ranks' own logs have it


class _Tail:
    """Reads one rank's log as it grows."""

    def __init__(self, rank: int, path: Path) -> None:
        self.rank = rank
        self.goes_on = True
        """Whether what comes next goes on in the line that this rank wrote last."""
        self._path = path
        self._file = -1
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""

    def read(self, *, final: bool) -> str:
        """Return what is new as it stands in the folded log; empty where there is nothing."""
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return ""
        data = os.read(self._file, _READ_BYTES)
        text = self._decoder.decode(data, final=final and not data)
        if self.rank == 0:
            return text
        *lines, self._line = (self._line + text).split("\n")
        if final and not data and self._line:
            lines, self._line = [*lines, self._line], ""
        folded = "".join(f"[rank {self.rank}] {_last_shown(line)}\n" for line in lines)
        return folded if folded or not data else self.read(final=final)

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _last_shown(line: str) -> str:
    """Return what a terminal shows of a line in which a bar was drawn over and over."""
    return next((part for part in reversed(line.split("\r")) if part), "")
