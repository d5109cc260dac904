"""Pieces of a file that another process may be appending to."""

from __future__ import annotations

import os
from pathlib import Path


def read_piece(path: Path, offset: int, limit: int) -> bytes:
    """Return up to `limit` bytes from byte `offset` on; empty where there are none, or no file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return b""
    try:
        return os.pread(fd, limit, offset)
    finally:
        os.close(fd)
