"""`logs.txt` as text: pieces by byte offset, the tail, and what is new. No piece begins or ends inside a character."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple, TypedDict

from jupyter_ext.engine.common.file_pieces import read_piece

_NEWS_BYTES = 256 << 10
_MAX_TAIL_BYTES = 1 << 20
_MAX_CHARACTER_BYTES = 4


class LogPage(TypedDict):
    """A piece of logs.txt; offsets and `size`, that of the whole file, in bytes."""

    offset: int
    next_offset: int
    size: int
    text: str


class LogPiece(NamedTuple):
    """Text from byte `offset` of logs.txt to before `next_offset`."""

    offset: int
    next_offset: int
    text: str


class Logs:
    """Reads one run's logs.txt; bytes that are no UTF-8 become U+FFFD.

    Args:
        path: The file, which need not be there.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def size_bytes(self) -> int:
        """Return the file's size now; 0 where there is none."""
        try:
            return self.path.stat().st_size
        except FileNotFoundError:
            return 0

    def piece(self, offset: int, limit: int) -> LogPage:
        """Return a piece of the log.

        Args:
            offset: From 0; moved to the next character where it is inside one.
            limit: At most so many bytes; at least one character is given.
        """
        size = self.size_bytes()
        start = min(offset, size)
        data = read_piece(self.path, start, max(limit, _MAX_CHARACTER_BYTES))
        skipped = 0
        while start and skipped < min(_MAX_CHARACTER_BYTES - 1, len(data)) and data[skipped] & 0xC0 == 0x80:
            skipped += 1
        data, start = data[skipped:], start + skipped
        if start + len(data) < size:
            data = _whole(data)
        text = data.decode("utf-8", "replace")
        return {"offset": start, "next_offset": start + len(data), "size": size, "text": text}

    def tail(self, num_lines: int) -> LogPage:
        """Return the last lines, at most 1 MiB of them, as `piece` does."""
        start = max(0, self.size_bytes() - _MAX_TAIL_BYTES)
        data = read_piece(self.path, start, _MAX_TAIL_BYTES)
        cut = len(data) - 1 if data.endswith(b"\n") else len(data)
        for _ in range(num_lines):
            cut = data.rfind(b"\n", 0, cut)
            if cut < 0:
                break
        offset = start + (cut + 1 if num_lines else len(data))
        return self.piece(offset, start + len(data) - offset)

    def news(self, offset: int, *, final: bool = False) -> LogPiece | None:
        """Return what follows `offset`, at most 256 KiB, or `None`.

        Args:
            offset: How far the log was read, bytes.
            final: Nothing more will be written, so a character whose end is missing is given as it is.
        """
        data = read_piece(self.path, offset, _NEWS_BYTES)
        whole = _whole(data) or (data if final else b"")
        if not whole:
            return None
        return LogPiece(offset, offset + len(whole), whole.decode("utf-8", "replace"))

    def between(self, start: int, stop: int) -> LogPiece:
        """Return what `news` gave before, by its offsets in bytes."""
        return LogPiece(start, stop, read_piece(self.path, start, stop - start).decode("utf-8", "replace"))


def _whole(data: bytes) -> bytes:
    """Leave out what begins a UTF-8 character at the end of `data` whose rest is missing: 0 to 3 bytes."""
    for back in range(1, min(_MAX_CHARACTER_BYTES - 1, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return data
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF8 else 0
            return data[:-back] if back < needed else data
    return data
