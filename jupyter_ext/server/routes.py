"""The extension's HTTP and WebSocket routes below `<base_url>jupyter-ext/`.

Rule: every method is authenticated *and* `permitted`, which asks Jupyter's authorizer for what `actions` says of this request.
Jupyter's own `authorized` is not used: it remembers the action of the first request that it sees.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import wraps
from http import HTTPStatus
from pathlib import Path
from typing import Any

import httpx
import tornado.web
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import APIHandler, JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from jupyter_server.utils import ensure_async, url_path_join
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.routing import PathMatches, Rule
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from jupyter_ext import __version__
from jupyter_ext.config import PROTOCOL_VERSION
from jupyter_ext.errors import EngineError
from jupyter_ext.server.actions import action_of
from jupyter_ext.server.proxy import (
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    EngineGone,
    EngineProxy,
    engine_target,
    request_headers,
    response_headers,
)
from jupyter_ext.server.templates import TEMPLATES, template

Seen = Callable[[HTTPServerRequest], None]

AUTH_RESOURCE = "jupyter_ext"
ENGINE_PREFIX = "/jupyter-ext/engine"
RUNNING_PREFIX = "/jupyter-ext/running"
"""Below it the same engine answers, but is not started: a page that is merely open asks here."""
PROBLEM_TYPE = "application/problem+json"

UNSENDABLE_CLOSE_CODES = {1005: 1000, 1006: 1012, 1015: 1012}
"""RFC 6455 section 7.4.1: they say that no code came. 1012 (restarted) tells the page to try again."""


def permitted(method: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., Coroutine[Any, Any, None]]:
    """Let a handler's method run only where Jupyter's authorizer allows its user what this request does."""

    @wraps(method)
    async def checked(self: JupyterHandler, *args: Any) -> None:
        request = self.request
        is_websocket = isinstance(self, WebSocketHandler)
        verb = "WEBSOCKET" if is_websocket else request.method or ""
        action = action_of(verb, _engine_path(request) or "/")
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


class EngineHandler(JupyterExtHandler):
    """Anything `engine/…` that is not a WebSocket."""

    def initialize(self, engine: EngineProxy, starts: bool, seen: Seen) -> None:
        """Take what the route was given."""
        self.engine = engine if starts else engine.without_start()
        self.seen = seen
        self.passing: asyncio.Task[None] | None = None

    def on_connection_close(self) -> None:
        """Let go of the engine when the page has gone; a pending `flush` would never end by itself."""
        if self.passing is not None:
            self.passing.cancel()

    @tornado.web.authenticated
    @permitted
    async def get(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    @tornado.web.authenticated
    @permitted
    async def head(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    @tornado.web.authenticated
    @permitted
    async def post(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    @tornado.web.authenticated
    @permitted
    async def put(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    @tornado.web.authenticated
    @permitted
    async def patch(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    @tornado.web.authenticated
    @permitted
    async def delete(self, _path: str) -> None:
        """Pass through."""
        await self._pass_through()

    async def _pass_through(self) -> None:
        self.passing = asyncio.create_task(self._ask_engine())
        await asyncio.wait([self.passing])
        if not self.passing.cancelled():
            self.passing.result()

    async def _ask_engine(self) -> None:
        body = self.request.body
        if len(body) > MAX_BODY_BYTES:
            self.write_problem(
                413, f"The body has {len(body)} bytes; at most {MAX_BODY_BYTES} are passed on."
            )
            return
        method = self.request.method or "GET"
        target = _target(self.request)
        headers = request_headers(self.request.headers.get_all())
        try:
            async with self.engine.request(method, target, headers, body) as response:
                self.seen(self.request)
                await self._send_on(response)
        except EngineError as error:
            self.write_problem(503, str(error))
        except EngineGone as error:
            self.write_problem(503, f"{error} Look whether it took effect, then try again.")
        except httpx.TimeoutException:
            self.write_problem(
                504, f"The engine did not answer {method} {target} in time; see `%engine log`."
            )
        except httpx.InvalidURL as error:
            self.write_problem(400, f"{target!r} is no path on the engine: {error}.")

    async def _send_on(self, response: httpx.Response) -> None:
        self.set_status(response.status_code, response.reason_phrase or None)
        self.clear_header("Content-Type")
        headers = response_headers(response.headers.multi_items())
        for key in {key for key, _ in headers}:
            self.clear_header(key)
        for key, value in headers:
            self.add_header(key, value)
        try:
            async for chunk in response.aiter_raw():
                self.write(chunk)
                await self.flush()
            await self.finish()
        except StreamClosedError:
            return  # the page went away; leaving closes the engine's side too
        except httpx.HTTPError as error:
            self.log.warning(
                "jupyter_ext: the engine broke off its answer to %s: %r", self.request.path, error
            )
            if self._headers_written:
                self.detach().close()  # a whole answer must not be feigned
            else:
                self._headers.pop("Content-Length", None)
                self.write_problem(503, "The engine broke off its answer; try again.")


class EngineWebSocketHandler(WebSocketMixin, WebSocketHandler, JupyterHandler):
    """Anything `engine/…` that asks for a WebSocket. The engine is asked first, so that its refusal is the answer."""

    auth_resource = AUTH_RESOURCE
    max_message_size = MAX_MESSAGE_BYTES

    def initialize(self, engine: EngineProxy, starts: bool, seen: Seen) -> None:
        """Take what the route was given."""
        self.engine = engine if starts else engine.without_start()
        self.seen = seen
        self.upstream: ClientConnection | None = None
        self.pump: asyncio.Task[None] | None = None

    def set_default_headers(self) -> None:
        """Set none: a handshake has no content."""

    @ws_authenticated
    @permitted
    async def get(self, _path: str) -> None:
        """Open the engine's side, then the page's."""
        if not self.check_origin():
            raise tornado.web.HTTPError(403)
        try:
            self.upstream = await self.engine.open(_target(self.request))
        except InvalidStatus as refusal:
            self._answer(refusal.response.status_code, bytes(refusal.response.body or b""))
            return
        except EngineError as error:
            self._answer_problem(503, str(error))
            return
        except (OSError, InvalidHandshake, TimeoutError) as error:
            self._answer_problem(503, f"The engine did not take the connection ({error}); try again.")
            return
        self.seen(self.request)
        try:
            await super().get(_path)
        finally:
            await self._close_upstream()

    async def open(self, _path: str) -> None:
        """Begin to send on what the engine sends."""
        super().open()
        self.set_nodelay(True)
        self.pump = asyncio.create_task(self._pump())

    async def on_message(self, message: str | bytes) -> None:
        """Send on what the page sends; tornado reads the next message when this is done."""
        if self.upstream is not None:
            try:
                await self.upstream.send(message)
            except ConnectionClosed:
                return  # the pump sees it too and closes with the engine's code

    def on_close(self) -> None:
        """Stop reading from the engine; `get` then closes its side."""
        if self.pump is not None:
            self.pump.cancel()

    async def _pump(self) -> None:
        upstream = self.upstream
        assert upstream is not None
        try:
            with suppress(ConnectionClosed):
                async for message in upstream:
                    await self.write_message(message, binary=isinstance(message, bytes))
        except WebSocketClosedError:
            return
        code = upstream.close_code or 1006
        self.close(UNSENDABLE_CLOSE_CODES.get(code, code), upstream.close_reason or None)

    async def _close_upstream(self) -> None:
        if self.pump is not None:
            self.pump.cancel()
        if self.upstream is not None:
            code = self.close_code or 1001
            await self.upstream.close(
                1001 if code in UNSENDABLE_CLOSE_CODES else code, self.close_reason or ""
            )

    def _answer(self, status: int, body: bytes) -> None:
        self.set_status(status)
        self.set_header("Content-Type", PROBLEM_TYPE)
        self.finish(body)

    def _answer_problem(self, status: int, detail: str) -> None:
        problem = {"title": HTTPStatus(status).phrase, "detail": detail, "status": status}
        self._answer(status, json.dumps(problem).encode())


class InfoHandler(JupyterExtHandler):
    """`GET info`: what a widget's loader asks first."""

    def initialize(self, static_files: Callable[[], Mapping[str, object]], engine: EngineProxy) -> None:
        """Take what the route was given."""
        self.static_files = static_files
        self.engine = engine

    @tornado.web.authenticated
    @permitted
    async def get(self) -> None:
        """Answer with versions, the names of the static files, and whether an engine runs."""
        self.set_header("Cache-Control", "no-store")
        self.finish(
            {
                "version": __version__,
                "protocol": PROTOCOL_VERSION,
                "static": dict(self.static_files()),
                "engine": "running" if await self.engine.is_running() else "stopped",
            }
        )


