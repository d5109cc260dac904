"""What a stranger on an open port can cost: little time, memory and few descriptors, and the user's own socket nothing."""

from __future__ import annotations

import asyncio
import errno
import resource
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from jupyter_ext.config import EngineSettings
from jupyter_ext.engine.api.decthings.rpc.dispatch import Rpc
from jupyter_ext.engine.api.decthings.rpc.websocket import WebSocketAPI
from jupyter_ext.engine.api.http import connections
from jupyter_ext.engine.api.http.problems import on_slip
from jupyter_ext.engine.assembly.ports import Ports
from jupyter_ext.engine.common import descriptors, health
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks
from jupyter_ext.protocol.decthings.framing import encode_call


class Api:
    def routes(self) -> list[BaseRoute]:
        return [
            Route("/native/engine", self.get, methods=["GET", "POST"]),
            WebSocketRoute("/native/sizes", self.sizes),
            *WebSocketAPI(Rpc({})).routes(),
        ]

    async def get(self, request: Request) -> JSONResponse:
        return JSONResponse({"bytes": len(await request.body())})

    async def sizes(self, socket: WebSocket) -> None:
        await socket.accept()
        async for data in socket.iter_bytes():
            await socket.send_text(str(len(data)))


@pytest.fixture
async def ports(engine_home: Any) -> AsyncIterator[Ports]:
    links, api = SignedLinks(b"k" * 32), Api()
    ports = Ports(EngineSettings(60.0, ()), engine_home.runtime_dir / "token", links, [api], [api])
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.bind(str(engine_home.runtime_dir / "engine.sock"))
    listener.listen()
    await ports.open_socket(listener)
    await ports.listen(0)
    yield ports
    await ports.close()


def stranger(ports: Ports, text: bytes = b"") -> socket.socket:
    peer = socket.create_connection(("127.0.0.1", int((ports.url or "").rsplit(":", 1)[1])))
    peer.settimeout(20)
    peer.sendall(text)
    return peer


async def ended(peer: socket.socket) -> bytes:
    """Return what still came before the other side closed; raises `TimeoutError` where it does not."""

    def read() -> bytes:
        data = b""
        try:
            while chunk := peer.recv(65536):
                data += chunk
        except ConnectionResetError:
            pass
        return data

    with peer:
        return await asyncio.to_thread(read)


async def exchange(socket: Any, data: bytes) -> Any:
    """Send and wait for the answer; either may find that the other side has closed."""
    await socket.send(data)
    return await socket.recv()


async def own_answer(engine_home: Any) -> int:
    transport = httpx.AsyncHTTPTransport(uds=str(engine_home.runtime_dir / "engine.sock"))
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=10) as client:
        return (await client.get("/native/engine")).status_code


