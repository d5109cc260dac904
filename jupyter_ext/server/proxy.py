"""Pass HTTP requests and WebSockets through to the engine's Unix socket.

Rule: bytes wait where they come from. Nothing is queued here without bound: a slow page slows down the reading from
the engine, and the engine decides what to do about a slow reader.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

import httpx
from websockets.asyncio.client import ClientConnection, connect

from jupyter_ext.engine_process.socket_transport import EngineTransport
from jupyter_ext.ipc import private_sockets
from jupyter_ext.server.engine_process import EngineProcess

MAX_BODY_BYTES = 64 * 1024 * 1024
"""Largest request body from a page; a version's bundle is the largest thing that is sent."""

MAX_MESSAGE_BYTES = 64 * 1024 * 1024
"""Largest WebSocket message either way."""

MAX_QUEUED_MESSAGES = 16
"""Messages read ahead from the engine for one page; then the socket is no longer read."""

CONNECT_TIMEOUT_S = 5.0
TIMEOUT = httpx.Timeout(60.0, connect=CONNECT_TIMEOUT_S, read=120.0)
"""Seconds. `read` is the longest silence inside an answer: a worker's stacks may take a while."""

HOP_BY_HOP = frozenset(
    {
        "connection",
        "keep-alive",
        "proxy-authenticate",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
    }
)
"""Source: RFC 9110 section 7.6.1; they belong to one connection, not to the request."""

JUPYTERS_OWN = frozenset({"authorization", "cookie", "host", "origin", "referer", "x-xsrftoken"})
"""What proves to Jupyter who asks; the engine's socket is the proof there, and it must not see tokens."""

SERVERS_OWN = frozenset({"date", "server", "set-cookie"})

SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})


class EngineGone(Exception):
    """The engine broke off a request that may have had an effect; it must not be repeated blindly."""


Headers = list[tuple[str, str]]


def request_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Keep the headers of a page's request that the engine may see."""
    return _without(headers, JUPYTERS_OWN)


def response_headers(headers: Iterable[tuple[str, str]]) -> Headers:
    """Keep the headers of the engine's answer that the page may see."""
    return _without(headers, SERVERS_OWN)


def _without(headers: Iterable[tuple[str, str]], dropped: frozenset[str]) -> Headers:
    kept = list(headers)
    named = {
        name.strip().lower()
        for key, value in kept
        if key.lower() == "connection"
        for name in value.split(",")
    }
    dropped = dropped | HOP_BY_HOP | named
    return [(key, value) for key, value in kept if key.lower() not in dropped]


def engine_target(path: str, query: str) -> str:
    """Return the request target on the engine for a raw path and query, without Jupyter's own `token=` and `_xsrf=`."""
    kept = "&".join(part for part in query.split("&") if part and not part.startswith(("token=", "_xsrf=")))
    return f"{path}?{kept}" if kept else path


class EngineProxy:
    """Connections to the engine. One per request: on a Unix socket that costs less than finding out which are stale."""

    def __init__(self, process: EngineProcess, *, starts: bool = True) -> None:
        self._process = process
        self._starts = starts

    def without_start(self) -> EngineProxy:
        """Return a way to the same engine on which none is started: for whoever merely looks on."""
        return EngineProxy(self._process, starts=False)

    async def is_running(self) -> bool:
        """Look whether there is an engine; starts none."""
        return await self._process.is_running()

    @property
    def engine(self) -> tuple[int, int] | None:
        """Which engine is known, by its socket: another one binds another; `None` where none is."""
        path = self._process.known_path
        try:
            found = None if path is None else os.stat(path)
        except OSError:
            return None
        return None if found is None else (found.st_ino, found.st_ctime_ns)

    async def tell(self, method: str, target: str, headers: Headers, body: bytes) -> bool:
        """Send a request to the engine that is known, if one is; tell whether it took it.

        Raises:
            httpx.HTTPError: It could not be sent, or was not answered.
        """
        path = self._process.known_path
        if path is None:
            return False
        async with _client(path) as client:
            response = await _send(client, method, target, headers, body)
            await response.aclose()
            return response.is_success

    @asynccontextmanager
    async def request(
        self, method: str, target: str, headers: Headers, body: bytes
    ) -> AsyncIterator[httpx.Response]:
        """Send a request and give the answer with its body unread (`aiter_raw`).

        A request that reached nobody is sent again after the engine was found or started, whatever its method; one
        that was broken off only where repeating it is harmless.

        Raises:
            EngineError: There is no engine and none could be started.
            EngineGone: The engine broke it off; it may have had an effect.
            httpx.TimeoutException: The engine did not answer in time.
        """
        path, generation = await self._process.socket_path(start=self._starts), self._process.generation
        client = _client(path)
        try:
            try:
                response = await _send(client, method, target, headers, body)
            except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
                if not isinstance(error, httpx.ConnectError) and method not in SAFE_METHODS:
                    raise EngineGone(f"The engine ended while it worked on {method} {target}.") from error
                await client.aclose()
                client = _client(await self._process.renew(generation, start=self._starts))
                response = await _resend(client, method, target, headers, body)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await client.aclose()

    async def open(self, target: str) -> ClientConnection:
        """Open a WebSocket.

        Raises:
            EngineError: There is no engine and none could be started.
            websockets.exceptions.InvalidStatus: The engine refused; its answer is in `response`.
            OSError: The engine went away again.
        """
        path, generation = await self._process.socket_path(start=self._starts), self._process.generation
        try:
            return await _connect(path, target)
        except (ConnectionError, FileNotFoundError):
            return await _connect(await self._process.renew(generation, start=self._starts), target)


def _client(socket_path: str) -> httpx.AsyncClient:
    transport = EngineTransport(socket_path, keep_alive=False)
    return httpx.AsyncClient(transport=transport, timeout=TIMEOUT, follow_redirects=False, trust_env=False)


async def _send(
    client: httpx.AsyncClient, method: str, target: str, headers: Headers, body: bytes
) -> httpx.Response:
    url = httpx.URL(scheme="http", host="engine", raw_path=target.encode("ascii"))
    return await client.send(httpx.Request(method, url, headers=headers, content=body or None), stream=True)


async def _resend(
    client: httpx.AsyncClient, method: str, target: str, headers: Headers, body: bytes
) -> httpx.Response:
    try:
        return await _send(client, method, target, headers, body)
    except (httpx.NetworkError, httpx.RemoteProtocolError) as error:
        raise EngineGone(
            f"The engine was found and went away again before it answered {method} {target}."
        ) from error


async def _connect(socket_path: str, target: str) -> ClientConnection:
    peer = await asyncio.to_thread(private_sockets.connect, socket_path, CONNECT_TIMEOUT_S)
    peer.setblocking(False)
    try:
        return await connect(
            f"ws://engine{target}",
            sock=peer,
            proxy=None,
            compression=None,
            max_size=MAX_MESSAGE_BYTES,
            max_queue=MAX_QUEUED_MESSAGES,
            # The page's connection is watched by Jupyter; a Unix socket tells by itself when its peer has ended.
            ping_interval=None,
            close_timeout=2,
            user_agent_header=None,
        )
    except BaseException:
        peer.close()
        raise
