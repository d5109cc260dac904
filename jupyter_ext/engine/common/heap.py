"""The engine's own heap: few arenas, and free pages given back to the system after a burst.

Rule: set here for this process alone and not by environment variables, which zygotes and workers would inherit: how a training
allocates is the user's business.

glibc makes an arena for each thread that meets another in `malloc`, up to eight for each core, and what a burst leaves in them stays
resident. Where there is no glibc, nothing is done.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

_ARENA_MAX = -8
"""glibc's `M_ARENA_MAX`."""
_NUM_ARENAS = 2
_WORTH_BYTES = 8 << 20


def limit_arenas() -> None:
    """Have all threads share two arenas; before the first thread is started."""
    libc = ctypes.CDLL(None)
    if hasattr(libc, "mallopt"):
        libc.mallopt(_ARENA_MAX, _NUM_ARENAS)


class Trimmer:
    """Gives free pages back once the process has grown, and no more often than that.

    Args:
        resident: Returns what the process takes now, bytes.
    """

    def __init__(self, resident: Callable[[], int]) -> None:
        self._resident = resident
        self._libc = ctypes.CDLL(None)
        self._after = 0

    def look(self) -> int:
        """Trim if it may be worth it.

        Returns:
            The bytes given back.
        """
        before = self._resident()
        self._after = min(self._after, before)
        if before < self._after + _WORTH_BYTES or not hasattr(self._libc, "malloc_trim"):
            return 0
        self._libc.malloc_trim(0)
        self._after = self._resident()
        return before - self._after
