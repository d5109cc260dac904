"""JSON that came with a model: read up to a limit, and no error but one. Standard library only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

MAX_CONFIG_BYTES = 4 << 20
"""Largest configuration of a model that is read; they are some kB."""


class BadJson(ValueError):
    """A document that is not there, too large or no JSON; the message says which."""


def read_document(path: Path, max_bytes: int = MAX_CONFIG_BYTES) -> Any:
    """Read a JSON document.

    Args:
        path: Its file.
        max_bytes: Larger ones are refused unread.

    Raises:
        BadJson: It cannot be read.
    """
    try:
        with open(path, "rb") as file:
            content = file.read(max_bytes + 1)
    except OSError as error:
        raise BadJson(f"cannot be read: {error.strerror}") from None
    return parse_document(content, max_bytes)


def parse_document(content: bytes, max_bytes: int = MAX_CONFIG_BYTES) -> Any:
    """Parse a JSON document.

    Raises:
        BadJson: It is too large or no JSON.
    """
    if len(content) > max_bytes:
        raise BadJson(f"is larger than {max_bytes >> 20} MiB")
    try:
        return json.loads(content.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadJson("is no JSON") from None


def read_object(path: Path, max_bytes: int = MAX_CONFIG_BYTES) -> dict[str, Any] | None:
    """Read a JSON object, or return `None` for what is not there or something else."""
    try:
        found = read_document(path, max_bytes)
    except BadJson:
        return None
    return found if isinstance(found, dict) else None
