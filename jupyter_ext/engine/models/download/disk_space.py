"""Room on the disk, known before the first byte is fetched, with what other transfers will still write."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.errors import DownloadFailed

MARGIN_BYTES = 64 * 1024 * 1024
"""Left free: a file system that is full to the last byte breaks more than a download."""


class DiskSpace:
    """Promises room to transfers, so that two of them do not both count on the same bytes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._promised: dict[object, tuple[int, Callable[[], int]]] = {}

    @contextmanager
    def promised(self, directory: Path, left_bytes: Callable[[], int], what: str) -> Iterator[None]:
        """Promise room for a transfer while it runs.

        Args:
            directory: Where it writes; need not exist yet.
            left_bytes: How much it has still to write, asked whenever somebody else wants room.
            what: What it fetches, for the message.

        Raises:
            DownloadFailed: There is not enough room.
        """
        device = os.stat(existing_parent(directory)).st_dev
        key = object()
        with self._lock:
            needed = left_bytes()
            others = sum(left() for on, left in self._promised.values() if on == device)
            free = free_bytes(directory)
            if needed and needed + others + MARGIN_BYTES > free:
                raise DownloadFailed(no_room(what, directory, needed, free, others))
            self._promised[key] = (device, left_bytes)
        try:
            yield
        finally:
            with self._lock:
                del self._promised[key]


def free_bytes(directory: Path) -> int:
    """Return the bytes that this user may still write where a directory is or will be."""
    status = os.statvfs(existing_parent(directory))
    return status.f_bavail * status.f_frsize


def existing_parent(path: Path) -> Path:
    """Return a path or the nearest directory above it that is there."""
    while not path.exists() and path != path.parent:
        path = path.parent
    return path


def no_room(what: str, directory: Path, needed: int, free: int, others: int) -> str:
    """Say in one line how much is missing, and what helps."""
    taken = f" and {format_bytes(others)} of that is promised to other downloads" if others else ""
    missing = format_bytes(needed + others + MARGIN_BYTES - free)
    return (
        f"{what} needs {format_bytes(needed)} more in {directory}, where {format_bytes(free)} are free{taken}; "
        f"free {missing}, or set HF_HUB_CACHE to another disk."
    )
