"""Who may ask. On the Unix socket: the same user. On the opened loopback port: whoever has the token.

Rule: a token is compared in constant time, never in a URL, and Host must be loopback, so that no web page can ask. One
file or one stream can be had by a capability link, which carries no token and expires. Health alone is told to everybody.
Pieces' clients carry the token in `X-Application-ID`. The port in Pieces' own range, opened only when it is asked for, has
no token, as its wrapper can carry none: there Host and Origin are all that is looked at, and only Pieces' routes exist.
"""

from __future__ import annotations

import hmac
import os
import socket
import struct
from typing import Any

import h11
from starlette.datastructures import Headers, QueryParams
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocketClose
from uvicorn.protocols.http.h11_impl import H11Protocol

from jupyter_ext.engine.api.http.connections import trust
from jupyter_ext.engine.api.http.problems import answer
from jupyter_ext.engine.common import descriptors, health
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks
from jupyter_ext.protocol import stream_ends
from jupyter_ext.protocol.decthings.framing import encode_response
from jupyter_ext.protocol.problems import Problem

APPLICATION_HEADER = "x-application-id"
KEY_OF_MESSAGES = "jupyter_ext.key_of_messages"
"""In a scope: the token that every message of a WebSocket must carry. The Unix socket needs none."""
OPEN_PATHS = frozenset({"/.well-known/health"})
_KEY = "connections"
_MAX_HEADERS_BYTES = 64 << 10
_LOOPBACK_HOSTS = {"127.0.0.1", "localhost", "[::1]"}


class SameUserProtocol(H11Protocol):
    """HTTP on the Unix socket for processes of the engine's own user only, and for no more of them than leave room for runs."""

    _is_too_many = False
    _headers = b""

    def connection_made(self, transport: Any) -> None:
        """Close connections of other users before a byte is read."""
        peer = transport.get_extra_info("socket")
        if peer is not None and hasattr(socket, "SO_PEERCRED"):
            size = struct.calcsize("3i")
            _, uid, _ = struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size))
            if uid not in (os.getuid(), 0):
                transport.close()
                return
        self._is_too_many = len(self.connections) >= descriptors.num_for_requests()
        super().connection_made(transport)
        if len(self.connections) <= descriptors.num_for_viewers() // 2:
            health.clear(_KEY)

    def data_received(self, data: bytes) -> None:
        """Take what is asked; one connection too many is told so, whatever it asks for."""
        if not self._is_too_many:
            super().data_received(data)
            return
        self._headers += data
        has_asked = b"\r\n\r\n" in self._headers or len(self._headers) > _MAX_HEADERS_BYTES
        if has_asked and not self.transport.is_closing():
            self._refuse("Too many connections", descriptors.describe())

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Open a stream, unless there are so many that requests would find no room."""
        if len(self.connections) > descriptors.num_for_viewers():
            self._refuse("Too many streams", descriptors.describe_viewers())
        else:
            super().handle_websocket_upgrade(event)

    def _refuse(self, title: str, detail: str) -> None:
        health.report(_KEY, detail)
        self.transport.write(_raw(answer(Problem(503, title, detail))))
        self.transport.close()


def _raw(response: Response) -> bytes:
    """Return an answer as it is sent, the last one of its connection."""
    head = [f"HTTP/1.1 {response.status_code} Service Unavailable".encode(), b"connection: close"]
    head += [name + b": " + value for name, value in response.raw_headers]
    return b"\r\n".join(head) + b"\r\n\r\n" + bytes(response.body)


class TokenRequired:
    """ASGI middleware of the loopback port."""

    def __init__(self, app: ASGIApp, token: str, links: SignedLinks) -> None:
        self._app = app
        self._token = token
        self._links = links

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = self._refusal(scope)
        if problem is None:
            trust(scope)
            await self._app(scope, receive, send)
        elif problem.status == 401 and scope["path"].startswith("/v0/"):
            await self._refuse_decthings(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(stream_ends.code_of(problem.status), problem.detail)(scope, receive, send)
        else:
            await closing(answer(problem))(scope, receive, send)

    async def _refuse_decthings(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a WebSocket open whose messages must carry the token; answer a call as its clients understand it."""
        if scope["type"] == "websocket":
            await self._app({**scope, KEY_OF_MESSAGES: self._token}, receive, send)
            return
        body = encode_response({"error": {"code": "bad_credentials"}})
        await closing(Response(body, media_type="application/octet-stream"))(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        headers = Headers(scope=scope)
        if (problem := web_page_refusal(headers)) is not None:
            return problem
        if scope.get("method") in ("GET", "HEAD") and scope["path"] in OPEN_PATHS:
            return None
        if scope.get("method") in ("GET", "HEAD") and self._links.allow(
            scope["path"], QueryParams(scope["query_string"])
        ):
            return None
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() not in ("bearer", "token"):
            given = headers.get(APPLICATION_HEADER, "")
        if not hmac.compare_digest(given.strip().encode(), self._token.encode()):
            return Problem(401, "Unauthenticated", "You did not pass a valid authentication token")
        return None


class LoopbackOnly:
    """ASGI middleware of the port in Pieces' range: no token, and no web page.

    Args:
        app: What is served there; it must be what anybody on this machine may do.
        mark: A key that is set in the scope, so that routes can tell.
    """

    def __init__(self, app: ASGIApp, mark: str) -> None:
        self._app = app
        self._mark = mark

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        problem = web_page_refusal(Headers(scope=scope))
        if problem is None:
            await self._app({**scope, self._mark: True}, receive, send)
        elif scope["type"] == "websocket":
            await WebSocketClose(stream_ends.code_of(problem.status), problem.detail)(scope, receive, send)
        else:
            await closing(answer(problem))(scope, receive, send)


def closing(refusal: Response) -> Response:
    """Let a refusal end its connection: a body that was announced is not waited for."""
    refusal.headers["Connection"] = "close"
    return refusal


def web_page_refusal(headers: Headers) -> Problem | None:
    """Refuse what a web page may have sent: another Host than loopback's, or an Origin that is not that Host itself.

    Programs that use WebSockets send an Origin too, the address that they connect to; the engine serves no pages there.
    """
    host = headers.get("host", "")
    if host.rsplit(":", 1)[0] not in _LOOPBACK_HOSTS:
        return Problem(403, "Forbidden", f"Host {host[:60]!r} is not this machine's loopback address.")
    cross = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
    if cross or headers.get("origin", f"http://{host}") != f"http://{host}":
        return Problem(403, "Forbidden", "Web pages reach the engine through the Jupyter server only.")
    return None


class Aliases:
    """ASGI middleware: `/v1/v1/…` is `/v1/…`, as one client appends `/v1` to its base URL and the others do not."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under its own name."""
        if scope["type"] == "http" and scope["path"].startswith("/v1/v1/"):
            scope = {**scope, "path": scope["path"][3:], "raw_path": scope.get("raw_path", b"")[3:]}
        await self._app(scope, receive, send)
