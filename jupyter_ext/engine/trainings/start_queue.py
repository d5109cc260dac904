"""Runs that were made and are to be started: in their order, a few at a time, and never before a create is answered.

Rule: a create costs its client no more than writing the run down. Starting processes takes the same cores, so while
creates are being accepted, for `MAX_WAIT_S` at most, no process is started.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

NUM_AT_ONCE = 4
"""Starts at a time: a fork is quick, but what it forks imports the user's code at once."""
MAX_WAIT_S = 2.0
"""A start that has waited so long goes ahead, whoever is still creating."""


class StartQueue:
    """Gives runs their turn to be started."""

    def __init__(self) -> None:
        self._slots = asyncio.Semaphore(NUM_AT_ONCE)
        self._num_creates = 0
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
            if not self._num_creates:
                self._no_creates.set()

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, in the order in which they were asked for."""
        async with self._slots:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(MAX_WAIT_S):
                    await self._no_creates.wait()
            yield
