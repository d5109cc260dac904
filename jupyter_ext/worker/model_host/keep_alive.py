"""When nobody needs a loaded model any more. Standard library only.

Rule: idle time is counted by a clock that nobody sets and that stands still while the machine sleeps; the time of day is for
people to read and decides nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable

DEFAULT_S = 300.0
"""How long a host stays after its last call where nobody says otherwise."""


class KeepAlive:
    """Counts how long a host was not used.

    Args:
        seconds: It ends after so long without a call; below 0 never; `None` for the default.
        pinned: Whether it never ends by itself.
        clock: Seconds that only grow.

    Attributes:
        used_at: When it was last used, by the clock; later uses have larger numbers, on all hosts of a machine.
        in_flight: Calls under way.
    """

    def __init__(
        self, seconds: float | None, pinned: bool, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.seconds = DEFAULT_S if seconds is None else float(seconds)
        self.pinned = pinned
        self.in_flight = 0
        self._clock = clock
        self.used_at = clock()

    def touch(self) -> None:
        """Note that it is used now."""
        self.used_at = self._clock()

    def begin_call(self) -> None:
        """Note that a call begins; a host never ends within one."""
        self.in_flight += 1

    def end_call(self) -> None:
        """Note that a call is over."""
        self.in_flight -= 1
        self.touch()

    @property
    def left_s(self) -> float | None:
        """Seconds until nobody needs it, or `None` for never or not yet."""
        if self.pinned or self.seconds < 0 or self.in_flight:
            return None
        return self.used_at + self.seconds - self._clock()

    @property
    def is_over(self) -> bool:
        """Whether nobody needs it any more."""
        left_s = self.left_s
        return left_s is not None and left_s <= 0
