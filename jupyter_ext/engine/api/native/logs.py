"""Routes under `/native/trainings/{id}/logs/`: lines by number, places by time, and search through the whole log.

Source: docs/architecture/02-wire.md, "Logs".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.requests import whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_until_gone
from jupyter_ext.engine.logs.line_index import LineIndex, offset_at, time_at
from jupyter_ext.engine.logs.search import Query, search
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.problems import Problem

_NO_STORE = {"Cache-Control": "no-store"}
_NUM_HELD = 16
_MAX_LINES = 2_000
_DEFAULT_LINES = 200


class LogsAPI:
    """Routes of whole logs."""

    def __init__(self, trainings: TrainingService) -> None:
        self._trainings = trainings
        self._indexes: OrderedDict[Path, LineIndex] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/trainings/{id}/logs/lines", self.lines, methods=["GET"]),
            Route("/native/trainings/{id}/logs/at", self.at, methods=["GET"]),
            WebSocketRoute("/native/trainings/{id}/logs/search", self.search),
        ]

    async def lines(self, request: Request) -> Response:
        """Return lines by number."""
        query = request.query_params
        first = whole_number(query.get("first"), "first", 0)
        count = min(whole_number(query.get("count"), "count", _DEFAULT_LINES), _MAX_LINES)
        index = self._index(await self._run_dir(request.path_params["id"]))
        page = await asyncio.to_thread(index.page, first, count)
        lines = [{"offset": line.offset, "text": line.text} for line in page.lines]
        return JSONResponse({"first": page.first, "total": page.total, "lines": lines}, headers=_NO_STORE)

    async def at(self, request: Request) -> Response:
        """Return the place that a time, a byte or a line is: `{line, offset, time}`."""
        query = request.query_params
        given = [name for name in ("time", "offset", "line") if name in query]
        if len(given) != 1:
            raise Problem(422, "Invalid value", "Give one of time, offset and line.")
        run_dir = await self._run_dir(request.path_params["id"])
        index = self._index(run_dir)
        if given == ["time"]:
            offset = await asyncio.to_thread(offset_at, run_dir, _seconds(query["time"]))
        elif given == ["line"]:
            offset = await asyncio.to_thread(index.offset_of, whole_number(query["line"], "line", 0))
        else:
            offset = whole_number(query["offset"], "offset", 0)
        line = await asyncio.to_thread(index.line_of, offset)
        time = await asyncio.to_thread(time_at, run_dir, offset)
        return JSONResponse({"line": line, "offset": offset, "time": time}, headers=_NO_STORE)

    async def search(self, socket: WebSocket) -> None:
        """Stream what is found; closing ends the search."""
        await socket.accept()
        given = socket.query_params
        query = Query(
            given.get("q", ""),
            given.get("regex") == "1",
            given.get("case") == "1",
            given.get("level") or None,
        )

        async def send() -> None:
            query.check()
            run_dir = await self._run_dir(socket.path_params["id"])
            async with contextlib.aclosing(search(run_dir / "logs.txt", query)) as messages:
                async for message in messages:
                    await socket.send_text(message)

        await send_until_gone(socket, send)

    async def _run_dir(self, training_id: str) -> Path:
        return (await self._trainings.store(training_id)).directory

    def _index(self, run_dir: Path) -> LineIndex:
        index = self._indexes.pop(run_dir, None) or LineIndex(run_dir / "logs.txt")
        self._indexes[run_dir] = index
        if len(self._indexes) > _NUM_HELD:
            self._indexes.popitem(last=False)
        return index


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Problem(422, "Invalid value", f"time={text!r:.40} is no number of seconds.") from None
