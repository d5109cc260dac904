"""CRC-32 of many frames of one length at once, as `zlib.crc32` computes it of each."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING
from zlib import crc32

from jupyter_ext.ipc.journal_format import FRAME_HEAD
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")

_HEAD_BYTES = FRAME_HEAD.size
_MAX_TABLE_BYTES = 256
"""CRCs of longer frames are computed one by one, where zlib is quicker."""


def crcs_of(rows: NDArray[np.uint8]) -> NDArray[np.uint32]:
    """Compute the CRC32 of each row's body.

    CRC32 is linear: that of n bytes is that of n zeros, with a table's entry for each byte and position XORed in.
    """
    body_bytes = rows.shape[1] - _HEAD_BYTES
    if body_bytes > _MAX_TABLE_BYTES or len(rows) < 16:
        return np.fromiter((crc32(row[_HEAD_BYTES:]) for row in rows), np.uint32, len(rows))
    crcs = np.full(len(rows), crc32(bytes(body_bytes)), np.uint32)
    tables = _crc_tables()
    for column in range(body_bytes):
        crcs ^= tables[body_bytes - 1 - column][rows[:, _HEAD_BYTES + column]]
    return crcs


@lru_cache(maxsize=1)
def _crc_tables() -> NDArray[np.uint32]:
    """Return uint32 (256, 256): what byte b, followed by d bytes, adds to a CRC32 stands at [d, b]."""
    zero = crc32(b"\0")
    tables = np.empty((_MAX_TABLE_BYTES, 256), np.uint32)
    tables[0] = [crc32(bytes([byte])) ^ zero for byte in range(256)]
    for distance in range(1, _MAX_TABLE_BYTES):
        before = tables[distance - 1]
        tables[distance] = tables[0][before & 0xFF] ^ (before >> 8)
    return tables
