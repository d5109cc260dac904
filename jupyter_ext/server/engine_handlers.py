"""`engine/…` and `running/…`: requests and WebSockets that are passed on to the engine, byte for byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from http import HTTPStatus

import httpx
import tornado.web
from jupyter_server.auth.decorator import ws_authenticated
from jupyter_server.base.handlers import JupyterHandler
from jupyter_server.base.websocket import WebSocketMixin
from tornado.httputil import HTTPServerRequest
from tornado.iostream import StreamClosedError
from tornado.websocket import WebSocketClosedError, WebSocketHandler
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from jupyter_ext.errors import EngineError
from jupyter_ext.protocol import stream_ends
from jupyter_ext.server.handlers import AUTH_RESOURCE, PROBLEM_TYPE, JupyterExtHandler, engine_path, permitted
from jupyter_ext.server.proxy import (
    MAX_BODY_BYTES,
    MAX_MESSAGE_BYTES,
    EngineGone,
    EngineProxy,
    engine_target,
    request_headers,
    response_headers,
)

Seen = Callable[[HTTPServerRequest], None]

UNSENDABLE_CLOSE_CODES = {1005: 1000, 1006: 1012, 1015: 1012}
"""RFC 6455 section 7.4.1: they say that no code came. 1012 (restarted) tells the page to try again."""

PING, PONG = "jupyter-ext:ping", "jupyter-ext:pong"
"""What a page asks on a silent stream, and the answer: its line still carries. The engine does not hear of it. The same words
are in `widgets/src/transport/line_watch.ts`."""


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
    """Anything `engine/…` that asks for a WebSocket. The engine is asked first, so that its refusal is the answer.

    What may be different later is told by the closing frame of an opened stream, as a page cannot read the answer to a handshake.
    """

    auth_resource = AUTH_RESOURCE
    max_message_size = MAX_MESSAGE_BYTES

    def initialize(self, engine: EngineProxy, starts: bool, seen: Seen) -> None:
        """Take what the route was given."""
        self.engine = engine if starts else engine.without_start()
        self.seen = seen
        self.upstream: ClientConnection | None = None
        self.pump: asyncio.Task[None] | None = None
        self.unavailable = ""

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
            status, body = refusal.response.status_code, bytes(refusal.response.body or b"")
            if status != HTTPStatus.SERVICE_UNAVAILABLE:
                self._answer(status, body)
                return
            self.unavailable = stream_ends.refusal_of(body) or "The engine takes no more streams now."
        except EngineError as error:
            self.unavailable = str(error)
        except (OSError, InvalidHandshake, TimeoutError) as error:
            self.unavailable = f"The engine did not take the connection ({error})."
        else:
            self.seen(self.request)
        try:
            await super().get(_path)
        finally:
            await self._close_upstream()

    async def open(self, _path: str) -> None:
        """Begin to send on what the engine sends, or say why it sends nothing."""
        super().open()
        if self.upstream is None:
            self.close(stream_ends.UNAVAILABLE, stream_ends.reason_of(self.unavailable))
            return
        self.set_nodelay(True)
        self.pump = asyncio.create_task(self._pump())

    async def on_message(self, message: str | bytes) -> None:
        """Send on what the page sends; tornado reads the next message when this is done."""
        if message == PING:
            with suppress(WebSocketClosedError):
                await self.write_message(PONG)
        elif self.upstream is not None:
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


def _target(request: HTTPServerRequest) -> str:
    return engine_target(engine_path(request), request.query)
