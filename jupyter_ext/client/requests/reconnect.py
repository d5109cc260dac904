"""A stream of the engine's, over its restarts: the one place that connects again, and waits longer each time it fails.

Rule: nobody waits in silence. What keeps a stream from opening is said in one line on stderr, and the stream goes on trying.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import ClassVar

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from jupyter_ext.errors import EngineError, InvalidInput, NotOver, ProtocolMismatch, UnknownId
from jupyter_ext.ipc import private_sockets
from jupyter_ext.protocol import stream_ends

_MAX_FAILED_STARTS = 4
"""An engine may be killed while it starts, and again; one that fails so often in a row has a reason that the user must know."""
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.05, 5.0
_MAX_MESSAGE_BYTES = 64 << 20
_CONNECT_TIMEOUT_S = 5.0
_NUM_QUIET_FAILURES = 3
"""Failures in a row that are nobody's business: an engine that is restarted is away for a moment."""
_SAID_AGAIN_S = 60.0
"""Many streams that wait for the same thing say so once in this time, together."""
_REFUSALS = 4400
"""Close codes from here on are problems of the engine's: 4000 and the status."""


@asynccontextmanager
async def connect(socket_path: str, path: str) -> AsyncIterator[ClientConnection]:
    """Connect to a stream of the engine's, and close the connection at the end.

    Args:
        socket_path: The engine's socket.
        path: Such as `/native/models/stream`.
    """
    peer = private_sockets.connect(socket_path, _CONNECT_TIMEOUT_S)
    peer.setblocking(False)
    try:
        connection = await open_connection(
            f"ws://engine{path}", sock=peer, max_size=_MAX_MESSAGE_BYTES, compression=None, proxy=None
        )
    except BaseException:
        peer.close()
        raise
    async with connection:
        yield connection


async def messages(
    find_socket: Callable[[], Awaitable[str]], path: Callable[[], str], unknown: str = ""
) -> AsyncGenerator[str | bytes]:
    """Yield a stream's messages and connect again whenever it ends; the caller leaves when it has seen the last one.

    Args:
        find_socket: Returns the engine's socket path, starting an engine where there is none.
        path: Returns the path to connect to, with what the caller has by then.
        unknown: The message for a stream of something that does not exist.

    Raises:
        UnknownId: The engine does not know what the path names.
        EngineError: The engine cannot be started again.
    """
    pause_s, num_failed = _FIRST_PAUSE_S, 0
    waiting = _Waiting()
    while True:
        code, reason = None, ""
        try:
            socket_path = await find_socket()
            num_failed = 0
            async with connect(socket_path, path()) as socket:
                async for message in socket:
                    pause_s = _FIRST_PAUSE_S
                    waiting.ended()
                    yield message
                code, reason = socket.close_code, socket.close_reason or ""
        except ConnectionClosed as error:
            if error.rcvd is not None:
                code, reason = error.rcvd.code, error.rcvd.reason
        except (OSError, InvalidHandshake, TimeoutError) as error:
            if isinstance(error, EngineError):
                num_failed += 1
                if isinstance(error, ProtocolMismatch) or num_failed >= _MAX_FAILED_STARTS:
                    raise
            waiting.failed(error)
        if code == stream_ends.NOT_FOUND:
            raise UnknownId(unknown)
        if code is not None and code >= _REFUSALS:
            waiting.refused(reason)
        await asyncio.sleep(pause_s)
        pause_s = min(_MAX_PAUSE_S, 2 * pause_s)


class _Waiting:
    """Says what one stream waits for."""

    _said: ClassVar[dict[str, float]] = {}
    """When each line was said last, in this process."""

    def __init__(self) -> None:
        self._num_failed = 0

    def ended(self) -> None:
        """Note that the stream is open."""
        self._num_failed = 0

    def failed(self, error: Exception) -> None:
        """Note that it could not be opened."""
        self._num_failed += 1
        if isinstance(error, InvalidStatus):
            body = bytes(error.response.body or b"")
            self.refused(stream_ends.refusal_of(body) or f"The engine answers {error.response.status_code}.")
        elif self._num_failed > _NUM_QUIET_FAILURES:
            self.refused(f"The engine cannot be reached: {str(error) or type(error).__name__}.")

    def refused(self, reason: str) -> None:
        """Say why, unless it was said a moment ago."""
        now = time.monotonic()
        line = reason or "The engine closed the stream."
        if now - self._said.get(line, -_SAID_AGAIN_S) >= _SAID_AGAIN_S:
            self._said[line] = now
            print(f"{line} Trying again.", file=sys.stderr, flush=True)


@asynccontextmanager
async def within(timeout_s: object, what: str) -> AsyncGenerator[None]:
    """Limit how long something is waited for.

    Args:
        timeout_s: How many seconds, or `None` for no limit.
        what: What is waited for, to begin a sentence with.

    Raises:
        InvalidInput: It is no number.
        NotOver: It took longer; only the waiting has ended.
    """
    if not isinstance(timeout_s, int | float | None):
        raise InvalidInput(f"timeout_s={timeout_s!r:.60} is no number of seconds.")
    limit = asyncio.timeout(timeout_s)
    try:
        async with limit:
            yield
    except TimeoutError:
        if not limit.expired():
            raise
        raise NotOver(f"{what} is not over after {timeout_s:g} s; it goes on.") from None
