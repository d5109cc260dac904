"""A file in memory that libraries write to, and whose bytes are taken away as they come."""

from __future__ import annotations

import io


class Drained(io.RawIOBase):
    """What was written since it was last taken. It knows its position and cannot be read or sought."""

    def __init__(self) -> None:
        super().__init__()
        self._parts: list[bytes] = []
        self._position = 0

    def writable(self) -> bool:
        """Say that it takes bytes."""
        return True

    def write(self, data: object, /) -> int:
        """Keep bytes until they are taken."""
        copied = bytes(memoryview(data))  # type: ignore[arg-type]
        self._parts.append(copied)
        self._position += len(copied)
        return len(copied)

    def tell(self) -> int:
        """Return how many bytes were written so far."""
        return self._position

    def take(self) -> bytes:
        """Return what was written since the last call."""
        taken = b"".join(self._parts)
        self._parts.clear()
        return taken
