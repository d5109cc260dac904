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

from jupyter_ext.ipc.run_files import STDERR_MARKS
from jupyter_ext.worker.runtime.stream_marks import MARKS, MarkReader

INTERVAL_S = 0.05
_READ_BYTES = 1 << 18


class LogFolder:
    """Copies new output of all ranks to one descriptor, in a thread, until it is closed.

    Args:
        paths: The log of each rank; those that are not there yet count as empty.
        out: Where the folded log goes, opened to append.
        errors: Where that goes which the ranks have marked as stderr: the same file, opened once more.
    """

    def __init__(self, paths: Mapping[int, Path], out: int, errors: int) -> None:
        self._tails = [_Tail(rank, path) for rank, path in sorted(paths.items())]
        self._out, self._errors = out, errors
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
            while parts := tail.read(final=final):
                for is_error, text in parts:
                    self._write(tail, text, is_error)

    def _run(self) -> None:
        while not self._over.wait(INTERVAL_S):
            self.fold()

    def _write(self, tail: _Tail, text: str, is_error: bool) -> None:
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
                num = MARKS.write_error(self._errors, data) if is_error else os.write(self._out, data)
                data = data[num:]
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
        self._marks = MarkReader(path.with_name(STDERR_MARKS))
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._line = ""
        self._line_is_error = False
        self._read_bytes = 0

    def read(self, *, final: bool) -> list[tuple[bool, str]]:
        """Return what is new as it stands in the folded log, and whether it is of stderr; empty where there is nothing."""
        if self._file < 0:
            try:
                self._file = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
            except OSError:
                return []
        data = os.read(self._file, _READ_BYTES)
        begin, self._read_bytes = self._read_bytes, self._read_bytes + len(data)
        parts: list[tuple[bool, str]] = []
        for is_error, start, stop in self._marks.split(begin, self._read_bytes):
            text = self._decoder.decode(data[start - begin : stop - begin])
            parts += [(is_error, text)] if self.rank == 0 else self._lines(text, is_error)
        if final and not data:
            rest = self._decoder.decode(b"", final=True)
            ended = f"{rest}\n" if self.rank and (self._line or rest) else rest
            parts += [(False, ended)] if self.rank == 0 else self._lines(ended, self._line_is_error)
        parts = [part for part in parts if part[1]]
        return parts if parts or not data else self.read(final=final)

    def _lines(self, text: str, is_error: bool) -> list[tuple[bool, str]]:
        """Return the lines that end in a text, each with the rank before it; a line is of the stream that began it."""
        parts = []
        *lines, rest = text.split("\n")
        for line in lines:
            begins = is_error if not self._line else self._line_is_error
            parts.append((begins, f"[rank {self.rank}] {_last_shown(self._line + line)}\n"))
            self._line = ""
        if rest and not self._line:
            self._line_is_error = is_error
        self._line += rest
        return parts

    def close(self) -> None:
        """Close the file."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1


def _last_shown(line: str) -> str:
    """Return what a terminal shows of a line in which a bar was drawn over and over."""
    return next((part for part in reversed(line.split("\r")) if part), "")
