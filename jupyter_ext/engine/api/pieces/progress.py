"""`/model/{id}/download/progress` in three ways: frames of a WebSocket, one JSON object, lines of JSON.

The generated clients of Pieces make a plain GET of what is a WebSocket in truth, so that asking again and again is all
that they can do; with `Accept: application/x-ndjson` a GET is a stream that ends with the download.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.path_ids import model_id
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.api.pieces import wire
from jupyter_ext.engine.api.pieces.responses import NO_STORE, answer, plain
from jupyter_ext.engine.api.pieces.types import Progress
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.ipc import json_values
from jupyter_ext.protocol.problems import Problem

_INTERVAL_S = 0.1
_NDJSON = "application/x-ndjson"
_PATH = "/model/{id}/download/progress"


class ProgressAPI:
    """Routes for the progress of a download."""

    def __init__(self, models: ModelService, pubsub: PubSub[str]) -> None:
        self._models = models
        self._pubsub = pubsub

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [WebSocketRoute(_PATH, self.stream), Route(_PATH, plain(self.get), methods=["GET"])]

    async def get(self, request: Request) -> Response:
        """Return the progress as it is now, or a line for each change where that is accepted."""
        id = model_id(request)
        local = await self._models.get(id)
        if _NDJSON not in request.headers.get("accept", ""):
            return answer(wire.progress(local))
        return StreamingResponse(self._lines(local.id), headers=NO_STORE, media_type=_NDJSON)

    async def stream(self, socket: WebSocket) -> None:
        """Send the progress on connect and at each change, to the end of the download."""
        await socket.accept()

        async def send() -> None:
            id = (await self._models.get(model_id(socket))).id
            async with contextlib.aclosing(self._frames(id, waits=True)) as items:
                async for frame in items:
                    await send_json(socket, frame)

        await send_until_gone(socket, send)

    async def _lines(self, id: str) -> AsyncGenerator[bytes]:
        async with contextlib.aclosing(self._frames(id, waits=False)) as items:
            async for frame in items:
                yield json_values.dump(frame) + b"\n"

    async def _frames(self, id: str, *, waits: bool) -> AsyncGenerator[Progress]:
        """Yield the progress at each change until the download is over.

        Args:
            id: The model.
            waits: Where nothing is under way, say so and wait for a download to begin.
        """
        subscriber = self._pubsub.subscribe(TOPIC)
        try:
            last: Progress | None = None
            seen_running, bytes_done = False, 0
            while True:
                local = self._models.known(id)
                if local is None:
                    raise Problem(404, "Not found", f"{id} was deleted.")
                over = wire.is_over(local)
                frame = wire.progress(local, is_first=not seen_running and waits)
                if not over and local.transfer is not None:
                    if local.transfer.bytes_done < bytes_done:
                        yield wire.reset()
                    seen_running, bytes_done = True, local.transfer.bytes_done
                if frame != last:
                    yield frame
                    last = frame
                if over and (seen_running or not waits or frame["status"] == "COMPLETED"):
                    return
                await _until_changed(subscriber, id)
        finally:
            self._pubsub.unsubscribe(TOPIC, subscriber)


async def _until_changed(subscriber: Any, id: str) -> None:
    """Wait until a model has changed, and a little, so that a quick transfer makes no flood."""
    while True:
        await subscriber.wait()
        if subscriber.lagging:
            subscriber.lagging = False
            subscriber.take()
            return
        if id in subscriber.take():
            await asyncio.sleep(_INTERVAL_S)
            return
