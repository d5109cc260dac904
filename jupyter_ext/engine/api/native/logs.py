"""Routes under `/native/trainings/{id}/logs/`: lines by number, places by time, and search through the whole log.

Source: docs/architecture/02-wire.md, "Logs".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import OrderedDict
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple, TypedDict

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.requests import whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_until_gone
from jupyter_ext.engine.logs.line_index import LineIndex, Page, batches, offset_at, time_at, times_at
from jupyter_ext.engine.logs.search import Query, search
from jupyter_ext.engine.logs.streams import LogStream, StderrSpans
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.ipc.run_files import STDERR_MARKS
from jupyter_ext.protocol.problems import Problem

_NO_STORE = {"Cache-Control": "no-store"}
_NUM_HELD = 16
_MAX_LINES = 2_000
_DEFAULT_LINES = 200


class LogsAPI:
    """Routes of whole logs."""

    def __init__(self, trainings: TrainingService) -> None:
        self._trainings = trainings
        self._indexes: OrderedDict[Path, _Held] = OrderedDict()

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/trainings/{id}/logs/lines", self.lines, methods=["GET"]),
            Route("/native/trainings/{id}/logs/at", self.at, methods=["GET"]),
            Route("/native/trainings/{id}/logs/spans", self.spans, methods=["GET"]),
            WebSocketRoute("/native/trainings/{id}/logs/search", self.search),
        ]

    async def lines(self, request: Request) -> Response:
        """Return lines by number."""
        query = request.query_params
        first = whole_number(query.get("first"), "first", 0)
        count = min(whole_number(query.get("count"), "count", _DEFAULT_LINES), _MAX_LINES)
        run_dir = await self._run_dir(request.path_params["id"])
        page, lines = await asyncio.to_thread(_told_lines, run_dir, self._held(run_dir), first, count)
        return JSONResponse({"first": page.first, "total": page.total, "lines": lines}, headers=_NO_STORE)

    async def spans(self, request: Request) -> Response:
        """Return, of a piece of the log, which bytes are stderr's, and when what was read."""
        query = request.query_params
        begin = whole_number(query.get("offset"), "offset", 0)
        end = whole_number(query.get("end"), "end", 0)
        run_dir = await self._run_dir(request.path_params["id"])
        stderr = await asyncio.to_thread(self._held(run_dir).stderr.between, begin, end)
        times = await asyncio.to_thread(batches, run_dir, begin, end)
        return JSONResponse({"stderr": stderr, "times": times}, headers=_NO_STORE)

    async def at(self, request: Request) -> Response:
        """Return the place that a time, a byte or a line is: `{line, offset, time}`."""
        query = request.query_params
        given = [name for name in ("time", "offset", "line") if name in query]
        if len(given) != 1:
            raise Problem(422, "Invalid value", "Give one of time, offset and line.")
        run_dir = await self._run_dir(request.path_params["id"])
        index = self._held(run_dir).lines
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
        text = Query(
            given.get("q", ""),
            given.get("regex") == "1",
            given.get("case") == "1",
            given.get("level") or None,
            given.get("stream") or None,
        )

        async def send() -> None:
            rank = whole_number(given["rank"], "rank", 0) if given.get("rank") else None
            query = replace(text, rank=rank)
            query.check()
            run_dir = await self._run_dir(socket.path_params["id"])
            async with contextlib.aclosing(search(run_dir / "logs.txt", query)) as messages:
                async for message in messages:
                    await socket.send_text(message)

        await send_until_gone(socket, send)

    async def _run_dir(self, training_id: str) -> Path:
        return (await self._trainings.store(training_id)).directory

    def _held(self, run_dir: Path) -> _Held:
        held = self._indexes.pop(run_dir, None) or _Held(
            LineIndex(run_dir / "logs.txt"), StderrSpans(run_dir / STDERR_MARKS)
        )
        self._indexes[run_dir] = held
        if len(self._indexes) > _NUM_HELD:
            self._indexes.popitem(last=False)
        return held


class _Held(NamedTuple):
    """What is known of one log."""

    lines: LineIndex
    stderr: StderrSpans


class _ToldLine(TypedDict):
    offset: int
    text: str
    stream: LogStream
    time: float | None


def _told_lines(run_dir: Path, held: _Held, first: int, count: int) -> tuple[Page, list[_ToldLine]]:
    page = held.lines.page(first, count)
    offsets = [line.offset for line in page.lines]
    told = zip(page.lines, held.stderr.streams(offsets), times_at(run_dir, offsets), strict=True)
    return page, [
        {"offset": line.offset, "text": line.text, "stream": stream, "time": time}
        for line, stream, time in told
    ]


def _seconds(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise Problem(422, "Invalid value", f"time={text!r:.40} is no number of seconds.") from None
