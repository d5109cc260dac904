"""What Pieces' wrapper asks before it is content: health, version, connect, user, and sockets that say nothing here.

Rule: what there is not is answered as empty, never made up. This user has no account; the profile's fields are those that
the client's own checks insist on.

Source: `pieces_os_client` 5.0.1, wrapper/client.py; docs/architecture/11-pieces.md.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext import __version__
from jupyter_ext.engine.api.pieces.responses import NO_STORE, answer, body_of, plain
from jupyter_ext.engine.api.pieces.wire import SCHEMA
from jupyter_ext.protocol.problems import Problem

_PLATFORMS = {"linux": "LINUX", "darwin": "MACOS", "win32": "WINDOWS"}
_VISION = "/workstream_pattern_engine/processors/vision/status"


class PiecesNeighboursAPI:
    """Routes beside the models.

    Args:
        os_id: Returns this installation's id, the same one after a restart.
    """

    def __init__(self, os_id: Callable[[], str]) -> None:
        self._os_id = os_id

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        streams: Mapping[str, Callable[[], str | None]] = {
            "/.well-known/stream/health": self._health,
            "/user/stream": lambda: json.dumps(_user(self._os_id())),
            "/conversations/stream/identifiers": _no_identifiers,
            "/assets/stream/identifiers": _no_identifiers,
            "/anchors/stream/identifiers": _no_identifiers,
            "/ranges/stream/identifiers": _no_identifiers,
            f"{_VISION}/stream": lambda: None,
            "/qgpt/stream": lambda: None,
        }
        return [
            Route("/.well-known/health", plain(self.health), methods=["GET", "HEAD"]),
            Route("/.well-known/version", plain(self.version), methods=["GET"]),
            Route("/connect", plain(self.connect), methods=["POST"]),
            Route("/user", plain(self.user), methods=["GET"]),
            Route(_VISION, plain(self.vision), methods=["GET"]),
            *(WebSocketRoute(path, _silent(first)) for path, first in streams.items()),
        ]

    async def health(self, request: Request) -> Response:
        """Say that the engine is well."""
        return PlainTextResponse(self._health(), headers=NO_STORE)

    async def version(self, request: Request) -> Response:
        """Return the engine's version."""
        return PlainTextResponse(__version__, headers=NO_STORE)

    async def connect(self, request: Request) -> Response:
        """Greet an application; it gets the same id each time, and nothing is kept of it."""
        body = await body_of(request) or {}
        application = body.get("application")
        if not isinstance(application, dict) or not isinstance(application.get("name"), str):
            raise Problem(
                422, "Invalid value", "application must be given, with its name, platform and version."
            )
        os_id = self._os_id()
        context = {
            "schema": SCHEMA,
            "application": {
                "schema": SCHEMA,
                "id": f"{os_id}-{application['name'][:60]}",
                "name": application["name"],
                "onboarded": True,
                "platform": str(application.get("platform") or "UNKNOWN"),
                "privacy": "CLOSED",
                "version": str(application.get("version") or "0.0.0"),
                "automaticUnload": False,
            },
            "health": {"schema": SCHEMA, "os": {"schema": SCHEMA, "id": os_id, "version": __version__}},
            "os": os_id,
        }
        return answer(context)

    async def user(self, request: Request) -> Response:
        """Return this machine's user, who has no account."""
        return answer({"schema": SCHEMA, "user": _user(self._os_id())})

    async def vision(self, request: Request) -> Response:
        """Tell that nothing looks at the screen here."""
        return answer({"schema": SCHEMA, "vision": {"schema": SCHEMA, "degraded": False}})

    def _health(self) -> str:
        return f"ok:{__version__}:{_PLATFORMS.get(sys.platform, 'UNKNOWN')}"


def _silent(first: Callable[[], str | None]) -> Callable[[WebSocket], Awaitable[None]]:
    """Make a socket that says one thing, if any, and stays open until the client leaves."""

    async def endpoint(socket: WebSocket) -> None:
        await socket.accept()
        text = first()
        if text is not None:
            await socket.send_text(text)
        while (await socket.receive())["type"] != "websocket.disconnect":
            pass

    return endpoint


def _no_identifiers() -> str:
    return json.dumps({"schema": SCHEMA, "iterable": []})


def _user(os_id: str) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "id": os_id,
        "name": "local user",
        "aesthetics": {
            "schema": SCHEMA,
            "font": {"schema": SCHEMA, "size": 14},
            "theme": {"schema": SCHEMA, "dark": False},
        },
    }
