"""Secrets that outlive the engine: one file each, for the user's eyes only."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path


def read_or_make(path: Path, make: Callable[[], str]) -> str:
    """Return the secret in a file; where there is none, make one and keep it with mode 0600.

    Args:
        path: The file.
        make: Makes a new secret, ASCII.

    Raises:
        OSError: The file can be neither read nor written.
    """
    try:
        return path.read_text(encoding="ascii")
    except FileNotFoundError:
        pass
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    temporary.unlink(missing_ok=True)
    secret = make()
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w", encoding="ascii") as file:
        file.write(secret)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)
    return secret