class TemplateHandler(JupyterExtHandler):
    """`GET templates/<name>`: a notebook to start from."""

    @tornado.web.authenticated
    @permitted
    async def get(self, name: str) -> None:
        """Answer with the notebook's JSON."""
        found = await asyncio.to_thread(template, name)
        if found is None:
            self.write_problem(404, f"There is no template {name!r}; there are {', '.join(TEMPLATES)}.")
            return
        self.finish(found)


class StaticHandler(JupyterExtHandler):
    """`GET static/<name>`: the widget's code. Names carry a hash, so the browser keeps a file for ever."""

    def initialize(self, directory: Path) -> None:
        """Take what the route was given."""
        self.directory = directory

    @tornado.web.authenticated
    @permitted
    async def get(self, name: str) -> None:
        """Answer with the file, compressed where that was prepared and the browser takes it."""
        path = _listed(self.directory, name)
        if path is None:
            self.write_problem(
                404, f"There is no file {name!r}; reload the page to get the names of this version."
            )
            return
        packed = path.with_name(f"{path.name}.gz")
        self.set_header("Vary", "Accept-Encoding")
        if packed.is_file() and "gzip" in self.request.headers.get("Accept-Encoding", ""):
            path = packed
            self.set_header("Content-Encoding", "gzip")
        self.set_header("Content-Type", _CONTENT_TYPES[Path(name).suffix])
        self.set_header("Cache-Control", "private, max-age=31536000, immutable")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(await asyncio.to_thread(path.read_bytes))


_CONTENT_TYPES = {
    ".js": "text/javascript; charset=utf-8",
    ".map": "application/json",
    ".css": "text/css; charset=utf-8",
}


def _listed(directory: Path, name: str) -> Path | None:
    """Find a file by comparing names, so that no request becomes a path."""
    if Path(name).suffix not in _CONTENT_TYPES or not directory.is_dir():
        return None
    return next((entry for entry in directory.iterdir() if entry.name == name and entry.is_file()), None)


_PREFIX = re.compile(f"{ENGINE_PREFIX}|{RUNNING_PREFIX}")


def _engine_path(request: HTTPServerRequest) -> str:
    found = _PREFIX.search(request.path)
    return request.path[found.end() :] if found else ""


def _target(request: HTTPServerRequest) -> str:
    return engine_target(_engine_path(request), request.query)


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
