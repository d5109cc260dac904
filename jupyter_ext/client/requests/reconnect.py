"""A stream of the engine's, over its restarts: the one place that connects again, and waits longer each time it fails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from websockets.asyncio.client import ClientConnection
from websockets.asyncio.client import connect as open_connection
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from jupyter_ext.errors import EngineError, ProtocolMismatch, UnknownId
from jupyter_ext.ipc import private_sockets

_MAX_FAILED_STARTS = 4
"""An engine may be killed while it starts, and again; one that fails so often in a row has a reason that the user must know."""
_FIRST_PAUSE_S, _MAX_PAUSE_S = 0.05, 5.0
_MAX_MESSAGE_BYTES = 64 << 20
_CONNECT_TIMEOUT_S = 5.0
_NOT_FOUND_CODE = 4404


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
    while True:
        code = None
        try:
            socket_path = await find_socket()
            num_failed = 0
            async with connect(socket_path, path()) as socket:
                async for message in socket:
                    pause_s = _FIRST_PAUSE_S
                    yield message
                code = socket.close_code
        except ConnectionClosed as error:
            code = error.rcvd.code if error.rcvd is not None else None
        except (OSError, InvalidHandshake, TimeoutError) as error:
            if isinstance(error, EngineError):
                num_failed += 1
                if isinstance(error, ProtocolMismatch) or num_failed >= _MAX_FAILED_STARTS:
                    raise
        if code == _NOT_FOUND_CODE:
            raise UnknownId(unknown)
        await asyncio.sleep(pause_s)
        pause_s = min(_MAX_PAUSE_S, 2 * pause_s)