@pytest.mark.parametrize("sent", [b"", b"GET /native/engine HTTP/1.1\r\nHost: 127"])
async def test_who_does_not_finish_the_headers_is_let_go(
    ports: Ports, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    monkeypatch.setattr(connections, "HEADERS_TIMEOUT_S", 0.05)
    assert await ended(stranger(ports, sent)) == b""


async def test_a_refusal_ends_the_connection_whatever_body_was_announced(ports: Ports) -> None:
    head = b"POST /native/engine HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 1000000\r\n\r\n"
    answer = await ended(stranger(ports, head))
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer.lower()


async def test_connections_are_capped_and_descriptors_stay_for_the_users_socket(
    ports: Ports, engine_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    limits = (4 * (connections.BACKLOG + 8), 4096)
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    assert connections.max_connections() == 8
    held = [await asyncio.to_thread(stranger, ports) for _ in range(40)]
    assert await own_answer(engine_home) == 200
    closed = 0
    for peer in held:
        peer.setblocking(False)  # one that was reset tells so once, then that it has ended
    async with asyncio.timeout(60):
        while closed < 32:
            closed = 0
            for peer in held:
                try:
                    closed += peer.recv(1) == b""
                except BlockingIOError:
                    continue
                except ConnectionResetError:
                    closed += 1
            await asyncio.sleep(0.01)
    assert closed == 32
    for peer in held:
        peer.close()


def test_the_cap_leaves_half_of_the_descriptors(monkeypatch: pytest.MonkeyPatch) -> None:
    for soft in (256, 1024, 65536, resource.RLIM_INFINITY):
        monkeypatch.setattr(resource, "getrlimit", lambda _, soft=soft: (soft, soft))
        cap = connections.max_connections()
        assert 1 <= cap <= connections.MAX_CONNECTIONS
        if soft != resource.RLIM_INFINITY:
            assert 2 * (cap + connections.BACKLOG) <= soft / 2


async def test_frames_are_small_until_a_key_was_shown(ports: Ports) -> None:
    url, token = await ports.listen(0)
    address = url.replace("http", "ws") + "/v0/ws"
    large = encode_call(1, {"api": "User", "method": "x", "apiKey": "wrong", "params": {}}, [bytes(17 << 20)])
    async with connect(address, proxy=None) as socket:
        assert socket.response is not None
        assert "Sec-WebSocket-Extensions" not in socket.response.headers, "nothing is inflated"
        with pytest.raises(ConnectionClosed):
            await exchange(socket, large)
        assert socket.close_code == 1009
    async with connect(address, proxy=None, max_size=None) as socket:
        await socket.send(encode_call(1, {"api": "User", "method": "x", "apiKey": token, "params": {}}, []))
        await socket.recv()
        await socket.send(large)
        assert b"bad_credentials" in await socket.recv(), "it was read and answered"


async def test_a_key_in_the_handshake_opens_large_frames(ports: Ports) -> None:
    url, token = await ports.listen(0)
    headers = {"Authorization": f"Bearer {token}"}
    async with connect(
        url.replace("http", "ws") + "/native/sizes", proxy=None, additional_headers=headers
    ) as socket:
        await socket.send(bytes(3 << 20))
        assert await socket.recv() == str(3 << 20)


async def test_pieces_port_has_small_frames_for_good(ports: Ports) -> None:
    url = await ports.listen_as_pieces()
    async with connect(url.replace("http", "ws") + "/native/sizes", proxy=None) as socket:
        await socket.send(bytes(1000))
        assert await socket.recv() == "1000"
        with pytest.raises(ConnectionClosed):
            await exchange(socket, bytes(2 << 20))


async def test_a_websocket_without_a_key_ends(ports: Ports, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "KEY_TIMEOUT_S", 0.05)
    url, _ = await ports.listen(0)
    async with connect(url.replace("http", "ws") + "/v0/ws", proxy=None) as silent:
        with pytest.raises(ConnectionClosed):
            await silent.recv()
        assert silent.close_code == 1008


async def test_the_users_socket_keeps_idle_connections_longer_than_clients_do(ports: Ports) -> None:
    from jupyter_ext.engine_process import socket_transport

    assert {server.config.timeout_keep_alive for server, _ in ports._servers} == {connections.KEEP_ALIVE_S}
    assert connections.KEEP_ALIVE_S > 5 > socket_transport.KEEP_ALIVE_S, "httpx and aiohttp keep 5 and 15 s"


async def test_strangers_may_send_only_so_much_together(
    ports: Ports, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, token = await ports.listen(0)
    address = url.replace("http", "ws") + "/v0/ws"

    def call(key: str) -> bytes:
        return encode_call(1, {"api": "User", "method": "x", "apiKey": key, "params": {}}, [bytes(700_000)])

    monkeypatch.setattr(connections, "STRANGERS_BYTES", 1_000_000)
    async with connect(address, proxy=None) as known, connect(address, proxy=None) as other:
        for _ in range(3):  # whoever has shown the key is no stranger
            await known.send(call(token))
            await known.recv()
        await other.send(call("wrong"))
        assert b"bad_credentials" in await other.recv()
        async with connect(address, proxy=None) as third:
            with pytest.raises(ConnectionClosed):
                await exchange(third, call("wrong"))


async def test_viewers_leave_room_for_requests_and_one_too_many_is_told_so(
    ports: Ports, engine_home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(descriptors, "limit", lambda: 16)
    path = str(engine_home.runtime_dir / "engine.sock")

    async def viewer() -> ClientConnection:
        return await unix_connect(path, "ws://engine/native/sizes")

    viewers = [await viewer() for _ in range(descriptors.num_for_viewers())]
    with pytest.raises(InvalidStatus) as refused:
        await viewer()
    assert refused.value.response.status_code == 503
    assert b"Close views" in (refused.value.response.body or b"")
    assert descriptors.describe_viewers() in health.lines()
    assert await own_answer(engine_home) == 200
    idle = [await asyncio.open_unix_connection(path) for _ in range(2)]
    transport = httpx.AsyncHTTPTransport(uds=path)
    async with httpx.AsyncClient(transport=transport, base_url="http://engine", timeout=10) as client:
        answer = await client.post("/native/engine", content=bytes(1 << 20))
    assert (answer.status_code, answer.json()["title"]) == (503, "Too many connections")
    assert (await exchange(viewers[0], b"ab")) == "2"  # those that are there go on
    for _, writer in idle:
        writer.close()
        await writer.wait_closed()
    for one in viewers:
        await one.close()
    async with asyncio.timeout(60):
        while health.is_reported("connections"):
            assert await own_answer(engine_home) == 200


async def test_code_of_the_user_has_the_limit_that_was_there_before(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, tuple[int, int]]] = []
    monkeypatch.setattr(descriptors, "_limit_before", None)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: asked.append((0, limits)))
    monkeypatch.setattr(resource, "prlimit", lambda pid, _, limits: asked.append((pid, limits)))
    descriptors.limit_as_before(7)
    descriptors.raise_limit()
    descriptors.limit_as_before(7)
    assert asked == [(0, (4096, 4096)), (7, (1024, 4096))]


async def test_a_request_that_finds_no_descriptor_is_told_so() -> None:
    answer = await on_slip(Request({"type": "http"}), OSError(errno.EMFILE, "Too many open files"))
    assert answer.status_code == 503
    assert b"ulimit -n" in bytes(answer.body)
