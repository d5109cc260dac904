"""Tell stderr from stdout in the one file that both are written to. Standard library only.

Both descriptors append to `logs.txt`, each through an open file of its own, so the kernel keeps the order of what is written, at no
cost and with nobody in between. Where in the file stderr's bytes are is noted in `stderr.bin` beside it.

Rule: a mark is a hint. Bytes without one count as stdout, and nothing that is printed ever waits or fails for a mark.

Source: docs/architecture/03-run-directory.md, "stderr.bin".
"""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_ext.ipc.run_files import STDERR_MARK, STDERR_MARKS

if TYPE_CHECKING:
    from typing_extensions import Buffer


class StreamMarks:
    """Notes where stderr's bytes stand in the log of this process."""

    def __init__(self) -> None:
        self._out = self._err = self._file = -1
        self._known_end = 0
        """Up to here it is known what stderr has written."""
        self._settles = True

    def begin(self, directory: Path) -> None:
        """Note what this process and its children print from now on; nothing, where the two streams are not one file.

        Args:
            directory: Where `logs.txt` is.
        """
        self.end()
        try:
            one, other = os.fstat(1), os.fstat(2)
            if (one.st_dev, one.st_ino) != (other.st_dev, other.st_ino):
                return
            # Copies: a user who has redirected 1 or 2 moves neither, and what goes elsewhere is not marked.
            self._out, self._err = os.dup(1), os.dup(2)
            self._known_end = os.lseek(self._err, 0, os.SEEK_CUR)
            flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
            self._file = os.open(directory / STDERR_MARKS, flags, 0o600)
            self._settles = True
        except OSError:
            self.end()  # a pipe, or a disk that takes nothing

    def end(self) -> None:
        """Note nothing more."""
        for descriptor in (self._out, self._err, self._file):
            if descriptor >= 0:
                with contextlib.suppress(OSError):
                    os.close(descriptor)
        self._out = self._err = self._file = -1

    def forked(self) -> None:
        """Go on in a forked child, which cannot tell what its parent has written from what native code has."""
        self._settles = False

    def settle(self) -> None:
        """Note what native code has written to stderr since it was last looked at."""
        if self._file < 0:
            return
        try:
            end = os.lseek(self._err, 0, os.SEEK_CUR)
            if end == self._known_end:
                return
            begin = max(self._known_end, os.lseek(self._out, 0, os.SEEK_CUR))
            if self._settles and begin < end:
                self._mark(begin, end)
            self._known_end = end
        except OSError:
            self._file = -1

    def write_error(self, descriptor: int, data: Buffer) -> int:
        """Write to stderr and note where that is; return the bytes written.

        Args:
            descriptor: That of stderr, redirected or not.
            data: What to write.

        Raises:
            OSError: As of `os.write`.
        """
        self.settle()
        num = os.write(descriptor, data)
        if self._file >= 0:
            with contextlib.suppress(OSError):
                end = os.lseek(self._err, 0, os.SEEK_CUR)
                if end - num >= self._known_end:
                    self._mark(end - num, end)
                self._known_end = end
        return num

    def _mark(self, begin: int, end: int) -> None:
        os.write(self._file, STDERR_MARK.pack(begin, end))


MARKS = StreamMarks()
"""Of this process."""
os.register_at_fork(after_in_child=MARKS.forked)


class OutFile(io.FileIO):
    """Descriptor 1."""

    def __init__(self) -> None:
        super().__init__(1, "wb", closefd=False)

    def write(self, data: Buffer, /) -> int:
        """Write; return the bytes written."""
        MARKS.settle()
        return super().write(data)


class ErrorFile(io.FileIO):
    """Descriptor 2."""

    def __init__(self) -> None:
        super().__init__(2, "wb", closefd=False)

    def write(self, data: Buffer, /) -> int:
        """Write; return the bytes written."""
        return MARKS.write_error(2, data)


class MarkReader:
    """Reads the marks of another process as they come.

    Args:
        path: Its `stderr.bin`, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._at = 0
        self._waiting: list[tuple[int, int]] = []

    def split(self, begin: int, end: int) -> Iterator[tuple[bool, int, int]]:
        """Yield the parts of a piece of the log: whether it is stderr's, where it begins and ends. Pieces come in order.

        Args:
            begin: First byte of the piece.
            end: The byte after its last.
        """
        self._read()
        while begin < end:
            while self._waiting and self._waiting[0][1] <= begin:
                self._waiting.pop(0)
            start, stop = self._waiting[0] if self._waiting else (end, end)
            if begin < start:
                yield False, begin, min(start, end)
            if start < end:
                yield True, max(begin, start), min(stop, end)
            begin = min(max(stop, begin), end)

    def _read(self) -> None:
        try:
            with open(self._path, "rb") as file:
                file.seek(self._at)
                data = file.read()
        except OSError:
            return
        whole = len(data) - len(data) % STDERR_MARK.size
        self._at += whole
        self._waiting += sorted(mark for mark in STDERR_MARK.iter_unpack(data[:whole]) if mark[0] < mark[1])
