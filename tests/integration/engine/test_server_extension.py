"""The server extension in a real Jupyter server, against a stand-in for the engine on a real Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import os
import socket
import warnings
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from jupyter_server.auth.authorizer import Authorizer
from jupyter_server.serverapp import ServerApp
from jupyter_server.utils import JupyterServerAuthWarning
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect
from tornado.httpserver import HTTPServer
from tornado.testing import bind_unused_port
from tornado.websocket import WebSocketHandler
from traitlets.config import Config
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jupyter_ext.errors import EngineStartError
from jupyter_ext.server import engine_handlers, proxy
from jupyter_ext.server.engine_process import EngineProcess, Locator
from jupyter_ext.server.extension import JupyterExtension
from jupyter_ext.server.lab_page import first_origin

TOKEN = "a-token-that-nobody-else-knows"
BASE_URL = "/user/a%40b/"
METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"]
MIB = 1024 * 1024


# --- the stand-in for the engine -------------------------------------------------------------------------------


async def echo(request: Request) -> Response:
    body = await request.body()
    return JSONResponse(
        {
            "method": request.method,
            "path": request.scope["raw_path"].decode(),
            "query": request.url.query,
            "headers": dict(request.headers),
            "bytes": len(body),
        },
        status_code=201 if request.method == "POST" else 200,
        headers={
            "Cache-Control": "no-store",
            "X-Engine": "yes",
            "Keep-Alive": "timeout=9",
            "Set-Cookie": "a=b",
        },
    )


async def columns(request: Request) -> Response:
    return Response(bytes(range(256)) * 4096, media_type="application/octet-stream")


async def refuse(request: Request) -> Response:
    problem = {"title": "Not found", "detail": "There is no training '7f3'.", "status": 404}
    return JSONResponse(problem, status_code=404, media_type="application/problem+json")


async def nothing(request: Request) -> Response:
    return Response(status_code=204)


async def endless(request: Request) -> Response:
    async def chunks() -> AsyncIterator[bytes]:
        try:
            while True:
                yield bytes(65536)
                request.app.state.sent_bytes += 65536
                await asyncio.sleep(0)  # sending to a peer that has gone suspends nothing
        finally:
            request.app.state.stream_ended.set()

    return StreamingResponse(chunks(), media_type="application/octet-stream")


async def half(request: Request) -> Response:
    """Promise 1000 bytes, send 10."""

    async def chunks() -> AsyncIterator[bytes]:
        yield bytes(10)

    return StreamingResponse(chunks(), headers={"Content-Length": "1000"})


async def repeat(websocket: WebSocket) -> None:
    """Send back what comes, text as text and bytes as bytes; `close 4001` closes with that code."""
    await websocket.accept()
    state = websocket.app.state
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            message = await websocket.receive()
            if message["type"] == "websocket.disconnect":
                state.close_code = message["code"]
                break
            if (text := message.get("text")) is not None:
                if text.startswith("close "):
                    await websocket.close(int(text.split()[1]), "as asked")
                    break
                await websocket.send_text(text)
            else:
                await websocket.send_bytes(message["bytes"])
    state.closed.set()


async def flood(websocket: WebSocket) -> None:
    """Send for ever, and count what could be sent."""
    await websocket.accept()
    with contextlib.suppress(WebSocketDisconnect):
        while True:
            await websocket.send_bytes(bytes(65536))
            websocket.app.state.sent_bytes += 65536
    websocket.app.state.closed.set()


async def refuse_websocket(websocket: WebSocket) -> None:
    status = int(websocket.query_params.get("status", 404))
    problem = {"title": "Not found", "detail": "There is no training '7f3'.", "status": status}
    await websocket.send_denial_response(JSONResponse(problem, status_code=status))


async def page(request: Request) -> Response:
    request.app.state.pages.append(await request.json())
    return Response(status_code=204)


def engine_app() -> Starlette:
    app = Starlette(
        routes=[
            Route("/native/columns", columns),
            Route("/native/refuse", refuse),
            Route("/native/nothing", nothing, methods=["DELETE"]),
            Route("/native/page", page, methods=["POST"]),
            Route("/native/endless", endless),
            Route("/native/half", half),
            WebSocketRoute("/native/repeat", repeat),
            WebSocketRoute("/native/flood", flood),
            WebSocketRoute("/native/refuse", refuse_websocket),
            Route("/{path:path}", echo, methods=METHODS),
        ]
    )
    app.state.pages = []
    app.state.closed = asyncio.Event()
    app.state.stream_ended = asyncio.Event()
    app.state.close_code = None
    app.state.sent_bytes = 0
    return app


@dataclass
class Found:
    socket_path: str


@dataclass
class Engine:
    """Starts and stops the stand-in, and is found like an engine."""

    socket_path: str
    app: Starlette = field(default_factory=engine_app)
    can_start: bool = True
    num_starts: int = 0
    server: uvicorn.Server | None = None
    serving: asyncio.Task[None] | None = None
    loop: asyncio.AbstractEventLoop | None = None

    def locator(self) -> Locator:
        self.loop = asyncio.get_running_loop()
        return Locator(find=self.find, ensure=self.ensure)

    def find(self) -> Found | None:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            try:
                probe.connect(self.socket_path)
            except OSError:
                return None
        return Found(self.socket_path)

    def ensure(self) -> Found:
        self.num_starts += 1
        if not self.can_start:
            raise EngineStartError("The engine cannot be started: the test does not want it.")
        assert self.loop is not None
        asyncio.run_coroutine_threadsafe(self.start(), self.loop).result(10)
        return Found(self.socket_path)

    async def start(self) -> None:
        Path(self.socket_path).unlink(missing_ok=True)
        config = uvicorn.Config(self.app, uds=self.socket_path, log_config=None, timeout_graceful_shutdown=1)
        self.server = uvicorn.Server(config)
        self.serving = asyncio.create_task(self.server._serve())
        await until(lambda: self.server is not None and self.server.started)

    async def stop(self) -> None:
        if self.server is not None and self.serving is not None:
            self.server.should_exit = True
            await self.serving
            self.server = None
            Path(self.socket_path).unlink(missing_ok=True)


async def until(condition: Callable[[], bool], timeout_s: float = 10.0) -> None:
    async with asyncio.timeout(timeout_s):
        while not condition():
            await asyncio.sleep(0.005)


# --- the real Jupyter server -----------------------------------------------------------------------------------


class QuietServerApp(ServerApp):
    """Leaves the test runner's signals and event loop policy alone."""

    def init_signal(self) -> None:
        pass

    def _init_asyncio_patch(self) -> None:
        pass


