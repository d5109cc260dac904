"""TensorBoard's event files: the records of scalars, written without TensorBoard.

The records of one metric differ in a few numbers only, so that they are made together: rows of a matrix, whose CRCs are
computed by column.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord (records); tensorflow/core/util/event.proto and
tensorflow/core/framework/summary.proto (messages, by the numbers of their fields).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from functools import lru_cache
from typing import TYPE_CHECKING

from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.metrics_codec import FIRST_RANKS

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")

_POLYNOMIAL = 0x82F63B78
_MASK = 0xA282EAD8
_HEAD_BYTES = 12
_CRC_BYTES = 4
_TIME_AT, _STEP_AT = 1, 10
"""Where time and step stand in an event."""
_VALUE_BYTES = 4
_MAX_STEP = float(1 << 62)
_MAX_VALUE = 3.4028234e38
_ROWS = 8_192


def tag_of(key: str, rank: str) -> str | None:
    """Return what TensorBoard calls a metric; `None` for those of the machine, which are none of the code's."""
    if key.startswith("system/"):
        return None
    return key if rank in FIRST_RANKS else f"{key}/rank {rank}"


def first_event(time: float) -> bytes:
    """Return the record that a file begins with.

    Args:
        time: Of the first point, Unix s.
    """
    data = struct.pack("<Bd", 1 << 3 | 1, time) + _message(3, b"brain.Event:2")
    return _head(len(data)) + data + struct.pack("<I", _masked(_crc(data)))


def scalar_events(
    tag: str, steps: NDArray[np.float64], values: NDArray[np.float64], times: NDArray[np.float64]
) -> Iterator[bytes]:
    """Return the records of points of one metric, in their order.

    Args:
        tag: What TensorBoard calls it.
        steps: Of each point; TensorBoard's are whole.
        values: As many; TensorBoard keeps 32 bits of them.
        times: As many, Unix s.
    """
    whole = np.clip(np.nan_to_num(steps), -_MAX_STEP, _MAX_STEP).astype("<i8")
    finite = np.isfinite(values)
    single = np.where(finite, np.clip(values, -_MAX_VALUE, _MAX_VALUE), values).astype("<f4")
    for start in range(0, len(values), _ROWS):
        part = slice(start, start + _ROWS)
        yield _some(tag.encode("utf-8", "replace"), whole[part], single[part], times[part])


def _some(
    tag: bytes, steps: NDArray[np.int64], values: NDArray[np.float32], times: NDArray[np.float64]
) -> bytes:
    unsigned = steps.view("<u8")
    widths = np.ones(len(steps), np.int64)
    for bits in range(7, 64, 7):
        widths += unsigned >> np.uint64(bits) > 0
    known = np.unique(widths).tolist()
    if len(known) == 1:
        return _rows(tag, known[0], unsigned, values, times).tobytes()
    groups = [
        (found := widths == width, _rows(tag, width, unsigned[found], values[found], times[found]))
        for width in known
    ]
    lengths = np.zeros(len(steps), np.int64)
    for found, rows in groups:
        lengths[found] = rows.shape[1]
    ends = np.cumsum(lengths)
    out = np.empty(int(ends[-1]), np.uint8)
    for found, rows in groups:
        out[(ends - lengths)[found][:, None] + np.arange(rows.shape[1])] = rows
    return out.tobytes()


def _rows(
    tag: bytes, width: int, steps: NDArray[np.uint64], values: NDArray[np.float32], times: NDArray[np.float64]
) -> NDArray[np.uint8]:
    """Make a record a row, of points whose steps are written in `width` bytes."""
    value = _message(1, _message(1, tag) + struct.pack("<Bf", 2 << 3 | 5, 0))
    data = struct.pack("<Bd", 1 << 3 | 1, 0) + bytes([2 << 3]) + bytes(width) + _message(5, value)
    record = _head(len(data)) + data + bytes(_CRC_BYTES)
    rows = np.tile(np.frombuffer(record, np.uint8), (len(steps), 1))
    event = rows[:, _HEAD_BYTES:-_CRC_BYTES]
    event[:, _TIME_AT : _TIME_AT + 8] = times.astype("<f8")[:, None].view(np.uint8)
    for i in range(width):
        low = steps >> np.uint64(7 * i) & np.uint64(0x7F)
        event[:, _STEP_AT + i] = low | (0x80 if i + 1 < width else 0)
    event[:, -_VALUE_BYTES:] = values[:, None].view(np.uint8)
    changing = (*range(_TIME_AT, _TIME_AT + 8), *range(_STEP_AT, _STEP_AT + width))
    changing += tuple(range(len(data) - _VALUE_BYTES, len(data)))
    crcs = np.full(len(rows), _crc(data), np.uint32)
    for column, table in zip(changing, _tables(len(data), changing), strict=True):
        # CRCs are linear: a byte adds what it adds to that of zeros, which is what the template has there
        crcs ^= table[event[:, column]]
    masked = (crcs >> 15 | crcs << 17) + np.uint32(_MASK)
    rows[:, -_CRC_BYTES:] = masked.astype("<u4")[:, None].view(np.uint8)
    return rows


def _message(number: int, data: bytes) -> bytes:
    return bytes([number << 3 | 2]) + _varint(len(data)) + data


def _varint(number: int) -> bytes:
    packed = bytearray()
    while number > 0x7F:
        packed.append(number & 0x7F | 0x80)
        number >>= 7
    packed.append(number)
    return bytes(packed)


def _head(length: int) -> bytes:
    head = struct.pack("<Q", length)
    return head + struct.pack("<I", _masked(_crc(head)))


@lru_cache(maxsize=128)
def _tables(length: int, columns: tuple[int, ...]) -> list[NDArray[np.uint32]]:
    """Return what each byte adds to the CRC-32C of `length` bytes, for each column that it may stand in."""
    wanted = {length - 1 - column for column in columns}
    first = table = _first_table()
    found = {}
    for distance in range(max(wanted) + 1):
        if distance in wanted:
            found[distance] = table
        table = first[table & 0xFF] ^ table >> 8
    return [found[length - 1 - column] for column in columns]


@lru_cache(maxsize=1)
def _first_table() -> NDArray[np.uint32]:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table


def _crc(data: bytes) -> int:
    """Return the CRC-32C of data."""
    crc, table = 0xFFFFFFFF, _first_table().tolist()
    for byte in data:
        crc = table[(crc ^ byte) & 0xFF] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def _masked(crc: int) -> int:
    """Return a CRC as records carry it."""
    return ((crc >> 15 | crc << 17) + _MASK) & 0xFFFFFFFF
