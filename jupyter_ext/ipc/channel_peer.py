"""One end of a channel on an event loop: sends frames in order, gives them as they come. Standard library only."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Callable, Sequence

from jupyter_ext.ipc.frames import (
    SHARED_FROM_BYTES,
    Buffer,
    ChannelClosed,
    Header,
    MalformedFrame,
    Message,
    Parser,
    pack,
    receive,
)


class Peer:
    """One end of a connection on an event loop: sends frames in order, receives them as they come."""

    def __init__(
        self, peer: socket.socket, on_message: Callable[[Message], None], on_end: Callable[[], None]
    ) -> None:
        self._socket = peer
        self._socket.setblocking(False)
        self._loop = asyncio.get_running_loop()
        self._parser = Parser()
        self._on_message, self._on_end = on_message, on_end
        self._sending = asyncio.Lock()
        self.closed = False
        self._loop.add_reader(peer.fileno(), self._readable)

    async def send(self, header: Header, blobs: Sequence[Buffer] = ()) -> None:
        """Send a frame; waits while the other side does not read.

        Raises:
            ChannelClosed: It is gone.
        """
        large = sum(memoryview(blob).nbytes for blob in blobs) >= SHARED_FROM_BYTES
        pieces, descriptors = await asyncio.to_thread(pack, header, blobs) if large else pack(header, blobs)
        try:
            async with self._sending:
                if self.closed:
                    raise ChannelClosed("the other side is gone")
                await self._send_all(pieces, descriptors)
        except OSError as error:
            if not isinstance(error, ChannelClosed):
                self.close()
            raise ChannelClosed("the other side is gone") from error
        finally:
            for descriptor in descriptors:
                os.close(descriptor)

    async def _send_all(self, pieces: list[Buffer], descriptors: list[int]) -> None:
        first = memoryview(pieces[0])
        while descriptors:
            try:
                first = first[socket.send_fds(self._socket, [first], descriptors) :]
                break
            except BlockingIOError:
                await self._writable()
        for piece in (first, *pieces[1:]):
            if len(piece):
                await self._loop.sock_sendall(self._socket, piece)

    async def _writable(self) -> None:
        ready: asyncio.Future[None] = self._loop.create_future()
        self._loop.add_writer(self._socket.fileno(), _resolve, ready)
        try:
            await ready
        finally:
            self._loop.remove_writer(self._socket.fileno())

    def close(self) -> None:
        """Close the connection; asking twice is no error."""
        if not self.closed:
            self.closed = True
            self._loop.remove_reader(self._socket.fileno())
            self._socket.close()
            self._parser.close()
            self._on_end()

    def _readable(self) -> None:
        try:
            data, descriptors = receive(self._socket)
        except BlockingIOError:
            return
        except OSError:
            data, descriptors = b"", []
        if not data:
            self.close()
            return
        try:
            messages = self._parser.feed(data, descriptors)
        except (MalformedFrame, OSError):
            self.close()
            return
        for message in messages:
            self._on_message(message)


def _resolve(ready: asyncio.Future[None]) -> None:
    if not ready.done():
        ready.set_result(None)
