"""Keeps a log readable when the same thing goes wrong again and again.

Rule: a log is for people. What one line of code says more than `MAX_PER_MINUTE` times a minute is counted instead, and long
lines are cut; nothing that is said for the first time is ever left out.
"""

from __future__ import annotations

import logging
import time

MAX_PER_MINUTE = 30
MAX_LINE_CHARS = 4_000
_MAX_PLACES = 1_000


class Repeats(logging.Filter):
    """Lets through at most `MAX_PER_MINUTE` lines a minute from each line of code."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, int], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Tell whether a line is written."""
        place, now = (record.pathname, record.lineno), time.monotonic()
        since, count = self._seen.get(place, (now, 0))
        left_out = count - MAX_PER_MINUTE
        if now - since >= 60:
            since, count = now, 0
        else:
            left_out = 0
        if len(self._seen) >= _MAX_PLACES and place not in self._seen:
            self._seen.clear()
        self._seen[place] = (since, count + 1)
        if count >= MAX_PER_MINUTE:
            return False
        message = record.getMessage()
        if len(message) > MAX_LINE_CHARS:
            message = f"{message[:MAX_LINE_CHARS]}… ({len(message):,} characters)"
        if left_out > 0:
            message += f" ({left_out} more like it)"
        record.msg, record.args = message, None
        return True
