"""The answering end of a channel: each call is a task of its own. Standard library only."""

from __future__ import annotations

import asyncio
import os
import socket
import struct
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, TypeVar, cast

from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.channel_peer import Peer
from jupyter_ext.ipc.frames import Buffer, Header, Message
from jupyter_ext.ipc.json_types import JsonObject

P = TypeVar("P")
"""What the calls of a server bring, a TypedDict of all their parameters; of each, some are there."""


@dataclass
class Call(Generic[P]):
    """A request as its handler sees it. `left` is done once the caller has given up or gone away; wait for it beside the work."""

    op: str
    params: P
    blobs: list[memoryview]
    left: asyncio.Future[None]
    peer_pid: int | None
    _send: Callable[[Header, Sequence[Buffer]], Awaitable[None]] = field(repr=False)

    async def send(self, event: Mapping[str, object], blobs: Sequence[Buffer] = ()) -> None:
        """Send an event of this call, before its answer; `result` is no name for something in it."""
        if "result" in event:
            raise ValueError("an event has no result; return it")
        await self._send({"event": cast("JsonObject", event)}, blobs)


Handler = Callable[[Call[P]], Awaitable[tuple[Mapping[str, object], Sequence[Buffer]]]]


class Server(Generic[P]):
    """The answering end: each call is a task of its own. Made by `serve`."""

    def __init__(self, listener: socket.socket, path: str, handle: Handler[P]) -> None:
        self._listener, self._path, self._handle = listener, path, handle
        self._peers: set[Peer] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(listener.fileno(), self._accept)

    @property
    def num_connections(self) -> int:
        """How many callers are connected."""
        return len(self._peers)

    def close(self) -> None:
        """Close all connections and remove the socket."""
        self._loop.remove_reader(self._listener.fileno())
        self._listener.close()
        _remove(self._path)
        for peer in list(self._peers):
            peer.close()

    def _accept(self) -> None:
        try:
            accepted, _ = self._listener.accept()
        except OSError:
            return
        _Served(accepted, self._handle, self._peers)


class _Served(Generic[P]):
    """One caller's connection."""

    def __init__(self, accepted: socket.socket, handle: Handler[P], peers: set[Peer]) -> None:
        self._handle = handle
        self._peers = peers
        self._running: dict[int, tuple[asyncio.Task[None], asyncio.Future[None]]] = {}
        self._pid = _peer_pid(accepted)
        self._peer = Peer(accepted, self._receive, self._end)
        peers.add(self._peer)

    def _receive(self, message: Message) -> None:
        header = message.header
        call_id = header.get("id")
        if not isinstance(call_id, int):
            self._peer.close()
            return
        if header.get("cancel"):
            if call_id in self._running:
                _settle(self._running[call_id][1])
            return
        params = header.get("params")
        left: asyncio.Future[None] = asyncio.get_running_loop().create_future()

        async def send(content: Header, blobs: Sequence[Buffer]) -> None:
            await self._peer.send({"id": call_id, **content}, blobs)

        call = Call(
            str(header.get("op")),
            cast("P", params if isinstance(params, dict) else {}),
            message.blobs,
            left,
            self._pid,
            send,
        )
        task = asyncio.ensure_future(self._run(call))
        self._running[call_id] = task, left
        task.add_done_callback(lambda _: self._running.pop(call_id, None))

    async def _run(self, call: Call[P]) -> None:
        try:
            try:
                result, blobs = await self._handle(call)
            except CallError as error:
                await call._send({"error": error.error}, ())
            except Exception as error:  # noqa: BLE001  the edge of a call: whoever called must hear of it
                message = f"{type(error).__name__}: {error}"
                await call._send({"error": {"code": "internal", "message": message}}, ())
            else:
                await call._send({"result": cast("JsonObject", result)}, blobs)
        except ConnectionError:
            return

    def _end(self) -> None:
        self._peers.discard(self._peer)
        for _, left in self._running.values():
            _settle(left)


async def serve(path: str, handle: Handler[P]) -> Server[P]:
    """Answer calls at a path, for this user only.

    Args:
        path: Of the socket; what is there already is replaced.
        handle: Gets a `Call`, gives result and blobs, raises `CallError` to refuse.
    """
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    listener.setblocking(False)
    _remove(path)
    listener.bind(path)
    os.chmod(path, 0o600)
    listener.listen(64)
    return Server(listener, path, handle)


def _settle(left: asyncio.Future[None]) -> None:
    if not left.done():
        left.set_result(None)


def _peer_pid(peer: socket.socket) -> int | None:
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    return int(struct.unpack("3i", peer.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0])


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
