"""Decthings' variable-length integer: big-endian, one byte below 253, else a mark and two, four or eight bytes.

Standard library only. It is not LEB128.

Source: the reference implementations of Decthings' client for JavaScript and Rust.
"""

from __future__ import annotations

_MARKS = {0xFD: 2, 0xFE: 4, 0xFF: 8}


class WireError(ValueError):
    """Bytes that are not what they say; the text names what is wrong and at which byte."""


def encode(value: int) -> bytes:
    """Return the bytes of an integer from 0 to 2**64 - 1."""
    if value < 0 or value >> 64:
        raise ValueError(f"{value} cannot be sent; a length is from 0 to 2**64 - 1.")
    if value < 0xFD:
        return bytes((value,))
    if value < 1 << 16:
        return b"\xfd" + value.to_bytes(2, "big")
    if value < 1 << 32:
        return b"\xfe" + value.to_bytes(4, "big")
    return b"\xff" + value.to_bytes(8, "big")


def decode(data: memoryview, position: int, what: str) -> tuple[int, int]:
    """Read an integer.

    Args:
        data: The bytes, of item size 1.
        position: Where it begins.
        what: What it counts, for the error.

    Returns:
        The integer, and where the next byte stands.

    Raises:
        WireError: The data ends within it.
    """
    if position >= len(data):
        raise WireError(f"The data ends at byte {position}, where {what} should be.")
    first = data[position]
    if first < 0xFD:
        return first, position + 1
    end = position + 1 + _MARKS[first]
    if end > len(data):
        raise WireError(f"The data ends at byte {len(data)}, within {what}, which ends at byte {end}.")
    return int.from_bytes(data[position + 1 : end], "big"), end
