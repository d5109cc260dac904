"""A disk that takes nothing more, told as that: which one, and how much is free.

Rule: a full or read-only disk is no fault of the engine's. Whoever meets one says so with `describe`, and goes on with what
needs no writing.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.common import health

FULL = (errno.ENOSPC, errno.EDQUOT)
REFUSES = (*FULL, errno.EROFS, errno.EIO, errno.ESTALE, errno.ETIMEDOUT)
_PASS = (*REFUSES, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
NEEDED_BYTES = 64 << 20
"""What the engine needs to work with: catalog, journals and logs of a few runs."""
_KEY = "disk"
_home: Path | None = None


def assume(directory: Path) -> None:
    """Take an error that names no file as one of the disk of this directory, the engine's own."""
    global _home
    _home = directory


def is_disk(error: BaseException) -> bool:
    """Tell whether an error says that a disk takes nothing."""
    return isinstance(error, OSError) and error.errno in REFUSES


def may_pass(error: BaseException) -> bool:
    """Tell whether an error says nothing of a file: the next try may well work."""
    return isinstance(error, OSError) and error.errno in _PASS


def describe(error: OSError, directory: Path | None = None) -> str:
    """Say in one line which disk takes nothing, and what to do.

    Args:
        error: What was raised.
        directory: On that disk, where the error names no file.
    """
    place = (
        Path(os.fsdecode(error.filename)) if isinstance(error.filename, str | bytes) else directory or _home
    )
    where = "" if place is None else f" of {_existing(place)}"
    if error.errno == errno.EROFS:
        return f"The disk{where} is read-only; make it writable, or set JUPYTER_EXT_DATA_DIR to another directory."
    if error.errno not in FULL:
        return f"The disk{where} fails ({error.strerror}); look at it before anything else."
    quota = "the quota is used up" if error.errno == errno.EDQUOT else f"{_free(place)} are free"
    return f"The disk{where} is full: {quota}, at least {format_bytes(NEEDED_BYTES)} are needed. Make room there."


def report_disk(error: OSError, directory: Path | None = None) -> None:
    """Have `%engine doctor` repeat what a disk refuses."""
    if is_disk(error):
        health.report(_KEY, describe(error, directory))


def report_works() -> None:
    """Say that the disk takes something again."""
    health.clear(_KEY)


def _free(place: Path | None) -> str:
    try:
        status = os.statvfs(_existing(place or Path("/")))
    except OSError:
        return "0 bytes"
    return format_bytes(status.f_bavail * status.f_frsize)


def _existing(place: Path) -> Path:
    """Return the nearest directory above a path that is there."""
    return next((parent for parent in (place, *place.parents) if parent.is_dir()), Path("/"))
