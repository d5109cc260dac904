"""The extension's HTTP and WebSocket routes below `<base_url>jupyter-ext/`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from jupyter_server.utils import url_path_join
from tornado.httputil import HTTPServerRequest
from tornado.routing import PathMatches, Rule

from jupyter_ext.server.engine_handlers import EngineHandler, EngineWebSocketHandler, Seen
from jupyter_ext.server.handlers import ENGINE_PREFIX, RUNNING_PREFIX
from jupyter_ext.server.page_handlers import InfoHandler, StaticHandler, TemplateHandler
from jupyter_ext.server.proxy import (
    EngineProxy,
)


class WebSocketMatches(PathMatches):
    """Matches a path only where the request asks for a WebSocket."""

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Match path and `Upgrade` header."""
        if request.headers.get("Upgrade", "").lower() != "websocket":
            return None
        return super().match(request)


def routes(
    base_url: str,
    engine: EngineProxy,
    static_dir: Path,
    static_files: Callable[[], Mapping[str, object]],
    seen: Seen = lambda _: None,
) -> list[Rule]:
    """Make the routes of one server.

    Args:
        base_url: The server's, with a slash at both ends.
        engine: The way to the engine.
        static_dir: The folder of the widget's built code.
        static_files: Gives the current names in that folder by role (`panel`, `plotly`).
        seen: Told each request that was let in and has reached the engine.
    """
    return [
        *(
            rule
            for prefix, starts in ((ENGINE_PREFIX, True), (RUNNING_PREFIX, False))
            for everything in [url_path_join(base_url, f"{prefix}(/.*)")]
            for given in [{"engine": engine, "starts": starts, "seen": seen}]
            for rule in (
                Rule(WebSocketMatches(everything), EngineWebSocketHandler, given),
                Rule(PathMatches(everything), EngineHandler, given),
            )
        ),
        Rule(
            PathMatches(url_path_join(base_url, "jupyter-ext/info")),
            InfoHandler,
            {"static_files": static_files, "engine": engine},
        ),
        Rule(
            PathMatches(url_path_join(base_url, "jupyter-ext/templates/([^/]+)")),
            TemplateHandler,
        ),
        Rule(
            PathMatches(url_path_join(base_url, "jupyter-ext/static/([^/]+)")),
            StaticHandler,
            {"directory": static_dir},
        ),
    ]
