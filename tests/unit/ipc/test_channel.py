"""Calls over a Unix socket: answers, events, cancel, blobs by descriptor, and peers that lie or die."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from integration_tools import until

from jupyter_ext.ipc.channel import AsyncConnection, CallError, ChannelClosed, Connection
from jupyter_ext.ipc.channel_server import Call, serve
from jupyter_ext.ipc.frames import SHARED_FROM_BYTES

SEEN_CANCELS: list[str] = []


async def _handle(call: Call) -> tuple[dict[str, object], list[memoryview]]:
    match call.op:
        case "echo":
            return {"params": call.params, "sizes": [len(blob) for blob in call.blobs]}, call.blobs
        case "count":
            for number in range(call.params["to"]):
                await call.send({"number": number}, [bytes([number])])
            return {"counted": call.params["to"]}, []
        case "wait":
            await call.left
            SEEN_CANCELS.append(call.params["name"])
            raise CallError({"code": "canceled", "message": "It was canceled."})
        case "refuse":
            raise CallError({"code": "no_such_thing", "message": "There is no such thing."})
        case "break":
            raise RuntimeError("broken inside")
    raise CallError({"code": "unknown_op", "message": f"There is no call {call.op!r}."})


@pytest.fixture(scope="module")
def path() -> Iterator[str]:
    """Return the socket of a server on a thread of its own."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    with tempfile.TemporaryDirectory() as directory:
        where = str(Path(directory) / "s.call")
        server = asyncio.run_coroutine_threadsafe(serve(where, _handle), loop).result(10)
        yield where

        async def end() -> None:
            server.close()

        asyncio.run_coroutine_threadsafe(end(), loop).result(10)
        assert not os.path.exists(where)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    loop.close()


@pytest.mark.parametrize("size", [0, 1, SHARED_FROM_BYTES - 1, SHARED_FROM_BYTES, 5 * SHARED_FROM_BYTES + 3])
def test_blobs_come_back_whole(path: str, size: int) -> None:
    """Below and above the size from which they go by descriptor, and mixed."""
    blob = os.urandom(size)
    with Connection(path) as connection:
        result, blobs = connection.call("echo", {"a": "ä"}, [b"first", blob, b"", blob])
    assert result == {"params": {"a": "ä"}, "sizes": [5, size, 0, size]}
    assert [bytes(item) for item in blobs] == [b"first", blob, b"", blob]


def test_many_large_blobs(path: str) -> None:
    """More large blobs than one message can carry descriptors."""
    blob = bytes(SHARED_FROM_BYTES)
    with Connection(path) as connection:
        _, blobs = connection.call("echo", {}, [blob] * 210)
    assert {item.nbytes for item in blobs} == {len(blob)}


def test_no_descriptor_is_left(path: str) -> None:
    """Shared memory is given back."""
    with Connection(path) as connection:
        before = len(os.listdir("/proc/self/fd"))
        for _ in range(20):
            connection.call("echo", {}, [bytes(SHARED_FROM_BYTES)])
        until(lambda: len(os.listdir("/proc/self/fd")) <= before + 2, "the descriptors to be closed")


def test_events_then_the_result(path: str) -> None:
    """A stream gives each event with its blobs, and the result last."""
    with Connection(path) as connection:
        events = [
            (event, [bytes(b) for b in blobs]) for event, blobs in connection.stream("count", {"to": 2})
        ]
        assert connection.call("echo")[0]["sizes"] == []
    assert events == [({"number": 0}, [b"\0"]), ({"number": 1}, [b"\1"]), ({"result": {"counted": 2}}, [])]


def test_refusals_carry_their_code(path: str) -> None:
    """What a handler raises reaches the caller; the connection goes on."""
    with Connection(path) as connection:
        with pytest.raises(CallError, match=r"There is no such thing\.") as refused:
            connection.call("refuse")
        assert refused.value.error["code"] == "no_such_thing"
        with pytest.raises(CallError, match="RuntimeError: broken inside"):
            connection.call("break")
        assert connection.call("echo")[0]["sizes"] == []


def test_giving_up_cancels(path: str) -> None:
    """A call that runs out of time, and one whose caller goes away, are canceled at the other side."""
    with Connection(path) as connection:
        with pytest.raises(TimeoutError):
            connection.call("wait", {"name": "timeout"}, timeout_s=0.05)
        assert connection.call("echo")[0]["sizes"] == []
    leaver = Connection(path)
    leaver._begin("wait", {"name": "left"}, ())
    leaver.close()
    deadline = threading.Event()
    for _ in range(200):
        if {"timeout", "left"} <= set(SEEN_CANCELS):
            break
        deadline.wait(0.05)
    assert {"timeout", "left"} <= set(SEEN_CANCELS)


async def test_many_calls_at_once(path: str) -> None:
    """Answers find their callers, also while another call waits."""
    connection = await AsyncConnection.open(path)
    waiting = asyncio.ensure_future(connection.call("wait", {"name": "task"}))
    answers = await asyncio.gather(
        *(
            connection.call("echo", {"n": n}, [bytes([n]) * (SHARED_FROM_BYTES if n % 7 == 0 else 9)])
            for n in range(40)
        )
    )
    assert [(result["params"]["n"], blobs[0][0]) for result, blobs in answers] == [(n, n) for n in range(40)]
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    async with asyncio.timeout(60):
        while "task" not in SEEN_CANCELS:
            await asyncio.sleep(0.01)
    connection.close()


async def test_the_other_side_ends(path: str, tmp_path: Path) -> None:
    """Calls in flight end with the connection; a new one says that nobody is there."""
    where = tempfile.mktemp(suffix=".call", dir=Path(path).parent)
    server = await serve(where, _handle)
    connection = await AsyncConnection.open(where)
    waiting = asyncio.ensure_future(connection.call("wait", {"name": "ended"}))
    await connection.call("echo")
    server.close()
    with pytest.raises(ChannelClosed):
        await waiting
    assert connection.closed
    with pytest.raises(ChannelClosed, match="nobody answers"):
        await AsyncConnection.open(where)
    with pytest.raises(ChannelClosed, match="nobody answers"):
        Connection(where)


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n" + b"x" * 100,
        struct.pack("<IHH", 2, 0, 0) + b"[]",
        struct.pack("<IHH", 2, 0, 0) + b"{x",
        struct.pack("<IHH", 2, 0, 3) + b"{}",
        struct.pack("<IHHQ", 2, 1, 1, 1 << 63 | 1 << 21) + b"{}",
        struct.pack("<IHHQ", 2, 1, 0, 1 << 50) + b"{}",
        struct.pack("<IHH", 2, 0, 0) + b"{}",
    ],
)
def test_malformed_frames_end_the_connection(path: str, data: bytes) -> None:
    """And nothing else: others are served on."""
    with socket.socket(socket.AF_UNIX) as liar:
        liar.settimeout(10)
        liar.connect(path)
        liar.sendall(data)
        assert liar.recv(100) == b""
    with Connection(path) as connection:
        assert connection.call("echo")[0]["sizes"] == []