class Nobody(Authorizer):
    """Forbids everything below our resource."""

    def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
        return resource != "jupyter_ext"


@dataclass
class Server:
    port: int
    app: ServerApp
    extension: JupyterExtension

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}{BASE_URL}jupyter-ext/"

    def client(self, *, token: bool = True) -> httpx.AsyncClient:
        headers = {"Authorization": f"token {TOKEN}"} if token else {}
        return httpx.AsyncClient(base_url=self.url, headers=headers, trust_env=False, timeout=20)

    def websocket(self, path: str, *, token: bool = True, **options: Any) -> connect:
        headers = {"Authorization": f"token {TOKEN}"} if token else {}
        url = self.url.replace("http://", "ws://") + path
        return connect(url, additional_headers=headers, proxy=None, compression=None, **options)


@contextlib.asynccontextmanager
async def running_server(
    tmp_path: Path, engine: Engine, *, start_engine: bool = False, **settings: Any
) -> AsyncIterator[Server]:
    config = Config()
    config.IdentityProvider.token = TOKEN
    config.ServerApp.allow_unauthenticated_access = False
    config.ServerApp.update(settings)
    app = QuietServerApp(
        config=config, base_url=BASE_URL, root_dir=str(tmp_path), open_browser=False, allow_root=True, port=0
    )
    app.initialize(argv=[], find_extensions=False, new_httpserver=False)
    extension = JupyterExtension(locator=engine.locator(), start_engine=start_engine)
    extension._link_jupyter_server_extension(app)
    extension.initialize()
    sock, port = bind_unused_port(address="127.0.0.1")
    http_server = HTTPServer(app.web_app)
    http_server.add_sockets([sock])
    await extension._start_jupyter_server_extension(app)
    try:
        yield Server(port, app, extension)
    finally:
        await extension.stop_extension()
        http_server.stop()
        await http_server.close_all_connections()
        await app._cleanup()
        QuietServerApp.clear_instance()


