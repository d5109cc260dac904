"""Follow a journal: read what was appended to it, or a part of it again.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.journal.frame_decoder import FrameDecoder
from jupyter_ext.engine.metrics.journal.marks import Mark
from jupyter_ext.ipc.journal_format import FRAME_HEAD, MAX_FRAME_BYTES

READ_BYTES = 1 << 20
"""Read at once: 10-30 ms of decoding at most."""
_HEAD_BYTES = FRAME_HEAD.size


class News(NamedTuple):
    """What one read gave. `more` says that another read may give something at once."""

    columns: dict[str, Columns]
    marks: list[Mark]
    more: bool


class JournalTail:
    """Follows one journal file.

    Args:
        path: The journal.
        offset: Where to begin, bytes: the end of a frame.
        ordinal: Number of points of the stream before `offset`.
        keys: Names by id that were declared before `offset`.

    Attributes:
        offset: End of the last good frame read, bytes.
        ordinal: Number of points of the stream read so far.
        keys: Names by id declared so far in this file.
        is_damaged: Whether a frame that is there is bad; nothing more will be read.

    Raises:
        FileNotFoundError: There is no such journal.
    """

    def __init__(
        self, path: Path, *, offset: int = 0, ordinal: int = 0, keys: Mapping[int, str] | None = None
    ) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.offset = offset
        self.ordinal = ordinal
        self.keys = dict(keys or {})
        self.is_damaged = False

    @property
    def size_bytes(self) -> int:
        """The file's size now."""
        return os.fstat(self._fd).st_size

    def read(self, max_bytes: int = READ_BYTES, *, until: int | None = None) -> News:
        """Decode what was appended.

        Args:
            max_bytes: At most so many, though always one whole frame.
            until: Do not read beyond this offset.
        """
        if self.is_damaged:
            return News({}, [], False)
        wanted = max_bytes if until is None else min(max_bytes, until - self.offset)
        data = os.pread(self._fd, wanted, self.offset)
        if wanted and len(data) == wanted < MAX_FRAME_BYTES + _HEAD_BYTES and until is None:
            length = FRAME_HEAD.unpack_from(data)[0] if wanted >= _HEAD_BYTES else MAX_FRAME_BYTES
            if _HEAD_BYTES + length > wanted:
                data = os.pread(self._fd, _HEAD_BYTES + min(length, MAX_FRAME_BYTES), self.offset)
        decoded = self._decode(data)
        self.offset += decoded.end
        self.ordinal = decoded.ordinal
        self.is_damaged = decoded.is_damaged
        more = len(data) >= wanted > 0 and decoded.end > 0 and (until is None or self.offset < until)
        return News(decoded.columns(), decoded.marks, more and not self.is_damaged)

    def _decode(self, data: bytes) -> FrameDecoder:
        """Decode bytes that follow `offset`; they are bad only if they are still the same.

        A writer that cuts off what a full disk took of a frame may do so within a read, which then finds zeros there.
        """
        while True:
            decoded = FrameDecoder(data, self.keys, self.ordinal)
            decoded.run()
            if not decoded.is_damaged:
                return decoded
            again = os.pread(self._fd, len(data), self.offset)
            if again == data:
                return decoded
            data = again

    def go_back(self, offset: int, ordinal: int) -> None:
        """Read on from an earlier place: `offset` in bytes, at the end of a frame, with `ordinal` points before it."""
        self.offset, self.ordinal, self.is_damaged = offset, ordinal, False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
