"""Metric columns (JXC1) and batches (JXM1): numpy arrays to bytes and back.

Rule: what is encoded here is decoded here, and by widgets/src; a change of the format changes all of them.

Source: docs/architecture/02-wire.md, "The stream" and "Columns".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLUMNS_HEAD = struct.Struct("<4sI")
_BATCH_HEAD = struct.Struct("<4sIQd")
_BLOCK_HEAD = struct.Struct("<HBBI")
_REGULAR = struct.Struct("<dd")
_REGULAR_STEPS, _ANY_STEPS = 0, 1
_MAX_SERIES_INDEX = 0xFFFF


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


def encode_columns(header: Mapping[str, Any], series: Iterable[SeriesColumns]) -> bytes:
    """Encode an answer of `/metrics`.

    Args:
        header: `{seq, series: [{index, key, rank, n, …}]}`, without NaN or infinity.
        series: One for each of the header's series, in its order.
    """
    head = json.dumps(header, allow_nan=False).encode()
    head += b" " * (-len(head) % 8)
    arrays = [_float64(array) for item in series for array in (item.steps, item.values, item.times)]
    return b"".join([_COLUMNS_HEAD.pack(b"JXC1", len(head)), head, *arrays])


def decode_columns(data: bytes) -> tuple[dict[str, Any], list[SeriesColumns]]:
    """Decode an answer of `/metrics`.

    Returns:
        Its JSON header and its series, whose arrays are read-only views into `data`.

    Raises:
        ValueError: `data` is not such an answer or is cut short.
    """
    magic, json_bytes = _COLUMNS_HEAD.unpack_from(data)
    if magic != b"JXC1":
        raise ValueError(f"not metric columns: they begin with {magic!r}, not b'JXC1'")
    offset = _COLUMNS_HEAD.size + json_bytes
    header = json.loads(data[_COLUMNS_HEAD.size : offset])
    series = []
    for item in header["series"]:
        n = item["n"]
        arrays = np.frombuffer(data, "<f8", 3 * n, offset).reshape(3, n)
        offset += 24 * n
        series.append(
            SeriesColumns(item["index"], item["key"], item["rank"], arrays[0], arrays[1], arrays[2])
        )
    return header, series


def encode_batch(seq: int, blocks: Sequence[BatchBlock]) -> bytes:
    """Encode a binary message of a stream. Blocks of n > 0 points; series from 65,536 on are left out."""
    blocks = [block for block in blocks if block.index <= _MAX_SERIES_INDEX]
    base_time = min((float(block.times.min()) for block in blocks), default=0.0)
    encoded = [_BATCH_HEAD.pack(b"JXM1", len(blocks), seq, base_time)]
    for block in blocks:
        steps, n = block.steps, len(block.steps)
        delta = float(steps[1] - steps[0]) if n > 1 else 0.0
        is_regular = bool((steps[0] + delta * np.arange(n) == steps).all())
        encoded.append(_BLOCK_HEAD.pack(block.index, _REGULAR_STEPS if is_regular else _ANY_STEPS, 0, n))
        encoded.append(_REGULAR.pack(steps[0], delta) if is_regular else _float64(steps))
        encoded.append(_float64(block.values))
        encoded.append((block.times - base_time).astype("<f4").tobytes() + b"\0" * (4 * (n % 2)))
    return b"".join(encoded)


def decode_batch(data: bytes) -> tuple[int, list[BatchBlock]]:
    """Decode a binary message of a stream.

    Returns:
        Its sequence number and its blocks.

    Raises:
        ValueError: `data` is not a metric batch or is cut short.
    """
    magic, num_blocks, seq, base_time = _BATCH_HEAD.unpack_from(data)
    if magic != b"JXM1":
        raise ValueError(f"not a metric batch: it begins with {magic!r}, not b'JXM1'")
    offset = _BATCH_HEAD.size
    blocks = []
    for _ in range(num_blocks):
        index, encoding, _, n = _BLOCK_HEAD.unpack_from(data, offset)
        offset += _BLOCK_HEAD.size
        if encoding == _REGULAR_STEPS:
            start, delta = _REGULAR.unpack_from(data, offset)
            steps = start + delta * np.arange(n, dtype=np.float64)
            offset += _REGULAR.size
        else:
            steps = np.frombuffer(data, "<f8", n, offset)
            offset += 8 * n
        values = np.frombuffer(data, "<f8", n, offset)
        offset += 8 * n
        times = base_time + np.frombuffer(data, "<f4", n, offset).astype(np.float64)
        offset += (4 * n + 7) // 8 * 8
        blocks.append(BatchBlock(index, steps, values, times))
    return seq, blocks


def _float64(array: NDArray[np.float64]) -> bytes:
    return np.ascontiguousarray(array, "<f8").tobytes()
