"""Calls and events over a WebSocket, `/v0/ws`: the key is in every message, answers come in any order.

Rules: a subscription belongs to the connection that made it. What a subscriber is owed at once goes out before the
answer to its call, its end never does. A frame of ours with output in it is at most 1 MiB, which is what the
official Python client takes.
"""

from __future__ import annotations

import asyncio
import hmac
import logging

from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call
from jupyter_ext.engine.api.decthings.rpc.connection import Connection
from jupyter_ext.engine.api.decthings.rpc.dispatch import Rpc, UnknownMethod
from jupyter_ext.engine.api.http.auth import KEY_OF_MESSAGES
from jupyter_ext.engine.api.http.connections import trust
from jupyter_ext.protocol.decthings.framing import (
    Message,
    decode_call,
    encode_reply,
)
from jupyter_ext.protocol.decthings.varint import WireError

log = logging.getLogger(__name__)

_CLOSE_PROTOCOL_ERROR = 1002


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
    ) -> Answer:
        request = message.content
        if not isinstance(request, dict):
            return {"error": {"code": "unknown"}}, ()
        token = socket.scope.get(KEY_OF_MESSAGES)
        key = request.get("apiKey")
        if token is not None and not (
            isinstance(key, str) and hmac.compare_digest(key.encode(), token.encode())
        ):
            return {"error": {"code": "bad_credentials"}}, ()
        trust(socket.scope)
        api, method, params = request.get("api"), request.get("method"), request.get("params")
        if not isinstance(api, str) or not isinstance(method, str):
            return {"error": {"code": "unknown"}}, ()
        try:
            call = Call(method, params or {}, message.blobs, connection, replied=replied)
            return await self._rpc.answer(api, call)
        except UnknownMethod:
            log.info("a client asked for %s/%s over the WebSocket", api[:40], method[:60])
            return {"error": {"code": "unknown"}}, ()
