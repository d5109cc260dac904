"""Ids that hold `/` and `:` travel percent-encoded in one segment of a path, and are decoded after routing.

Rule: below the prefixes here, `scope["path"]` is the path as it was sent, and a route reads its ids with `model_id`.
"""

from __future__ import annotations

from urllib.parse import unquote

from starlette.requests import HTTPConnection
from starlette.types import ASGIApp, Receive, Scope, Send

PREFIXES = ("/native/models/", "/model/", "/models/")


class RawIds:
    """ASGI middleware that leaves the ids in the paths of models encoded."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on under the path that was sent."""
        raw = scope.get("raw_path")
        if scope["type"] in ("http", "websocket") and raw and scope["path"].startswith(PREFIXES):
            scope = {**scope, "path": raw.split(b"?", 1)[0].decode("ascii", "replace")}
        await self._app(scope, receive, send)


def model_id(connection: HTTPConnection, name: str = "id") -> str:
    """Return the id in a request's path."""
    return unquote(connection.path_params[name])
