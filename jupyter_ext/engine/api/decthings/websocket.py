"""Calls and events over a WebSocket, `/v0/ws`: the key is in every message, answers come in any order.

Rules: a subscription belongs to the connection that made it. What a subscriber is owed at once goes out before the
answer to its call, its end never does. A frame of ours with output in it is at most 1 MiB, which is what the
official Python client takes.
"""

from __future__ import annotations

import asyncio
import hmac
import logging
from typing import Any

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from jupyter_ext.engine.api.decthings.calls import Call
from jupyter_ext.engine.api.decthings.rpc import Rpc, UnknownMethod
from jupyter_ext.protocol.decthings.framing import (
    MAX_FRAME_BYTES,
    Message,
    decode_call,
    encode_event,
    encode_reply,
)
from jupyter_ext.protocol.decthings.varint import WireError

log = logging.getLogger(__name__)

KEY_OF_MESSAGES = "jupyter_ext.key_of_messages"
"""In a scope: the token that every message must carry. The Unix socket needs none."""

_OUTPUT_BYTES = MAX_FRAME_BYTES - (1 << 12)
"""Of output in one frame; the rest is for the event's name and parameters."""
_CLOSE_PROTOCOL_ERROR = 1002


class Connection:
    """One client's WebSocket, and what it is subscribed to."""

    def __init__(self, socket: WebSocket) -> None:
        self._socket = socket
        self._sending = asyncio.Lock()
        self.subscriptions: dict[str, asyncio.Task[None]] = {}

    async def send(self, frame: bytes) -> None:
        """Send one frame."""
        async with self._sending:
            await self._socket.send_bytes(frame)

    async def event(self, api: str, name: str, params: dict[str, Any], data: bytes | None = None) -> None:
        """Tell what happened; long output goes in several frames."""
        if data is None:
            await self.send(encode_event(api, name, params))
            return
        for begin in range(0, len(data), _OUTPUT_BYTES):
            await self.send(encode_event(api, name, params, [data[begin : begin + _OUTPUT_BYTES]]))

    def subscribe(self, id: str, task: asyncio.Task[None]) -> None:
        """Keep a task that sends the events of something."""
        self.subscriptions[id] = task
        task.add_done_callback(lambda _: self._forget(id, task))

    def unsubscribe(self, id: str) -> bool:
        """End a subscription; tell whether there was one."""
        task = self.subscriptions.pop(id, None)
        if task is not None:
            task.cancel()
        return task is not None

    def close(self) -> None:
        """End all subscriptions."""
        for id in list(self.subscriptions):
            self.unsubscribe(id)

    def _forget(self, id: str, task: asyncio.Task[None]) -> None:
        if self.subscriptions.get(id) is task:
            del self.subscriptions[id]
        if not task.cancelled() and (error := task.exception()) is not None:
            log.info("events of %s stopped: %r", id, error)


class WebSocketAPI:
    """The route of the WebSocket."""

    def __init__(self, rpc: Rpc) -> None:
        self._rpc = rpc

    def routes(self) -> list[WebSocketRoute]:
        """List the routes."""
        return [WebSocketRoute("/v0/ws", self.serve)]

    async def serve(self, socket: WebSocket) -> None:
        """Answer until the client goes away."""
        await socket.accept()
        connection, calls = Connection(socket), set[asyncio.Task[None]]()
        try:
            while True:
                received = await socket.receive()
                if received["type"] == "websocket.disconnect":
                    break
                frame = received.get("bytes")
                if frame is None:
                    frame = (received.get("text") or "").encode()
                try:
                    id, message = decode_call(frame)
                except WireError as error:
                    await socket.close(_CLOSE_PROTOCOL_ERROR, str(error)[:120])
                    break
                task = asyncio.create_task(self._answer(connection, socket, id, message))
                calls.add(task)
                task.add_done_callback(calls.discard)
        except (WebSocketDisconnect, RuntimeError) as error:
            log.info("a Decthings client went away: %r", error)
        finally:
            connection.close()
            for task in calls:
                task.cancel()

    async def _answer(self, connection: Connection, socket: WebSocket, id: int, message: Message) -> None:
        replied = asyncio.Event()
        content, blobs = await self._carry_out(connection, socket, message, replied)
        try:
            await connection.send(encode_reply(id, content, blobs))
        except (WebSocketDisconnect, RuntimeError):
            log.info("a Decthings client left before its answer")
        replied.set()

    async def _carry_out(
        self, connection: Connection, socket: WebSocket, message: Message, replied: asyncio.Event
    ) -> tuple[dict[str, Any], Any]:
        request = message.content
        if not isinstance(request, dict):
            return {"error": {"code": "unknown"}}, ()
        token = socket.scope.get(KEY_OF_MESSAGES)
        key = request.get("apiKey")
        if token is not None and not (
            isinstance(key, str) and hmac.compare_digest(key.encode(), token.encode())
        ):
            return {"error": {"code": "bad_credentials"}}, ()
        api, method, params = request.get("api"), request.get("method"), request.get("params")
        if not isinstance(api, str) or not isinstance(method, str):
            return {"error": {"code": "unknown"}}, ()
        try:
            call = Call(method, params or {}, message.blobs, connection, replied=replied)
            return await self._rpc.answer(api, call)
        except UnknownMethod:
            log.info("a client asked for %s/%s over the WebSocket", api[:40], method[:60])
            return {"error": {"code": "unknown"}}, ()
