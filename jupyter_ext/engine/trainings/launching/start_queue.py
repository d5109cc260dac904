"""Runs that were made and are to be started: in their order, a few at a time, and never before a create is answered.

Rule: a create costs its client no more than writing the run down. Starting processes takes the same cores, so while
creates are being accepted, and for `QUIET_S` after the last of several, no process is started. A run that is made alone
starts at once, and none waits for the creates of others longer than `MAX_WAIT_S` from when it was made.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager

NUM_AT_ONCE = 4
"""Starts at a time: a fork is quick, but what it forks imports the user's code at once."""
QUIET_S = 0.1
"""After two creates within so long, another may be on its way for as long."""
MAX_WAIT_S = 2.0
"""A run that was made so long ago is started, whoever is still creating."""


class StartQueue:
    """Gives runs their turn to be started.

    Args:
        num_active: Returns how many runs there are that are not over.
    """

    def __init__(self, num_active: Callable[[], int]) -> None:
        self._num_active = num_active
        self._slots = asyncio.Semaphore(NUM_AT_ONCE)
        self._num_creates = 0
        self._accepted_at = 0.0
        self._is_burst = False
        """Whether the last two creates came within `QUIET_S`."""
        self._no_creates = asyncio.Event()
        self._no_creates.set()

    @contextmanager
    def accepting(self) -> Iterator[None]:
        """Hold starts back while a create is being accepted."""
        self._num_creates += 1
        self._no_creates.clear()
        try:
            yield
        finally:
            self._num_creates -= 1
            now = time.monotonic()
            self._is_burst, self._accepted_at = now - self._accepted_at < QUIET_S, now
            if not self._num_creates:
                self._no_creates.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, in the order in which they were asked for."""
        late_at = time.monotonic() + MAX_WAIT_S
        async with self._slots:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(max(0.0, late_at - time.monotonic())):
                    await self._until_quiet()
            yield

    async def _until_quiet(self) -> None:
        """Wait until nobody creates, nor has just now created several."""
        while True:
            await self._no_creates.wait()
            rest_s = self._accepted_at + QUIET_S - time.monotonic()
            if rest_s <= 0 or not self._is_burst or self._num_active() <= 1:
                return
            await asyncio.sleep(rest_s)
