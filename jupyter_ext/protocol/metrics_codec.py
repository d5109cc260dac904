"""Metric columns (JXC1) and batches (JXM1): numpy arrays to bytes and back.

Rule: what is encoded here is decoded here, and by widgets/src; a change of the format changes all of them.

Source: docs/architecture/02-wire.md, "The stream" and "Columns".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")


_COLUMNS_HEAD = struct.Struct("<4sI")
_BATCH_HEAD = struct.Struct("<4sIQd")
_BLOCK_HEAD = struct.Struct("<HBBI")
_REGULAR = struct.Struct("<dd")
_POINT = struct.Struct("<HBBIdddf4x")
_REGULAR_STEPS, _ANY_STEPS = 0, 1
_MAX_SERIES_INDEX = 0xFFFF
FIRST_RANKS = frozenset({"0", "log"})
"""Ranks that stand for a run where one does: its first process, and the lines that it printed."""


@dataclass(frozen=True)
class SeriesColumns:
    """One series: `steps`, `values` and `times` (Unix seconds), float64, all of length n."""

    index: int
    key: str
    rank: str
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


@dataclass(frozen=True)
class BatchBlock:
    """New points of one series in a batch: `steps`, `values`, `times` (Unix seconds), float64, all of length n."""

    index: int
    steps: NDArray[np.float64]
    values: NDArray[np.float64]
    times: NDArray[np.float64]


def encode_columns(header: Mapping[str, object], series: Iterable[SeriesColumns]) -> bytes:
    """Encode an answer of `/metrics`.

    Args:
        header: `{seq, series: [{index, key, rank, n, …}]}`, without NaN or infinity.
        series: One for each of the header's series, in its order.
    """
    arrays = [_float64(array) for item in series for array in (item.steps, item.values, item.times)]
    return b"".join([_columns_head(header), *arrays])


def columns_to_fill(
    header: Mapping[str, object], num_points: Sequence[int]
) -> tuple[memoryview, list[NDArray[np.float64]]]:
    """Encode an answer of `/metrics` but for its numbers, so that many can be read to where they belong.

    Args:
        header: As for `encode_columns`.
        num_points: Of each of the header's series, in its order.

    Returns:
        The answer, and float64 (3, n) for each series, parts of it: room for its steps, values and times (Unix s).
    """
    head = _columns_head(header)
    answer = np.empty(len(head) + 24 * sum(num_points), np.uint8)
    answer[: len(head)] = np.frombuffer(head, np.uint8)
    ends = np.cumsum(num_points, dtype=np.int64)[:-1]
    rooms = np.split(answer[len(head) :].view("<f8"), 3 * ends)
    return answer.data.toreadonly(), [room.reshape(3, -1) for room in rooms[: len(num_points)]]


def _columns_head(header: Mapping[str, object]) -> bytes:
    """Encode what comes before the numbers, a multiple of 8 bytes."""
    head = json.dumps(header, allow_nan=False).encode()
    head += b" " * (-len(head) % 8)
    return _COLUMNS_HEAD.pack(b"JXC1", len(head)) + head


def decode_columns(data: bytes | memoryview) -> tuple[dict[str, Any], list[SeriesColumns]]:
    """Decode an answer of `/metrics`.

    Returns:
        Its JSON header and its series, whose arrays are read-only views into `data`.

    Raises:
        ValueError: `data` is not such an answer or is cut short.
    """
    with _decoding("metric columns"):
        magic, json_bytes = _COLUMNS_HEAD.unpack_from(data)
        if magic != b"JXC1":
            raise ValueError(f"they begin with {magic!r}, not b'JXC1'")
        offset = _COLUMNS_HEAD.size + json_bytes
        header = json.loads(bytes(data[_COLUMNS_HEAD.size : offset]))
        series = []
        for item in header["series"]:
            arrays = _numbers(data, "<f8", 3 * item["n"], offset).reshape(3, item["n"])
            offset += arrays.nbytes
            series.append(SeriesColumns(item["index"], item["key"], item["rank"], *arrays))
        return header, series


def encode_batch(seq: int, blocks: Sequence[BatchBlock]) -> bytes:
    """Encode a binary message of a stream. Blocks of n > 0 points; series from 65,536 on are left out."""
    blocks = [block for block in blocks if block.index <= _MAX_SERIES_INDEX]
    base_time = min(
        (float(block.times[0] if len(block.times) == 1 else block.times.min()) for block in blocks),
        default=0.0,
    )
    encoded: list[bytes | memoryview] = [_BATCH_HEAD.pack(b"JXM1", len(blocks), seq, base_time)]
    for block in blocks:
        steps, n = block.steps, len(block.steps)
        if n == 1:
            encoded.append(_encode_point(block, base_time))
            continue
        start, delta = float(steps[0]), float(steps[1]) - float(steps[0]) if n > 1 else 0.0
        is_regular = bool((_regular(start, delta, n) == steps).all())
        encoded.append(_BLOCK_HEAD.pack(block.index, _REGULAR_STEPS if is_regular else _ANY_STEPS, 0, n))
        encoded.append(_REGULAR.pack(start, delta) if is_regular else _float64(steps))
        encoded.append(_float64(block.values))
        encoded.append((block.times - base_time).astype("<f4").tobytes() + b"\0" * (4 * (n % 2)))
    return b"".join(encoded)


def _encode_point(block: BatchBlock, base_time: float) -> bytes:
    """Encode a block of one point without numpy, which would take five times as long."""
    step, value, time = float(block.steps[0]), float(block.values[0]), float(block.times[0])
    return _POINT.pack(block.index, _REGULAR_STEPS, 0, 1, step, 0.0, value, time - base_time)


def decode_batch(data: bytes) -> tuple[int, list[BatchBlock]]:
    """Decode a binary message of a stream.

    Returns:
        Its sequence number and its blocks.

    Raises:
        ValueError: `data` is not a metric batch or is cut short.
    """
    with _decoding("a metric batch"):
        magic, num_blocks, seq, base_time = _BATCH_HEAD.unpack_from(data)
        if magic != b"JXM1":
            raise ValueError(f"it begins with {magic!r}, not b'JXM1'")
        offset = _BATCH_HEAD.size
        blocks = []
        for _ in range(num_blocks):
            index, encoding, _, n = _BLOCK_HEAD.unpack_from(data, offset)
            offset += _BLOCK_HEAD.size
            steps_at, is_regular = offset, encoding == _REGULAR_STEPS
            offset += _REGULAR.size if is_regular else 8 * n
            values = _numbers(data, "<f8", n, offset)  # before the steps, which take n's word for it
            offset += 8 * n
            times = base_time + _numbers(data, "<f4", n, offset).astype(np.float64)
            offset += (4 * n + 7) // 8 * 8
            if is_regular:
                start, delta = _REGULAR.unpack_from(data, steps_at)
                steps = _regular(start, delta, n)
            else:
                steps = _numbers(data, "<f8", n, steps_at)
            blocks.append(BatchBlock(index, steps, values, times))
        return seq, blocks


def _regular(start: float, delta: float, n: int) -> NDArray[np.float64]:
    """Return n steps at one distance; of steps that are not finite, whatever that makes."""
    with np.errstate(invalid="ignore", over="ignore"):
        return start + delta * np.arange(n, dtype=np.float64)


@contextmanager
def _decoding(what: str) -> Iterator[None]:
    """Raise ValueError for whatever bytes that are no such thing make the decoder raise."""
    try:
        yield
    except (ValueError, TypeError, LookupError, OverflowError, RecursionError, struct.error) as error:
        raise ValueError(f"not {what}: {error}") from error


def _numbers(data: bytes | memoryview, dtype: str, n: Any, offset: int) -> NDArray[Any]:
    """Return n numbers as a view, once it is known that they are there."""
    if not isinstance(n, int) or n < 0 or offset + n * np.dtype(dtype).itemsize > len(data):
        raise ValueError(f"{n!r} numbers from byte {offset} on are more than the {len(data)} bytes hold")
    return np.frombuffer(data, dtype, n, offset)


def _float64(array: NDArray[np.float64]) -> memoryview:
    """Return the bytes of numbers, to be joined; they are not copied."""
    return np.ascontiguousarray(array, "<f8").data
