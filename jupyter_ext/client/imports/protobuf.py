"""Protocol buffers by the numbers of their fields, as much of them as other tools' files need.

Source: https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

Fields = dict[int, list[bytes | int]]


def fields_of(data: bytes) -> Fields:
    """Return a message's fields by number.

    Raises:
        ValueError: It is no message.
    """
    fields: Fields = {}
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        kind = key & 7
        found: bytes | int
        if kind == 0:
            found, at = _varint(data, at)
        elif kind in (1, 5):
            size = 8 if kind == 1 else 4
            found, at = data[at : at + size], at + size
        elif kind == 2:
            size, at = _varint(data, at)
            found, at = data[at : at + size], at + size
        else:
            raise ValueError(f"wire type {kind}")
        if at > len(data):
            raise ValueError("cut short")
        fields.setdefault(key >> 3, []).append(found)
    return fields


def _varint(data: bytes, at: int) -> tuple[int, int]:
    result = shift = 0
    while True:
        byte = data[at]
        at += 1
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result, at
        shift += 7
        if shift > 63:
            raise ValueError("a number of more than 64 bits")


def bytes_of(fields: Fields, number: int) -> bytes:
    """Return a field that is a text, bytes or a message; empty where there is none.

    Raises:
        ValueError: It is a number.
    """
    found = fields[number][0] if number in fields else b""
    if not isinstance(found, bytes):
        raise ValueError("no bytes")
    return found
