"""Pickles of any size: small ones in memory, large ones as files of the data directory, each kept once by its hash.

Rule: what is large is written once, by the process that has it, into the place where it stays. The engine and its runs link to
it; it is neither sent nor copied again, and unchanged data is recognized.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path

from jupyter_ext.bundles.bundle import LargeFile
from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.config import locations
from jupyter_ext.errors import InvalidInput

LARGE_BYTES = 8 << 20
"""From here on it is a file of its own."""
TOLD_BYTES = 64 << 20
"""From here on a person is told that it takes a while."""


class Spool:
    """What a pickler writes into: memory at first, then a file, hashed on the way.

    Args:
        what: What is written, for the line that says that it takes a while.
    """

    def __init__(self, what: str) -> None:
        self._what = what
        self._parts: list[bytes] = []
        self._hash = hashlib.sha256()
        self._num_bytes = 0
        self._path: Path | None = None
        self._file = -1
        self._is_told = False

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Take the next part."""
        view = memoryview(data).cast("B")
        self._num_bytes += view.nbytes
        self._hash.update(view)
        if self._file < 0 and self._num_bytes < LARGE_BYTES:
            self._parts.append(bytes(view))
            return view.nbytes
        try:
            if self._file < 0:
                self._open()
            _write_all(self._file, view)
        except OSError as error:
            self.discard()
            raise InvalidInput(
                f"{self._what}: {format_bytes(self._num_bytes)} and more cannot be kept: {error.strerror}."
            ) from None
        if self._num_bytes >= TOLD_BYTES and not self._is_told:
            self._is_told = True
            print(
                f"{self._what}: more than {format_bytes(TOLD_BYTES)} of the notebook's data is packed …",
                flush=True,
            )
        return view.nbytes

    def tell(self) -> int:
        """Return how much there is."""
        return self._num_bytes

    def finish(self) -> bytes | LargeFile:
        """Return the content, or the file that has it, which is the one that was there if that is the same."""
        if self._path is None:
            return b"".join(self._parts)
        os.close(self._file)
        self._file = -1
        digest = self._hash.hexdigest()
        kept = self._path.with_name(digest)
        if kept.exists():
            os.utime(kept)
            self._path.unlink()
        else:
            self._path.rename(kept)
        if self._is_told:
            print(f"{self._what}: {format_bytes(self._num_bytes)} packed.", flush=True)
        return LargeFile(kept, digest, self._num_bytes)

    def discard(self) -> None:
        """Remove what was written."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1
        if self._path is not None:
            self._path.unlink(missing_ok=True)
            self._path = None

    def _open(self) -> None:
        directory = locations().blobs_dir
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._path = directory / f".{os.getpid()}-{secrets.token_hex(8)}"
        self._file = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        for part in self._parts:
            _write_all(self._file, memoryview(part))
        self._parts.clear()


def keep_in(files: Iterable[LargeFile], directory: Path) -> None:
    """Have files be in a data directory other than this process's own."""
    for file in files:
        target = directory / file.sha256
        if target.exists():
            continue
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            os.link(file.path, target)
        except OSError:  # another disk
            temporary = directory / f".{os.getpid()}-{secrets.token_hex(8)}"
            shutil.copyfile(file.path, temporary)
            temporary.rename(target)


def _write_all(file: int, view: memoryview) -> None:
    done = 0
    while done < view.nbytes:
        done += os.write(file, view[done:])


class Counter:
    """What a pickler writes into where only the size is wanted."""

    def __init__(self) -> None:
        self._num_bytes = 0

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Count the next part."""
        num_bytes = memoryview(data).nbytes
        self._num_bytes += num_bytes
        return num_bytes

    def tell(self) -> int:
        """Return how much there was."""
        return self._num_bytes
