"""Routes under `/native/downloads`: the rate that all downloads share, and what cut ones have left.

Source: docs/architecture/08-models.md.
"""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import json_object
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.models import DownloadState
from jupyter_ext.protocol.problems import InvalidField, Problem

_NO_STORE = {"Cache-Control": "no-store"}


class DownloadsAPI:
    """Routes that concern all downloads together."""

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/downloads", self.state, methods=["GET"]),
            Route("/native/downloads", self.change, methods=["PATCH"]),
            Route("/native/downloads/partials/{key}", self.remove, methods=["DELETE"]),
        ]

    @documented(answer=DownloadState)
    async def state(self, request: Request) -> Response:
        """Return the rate and the partial files."""
        return self._state()

    @documented(answer=DownloadState)
    async def change(self, request: Request) -> Response:
        """Limit the rate: `bytes_per_s`, or null for none."""
        body = await json_object(request)
        value = body.get("bytes_per_s", False)
        if isinstance(value, bool) or not (value is None or isinstance(value, int | float)):
            raise _invalid("bytes_per_s must be a number of bytes a second, or null for no limit.")
        try:
            await asyncio.to_thread(self._downloads.set_bytes_per_s, value)
        except InvalidInput as error:
            raise _invalid(str(error)) from None
        return self._state()

    async def remove(self, request: Request) -> Response:
        """Remove what is here of a file: 204; 409 while it is fetched, 404 if there is none such."""
        key = request.path_params["key"]
        if key not in {partial.key for partial in self._downloads.partials()}:
            raise Problem(404, "Not found", f"There is no partial file {key[:40]!r}; look at the list again.")
        try:
            self._downloads.remove_partial(key)
        except InvalidInput as error:
            raise Problem(409, "In use", str(error)) from None
        return Response(status_code=204)

    def _state(self) -> JSONResponse:
        return JSONResponse(self._downloads.state().model_dump(mode="json"), headers=_NO_STORE)


def _invalid(text: str) -> Problem:
    return Problem(422, "Invalid value", text, [InvalidField("value", "bytes_per_s", text)])
