"""Frames of the channel: how JSON, blobs and descriptors lie in a Unix stream socket. Standard library only.

A frame is `<I` length of the JSON, `<H` number of blobs, `<H` number of descriptors, `<Q` per blob its length in bytes with
the highest bit set where it is in a descriptor, the JSON, and the other blobs. Descriptors come with the frame's first byte,
in the order of their blobs.

Rule: a blob of 1 MiB or more is copied once, into shared memory that has no name, and its descriptor is passed; nothing
can be left behind by whoever dies.
"""

from __future__ import annotations

import array
import json
import mmap
import os
import socket
import struct
import tempfile
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypedDict, cast

from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.call_failures import CallFailure

Buffer = bytes | bytearray | memoryview

SHARED_FROM_BYTES = 1 << 20
"""Below it a copy through the socket is faster than making and mapping a file."""
MAX_JSON_BYTES = 64 << 20
MAX_BLOB_BYTES = 1 << 46

_HEAD = struct.Struct("<IHH")
_LENGTH = struct.Struct("<Q")
_IN_DESCRIPTOR = 1 << 63
_CHUNK = 64 << 10
_MAX_DESCRIPTORS = 200
"""Linux passes at most 253 with one message."""
_SHARED_DIR = "/dev/shm" if os.path.isdir("/dev/shm") else None


class ChannelClosed(ConnectionError):
    """The other side is gone; calls in flight have no answer."""


class MalformedFrame(ConnectionError):
    """The other side sent what is no frame; the connection is closed."""


class Header(TypedDict, total=False):
    """The JSON of a frame.

    Attributes:
        id: The call that it belongs to.
        op: What to do, in a request.
        params: What with, in a request.
        cancel: That the call is given up.
        event: Something on the way to the answer.
        result: The answer.
        error: Why there is none.
    """

    id: int
    op: str
    params: Mapping[str, object]
    cancel: bool
    event: JsonObject
    result: JsonObject
    error: CallFailure


@dataclass
class Message:
    """One frame, taken apart."""

    header: Header
    blobs: list[memoryview]


class Parser:
    """Turns what a socket gives into messages; a state machine without I/O."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._descriptors: deque[int] = deque()

    def feed(self, data: bytes, descriptors: Sequence[int]) -> list[Message]:
        """Take what was received; give the messages that are whole now.

        Raises:
            MalformedFrame: It is no frame.
        """
        self._buffer += data
        self._descriptors.extend(descriptors)
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def close(self) -> None:
        """Close descriptors that no message took."""
        while self._descriptors:
            os.close(self._descriptors.popleft())

    def _next(self) -> Message | None:
        buffer = self._buffer
        if len(buffer) < _HEAD.size:
            return None
        num_json, num_blobs, num_descriptors = _HEAD.unpack_from(buffer)
        if num_json > MAX_JSON_BYTES:
            raise MalformedFrame(f"a header of {num_json} bytes is over the limit of {MAX_JSON_BYTES}")
        begin = _HEAD.size + num_blobs * _LENGTH.size
        if len(buffer) < begin:
            return None
        lengths = [_LENGTH.unpack_from(buffer, _HEAD.size + i * _LENGTH.size)[0] for i in range(num_blobs)]
        _check_lengths(lengths, num_descriptors)
        end = begin + num_json + sum(length for length in lengths if length < _IN_DESCRIPTOR)
        if len(buffer) < end:
            return None
        if len(self._descriptors) < num_descriptors:
            raise MalformedFrame(
                "descriptors are missing; the sender has too few, or this process too many open"
            )
        header = _decode_header(bytes(buffer[begin : begin + num_json]))
        blobs = self._take_blobs(lengths, begin + num_json)
        del buffer[:end]
        return Message(header, blobs)

    def _take_blobs(self, lengths: Sequence[int], at: int) -> list[memoryview]:
        """Return the blobs of a frame, of which those in the buffer begin at `at`."""
        blobs = []
        for length in lengths:
            if length >= _IN_DESCRIPTOR:
                blobs.append(_map(self._descriptors.popleft(), length & ~_IN_DESCRIPTOR))
            else:
                blobs.append(memoryview(bytearray(self._buffer[at : at + length])))
                at += length
        return blobs


def _check_lengths(lengths: Sequence[int], num_descriptors: int) -> None:
    if sum(length >= _IN_DESCRIPTOR for length in lengths) != num_descriptors:
        raise MalformedFrame("the number of descriptors is not that of the blobs in them")
    if any(length & ~_IN_DESCRIPTOR > MAX_BLOB_BYTES for length in lengths):
        raise MalformedFrame("a blob is longer than any memory")


def _decode_header(data: bytes) -> Header:
    try:
        header = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise MalformedFrame(f"the header is not JSON: {error}") from error
    if not isinstance(header, dict):
        raise MalformedFrame("the header is no JSON object")
    return cast("Header", header)


def _map(descriptor: int, length: int) -> memoryview:
    try:
        if os.fstat(descriptor).st_size < length:
            raise MalformedFrame("a shared blob is shorter than its frame says")
        # shared with nobody: the sender lets go of it, and the file has no name; a private map would be copied again
        return memoryview(
            mmap.mmap(descriptor, length, mmap.MAP_SHARED | _POPULATE, mmap.PROT_READ | mmap.PROT_WRITE)
        )
    finally:
        os.close(descriptor)


_POPULATE = getattr(mmap, "MAP_POPULATE", 0)


def pack(header: Header, blobs: Sequence[Buffer]) -> tuple[list[Buffer], list[int]]:
    """Return the pieces of a frame and the descriptors that go with its first byte."""
    text = json.dumps(header, separators=(",", ":")).encode()
    if len(text) > MAX_JSON_BYTES:
        raise ValueError(
            f"{len(text)} bytes of JSON are over the limit of {MAX_JSON_BYTES}; send it as a blob"
        )
    views = [memoryview(blob).cast("B") for blob in blobs]
    lengths: list[int] = []
    inline: list[memoryview] = []
    descriptors: list[int] = []
    try:
        for view in views:
            if view.nbytes >= SHARED_FROM_BYTES and len(descriptors) < _MAX_DESCRIPTORS:
                descriptors.append(_share(view))
                lengths.append(view.nbytes | _IN_DESCRIPTOR)
            else:
                inline.append(view)
                lengths.append(view.nbytes)
    except BaseException:
        for descriptor in descriptors:
            os.close(descriptor)
        raise
    head = _HEAD.pack(len(text), len(lengths), len(descriptors)) + b"".join(map(_LENGTH.pack, lengths)) + text
    return [head, *(view for view in inline if view.nbytes)], descriptors


def _share(view: memoryview) -> int:
    """Copy a blob into a file in memory that has no name."""
    with tempfile.TemporaryFile(dir=_SHARED_DIR, buffering=0) as file:
        while view.nbytes:
            view = view[file.write(view) :]
        return os.dup(file.fileno())


def receive(peer: socket.socket) -> tuple[bytes, list[int]]:
    """Receive once; an empty answer is the end."""
    size = socket.CMSG_SPACE(_MAX_DESCRIPTORS * 4)
    data, ancillary, _, _ = peer.recvmsg(_CHUNK, size, getattr(socket, "MSG_CMSG_CLOEXEC", 0))
    descriptors = array.array("i")
    for level, kind, content in ancillary:
        if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
            descriptors.frombytes(content[: len(content) - len(content) % descriptors.itemsize])
    return data, list(descriptors)
