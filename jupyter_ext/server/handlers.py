"""What every handler of the extension shares: who may, and how a problem is told.

Rule: every method is authenticated *and* `permitted`, which asks Jupyter's authorizer for what `actions` says of this request.
Jupyter's own `authorized` is not used: it remembers the action of the first request that it sees.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Coroutine
from functools import wraps
from http import HTTPStatus
from typing import Any

import tornado.web
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.utils import ensure_async
from tornado.httputil import HTTPServerRequest
from tornado.websocket import WebSocketHandler

from jupyter_ext.server.actions import action_of

AUTH_RESOURCE = "jupyter_ext"
ENGINE_PREFIX = "/jupyter-ext/engine"
RUNNING_PREFIX = "/jupyter-ext/running"
"""Below it the same engine answers, but is not started: a page that is merely open asks here."""
PROBLEM_TYPE = "application/problem+json"


def permitted(method: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Let a handler's method run only where Jupyter's authorizer allows its user what this request does."""

    @wraps(method)
    async def checked(self: JupyterHandler, *args: Any) -> None:
        request = self.request
        is_websocket = isinstance(self, WebSocketHandler)
        verb = "WEBSOCKET" if is_websocket else request.method or ""
        action = action_of(verb, engine_path(request) or "/")
        if not self.current_user or not await ensure_async(
            self.authorizer.is_authorized(self, self.current_user, action, AUTH_RESOURCE)
        ):
            raise tornado.web.HTTPError(403, f"You are not allowed to {action} on {AUTH_RESOURCE}.")
        await method(self, *args)

    return checked


class JupyterExtHandler(APIHandler):
    """What the HTTP routes share: problems instead of Jupyter's error bodies, and the answer's own content type."""

    auth_resource = AUTH_RESOURCE

    def finish(self, *args: Any, **kwargs: Any) -> Any:
        """End the answer with the content type that was set, where `APIHandler` insists on JSON."""
        kwargs.setdefault("set_content_type", self._headers.get("Content-Type", "application/json"))
        return super().finish(*args, **kwargs)

    def write_error(self, status_code: int, **kwargs: Any) -> None:
        """Answer with a problem."""
        error = kwargs.get("exc_info", (None, None, None))[1]
        detail = error.log_message if isinstance(error, tornado.web.HTTPError) else None
        self.write_problem(status_code, detail or self._reason)

    def write_problem(self, status: int, detail: str) -> None:
        """End the answer with a problem, in one line that names the next step."""
        self.set_status(status)
        self.set_header("Content-Type", PROBLEM_TYPE)
        self.set_header("Cache-Control", "no-store")
        self.finish(json.dumps({"title": HTTPStatus(status).phrase, "detail": detail, "status": status}))


_PREFIX = re.compile(f"{ENGINE_PREFIX}|{RUNNING_PREFIX}")


def engine_path(request: HTTPServerRequest) -> str:
    """Return the path that a request has on the engine, or none where it is not for the engine."""
    found = _PREFIX.search(request.path)
    return request.path[found.end() :] if found else ""
