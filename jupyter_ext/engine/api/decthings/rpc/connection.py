"""One client's WebSocket, and what it is subscribed to.

Rule: a subscription belongs to the connection that made it. A frame of ours with output in it is at most 1 MiB, which is
what the official Python client takes.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping

from starlette.websockets import WebSocket

from jupyter_ext.protocol.decthings.framing import MAX_FRAME_BYTES, encode_event

log = logging.getLogger(__name__)

_OUTPUT_BYTES = MAX_FRAME_BYTES - (1 << 12)
"""Of output in one frame; the rest is for the event's name and parameters."""


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

    async def event(
        self, api: str, name: str, params: Mapping[str, object], data: bytes | None = None
    ) -> None:
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
