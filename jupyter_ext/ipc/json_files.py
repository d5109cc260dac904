"""Small files that one process leaves for another. Standard library only.

They are the owner's alone (0600), whatever the umask: it is the user's, for the user's own files.

What must be written at the end of a run is written into a file that was given its room at the start: a disk that others
have filled meanwhile cannot refuse it.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import time
from pathlib import Path
from typing import Any

from jupyter_ext.ipc import processes

NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
"""What a full disk or a used-up quota answers."""
_RETRY_PAUSE_S = 1.0


def write_json(path: Path, content: object, *, is_synced: bool = True) -> None:
    """Write JSON so that a reader sees all of it or nothing, also after a power cut.

    Args:
        path: The file.
        content: What JSON can carry.
        is_synced: Whether to wait for the disk; without it the file may be empty or an older one after a power cut.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        _write(
            os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
            json.dumps(content).encode(),
            is_synced,
        )
        os.replace(temporary, path)
    except OSError:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise


def read_json(path: Path) -> Any:
    """Read JSON, or return `None` where the file is not there, not readable or not whole."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None


class ReservedFile:
    """Room on the disk for a file that is written later.

    Args:
        path: The file that will be written.
        num_bytes: How much room is taken now.
    """

    def __init__(self, path: Path, num_bytes: int) -> None:
        self.path = path
        self.num_bytes = num_bytes
        self._reserved = path.with_name(f".{path.name}.reserved")
        try:
            descriptor = os.open(self._reserved, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        except OSError:
            return  # no room even now: the file is written as others are
        try:
            os.posix_fallocate(descriptor, 0, num_bytes)
        except (AttributeError, OSError):
            self.release()
        finally:
            os.close(descriptor)

    def release(self) -> None:
        """Free the room."""
        with contextlib.suppress(OSError):
            self._reserved.unlink()

    def write(self, data: bytes) -> None:
        """Write the file as a whole, into its room where that is large enough.

        Raises:
            OSError: The disk refuses.
        """
        if len(data) <= self.num_bytes:
            with contextlib.suppress(FileNotFoundError):
                _write(os.open(self._reserved, os.O_WRONLY), data)
                os.replace(self._reserved, self.path)
                return
        self.release()
        temporary = self.path.with_name(f".{self.path.name}.{os.getpid()}")
        try:
            _write(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), data)
            os.replace(temporary, self.path)
        except OSError:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise

    def write_json(self, content: object, patience_s: float) -> None:
        """Write JSON, and try again for so many seconds while the disk is full.

        Raises:
            OSError: It stayed full, or the disk refuses for another reason.
        """
        data = json.dumps(content).encode()
        deadline = time.monotonic() + patience_s
        while True:
            try:
                self.write(data)
                return
            except OSError as error:
                if error.errno not in NO_ROOM or time.monotonic() >= deadline:
                    raise
                time.sleep(_RETRY_PAUSE_S)


def remove_unfinished(directory: Path) -> None:
    """Remove what processes that are gone had reserved or half written in a directory; what the living write stays."""
    for path in directory.glob(".*.*"):
        owner = path.name.rpartition(".")[2]
        if owner == "reserved" or (owner.isdecimal() and not processes.is_alive(int(owner), None)):
            with contextlib.suppress(OSError):
                path.unlink()


def _write(descriptor: int, data: bytes, is_synced: bool = True) -> None:
    with open(descriptor, "wb", buffering=0) as file:
        view = memoryview(data)
        while view:
            view = view[file.write(view) or 0 :]
        file.truncate()
        if is_synced:
            os.fsync(descriptor)
