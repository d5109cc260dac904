"""Bodies of HTTP and frames of the WebSocket, in both directions.

    HTTP request       u8 num_blobs · varint json · varint × num_blobs · json · blobs
    HTTP response      varint json · json · (varint · blob) to the end
    frame to server    u32 BE id · an HTTP request
    frame to client    00 · u32 BE id · an HTTP response
                       01 · u8 length · api · an HTTP response, whose JSON is {event, params}

Rule: what is decoded was checked to its last byte, and a message that cannot be sent is refused before the first.

Source: the reference implementations of Decthings' client for Python 0.0.4, JavaScript and Rust.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jupyter_ext.ipc import json_values
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.decthings import varint
from jupyter_ext.protocol.decthings.varint import WireError

MAX_BLOBS = 255
"""A request says in one byte how many blobs it has."""
MAX_FRAME_BYTES = 1 << 20
"""What the official Python client takes in one frame; it loses the connection over a larger one."""

Buffer = bytes | bytearray | memoryview


@dataclass(frozen=True)
class Message:
    """JSON and the blobs that belong to it."""

    content: Any
    blobs: list[memoryview]


@dataclass(frozen=True)
class Reply:
    """An answer on a WebSocket."""

    id: int
    message: Message


@dataclass(frozen=True)
class Event:
    """Something that happened, told on a WebSocket."""

    api: str
    name: str
    params: JsonObject
    blobs: list[memoryview]


def encode_request(content: Any, blobs: Sequence[Buffer] = ()) -> bytes:
    """Return the body of a request.

    Raises:
        WireError: It has more than 255 blobs, or JSON has no word for a value.
    """
    if len(blobs) > MAX_BLOBS:
        raise WireError(
            f"One request carries at most {MAX_BLOBS} tensors or files, not {len(blobs)}; send several requests."
        )
    text = _json(content)
    head = [bytes((len(blobs),)), varint.encode(len(text)), *(varint.encode(_size(blob)) for blob in blobs)]
    return b"".join((*head, text, *blobs))


def decode_request(body: Buffer) -> Message:
    """Read the body of a request.

    Raises:
        WireError: It is cut, longer than it says, or its JSON is none.
    """
    view = memoryview(body)
    if not view:
        raise WireError("The body is empty; a request begins with the number of its blobs.")
    num_blobs = view[0]
    json_bytes, position = varint.decode(view, 1, "the length of the JSON")
    sizes = []
    for n in range(num_blobs):
        size, position = varint.decode(view, position, f"the length of blob {n} of {num_blobs}")
        sizes.append(size)
    promised, left = json_bytes + sum(sizes), len(view) - position
    if promised != left:
        raise WireError(
            f"The lengths in the body's head add up to {promised} bytes of JSON and blobs, but {left} bytes follow."
        )
    content = _parse(view[position : position + json_bytes])
    position += json_bytes
    blobs = []
    for size in sizes:
        blobs.append(view[position : position + size])
        position += size
    return Message(content, blobs)


def encode_response(content: Any, blobs: Sequence[Buffer] = ()) -> bytes:
    """Return the body of a response; what JSON cannot carry is replaced as `json_values` says."""
    text = json_values.dump(content)
    parts: list[Buffer] = [varint.encode(len(text)), text]
    for blob in blobs:
        parts += (varint.encode(_size(blob)), blob)
    return b"".join(parts)


def decode_response(body: Buffer, position: int = 0) -> Message:
    """Read the body of a response.

    Raises:
        WireError: It is cut, or its JSON is none.
    """
    view = memoryview(body)
    size, position = varint.decode(view, position, "the length of the JSON")
    if position + size > len(view):
        raise WireError(f"The JSON says it is {size} bytes long, but {len(view) - position} are left.")
    content = _parse(view[position : position + size])
    position += size
    blobs: list[memoryview] = []
    while position < len(view):
        size, position = varint.decode(view, position, f"the length of blob {len(blobs)}")
        if position + size > len(view):
            raise WireError(
                f"Blob {len(blobs)} says it is {size} bytes long, but {len(view) - position} are left."
            )
        blobs.append(view[position : position + size])
        position += size
    return Message(content, blobs)


def encode_call(id: int, content: Any, blobs: Sequence[Buffer] = ()) -> bytes:
    """Return a frame that asks something."""
    return id.to_bytes(4, "big") + encode_request(content, blobs)


def decode_call(frame: Buffer) -> tuple[int, Message]:
    """Read a frame that asks something; give its id too.

    Raises:
        WireError: It is cut. Without four bytes of id there is nobody to answer.
    """
    view = memoryview(frame)
    if len(view) < 4:
        raise WireError(f"A frame of {len(view)} bytes has no room for its id of four.")
    return int.from_bytes(view[:4], "big"), decode_request(view[4:])


def encode_reply(id: int, content: Any, blobs: Sequence[Buffer] = ()) -> bytes:
    """Return a frame that answers."""
    return b"\x00" + id.to_bytes(4, "big") + encode_response(content, blobs)


def encode_event(api: str, name: str, params: Mapping[str, object], blobs: Sequence[Buffer] = ()) -> bytes:
    """Return a frame that tells what happened."""
    head = b"\x01" + bytes((len(api),)) + api.encode("ascii")
    return head + encode_response({"event": name, "params": params}, blobs)


def decode_frame(frame: Buffer) -> Reply | Event:
    """Read a frame that a server sent.

    Raises:
        WireError: It is cut, or tells an event without a name.
    """
    view = memoryview(frame)
    if len(view) < 2:
        raise WireError(f"A frame of {len(view)} bytes is neither an answer nor an event.")
    if view[0] == 0:
        if len(view) < 5:
            raise WireError(f"An answer of {len(view)} bytes has no room for its id of four.")
        return Reply(int.from_bytes(view[1:5], "big"), decode_response(view, 5))
    end = 2 + view[1]
    try:
        api = bytes(view[2:end]).decode("ascii")
    except UnicodeDecodeError as error:
        raise WireError("The name of an event's API is not ASCII.") from error
    message = decode_response(view, end)
    content = message.content
    if (
        not isinstance(content, dict)
        or not isinstance(content.get("event"), str)
        or not isinstance(content.get("params"), dict)
    ):
        raise WireError("An event's JSON has no `event` and `params`.")
    return Event(api, content["event"], content["params"], message.blobs)


def _json(content: Any) -> bytes:
    try:
        return json.dumps(content, allow_nan=False, separators=(",", ":")).encode()
    except (TypeError, ValueError) as error:
        raise WireError(f"This cannot be sent as JSON: {error}.") from error


def _parse(text: memoryview) -> Any:
    try:
        return json.loads(bytes(text))
    except (ValueError, RecursionError) as error:
        raise WireError(f"The JSON of {len(text)} bytes is none: {error}.") from error


def _size(blob: Buffer) -> int:
    return memoryview(blob).nbytes
