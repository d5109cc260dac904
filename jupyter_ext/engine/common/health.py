"""What is not as it should be with this engine, one line each: `GET /native/engine` tells it and `%engine doctor` repeats it.

Rule: something that is worked around (a file that cannot be read, no inotify, a full disk) is reported here once, under a key,
and cleared when it is mended. Nothing here ever raises.
"""

from __future__ import annotations

import logging

log = logging.getLogger(__name__)

_MAX_LINES = 200
_lines: dict[str, str] = {}


def report(key: str, line: str) -> None:
    """Remember a line, and log it if it is news.

    Args:
        key: What it is about, such as a path; another line about the same replaces it.
        line: What is wrong and what to do, in one line.
    """
    if _lines.get(key) == line:
        return
    log.warning("%s", line)
    if key in _lines or len(_lines) < _MAX_LINES:
        _lines[key] = line


def clear(key: str) -> None:
    """Forget what was reported about something."""
    _lines.pop(key, None)


def lines() -> list[str]:
    """Return all lines, the oldest first."""
    return list(_lines.values())


def is_reported(key: str) -> bool:
    """Tell whether something was reported."""
    return key in _lines


def reset() -> None:
    """Forget everything; for an engine that begins, and for tests."""
    _lines.clear()
