"""Routes under `/native/trainings/{id}/media`: what a training has logged besides numbers.

Rule: a file of a run is never a page of ours. It is served with the content type of its name's ending, `nosniff`, and a
sandbox that gives it no origin and no network.

Source: docs/architecture/02-wire.md, "Media"; 05-trust.md.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import BaseRoute, Route

from jupyter_ext.engine.api.http.requests import whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.metrics import media
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.problems import not_found

_INLINE = "default-src 'none'; style-src 'unsafe-inline'; img-src data: blob:; media-src data: blob:; font-src data:"
SANDBOX = f"sandbox; {_INLINE}"
HTML_SANDBOX = f"sandbox allow-scripts; {_INLINE}; script-src 'unsafe-inline'"


class MediaAPI:
    """Routes of media."""

    def __init__(self, trainings: TrainingService) -> None:
        self._trainings = trainings

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/trainings/{id}/media", self.list, methods=["GET"]),
            Route("/native/trainings/{id}/media/{file}", self.file, methods=["GET"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return a page of items."""
        run_dir = await self._run_dir(request)
        after = whole_number(request.query_params.get("after"), "after", 0)
        page = await asyncio.to_thread(media.page, run_dir, after)
        return JSONResponse(page.model_dump(mode="json"), headers={"Cache-Control": "no-store"})

    async def file(self, request: Request) -> Response:
        """Return a file, or the range of it that is asked for."""
        name = request.path_params["file"]
        path = media.file(await self._run_dir(request), name)
        if path is None:
            raise not_found("medium", name, "`run.media()` lists those there are.")
        content_type = media.content_type(name)
        return FileResponse(
            path,
            media_type=content_type,
            headers={
                "X-Content-Type-Options": "nosniff",
                "Content-Security-Policy": HTML_SANDBOX if content_type.startswith("text/html") else SANDBOX,
                "Cross-Origin-Resource-Policy": "same-origin",
                "Cache-Control": "private, max-age=31536000, immutable",
            },
        )

    async def _run_dir(self, request: Request) -> Path:
        return (await self._trainings.store(request.path_params["id"])).directory
