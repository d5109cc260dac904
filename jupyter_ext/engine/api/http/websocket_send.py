"""Sending over a WebSocket for as long as somebody is there to receive."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from jupyter_ext.ipc import json_values
from jupyter_ext.protocol import stream_ends
from jupyter_ext.protocol.problems import Problem


async def send_json(socket: WebSocket, content: Any) -> None:
    """Send strict JSON; what it cannot carry is replaced as `json_values` says."""
    await socket.send_text(json_values.dump(content).decode())


async def send_until_gone(socket: WebSocket, send: Callable[[], Awaitable[None]]) -> None:
    """Run what sends until it is done or the viewer has left; what the viewer says has no meaning."""

    async def sending() -> None:
        try:
            await send()
            await socket.close(1000)
        except Problem as problem:
            reason = stream_ends.reason_of(json_values.clean_text(problem.detail))
            await socket.close(stream_ends.code_of(problem.status), reason)
        except WebSocketDisconnect:
            return

    async def listening() -> None:
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    tasks = [asyncio.ensure_future(sending()), asyncio.ensure_future(listening())]
    await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in tasks:
        task.cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    if isinstance(results[0], Exception):
        raise results[0]
