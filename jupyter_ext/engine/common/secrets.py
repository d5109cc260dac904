"""Secrets that outlive the engine: one file each, for the user's eyes only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from jupyter_ext.engine.common import health, records
from jupyter_ext.engine.common.disk import is_disk, report_disk


def read_or_make(path: Path, make: Callable[[], str], is_good: Callable[[str], bool] = bool) -> str:
    """Return the secret in a file; where there is none, make one and keep it with mode 0600.

    A file without a good secret (empty, cut, of another form, a directory) is kept beside the new one as
    `<name>.unreadable`, and reported.

    Args:
        path: The file.
        make: Makes a new secret, ASCII.
        is_good: Tells whether a text is such a secret; by default, that it is not empty.

    Raises:
        OSError: The file can be neither read nor written, for another reason than a disk that takes nothing.
    """
    found = _read(path)
    if found is not None and is_good(found):
        return found
    if records.is_there(path):
        kept = records.move_aside(path)
        health.report(str(path), f"{path} held no usable secret; it was replaced, and kept as {kept.name}.")
    secret = make()
    try:
        _write(path, secret)
    except OSError as error:
        if not is_disk(error):
            raise
        report_disk(error, path)  # it holds for as long as this engine does
    return secret


def _write(path: Path, secret: str) -> None:
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (FileNotFoundError, IsADirectoryError, UnicodeDecodeError):
        return None
