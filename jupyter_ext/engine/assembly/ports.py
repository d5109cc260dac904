"""Where the engine is asked: its Unix socket, a loopback port with a token, and one in Pieces' range.

Rule: who may ask is decided here, per port; what is answered is the same everywhere, but for Pieces' port.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from jupyter_ext.config import EngineSettings, RateLimits
from jupyter_ext.engine.api.http.auth import Aliases, LoopbackOnly, SameUserProtocol, TokenRequired
from jupyter_ext.engine.api.http.connections import (
    BACKLOG,
    KEEP_ALIVE_S,
    MAX_FRAME_BYTES,
    KeyedWebSocket,
    PortProtocol,
    PortWebSocket,
)
from jupyter_ext.engine.api.http.forwarded import Forwarded
from jupyter_ext.engine.api.http.path_ids import RawIds
from jupyter_ext.engine.api.http.problems import HANDLERS
from jupyter_ext.engine.api.http.rate_limits import RateLimited
from jupyter_ext.engine.api.pieces.models import OPEN_PORT
from jupyter_ext.engine.assembly.part import API
from jupyter_ext.engine.common import descriptors
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks

PIECES_PORTS = range(39300, 39334)
"""Where Pieces' wrapper looks for its service."""
_CLOSE_TIMEOUT_S = 2


class _Server(uvicorn.Server):
    """A server that leaves signals to the engine."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Ports:
    """The ports of one engine.

    Args:
        settings: Rate limits, and whose forwarded headers are believed.
        token_file: Where the loopback port's token is kept while it is open.
        links: Whose signed links need no token.
        apis: What all ports but Pieces' answer.
        pieces: What Pieces' port answers.
    """

    def __init__(
        self,
        settings: EngineSettings,
        token_file: Path,
        links: SignedLinks,
        apis: Iterable[API],
        pieces: Iterable[API],
    ) -> None:
        self._settings = settings
        self._links = links
        self._app = RawIds(Aliases(Forwarded(_app_of(apis), settings.forwarded_hosts)))
        self._pieces_app = RawIds(_app_of(pieces))
        self._servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []
        self._listening: tuple[str, str] | None = None
        self.token_file = token_file
        self.pieces_url: str | None = None
        self.asked_at = time.monotonic()
        """When the last request came, over whatever port."""

    @property
    def url(self) -> str | None:
        """The loopback port's address, or `None` while it is not open."""
        return self._listening[0] if self._listening else None

    @property
    def is_open(self) -> bool:
        """Whether a port is open to other programs, none of which could start an engine."""
        return self._listening is not None or self.pieces_url is not None

    async def open_socket(self, listener: socket.socket) -> None:
        """Answer on a bound Unix socket, to this user only."""
        app = _limited(self._app, self._settings.socket_limits)
        await self._serve(listener, app, SameUserProtocol, WebSocketsSansIOProtocol, _backlog())

    async def listen(self, port: int) -> tuple[str, str]:
        """Open a loopback port, or give the one that is open.

        Returns:
            Its URL and bearer token.

        Raises:
            OSError: The port is taken or not allowed.
        """
        if self._listening is None:
            listener = _bind(port)
            token = secrets.token_urlsafe(32)
            _write_secret(self.token_file, token)
            app = _limited(self._app, self._settings.port_limits)
            guarded = TokenRequired(app, token, self._links)
            await self._serve(listener, guarded, PortProtocol, KeyedWebSocket, BACKLOG)
            self._listening = (_url_of(listener), token)
        return self._listening

    async def listen_as_pieces(self) -> str:
        """Open a port in Pieces' range, without a token, for Pieces' routes alone, or give the one that is open.

        Returns:
            Its URL.

        Raises:
            OSError: All of the range is taken.
        """
        if self.pieces_url is None:
            listener = _bind_in_range(PIECES_PORTS)
            guarded = LoopbackOnly(self._pieces_app, OPEN_PORT)
            await self._serve(listener, guarded, PortProtocol, PortWebSocket, BACKLOG)
            self.pieces_url = _url_of(listener)
        return self.pieces_url

    async def close(self) -> None:
        """Stop answering."""
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)
        self.token_file.unlink(missing_ok=True)

    async def _serve(
        self,
        listener: socket.socket,
        app: ASGIApp,
        http: type[H11Protocol],
        ws: type[WebSocketsSansIOProtocol],
        backlog: int,
    ) -> None:
        config = uvicorn.Config(
            self._note_time(app),
            http=http,
            ws=ws,
            ws_max_size=MAX_FRAME_BYTES,
            ws_per_message_deflate=False,  # nobody is far away, and a small frame would become a large one
            timeout_keep_alive=KEEP_ALIVE_S,
            backlog=backlog,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `Forwarded` believes some of them
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]), name="http")
        while not server.started and not task.done():
            await asyncio.sleep(0.001)
        if task.done():
            task.result()
        self._servers.append((server, task))

    def _note_time(self, app: ASGIApp) -> ASGIApp:
        async def noted(scope: Scope, receive: Receive, send: Send) -> None:
            self.asked_at = time.monotonic()
            await app(scope, receive, send)

        return noted


def _backlog() -> int:
    """Return how many connections of the Unix socket are accepted in one go, before they are counted."""
    return max(1, min(256, descriptors.num_for_requests() // 4))


def _app_of(apis: Iterable[API]) -> Starlette:
    return Starlette(routes=[route for api in apis for route in api.routes()], exception_handlers=HANDLERS)


def _limited(app: ASGIApp, limits: RateLimits | None) -> ASGIApp:
    return app if limits is None else RateLimited(app, limits)


def _bind(port: int) -> socket.socket:
    """Take a loopback port.

    Raises:
        OSError: It is taken or not allowed.
    """
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind(("127.0.0.1", port))
    except OSError:
        listener.close()
        raise
    return listener


def _bind_in_range(ports: range) -> socket.socket:
    """Take the first free loopback port of a range.

    Raises:
        OSError: There is none.
    """
    for port in ports:
        try:
            return _bind(port)
        except OSError:
            continue
    raise OSError(f"No port from {ports.start} to {ports.stop - 1} is free.")


def _url_of(listener: socket.socket) -> str:
    return f"http://127.0.0.1:{listener.getsockname()[1]}"


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
