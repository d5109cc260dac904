"""When a session that nobody uses ends. Pure: no I/O; the clock is given.

Rules: time is monotonic and stands still while the machine sleeps, so neither a step of the wall clock nor a closed lid counts. A
session never ends without its warning having stood for its whole time, however long this process was stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal

WARN_BEFORE_S = 120.0
Verdict = Literal["active", "warn", "end"]


class Inactivity:
    """How long nobody has used a session.

    Args:
        inactive_s: It ends after this long, seconds; `None` for never.
        clock: Gives seconds from any beginning; Linux' monotonic clock does not count suspension.
    """

    def __init__(self, inactive_s: float | None, clock: Callable[[], float] = time.monotonic) -> None:
        self.inactive_s = inactive_s
        self._clock = clock
        self._used_at = clock()
        self._warned_at: float | None = None

    def touch(self) -> None:
        """Count from now: somebody uses it."""
        self._used_at = self._clock()
        self._warned_at = None

    @property
    def warn_s(self) -> float:
        """How long the warning stands, seconds: two minutes, or a quarter of a short time."""
        return min(WARN_BEFORE_S, (self.inactive_s or 0.0) / 4)

    def left_s(self) -> float | None:
        """Return the seconds until it ends; `None` for never."""
        if self.inactive_s is None:
            return None
        now = self._clock()
        left = self._used_at + self.inactive_s - now
        warning_left = self.warn_s if self._warned_at is None else self._warned_at + self.warn_s - now
        return max(left, warning_left)

    def look(self) -> Verdict:
        """Say what is due: nothing, the warning, or the end."""
        if self.inactive_s is None or self._used_at + self.inactive_s - self._clock() > self.warn_s:
            return "active"
        if self._warned_at is None:
            self._warned_at = self._clock()
        left = self.left_s()
        return "end" if left is not None and left <= 0 else "warn"
