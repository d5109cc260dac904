"""One rate limit for all connections of all transfers, changed at any time."""

from __future__ import annotations

import threading
import time

_LOOK_S = 0.2
"""How often whoever waits looks whether the limit was changed."""


class RateLimiter:
    """Lets at most so many bytes a second through.

    Args:
        bytes_per_s: The limit; `None` is none.
    """

    def __init__(self, bytes_per_s: float | None = None) -> None:
        self._lock = threading.Lock()
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0

    @property
    def bytes_per_s(self) -> float | None:
        """The limit; `None` is none."""
        return self._bytes_per_s

    @bytes_per_s.setter
    def bytes_per_s(self, value: float | None) -> None:
        if value is not None and not value > 0:
            raise ValueError(f"a rate limit must be more than 0 bytes a second, not {value!r}")
        with self._lock:
            self._bytes_per_s = value
            self._free_at = 0.0

    def take(self, num_bytes: int, stopped: threading.Event) -> None:
        """Wait until so many bytes, which have come, are within the limit; until somebody stops, or changes the limit."""
        with self._lock:
            limit = self._bytes_per_s
            if limit is None:
                return
            now = time.monotonic()
            ready_at = self._free_at = max(self._free_at, now) + num_bytes / limit
        while (pause_s := ready_at - time.monotonic()) > 0 and self._bytes_per_s == limit:
            if stopped.wait(min(pause_s, _LOOK_S)):
                return
