"""Keeps what libraries log of our own requests out of the notebook of a person who turned logging on for their own code."""

from __future__ import annotations

import logging
import threading

_LIBRARIES = (
    "asyncio",
    "httpx",
    "httpcore.connection",
    "httpcore.connection_pool",
    "httpcore.http11",
    "websockets.client",
)
LOOP_THREAD = "jupyter_ext"
"""The thread that every request of a notebook is made in."""


class _OwnRequests(logging.Filter):
    """Drops what is below a warning and comes from our thread; a person's own requests are logged as ever."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether a record is to be logged."""
        return record.levelno >= logging.WARNING or threading.current_thread().name != LOOP_THREAD


_filter = _OwnRequests()


def keep_quiet() -> None:
    """Begin to drop them; again is as once."""
    for name in _LIBRARIES:
        logging.getLogger(name).addFilter(_filter)
