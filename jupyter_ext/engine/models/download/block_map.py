"""Which bytes of a file are here and who fetches the rest; pure, no I/O, not thread-safe by itself.

A file is divided into blocks. A block is marked when all of its bytes are written, so the marks are what a kill leaves.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

BLOCK_BYTES = 256 * 1024
"""A kill loses less than one block per connection, and what each has read and not written."""

MISSING, WRITTEN, SYNCED = 0, 1, 2
"""What a block's mark says: nothing; written, which outlives the process; on the disk, which outlives the machine."""


@dataclass(eq=False)
class Range:
    """Bytes that one connection fetches: `position` goes from `start` to `end`, which may come nearer meanwhile."""

    start: int
    end: int
    position: int

    @property
    def left(self) -> int:
        """Count what is still to fetch."""
        return self.end - self.position


class FileBlocks:
    """The state of one file.

    Args:
        num_bytes: Its size.
        marks: What is here of it, one byte a block; without it nothing is.
    """

    def __init__(self, num_bytes: int, marks: bytearray | None = None) -> None:
        self.num_bytes = num_bytes
        self.num_blocks = -(-num_bytes // BLOCK_BYTES)
        self.marks = marks if marks is not None else bytearray(self.num_blocks)
        if len(self.marks) != self.num_blocks:
            raise ValueError(f"{len(self.marks)} marks for {self.num_blocks} blocks")
        self._missing: list[tuple[int, int]] = list(self._runs())
        self.active: list[Range] = []
        self.kept_bytes = num_bytes - sum(end - start for start, end in self._missing)

    @property
    def is_whole(self) -> bool:
        """Tell whether all bytes are here."""
        return not self._missing and not self.active

    @property
    def has_missing(self) -> bool:
        """Tell whether there are bytes that nobody fetches."""
        return bool(self._missing)

    @property
    def untaken_bytes(self) -> int:
        """Count the bytes that nobody fetches."""
        return sum(end - start for start, end in self._missing)

    @property
    def missing_bytes(self) -> int:
        """Count the bytes that are not here, fetched by somebody or not."""
        return self.untaken_bytes + sum(active.left for active in self.active)

    @property
    def prefix(self) -> int:
        """Count the bytes from the beginning that are here without a gap."""
        positions = [active.position for active in self.active] + [start for start, _ in self._missing]
        return min(positions, default=self.num_bytes)

    def take(self, max_bytes: int) -> Range | None:
        """Return the next bytes to fetch, at most so many; `None` if somebody fetches each of them."""
        if not self._missing:
            return None
        start, end = self._missing[0]
        cut = min(end, _aligned(start + max_bytes))
        if cut < end:
            self._missing[0] = (cut, end)
        else:
            self._missing.pop(0)
        taken = Range(start, cut, start)
        self.active.append(taken)
        return taken

    def take_rest(self, taken: Range) -> None:
        """Let one connection fetch everything from its position to the end; nobody else may be at work."""
        self._missing = []
        taken.end = self.num_bytes

    def steal(self, min_bytes: int) -> Range | None:
        """Return the latter half of the largest piece that somebody fetches, if that half has at least so many bytes."""
        largest = max(self.active, key=lambda active: active.left, default=None)
        if largest is None:
            return None
        middle = _aligned(largest.position + largest.left // 2)
        if largest.end - middle < min_bytes or middle - largest.position < BLOCK_BYTES:
            return None
        stolen = Range(middle, largest.end, middle)
        largest.end = middle
        self.active.append(stolen)
        return stolen

    def advance(self, active: Range, num_bytes: int) -> range:
        """Note bytes that were written at a range's position, and return the blocks that became whole."""
        first = active.position // BLOCK_BYTES
        active.position += num_bytes
        at_end = active.position >= self.num_bytes
        last = self.num_blocks if at_end else active.position // BLOCK_BYTES
        for block in range(first, last):
            if self.marks[block] == MISSING:
                self.marks[block] = WRITTEN
        return range(first, last)

    def give_back(self, active: Range) -> None:
        """End a range: what it did not fetch is missing again."""
        self.active.remove(active)
        if active.left > 0:
            self._missing.append((active.position, active.end))
            self._missing.sort()

    def forget(self) -> None:
        """Start from nothing; nobody may be at work."""
        self.marks[:] = bytes(self.num_blocks)
        self._missing = [(0, self.num_bytes)] if self.num_bytes else []
        self.kept_bytes = 0

    def _runs(self) -> Iterable[tuple[int, int]]:
        start: int | None = None
        for block in range(self.num_blocks):
            if self.marks[block] == MISSING:
                start = block if start is None else start
            elif start is not None:
                yield start * BLOCK_BYTES, block * BLOCK_BYTES
                start = None
        if start is not None:
            yield start * BLOCK_BYTES, self.num_bytes


def _aligned(position: int) -> int:
    """Return the last start of a block at or before a position."""
    return position // BLOCK_BYTES * BLOCK_BYTES
