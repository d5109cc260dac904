"""Routes under `/native/trainings/{id}/exports`: a training's metrics as a file to take along.

Rule: a file is written while it is sent, piece by piece: points are read on the event loop, for a few milliseconds each, and
written in a thread. What this installation cannot do is refused before the first byte.

Source: docs/architecture/02-wire.md, "Exports".
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from datetime import datetime
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute, Route
from starlette.types import Receive, Scope, Send

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.trainings.export.formats import (
    MEDIA_TYPES,
    Writer,
    file_stem,
    what_is_missing,
    writer_of,
)
from jupyter_ext.engine.trainings.export.points import Stretch, pieces
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.exports import ENDINGS, EXPORT_FORMATS, Export, ExportFormat, Exports
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Training

_NO_STORE = {"Cache-Control": "no-store"}


class ExportsAPI:
    """Routes of exports."""

    def __init__(self, trainings: TrainingService) -> None:
        self._trainings = trainings

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/trainings/{id}/exports", self.list, methods=["GET"]),
            Route("/native/trainings/{id}/exports/{format}", self.export, methods=["GET"]),
        ]

    @documented(answer=Exports)
    async def list(self, request: Request) -> Response:
        """Return the formats, and of each what keeps this engine from writing it."""
        training = await self._trainings.get(request.path_params["id"])
        found = [
            Export(format=each, file=_file_name(training, each), why_not=await self._why_not(training, each))
            for each in EXPORT_FORMATS
        ]
        return JSONResponse(Exports(exports=found).model_dump(mode="json"), headers=_NO_STORE)

    async def export(self, request: Request) -> Response:
        """Return every point of a training as a file."""
        format = _format(request.path_params["format"])
        training = await self._trainings.get(request.path_params["id"])
        why_not = await self._why_not(training, format)
        if why_not is not None:
            raise Problem(501, "Not installed", why_not)
        headers = {
            **_NO_STORE,
            "Content-Disposition": _attachment(_file_name(training, format)),
            "X-Content-Type-Options": "nosniff",
        }
        if request.method == "HEAD":
            return Response(headers=headers, media_type=MEDIA_TYPES[format])
        began = datetime.fromisoformat(training.started_at or training.created_at)
        writer = await asyncio.to_thread(writer_of, format, training.name, training.id, began.timestamp())
        points = pieces(lambda: self._trainings.points(training.id))
        return _ClosingStream(_written(writer, points), media_type=MEDIA_TYPES[format], headers=headers)

    async def _why_not(self, training: Training, format: ExportFormat) -> str | None:
        store = await self._trainings.store(training.id)
        return await asyncio.to_thread(what_is_missing, format, sealed=store.needs_loading)


class _ClosingStream(StreamingResponse):
    """Closes what it sends also where the client leaves early."""

    def __init__(self, chunks: AsyncGenerator[bytes, None], media_type: str, headers: dict[str, str]) -> None:
        super().__init__(chunks, media_type=media_type, headers=headers)
        self._chunks = chunks

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async with contextlib.aclosing(self._chunks):
            await super().__call__(scope, receive, send)


async def _written(
    writer: Writer, points: AsyncGenerator[list[Stretch], None]
) -> AsyncGenerator[bytes, None]:
    """Write a file; no chunk is empty."""
    async with contextlib.aclosing(points):
        if chunk := await asyncio.to_thread(writer.begin):
            yield chunk
        async for piece in points:
            if chunk := await asyncio.to_thread(writer.add, piece):
                yield chunk
        if chunk := await asyncio.to_thread(writer.end):
            yield chunk


def _format(text: str) -> ExportFormat:
    for known in EXPORT_FORMATS:
        if text == known:
            return known
    raise Problem(422, "Invalid value", f"format={text[:40]!r} is none of {', '.join(EXPORT_FORMATS)}.")


def _file_name(training: Training, format: ExportFormat) -> str:
    return file_stem(training.name) + ENDINGS[format]


def _attachment(name: str) -> str:
    """Return the header that has a browser save a file; names in other scripts come in RFC 8187's form."""
    quoted = quote(name)
    return f'attachment; filename="{name}"' if quoted == name else f"attachment; filename*=utf-8''{quoted}"
