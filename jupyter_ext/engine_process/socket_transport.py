"""httpx over the engine's Unix socket, with the same check of who answers as everywhere else."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import httpcore
import httpx

from jupyter_ext.ipc import private_sockets


class EngineTransport(httpx.AsyncHTTPTransport):
    """Connects to a Unix socket of this user only.

    Args:
        socket_path: The socket.
        keep_alive: Whether connections are kept for the next request.

    Raises, when it connects:
        httpx.ConnectError: Nobody listens, or another user may be at the other end; nothing was sent.
    """

    def __init__(self, socket_path: str, *, keep_alive: bool = True) -> None:
        super().__init__()
        self._pool = httpcore.AsyncConnectionPool(
            uds=socket_path,
            network_backend=_PrivateBackend(),
            max_keepalive_connections=10 if keep_alive else 0,
            keepalive_expiry=KEEP_ALIVE_S,
        )


KEEP_ALIVE_S = 2.0
"""Shorter than the engine keeps an idle connection, so that none is taken up just as the engine closes it."""


class _PrivateBackend(httpcore.AnyIOBackend):
    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore.AsyncNetworkStream:
        try:
            private_sockets.check_directory_of(path)
            stream = await super().connect_unix_socket(path, timeout, socket_options)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        peer = stream.get_extra_info("socket")
        try:
            private_sockets.check_peer(peer)
        except private_sockets.NotPrivate as error:
            await stream.aclose()
            raise httpcore.ConnectError(str(error)) from error
        return stream