@pytest.fixture(autouse=True)
def jupyter_dirs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("CONFIG_DIR", "DATA_DIR", "RUNTIME_DIR"):
        monkeypatch.setenv(f"JUPYTER_{name}", str(tmp_path / name.lower()))
    monkeypatch.setenv("JUPYTER_NO_CONFIG", "1")


@pytest.fixture
async def engine(engine_home: Any) -> AsyncIterator[Engine]:
    engine = Engine(str(engine_home.runtime_dir / "engine.sock"))
    yield engine
    await engine.stop()


@pytest.fixture
async def server(tmp_path: Path, engine: Engine) -> AsyncIterator[Server]:
    async with running_server(tmp_path, engine) as server:
        yield server


@contextlib.asynccontextmanager
async def logged_in(server: Server) -> AsyncIterator[httpx.AsyncClient]:
    """Return a client with cookies instead of the token, as a browser has it."""
    root = server.url.removesuffix("jupyter-ext/")
    async with server.client(token=False) as client:
        await client.get(f"{root}login")
        assert "_xsrf" in client.cookies
        assert (await client.get(f"{root}api/status?token={TOKEN}")).status_code == 200
        yield client


# --- who may ask -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("method", METHODS)
async def test_engine_refuses_strangers(server: Server, method: str) -> None:
    async with server.client(token=False) as client:
        answer = await client.request(method, "engine/native/trainings")
    assert answer.status_code == 403


@pytest.mark.parametrize("path", ["info", "static/panel.js"])
async def test_other_routes_refuse_strangers(server: Server, path: str) -> None:
    async with server.client(token=False) as client:
        answer = await client.get(path)
    assert answer.status_code == 403
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 403


