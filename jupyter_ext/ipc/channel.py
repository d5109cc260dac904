"""Calls into a live process over a Unix stream socket: the callers' ends. Standard library only.

Requests are told apart by their id, so any number can be on their way:

    → {"id": n, "op": "evaluate", "params": {…}}    → {"id": n, "cancel": true}
    ← {"id": n, "event": {…}}                       ← {"id": n, "result": {…}}  or  {"id": n, "error": {"code": …, "message": …}}

Each is a frame (see `frames`) with blobs of its own. The answering end is `channel_server`.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterator, Mapping, Sequence
from typing import cast

from jupyter_ext.ipc import private_sockets
from jupyter_ext.ipc.channel_peer import Peer
from jupyter_ext.ipc.frames import Buffer, ChannelClosed, Header, Message, Parser, pack, receive
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.call_failures import CallFailure

__all__ = ["AsyncConnection", "Buffer", "CallError", "ChannelClosed", "Connection"]


class CallError(Exception):
    """A call was refused or failed; `error` says why."""

    def __init__(self, error: CallFailure) -> None:
        self.error = error
        super().__init__(error.get("message") or error.get("code") or "the call failed")


class Connection:
    """The caller's end for code without an event loop: one call at a time.

    Args:
        path: The socket.
        timeout_s: How long to wait for the connection, seconds.

    Raises:
        ChannelClosed: Nobody listens there.
    """

    def __init__(self, path: str, timeout_s: float = 5.0) -> None:
        try:
            self._socket = private_sockets.connect(path, timeout_s)
        except OSError as error:
            raise ChannelClosed(f"nobody answers at {path}: {error.strerror or error}") from error
        self._socket.settimeout(None)
        self._parser = Parser()
        self._arrived: deque[Message] = deque()
        self._next_id = 0

    def __enter__(self) -> Connection:
        """Begin to use the connection."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    @property
    def closed(self) -> bool:
        """Whether the other side has gone, so that a call would reach nobody."""
        try:
            self._socket.settimeout(0.0)
            return not self._socket.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def close(self) -> None:
        """Close it; a call in flight is canceled by that."""
        self._socket.close()
        self._parser.close()

    def call(
        self,
        op: str,
        params: Mapping[str, object] | None = None,
        blobs: Sequence[Buffer] = (),
        timeout_s: float | None = None,
        on_event: Callable[[JsonObject], None] | None = None,
    ) -> tuple[JsonObject, list[memoryview]]:
        """Call and wait for the answer; events on the way go to `on_event`.

        Args:
            op: What to do.
            params: JSON.
            blobs: Contiguous bytes, any number.
            timeout_s: How long to wait for each piece of the answer, seconds; `None` for ever.
            on_event: Called with each event.

        Raises:
            CallError: It was refused or failed.
            ChannelClosed: The other side went away.
            TimeoutError: No answer in time; the call is canceled.
        """
        call_id = self._begin(op, params, blobs)
        with self._giving_up(call_id):
            while True:
                message = self._answer(call_id, timeout_s)
                if "event" not in message.header:
                    return _result(message)
                if on_event is not None:
                    on_event(message.header["event"])

    def stream(
        self,
        op: str,
        params: Mapping[str, object] | None = None,
        blobs: Sequence[Buffer] = (),
        timeout_s: float | None = None,
    ) -> Iterator[tuple[JsonObject, list[memoryview]]]:
        """Call and yield each event; the last one is `{"result": {…}}`. Leaving the loop early cancels the call.

        Raises:
            CallError: It was refused or failed.
            ChannelClosed: The other side went away.
        """
        call_id = self._begin(op, params, blobs)
        with self._giving_up(call_id):
            while True:
                message = self._answer(call_id, timeout_s)
                if "event" in message.header:
                    yield message.header["event"], message.blobs
                    continue
                result, answer_blobs = _result(message)
                yield {"result": result}, answer_blobs
                return

    def _begin(self, op: str, params: Mapping[str, object] | None, blobs: Sequence[Buffer]) -> int:
        self._next_id += 1
        self._send({"id": self._next_id, "op": op, "params": dict(params or {})}, blobs)
        return self._next_id

    def _giving_up(self, call_id: int) -> _GivingUp:
        return _GivingUp(lambda: self._send({"id": call_id, "cancel": True}, ()))

    def _answer(self, call_id: int, timeout_s: float | None) -> Message:
        while True:
            while not self._arrived:
                self._socket.settimeout(timeout_s)
                try:
                    data, descriptors = receive(self._socket)
                except TimeoutError:
                    raise TimeoutError(f"no answer within {timeout_s} s") from None
                except OSError as error:
                    raise ChannelClosed(f"the other side is gone: {error.strerror or error}") from error
                if not data:
                    raise ChannelClosed("the other side ended before it answered")
                self._arrived.extend(self._parser.feed(data, descriptors))
            message = self._arrived.popleft()
            if message.header.get("id") == call_id:
                return message  # what belongs to a call that was given up is dropped

    def _send(self, header: Header, blobs: Sequence[Buffer]) -> None:
        pieces, descriptors = pack(header, blobs)
        self._socket.settimeout(None)
        try:
            sent = (
                socket.send_fds(self._socket, [pieces[0]], descriptors)
                if descriptors
                else self._socket.send(pieces[0])
            )
            if sent < len(pieces[0]):
                self._socket.sendall(memoryview(pieces[0])[sent:])
            for piece in pieces[1:]:
                self._socket.sendall(piece)
        except OSError as error:
            raise ChannelClosed(f"the other side is gone: {error.strerror or error}") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)


