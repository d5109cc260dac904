"""The door from a notebook to Decthings' service, through the engine: calls, and events that survive lost sockets.

Rule: the key comes with each request, in memory; it is in no log, no error and no file.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging

from pydantic import SecretStr
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from jupyter_ext.engine.services.credentials import Tokens
from jupyter_ext.engine.services.decthings import DecthingsService
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.decthings.framing import decode_request, encode_event, encode_response
from jupyter_ext.protocol.decthings.varint import WireError
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

BASE_URL_HEADER, KEY_HEADER = "x-decthings-base-url", "x-decthings-key"
KEY_VARIABLE = "DECTHINGS_API_KEY"
MAX_SERVICES = 16


class DecthingsRemoteAPI:
    """Routes to services; a connection to each is kept."""

    def __init__(self) -> None:
        self._services: dict[str, DecthingsService] = {}
        self._tokens = Tokens(KEY_VARIABLE)

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/decthings/{api}/{method}", self.call, methods=["POST"]),
            WebSocketRoute("/native/decthings/events", self.events),
        ]

    async def call(self, request: Request) -> Response:
        """Pass a call on; its answer is the service's, errors of the call included. 502 where there is none."""
        key = request.headers.get(KEY_HEADER)
        service = await self._service(request.headers.get(BASE_URL_HEADER, ""), key)
        path = request.path_params
        try:
            message = decode_request(await request.body())
            answer = await service.call(path["api"], path["method"], message.content, message.blobs)
        except WireError as error:
            raise Problem(422, "Invalid call", str(error)) from error
        except JupyterExtError as error:
            raise Problem(502, type(error).__name__, str(error)) from error
        body = encode_response(answer.content, answer.blobs)
        return Response(body, media_type="application/octet-stream", headers={"Cache-Control": "no-store"})

    async def events(self, socket: WebSocket) -> None:
        """Send a session's events as binary frames, and as text what is not an event: `gap`, or a problem's line."""
        await socket.accept()
        try:
            wanted = await socket.receive_json()
            service = await self._service(str(wanted.get("base_url")), wanted.get("key"))
            sending = asyncio.create_task(self._send_events(socket, service, str(wanted.get("session_id"))))
            leaving = asyncio.create_task(_until_left(socket))
            await asyncio.wait({sending, leaving}, return_when=asyncio.FIRST_COMPLETED)
            for task in (sending, leaving):
                task.cancel()
            await asyncio.gather(sending, leaving, return_exceptions=True)
            with contextlib.suppress(RuntimeError):
                await socket.close()
        except (WebSocketDisconnect, ValueError, KeyError):
            log.info("a viewer of a remote session left")

    async def _send_events(self, socket: WebSocket, service: DecthingsService, session_id: str) -> None:
        try:
            async with contextlib.aclosing(service.events(session_id)) as stream:
                async for event in stream:
                    if event is None:
                        await socket.send_json({"kind": "gap"})
                    else:
                        await socket.send_bytes(
                            encode_event(event.api, event.name, event.params, event.blobs)
                        )
        except JupyterExtError as error:
            await socket.send_json({"kind": "problem", "detail": str(error)})

    async def close(self) -> None:
        """Close all connections."""
        for service in self._services.values():
            await service.aclose()

    async def _service(self, base_url: str, given: str | None) -> DecthingsService:
        key = given or await self._tokens.find(base_url)
        mark = hashlib.sha256(f"{base_url}\n{key}".encode()).hexdigest()
        if mark not in self._services:
            if len(self._services) >= MAX_SERVICES:
                self._services.pop(next(iter(self._services)))
            self._services[mark] = DecthingsService(base_url, None if key is None else SecretStr(key))
        return self._services[mark]


async def _until_left(socket: WebSocket) -> None:
    while (await socket.receive())["type"] != "websocket.disconnect":
        continue
