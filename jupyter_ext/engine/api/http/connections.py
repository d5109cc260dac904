"""What a connection may cost before it has shown that it may ask: time for its headers, bytes of a frame, and descriptors.

Rule: on a TCP port everybody is a stranger until a request has shown a key. A stranger gets no compression, small frames, a few
seconds to finish its headers and to show the key, and the ports together never hold so many connections that the Unix socket,
over which the user's own notebooks ask, is left without a descriptor.
"""

from __future__ import annotations

import asyncio
import contextlib
import resource
from collections.abc import Callable
from typing import Any, cast

import h11
from starlette.types import Scope
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MAX_FRAME_BYTES = 1 << 28
"""A call of Decthings' may bring its tensors over the WebSocket."""
KEYLESS_FRAME_BYTES = 1 << 20
"""On Pieces' port, where nobody shows a key."""
STRANGER_FRAME_BYTES = 16 << 20
"""Until a key was shown: Decthings' clients show it in each message, and their first may bring some tensors."""
STRANGERS_BYTES = 64 << 20
"""What all connections that have shown no key may have sent together."""
HEADERS_TIMEOUT_S = 10.0
"""From a connection's beginning, or a later request's first byte, to the end of its headers."""
KEY_TIMEOUT_S = 60.0
"""From a WebSocket's beginning to a message with a key; Decthings' clients open theirs just before their first call."""
KEEP_ALIVE_S = 30
"""Longer than clients keep an idle connection, so that none takes up one that is just being closed."""
MAX_CONNECTIONS = 256
"""On one port."""
BACKLOG = 32
"""Connections accepted in one go; each takes a descriptor before it can be counted."""
TRUST = "jupyter_ext.trust"
"""In a WebSocket's scope: to be called when the client has shown a key."""


def max_connections() -> int:
    """Return how many connections one port may hold: two ports leave at least half of this process's descriptors free."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return (
        MAX_CONNECTIONS
        if soft == resource.RLIM_INFINITY
        else max(1, min(MAX_CONNECTIONS, soft // 4 - BACKLOG))
    )


def trust(scope: Scope) -> None:
    """Lift the limits for strangers off a connection whose client has shown a key."""
    lift: Callable[[], None] | None = scope.get(TRUST)
    if lift is not None:
        lift()


class PortProtocol(H11Protocol):
    """HTTP on a TCP port."""

    _headers_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for headers, or close a connection that is one too many."""
        if len(self.connections) >= max_connections():
            transport.abort()
            return
        super().connection_made(transport)
        self._await_headers()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        if self in self.connections:
            super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Go on until the headers are complete, however slowly they trickle in, but not for ever."""
        if self not in self.connections or self.transport.is_closing():
            return
        if self.conn.their_state is h11.IDLE and self._headers_timer is None:
            self._await_headers()
        super().data_received(data)
        if self.conn.their_state is not h11.IDLE:
            self._stop_waiting()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        """Stop waiting: the handshake is complete."""
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def _await_headers(self) -> None:
        self._headers_timer = self.loop.call_later(HEADERS_TIMEOUT_S, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._headers_timer is not None:
            self._headers_timer.cancel()
            self._headers_timer = None


class PortWebSocket(WebSocketsSansIOProtocol):
    """A WebSocket on a TCP port where nobody shows a key: frames are small for good."""

    frame_bytes = KEYLESS_FRAME_BYTES

    def connection_made(self, transport: Any) -> None:
        """Set the limit of a stranger."""
        super().connection_made(transport)
        self.conn.max_message_size = self.frame_bytes


class KeyedWebSocket(PortWebSocket):
    """A WebSocket on the port with a token."""

    frame_bytes = STRANGER_FRAME_BYTES
    num_strange_bytes = 0
    """Of all connections that have shown no key."""
    _key_timer: asyncio.TimerHandle | None = None
    _is_trusted = False
    _num_bytes = 0

    def data_received(self, data: bytes) -> None:
        """Take no more from strangers than they may send, each and together."""
        if not self._is_trusted:
            self._count(len(data))
            too_much = self._num_bytes > 2 * STRANGER_FRAME_BYTES
            if too_much or KeyedWebSocket.num_strange_bytes > STRANGERS_BYTES:
                self.transport.abort()
                return
        super().data_received(data)

    def _count(self, num_bytes: int) -> None:
        self._num_bytes += num_bytes
        KeyedWebSocket.num_strange_bytes += num_bytes

    def handle_connect(self, event: Any) -> None:
        """Let the application tell when a key was shown, and wait for it only so long."""
        super().handle_connect(event)
        if not self.close_sent:
            cast(Scope, self.scope)[TRUST] = self._trust
            self._key_timer = self.loop.call_later(KEY_TIMEOUT_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._stop_waiting()
        self._count(-self._num_bytes)
        super().connection_lost(exc)

    def _trust(self) -> None:
        self._stop_waiting()
        self._is_trusted = True
        self._count(-self._num_bytes)
        self.conn.max_message_size = MAX_FRAME_BYTES

    def _give_up(self) -> None:
        with contextlib.suppress(Exception):  # closing says why where that still can be said
            self.conn.send_close(1008, "no key was shown")
            self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()

    def _stop_waiting(self) -> None:
        if self._key_timer is not None:
            self._key_timer.cancel()
            self._key_timer = None
