"""Decthings' integers, bodies and frames: the byte vectors of the reference clients, and messages that lie."""

from __future__ import annotations

import json
import random

import pytest

from jupyter_ext.protocol.decthings import framing, varint
from jupyter_ext.protocol.decthings.framing import Event, Reply
from jupyter_ext.protocol.decthings.varint import WireError

VECTORS = [
    (0, "00"),
    (252, "fc"),
    (253, "fd00fd"),
    (65535, "fdffff"),
    (65536, "fe00010000"),
    (4294967295, "feffffffff"),
    (4294967296, "ff0000000100000000"),
    (2**64 - 1, "ffffffffffffffffff"),
]


@pytest.mark.parametrize(("value", "data"), VECTORS)
def test_an_integer_is_these_bytes(value: int, data: str) -> None:
    assert varint.encode(value).hex() == data
    assert varint.decode(memoryview(bytes.fromhex(data) + b"rest"), 0, "x") == (value, len(data) // 2)


@pytest.mark.parametrize("value", [-1, 2**64])
def test_an_integer_that_does_not_fit_is_named(value: int) -> None:
    with pytest.raises(ValueError, match=str(value)):
        varint.encode(value)


@pytest.mark.parametrize("data", ["", "fd", "fd00", "fe000000", "ff00000000000000"])
def test_a_cut_integer_is_named(data: str) -> None:
    with pytest.raises(WireError, match="the number of cats"):
        varint.decode(memoryview(bytes.fromhex(data)), 0, "the number of cats")


CALL_TRAIN = {"debugSessionId": "dbg-1", "instantiatedModelId": "inst-1", "params": [{"name": "x"}]}
X = bytes.fromhex("0101030000803f0000004000004040")


def test_a_captured_request_of_the_official_client() -> None:
    text = json.dumps(CALL_TRAIN).encode()
    message = framing.decode_request(bytes([1, 0x57, 0x0F]) + text + X)
    assert message.content == CALL_TRAIN
    assert [bytes(blob) for blob in message.blobs] == [X]


def test_a_request_comes_back_as_it_went() -> None:
    blobs = [b"", b"a", bytes(300), bytes(65536), bytes(70_000)]
    message = framing.decode_request(framing.encode_request({"ä": [1, None]}, blobs))
    assert message.content == {"ä": [1, None]}
    assert [bytes(blob) for blob in message.blobs] == blobs


def test_a_response_comes_back_as_it_went() -> None:
    blobs = [b"", b"a", bytes(253), bytes(65536)]
    body = framing.encode_response({"result": {}}, blobs)
    assert body[:14] == b'\x0d{"result":{}}'
    message = framing.decode_response(body)
    assert (message.content, [bytes(blob) for blob in message.blobs]) == ({"result": {}}, blobs)
    assert len(framing.decode_response(framing.encode_response({}, [b"x"] * 300)).blobs) == 300


def test_frames() -> None:
    call = framing.encode_call(7, {"api": "Debug"}, [b"x"])
    assert call[:4] == bytes((0, 0, 0, 7))
    call_id, message = framing.decode_call(call)
    assert (call_id, message.content, [bytes(b) for b in message.blobs]) == (7, {"api": "Debug"}, [b"x"])
    reply = framing.decode_frame(framing.encode_reply(7, {"result": {}}, [b"y"]))
    assert isinstance(reply, Reply)
    assert (reply.id, reply.message.content, bytes(reply.message.blobs[0])) == (7, {"result": {}}, b"y")
    frame = framing.encode_event("Debug", "stdout", {"debugSessionId": "s"}, [b"hello"])
    assert frame.startswith(b"\x01\x05Debug")
    event = framing.decode_frame(frame)
    assert isinstance(event, Event)
    assert (event.api, event.name, event.params, bytes(event.blobs[0])) == (
        "Debug",
        "stdout",
        {"debugSessionId": "s"},
        b"hello",
    )


def test_more_than_255_blobs_are_refused_with_the_reason() -> None:
    assert len(framing.decode_request(framing.encode_request({}, [b"x"] * 255)).blobs) == 255
    with pytest.raises(WireError, match=r"at most 255 .* not 256; send several"):
        framing.encode_request({}, [b"x"] * 256)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, b"x"])
def test_what_json_has_no_word_for_is_refused_before_it_is_sent(value: object) -> None:
    with pytest.raises(WireError, match="cannot be sent as JSON"):
        framing.encode_request({"x": value})


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "empty"),
        (b"\x00", "the length of the JSON"),
        (b"\x01\x02", "the length of blob 0 of 1"),
        (b"\x00\x05{}", "add up to 5 bytes .* but 2 bytes follow"),
        (b"\x00\x02{}more", "add up to 2 bytes .* but 6 bytes follow"),
        (b"\x01\x02\xfe\xff\xff\xff\xff{}x", "add up to 4294967297 bytes"),
        (b"\xff" + b"\x00" * 256, "JSON of 0 bytes is none"),
        (b"\x00\x02{]", "JSON of 2 bytes is none"),
        (b"\x00\x02\xff\xff", "JSON of 2 bytes is none"),
        (b"\x00\xfd\x27\x10" + b"[" * 10_000, "is none"),
    ],
)
def test_a_request_that_lies_is_named(body: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        framing.decode_request(body)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "the length of the JSON"),
        (b"\x09{}", "says it is 9 bytes long, but 2 are left"),
        (b"\x02{}\x09x", "Blob 0 says it is 9 bytes long, but 1 are left"),
        (b"\x02{}\xfd", "the length of blob 0"),
    ],
)
def test_a_response_that_lies_is_named(body: bytes, says: str) -> None:
    with pytest.raises(WireError, match=says):
        framing.decode_response(body)


@pytest.mark.parametrize(
    "frame",
    [
        b"",
        b"\x00",
        b"\x00\x00\x00",
        b"\x01\x05De",
        b"\x01\x02\xff\xff\x02{}",
        b"\x01\x05Debug\x02{}",
        b"\x01\x05Debug\x02[]",
    ],
)
def test_a_frame_that_is_none_is_refused(frame: bytes) -> None:
    with pytest.raises(WireError):
        framing.decode_frame(frame)
    with pytest.raises(WireError):
        framing.decode_call(frame[:3])


def test_a_message_with_any_byte_changed_or_missing_is_understood_or_refused() -> None:
    """Nothing but `WireError` comes out of a broken message."""
    body, rng = framing.encode_request(CALL_TRAIN, [X, b"", bytes(260)]), random.Random(1)
    for _ in range(3000):
        broken = bytearray(body[: rng.randrange(len(body) + 1)])
        for _ in range(rng.randrange(3)):
            if broken:
                broken[rng.randrange(len(broken))] = rng.randrange(256)
        for decode in (
            framing.decode_request,
            framing.decode_response,
            framing.decode_frame,
            framing.decode_call,
        ):
            try:
                decode(bytes(broken))  # type: ignore[operator]
            except WireError:
                continue