async def test_websocket_refuses_strangers(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await server.websocket("engine/native/repeat", token=False)
    assert refusal.value.response.status_code == 403


async def test_websocket_takes_cookies_from_its_own_origin_only(server: Server) -> None:
    async with logged_in(server) as client:
        cookies = {"Cookie": "; ".join(f"{name}={value}" for name, value in client.cookies.items())}
    url = server.url.replace("http://", "ws://") + "engine/native/repeat"
    options = {"additional_headers": cookies, "proxy": None}
    with pytest.raises(InvalidStatus) as refusal:
        await connect(url, origin="http://evil.example", **options)
    assert refusal.value.response.status_code == 403
    async with connect(url, origin=f"http://127.0.0.1:{server.port}", **options) as websocket:
        await websocket.send("here")
        assert await websocket.recv() == "here"


async def test_cookie_without_xsrf_header_may_read_only(server: Server) -> None:
    async with logged_in(server) as client:
        assert (await client.get("engine/native/trainings")).status_code == 200
        refused = await client.post("engine/native/engine/stop", json={})
        assert refused.status_code == 403
        allowed = await client.post(
            "engine/native/engine/stop", json={}, headers={"X-XSRFToken": client.cookies["_xsrf"]}
        )
    assert allowed.status_code == 201


async def test_authorizer_is_asked(tmp_path: Path, engine: Engine) -> None:
    async with running_server(tmp_path, engine, authorizer_class=Nobody) as server:
        async with server.client() as client:
            for method in METHODS:
                assert (await client.request(method, "engine/native/trainings")).status_code == 403
            assert (await client.get("info")).status_code == 403
            assert (await client.get("static/panel.js")).status_code == 403
        with pytest.raises(InvalidStatus) as refusal:
            await server.websocket("engine/native/repeat")
        assert refusal.value.response.status_code == 403


async def test_authorizer_sees_the_action_of_each_request(tmp_path: Path, engine: Engine) -> None:
    """One user may look, another may also change, a third may run code; order must not matter."""
    asked: list[str] = []

    class Recorder(Authorizer):
        def is_authorized(self, handler: Any, user: Any, action: str, resource: str) -> bool:
            if resource == "jupyter_ext":
                asked.append(action)
            return action != "execute"

    async with (
        running_server(tmp_path, engine, authorizer_class=Recorder) as server,
        server.client() as client,
    ):
        wanted = {
            ("GET", "native/trainings"): ("read", 200),
            ("HEAD", "native/trainings"): ("read", 200),
            ("PATCH", "native/trainings/7f3"): ("write", 200),
            ("DELETE", "native/trainings/7f3"): ("write", 200),
            ("POST", "v1/trainings/7f3/cancel"): ("write", 201),
            ("POST", "native/trainings/7f3/resume"): ("execute", 403),
            ("POST", "native/sessions/7f3/call"): ("execute", 403),
            ("PUT", "native/trainings"): ("execute", 403),
            ("GET", "v1/webhooks/default/secret"): ("execute", 403),
        }
        for (method, path), (action, status) in wanted.items():
            assert (await client.request(method, f"engine/{path}")).status_code == status, path
            assert asked.pop() == action, path
        for path in ("v0/ws", "native/models/m/generate", "native/repeat", "native/trainings/a%2Fb/stream"):
            with pytest.raises(InvalidStatus) as refusal:
                await server.websocket(f"engine/{path}")
            assert (refusal.value.response.status_code, asked.pop()) == (403, "execute"), path
        with pytest.raises(InvalidStatus):  # the stand-in has no such stream, but it was asked
            await server.websocket("engine/native/trainings/7f3/stream")
        assert asked.pop() == "read"


METHOD_NAMES = ("get", "head", "post", "put", "patch", "delete")


def own_requests(server: Server) -> list[tuple[str, str, bool]]:
    """List every method of every route of ours: HTTP method, path, whether it is a WebSocket."""
    from jupyter_ext.server.routes import routes

    found = []
    for rule in routes("/", None, Path(), dict):  # type: ignore[arg-type]
        path = rule.matcher.regex.pattern.removeprefix("/jupyter-ext/").removesuffix("$")
        path = path.replace("(/.*)", "/native/repeat").replace("([^/]+)", "panel.js")
        is_socket = issubclass(rule.target, WebSocketHandler)
        names = [name for name in METHOD_NAMES if name in vars(rule.target)]
        assert names, rule
        found += [(name.upper(), path, is_socket) for name in names]
    return found


async def test_no_route_answers_strangers_the_forbidden_or_forgers(tmp_path: Path, engine: Engine) -> None:
    async def status_of(client: httpx.AsyncClient, method: str, path: str, is_socket: bool) -> int:
        headers = {"Upgrade": "websocket", "Connection": "Upgrade", "Sec-WebSocket-Version": "13"}
        headers |= {"Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==", "Origin": "http://evil.example"}
        answer = await client.request(method, path, headers=headers if is_socket else {})
        return answer.status_code

    async with running_server(tmp_path, engine) as server:
        wanted = own_requests(server)
        assert len(wanted) == 17
        async with server.client(token=False) as stranger, logged_in(server) as page:
            for method, path, is_socket in wanted:
                assert await status_of(stranger, method, path, is_socket) == 403, (method, path)
                if is_socket or method not in ("GET", "HEAD"):
                    assert await status_of(page, method, path, is_socket) == 403, (method, path)
    async with running_server(tmp_path, engine, authorizer_class=Nobody) as server, server.client() as client:
        for method, path, is_socket in wanted:
            assert await status_of(client, method, path, is_socket) == 403, (method, path)


async def test_every_method_is_decorated(tmp_path: Path, engine: Engine) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", JupyterServerAuthWarning)
        async with running_server(tmp_path, engine):
            pass


# --- what passes through ---------------------------------------------------------------------------------------


async def test_request_passes_as_it_came(server: Server) -> None:
    async with server.client() as client:
        answer = await client.post(
            f"engine/v1/models/a%2Fb/caf%C3%A9?x=1&token={TOKEN}&_xsrf=2|x&y=%20z",
            content=bytes(3 * MIB),
            headers={
                "Content-Type": "application/zip",
                "Cookie": "secret=1",
                "Connection": "keep-alive, X-Drop",
                "X-Drop": "1",
            },
        )
    seen = answer.json()
    assert answer.status_code == 201
    assert seen["method"] == "POST"
    assert seen["path"] == "/v1/models/a%2Fb/caf%C3%A9"
    assert seen["query"] == "x=1&y=%20z"
    assert seen["bytes"] == 3 * MIB
    assert seen["headers"]["content-type"] == "application/zip"
    assert not {"cookie", "authorization", "x-drop", "origin", "referer"} & set(seen["headers"])
    assert TOKEN not in answer.text


async def test_answer_passes_as_it_came(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get("engine/native/trainings")
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-engine"] == "yes"
    assert answer.headers["content-type"] == "application/json"
    assert not {"keep-alive", "transfer-encoding"} & set(answer.headers)
    assert "a" not in answer.cookies


async def test_binary_answer(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get("engine/native/columns")
    assert answer.content == bytes(range(256)) * 4096
    assert answer.headers["content-type"] == "application/octet-stream"
    assert answer.headers["content-length"] == str(MIB)


async def test_empty_answers(server: Server) -> None:
    async with server.client() as client:
        nothing = await client.delete("engine/native/nothing")
        head = await client.head("engine/native/columns")
    assert (nothing.status_code, nothing.content) == (204, b"")
    assert (head.status_code, head.content, head.headers["content-length"]) == (200, b"", str(MIB))


async def test_problem_passes_as_it_came(server: Server) -> None:
    async with server.client() as client:
        answer = await client.get("engine/native/refuse")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json() == {"title": "Not found", "detail": "There is no training '7f3'.", "status": 404}


async def test_a_cut_answer_is_not_feigned_whole(server: Server) -> None:
    async with server.client() as client:
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get("engine/native/half")


async def test_slow_reader_slows_the_engine_and_leaving_ends_it(server: Server, engine: Engine) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    try:
        await asyncio.to_thread(
            connection.request,
            "GET",
            f"{BASE_URL}jupyter-ext/engine/native/endless",
            headers={"Authorization": f"token {TOKEN}"},
        )
        await stands_still(engine)
        assert 0 < engine.app.state.sent_bytes < 64 * MIB
    finally:
        connection.close()
    await asyncio.wait_for(engine.app.state.stream_ended.wait(), 10)


async def stands_still(engine: Engine) -> None:
    """Wait until the engine could not send anything for a while: buffers on the way are full."""
    before = -1
    async with asyncio.timeout(60):
        while engine.app.state.sent_bytes == 0 or engine.app.state.sent_bytes != before:
            before = engine.app.state.sent_bytes
            await asyncio.sleep(0.3)


# --- WebSockets ------------------------------------------------------------------------------------------------


async def test_websocket_carries_text_and_bytes_both_ways(server: Server) -> None:
    async with server.websocket("engine/native/repeat?after_seq=0", max_size=None) as websocket:
        await websocket.send("žluťoučký")
        assert await websocket.recv() == "žluťoučký"
        await websocket.send(bytes(range(256)))
        assert await websocket.recv() == bytes(range(256))
        await websocket.send(bytes(5 * MIB))
        assert await websocket.recv() == bytes(5 * MIB)
        await websocket.send(engine_handlers.PING)
        assert await websocket.recv() == engine_handlers.PONG, "of the server itself; the engine repeats"


async def test_websocket_passes_the_engines_close_code(server: Server) -> None:
    async with server.websocket("engine/native/repeat") as websocket:
        await websocket.send("close 4001")
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    assert (websocket.close_code, websocket.close_reason) == (4001, "as asked")


async def test_websocket_passes_the_pages_close_code(server: Server, engine: Engine) -> None:
    async with server.websocket("engine/native/repeat") as websocket:
        await websocket.send("here")
        await websocket.recv()
        await websocket.close(4002)
    await asyncio.wait_for(engine.app.state.closed.wait(), 10)
    assert engine.app.state.close_code == 4002


async def test_websocket_of_a_vanished_page_is_closed(server: Server, engine: Engine) -> None:
    websocket: ClientConnection = await server.websocket("engine/native/repeat")
    await websocket.send("here")
    await websocket.recv()
    websocket.transport.abort()
    await asyncio.wait_for(engine.app.state.closed.wait(), 10)


async def test_websocket_says_when_the_engine_goes(server: Server, engine: Engine) -> None:
    async with server.websocket("engine/native/repeat") as websocket:
        await websocket.send("here")
        await websocket.recv()
        await engine.stop()
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    assert websocket.close_code in (1001, 1012)


async def test_websocket_refusal_is_the_engines(server: Server) -> None:
    with pytest.raises(InvalidStatus) as refusal:
        await server.websocket("engine/native/refuse")
    assert refusal.value.response.status_code == 404
    assert b"There is no training" in (refusal.value.response.body or b"")


async def refused(server: Server, path: str) -> tuple[int | None, str | None]:
    """Return with which code and reason a stream is closed, before anything has come."""
    async with server.websocket(path) as websocket:
        with pytest.raises(ConnectionClosed):
            await websocket.recv()
    return websocket.close_code, websocket.close_reason


async def test_a_page_is_told_why_there_is_no_room_for_its_stream(server: Server) -> None:
    assert await refused(server, "engine/native/refuse?status=503") == (4503, "There is no training '7f3'.")


async def test_slow_page_slows_the_engine(server: Server, engine: Engine) -> None:
    async with server.websocket("engine/native/flood", max_queue=1) as websocket:
        await stands_still(engine)
        assert 0 < engine.app.state.sent_bytes < 64 * MIB
        websocket.transport.abort()
    await asyncio.wait_for(engine.app.state.closed.wait(), 5)


# --- finding and starting the engine ---------------------------------------------------------------------------


async def test_engine_is_started_with_the_server_where_that_is_configured(
    tmp_path: Path, engine: Engine
) -> None:
    async with running_server(tmp_path, engine, start_engine=True):
        await until(lambda: engine.server is not None)
    assert engine.num_starts == 1


async def test_who_merely_looks_on_starts_no_engine(server: Server, engine: Engine) -> None:
    async with server.client() as client:
        assert (await client.get("info")).json()["engine"] == "stopped"
        for method in ("GET", "POST"):
            answer = await client.request(method, "running/native/engine")
            assert (answer.status_code, answer.json()["detail"]) == (503, "The engine is not running.")
        assert await refused(server, "running/native/repeat") == (4503, "The engine is not running.")
        assert engine.num_starts == 0

        assert (await client.get("engine/native/engine")).status_code == 200
        assert (await client.get("info")).json()["engine"] == "running"
        assert (await client.get("running/native/engine?x=1")).json()["query"] == "x=1"
        async with server.websocket("running/native/repeat") as websocket:
            await websocket.send("here")
            assert await websocket.recv() == "here"
        await engine.stop()
        assert (await client.get("running/native/engine")).status_code == 503
        assert (await client.get("info")).json()["engine"] == "stopped"
    assert engine.num_starts == 1


async def test_a_running_engine_is_taken(tmp_path: Path, engine: Engine) -> None:
    await engine.start()
    async with running_server(tmp_path, engine) as server, server.client() as client:
        assert (await client.get("engine/native/engine")).status_code == 200
    assert engine.num_starts == 0


async def test_many_requests_start_one_engine(server: Server, engine: Engine) -> None:
    async with server.client() as client:
        answers = await asyncio.gather(*(client.get("engine/native/engine") for _ in range(20)))
    assert [answer.status_code for answer in answers] == [200] * 20
    assert engine.num_starts == 1


async def test_no_engine_is_a_problem_until_there_is_one(tmp_path: Path, engine: Engine) -> None:
    engine.can_start = False
    async with running_server(tmp_path, engine) as server, server.client() as client:
        for _ in range(3):
            answer = await client.get("engine/native/engine")
            assert answer.status_code == 503
            assert answer.headers["content-type"] == "application/problem+json"
            assert answer.headers["cache-control"] == "no-store"
            assert answer.json() == {
                "title": "Service Unavailable",
                "detail": "The engine cannot be started: the test does not want it.",
                "status": 503,
            }
        assert engine.num_starts == 1
        assert await refused(server, "engine/native/repeat") == (
            4503,
            "The engine cannot be started: the test does not want it.",
        )
        assert engine.num_starts == 1

        await engine.start()
        assert (await client.get("engine/native/engine")).status_code == 200
        async with server.websocket("engine/native/repeat") as websocket:
            await websocket.send("here")
            assert await websocket.recv() == "here"


@pytest.mark.parametrize("method", METHODS)
async def test_engine_that_went_away_is_found_again(server: Server, engine: Engine, method: str) -> None:
    async with server.client() as client:
        assert (await client.get("engine/native/engine")).status_code == 200
        await engine.stop()
        await engine.start()
        assert (await client.request(method, "engine/native/engine")).status_code in (200, 201)
        async with server.websocket("engine/native/repeat") as websocket:
            await websocket.send("here")
            assert await websocket.recv() == "here"


@pytest.fixture
async def lab(server: Server) -> Server:
    """Return a server that has JupyterLab, as the engine should learn."""
    server.extension.lab_page._has_lab = lambda: True
    return server


async def test_the_engine_learns_where_jupyterlab_is(lab: Server, engine: Engine) -> None:
    async with lab.client() as client:
        await client.get("engine/native/nothing-else?key=secret", headers={"Host": "localhost:8888"})
        await until(lambda: bool(engine.app.state.pages))
        told = engine.app.state.pages[-1]
        assert told["url"] == f"http://localhost:8888{BASE_URL}lab"
        assert told["pid"] == os.getpid()
        num_told = len(engine.app.state.pages)
        await client.get(
            "engine/native/columns", headers={"Host": "localhost:8888"}
        )  # told once, not with each request
        async with lab.websocket("engine/native/repeat"):  # a page that asks at another address
            await until(lambda: len(engine.app.state.pages) > num_told)
    assert [page["url"] for page in engine.app.state.pages[num_told:]] == [
        f"http://127.0.0.1:{lab.port}{BASE_URL}lab"
    ]
    assert "secret" not in json.dumps(engine.app.state.pages)


async def test_another_engine_learns_it_too(lab: Server, engine: Engine) -> None:
    async with lab.client() as client:
        await client.get("engine/native/columns")
        await until(lambda: bool(engine.app.state.pages))
        await engine.stop()
        engine.app.state.pages.clear()
        await engine.start()
        await client.get("engine/native/columns")
        await until(lambda: bool(engine.app.state.pages))


async def test_nobody_learns_of_a_page_that_is_not_there(server: Server, lab: Server, engine: Engine) -> None:
    async with lab.client(token=False) as stranger:
        assert (await stranger.get("engine/native/columns", headers={"Host": "evil.example"})).is_error
    server.extension.lab_page._has_lab = lambda: False
    async with server.client() as client:
        await client.get("engine/native/columns")
    assert lab.extension.lab_page._telling is not None
    await lab.extension.lab_page._telling
    assert engine.app.state.pages == []


@pytest.mark.parametrize(
    ("display", "connection", "environ", "origin"),
    [
        ("", "http://myhost:8888/", {}, "http://myhost:8888"),
        (
            "https://me:pw@lab.example/x/?token=t",
            "http://127.0.0.1:8888/",
            {},
            "https://lab.example",
        ),
        ("", "http+unix://%2Ftmp%2Fsock/", {}, None),
        ("", "http://localhost:0/", {}, None),
        ("", "http://127.0.0.1:8888/user/a/", {"JUPYTERHUB_SERVICE_PREFIX": "/user/a/"}, None),
        (
            "",
            "http://127.0.0.1:8888/user/a/",
            {"JUPYTERHUB_SERVICE_PREFIX": "/user/a/", "JUPYTERHUB_PUBLIC_URL": "https://hub.example/user/a/"},
            "https://hub.example",
        ),
    ],
)
def test_where_a_server_is_before_any_page_has_asked(
    display: str, connection: str, environ: dict[str, str], origin: str | None
) -> None:
    server = SimpleNamespace(custom_display_url=display, connection_url=connection)
    assert first_origin(server, environ) == origin  # type: ignore[arg-type]


async def test_start_is_tried_again_after_a_while(engine: Engine) -> None:
    engine.can_start = False
    process = EngineProcess(engine.locator(), start_interval_s=0.05)
    with pytest.raises(EngineStartError):
        await process.socket_path()
    engine.can_start = True
    await asyncio.sleep(0.06)
    assert await process.socket_path() == engine.socket_path
    assert engine.num_starts == 2


async def test_a_broken_off_post_is_not_repeated(tmp_path: Path, engine: Engine) -> None:
    """A socket that reads a request and hangs up: a GET comes twice, a POST once."""
    methods: list[bytes] = []

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if line := await reader.readline():
            methods.append(line.split()[0])
            await reader.readuntil(b"\r\n\r\n")
        writer.close()

    async with await asyncio.start_unix_server(hang_up, engine.socket_path):
        async with running_server(tmp_path, engine) as server, server.client() as client:
            posted = await client.post("engine/native/engine/stop")
            gotten = await client.get("engine/native/engine")
    assert (posted.status_code, gotten.status_code) == (503, 503)
    assert "Look whether it took effect" in posted.json()["detail"]
    assert methods == [b"POST", b"GET", b"GET"]


# --- the extension's own answers -------------------------------------------------------------------------------


async def test_info_names_files_that_are_served_for_ever(server: Server) -> None:
    async with server.client() as client:
        info = (await client.get("info")).json()
        assert info["protocol"] == 1
        assert set(info["static"]) == {"panel", "plotly"}
        for name in info["static"].values():
            answer = await client.get(f"static/{name}")
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/javascript")
            assert "immutable" in answer.headers["cache-control"]
            assert answer.content


@pytest.mark.parametrize(
    "name",
    [
        "nothing.js",
        "manifest.json",
        "..%2f__init__.py",
        "..%2f..%2f..%2fpyproject.toml",
        "%2e%2e/__init__.py",
        "%2fetc%2fpasswd",
        "..%5c__init__.py",
        "panel.js%00",
        "..",
    ],
)
async def test_only_listed_files_are_served(server: Server, name: str) -> None:
    """Sent raw, since a client library would tidy the path."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    request = f"GET {BASE_URL}jupyter-ext/static/{name} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: token {TOKEN}\r\n"
    writer.write(f"{request}Connection: close\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith((b"HTTP/1.1 404", b"HTTP/1.1 400"))
    assert b"root:" not in answer
    assert b"def " not in answer


async def test_a_body_over_the_limit_is_refused_before_the_engine_hears_of_it(server: Server) -> None:
    async with server.client() as client:
        taken = await client.post("engine/native/versions", content=bytes(proxy.MAX_BODY_BYTES))
        refused = await client.post("engine/native/versions", content=bytes(proxy.MAX_BODY_BYTES + 1))
    assert (taken.status_code, taken.json()["bytes"]) == (201, proxy.MAX_BODY_BYTES)
    assert refused.status_code == 413
    assert "at most 67108864" in refused.json()["detail"]
