"""Inputs from inputs: the short fuzzer, which needs nothing but a seed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

_TELLING = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff\xff\xff\xff",
    b"\xff" * 8,
    b"\x00" * 8,
    b"9" * 30,
    b"[" * 300,
    b"-1",
    b"1e999",
    b"null",
)


def inputs(seeds: Sequence[bytes], number: int, seed: int) -> Iterator[bytes]:
    """Yield so many inputs: flipped, cut, doubled and spliced from the seeds."""
    chance = random.Random(seed)
    for _ in range(number):
        data = bytearray(chance.choice(seeds))
        for _ in range(chance.choice((1, 1, 1, 2, 4, 8))):
            _change(data, chance, seeds)
        yield bytes(data)


def _change(data: bytearray, chance: random.Random, seeds: Sequence[bytes]) -> None:
    at = chance.randrange(len(data) + 1)
    match chance.randrange(7):
        case 0 if data:
            data[at % len(data)] ^= 1 << chance.randrange(8)
        case 1 if data:
            data[at % len(data)] = chance.randrange(256)
        case 2:
            word = chance.choice(_TELLING)
            data[at : at + len(word)] = word
        case 3:
            del data[at:]
        case 4:
            data[at:at] = chance.choice(_TELLING)
        case 5:
            other = chance.choice(seeds)
            data[at:] = other[chance.randrange(len(other) + 1) :]
        case _:
            del data[at : at + chance.randrange(1, 9)]