class _GivingUp:
    """Tells the other side when a call is left by anything but its own answer."""

    def __init__(self, tell: Callable[[], None]) -> None:
        self._tell = tell

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None and not issubclass(kind, CallError | ConnectionError):
            try:
                self._tell()
            except ConnectionError:
                return


class AsyncConnection:
    """The caller's end on an event loop: any number of calls at a time. Made by `open`."""

    def __init__(self, peer: socket.socket) -> None:
        self._waiting: dict[int, asyncio.Queue[Message | None]] = {}
        self._next_id = 0
        self._peer = Peer(peer, self._receive, self._end)

    @classmethod
    async def open(cls, path: str) -> AsyncConnection:
        """Connect.

        Raises:
            ChannelClosed: Nobody listens there.
        """
        peer = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        peer.setblocking(False)
        try:
            private_sockets.check_directory_of(path)
            await asyncio.get_running_loop().sock_connect(peer, path)
            private_sockets.check_peer(peer)
        except OSError as error:
            peer.close()
            raise ChannelClosed(f"nobody answers at {path}: {error.strerror or error}") from error
        return cls(peer)

    @property
    def closed(self) -> bool:
        """Whether the other side is gone."""
        return self._peer.closed

    async def call(
        self, op: str, params: Mapping[str, object] | None = None, blobs: Sequence[Buffer] = ()
    ) -> tuple[JsonObject, list[memoryview]]:
        """Call and wait for the answer; cancelling the task cancels the call.

        Raises:
            CallError: It was refused or failed.
            ChannelClosed: The other side went away.
        """
        answer: tuple[JsonObject, list[memoryview]] = {}, []
        async with contextlib.aclosing(self.stream(op, params, blobs)) as items:
            async for event, event_blobs in items:
                if "result" in event:
                    answer = cast("JsonObject", event["result"]), event_blobs
        return answer

    async def stream(
        self, op: str, params: Mapping[str, object] | None = None, blobs: Sequence[Buffer] = ()
    ) -> AsyncGenerator[tuple[JsonObject, list[memoryview]]]:
        """Call and yield each event; the last one is `{"result": {…}}`. Leaving early cancels the call.

        Raises:
            CallError: It was refused or failed.
            ChannelClosed: The other side went away.
        """
        self._next_id += 1
        call_id, arrived = self._next_id, asyncio.Queue[Message | None]()
        self._waiting[call_id] = arrived
        answered = False
        try:
            await self._peer.send({"id": call_id, "op": op, "params": dict(params or {})}, blobs)
            while True:
                message = await arrived.get()
                if message is None:
                    raise ChannelClosed("the other side ended before it answered")
                if "event" in message.header:
                    yield message.header["event"], message.blobs
                    continue
                answered = True
                result, answer_blobs = _result(message)
                yield {"result": result}, answer_blobs
                return
        finally:
            del self._waiting[call_id]
            if not answered and not self._peer.closed:
                tell = asyncio.ensure_future(self._peer.send({"id": call_id, "cancel": True}))
                tell.add_done_callback(lambda done: done.cancelled() or done.exception())

    def close(self) -> None:
        """Close the connection."""
        self._peer.close()

    def _receive(self, message: Message) -> None:
        waiting = self._waiting.get(message.header.get("id", -1))
        if waiting is not None:
            waiting.put_nowait(message)

    def _end(self) -> None:
        for waiting in self._waiting.values():
            waiting.put_nowait(None)


def _result(message: Message) -> tuple[JsonObject, list[memoryview]]:
    if "error" in message.header:
        raise CallError(message.header["error"])
    return message.header.get("result") or {}, message.blobs
