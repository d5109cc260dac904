"""Where the engine is, for a server that must never wait for it.

Rule: looking for the engine is cheap and always allowed; starting it happens once at a time and at most once in
`START_INTERVAL_S`, however many requests find it gone.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from jupyter_ext.errors import EngineError, EngineStartError

START_INTERVAL_S = 5.0
"""A start that failed is not tried again sooner; a page with many widgets asks many times."""


class EngineNotRunning(EngineError):
    """Nobody asked for an engine to be started, and none runs."""


class Located(Protocol):
    """An engine that was found: `jupyter_ext.engine_process.discovery.Connection`, or a test's stand-in."""

    @property
    def socket_path(self) -> str:
        """Path of the Unix socket that it listens on."""


@dataclass(frozen=True)
class Locator:
    """How to find and start an engine. Both functions block and are called in a thread.

    Attributes:
        find: Gives the running engine or `None`; never starts one.
        ensure: Gives the running engine, started if need be; raises `EngineError` with one clear line.
    """

    find: Callable[[], Located | None]
    ensure: Callable[[], Located]


def default_locator() -> Locator:
    """Return the locator of this user's engine on this host."""
    from jupyter_ext.engine_process import discovery

    return Locator(find=discovery.find, ensure=discovery.ensure)


class EngineProcess:
    """The engine as the server knows it: a socket path, or not yet."""

    def __init__(self, locator: Locator, *, start_interval_s: float = START_INTERVAL_S) -> None:
        self._locator = locator
        self._start_interval_s = start_interval_s
        self._socket_path: str | None = None
        self._generation = 0
        self._next_start_at = 0.0
        self._refusal = ""
        self._lock = asyncio.Lock()

    @property
    def generation(self) -> int:
        """How many times the engine was looked for; a caller of `renew` says which look failed it."""
        return self._generation

    @property
    def known_path(self) -> str | None:
        """The path of the engine's socket if it is known; nothing is looked for."""
        return self._socket_path

    async def socket_path(self, *, start: bool = True) -> str:
        """Return the path of the engine's socket, looked for or started if it is not known yet.

        Args:
            start: Whether an engine that is not there is started.

        Raises:
            EngineError: There is no engine and none could be started; the message says why in one line.
        """
        if self._socket_path is None:
            return await self.renew(self._generation, start=start)
        return self._socket_path

    async def is_running(self) -> bool:
        """Look whether an engine runs; starts none. One that does not answer now, as while the machine is busy, runs."""
        try:
            return await asyncio.to_thread(self._locator.find) is not None
        except EngineError:
            return True

    async def renew(self, failed_generation: int, *, start: bool = True) -> str:
        """Look for the engine again after nobody answered at the known path, and start it if it is gone.

        Args:
            failed_generation: `generation` as it was before the attempt that failed. If somebody else has looked
                since then, their finding is taken.
            start: Whether an engine that is not there is started.

        Raises:
            EngineError: There is no engine and none could be started; the message says why in one line.
        """
        async with self._lock:
            if self._socket_path is not None and self._generation > failed_generation:
                return self._socket_path
            self._socket_path = None
            self._generation += 1
            found = await asyncio.to_thread(self._locator.find)
            if found is None and not start:
                raise EngineNotRunning("The engine is not running.")
            self._socket_path = (found or await self._start()).socket_path
            return self._socket_path

    async def _start(self) -> Located:
        now = time.monotonic()
        if now < self._next_start_at:
            raise EngineStartError(
                self._refusal or "The engine ended right after it was started; try again in a few seconds."
            )
        self._refusal = ""
        try:
            return await asyncio.to_thread(self._locator.ensure)
        except EngineError as error:
            self._refusal = str(error)
            raise
        finally:
            self._next_start_at = time.monotonic() + self._start_interval_s
