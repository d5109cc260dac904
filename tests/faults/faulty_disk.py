"""A disk that fails, is slow or takes only a part of what is written: for processes that are started with its environment.

Calls of Python code to the system fail for files of the data directory, as they would on such a disk; the machine's own disks stay
as they are.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

VARIABLE = "FAULTY_DISK"
READS = ("open", "pread", "listdir", "scandir")
WRITES = ("write", "fsync", "fdatasync", "ftruncate", "replace", "link", "mkdir")
_FAULT = struct.Struct("<iffii")
"""errno or 0, how often of 1, seconds that a call takes, whether reads fail, whether writes do (2: they take a part only)."""

_SITE = f"""
import mmap, os, random, struct, time
if os.path.exists(os.environ.get({VARIABLE!r}, "")):
    def _make_faulty():
        with open(os.environ[{VARIABLE!r}], "rb") as file:
            view = mmap.mmap(file.fileno(), {_FAULT.size}, prot=mmap.PROT_READ)
        unpack, chance, pause = struct.Struct({_FAULT.format!r}).unpack_from, random.Random(), time.sleep
        home, readlink = os.environ["JUPYTER_EXT_DATA_DIR"], os.readlink

        def is_there(what):
            try:
                path = readlink("/proc/self/fd/%d" % what) if isinstance(what, int) else os.fspath(what)
            except (OSError, TypeError):
                return False
            return os.fsdecode(path).startswith(home)

        def faulty(name, is_read):
            working = getattr(os, name)

            def call(what=".", *arguments, **options):
                code, share, seconds, reads, writes = unpack(view)
                if (reads if is_read else writes) and chance.random() < share and is_there(what):
                    if seconds:
                        pause(seconds)
                    if code:
                        raise OSError(code, os.strerror(code), what if isinstance(what, str) else None)
                    if name == "write" and writes == 2 and len(arguments[0]) > 1:
                        return working(what, bytes(arguments[0])[: chance.randrange(1, len(arguments[0]))])
                return working(what, *arguments, **options)

            setattr(os, name, call)

        for name in {READS!r}:
            faulty(name, True)
        for name in {WRITES!r}:
            faulty(name, False)
    _make_faulty()
"""


class FaultyDisk:
    """The disk of the processes that are started with `environment`.

    Args:
        folder: Where its file is kept, and where Python looks for a `sitecustomize.py`, to which it adds itself.
    """

    def __init__(self, folder: Path) -> None:
        self._file = folder / "disk"
        self._file.write_bytes(bytes(_FAULT.size))
        with open(folder / "sitecustomize.py", "a") as site:
            site.write(_SITE)
        with open(self._file, "r+b") as file:
            self._view = mmap.mmap(file.fileno(), _FAULT.size)

    @property
    def environment(self) -> dict[str, str]:
        """What makes a Python process use it, beside the path to its site."""
        return {VARIABLE: str(self._file)}

    @contextmanager
    def failing(
        self, code: int = 0, *, share: float = 1.0, seconds: float = 0.0, reads: bool = False, writes: int = 0
    ) -> Iterator[None]:
        """Have calls fail meanwhile.

        Args:
            code: The `errno`; 0 where they only take `seconds`, or write a part.
            share: How many of them.
            seconds: How long each takes.
            reads: Whether it is so for what reads.
            writes: 1 where it is so for what writes, 2 where each write takes a part of its bytes only.
        """
        _FAULT.pack_into(self._view, 0, code, share, seconds, reads, writes)
        try:
            yield
        finally:
            _FAULT.pack_into(self._view, 0, 0, 0.0, 0.0, 0, 0)
            assert os.path.exists(self._file)
