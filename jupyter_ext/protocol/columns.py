"""Decode metric columns and batches into numpy arrays, and encode columns that were joined.

Source: docs/architecture/02-wire.md, "The stream" and "Columns".
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

_COLUMNS_HEAD = struct.Struct("<4sI")
_BATCH_HEAD = struct.Struct("<4sIQd")
_BLOCK_HEAD = struct.Struct("<HBBI")


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


def encode_columns(header: Mapping[str, Any], series: Sequence[SeriesColumns]) -> bytes:
    """Encode an answer of `/metrics`; `header["series"]` describes `series` in the same order."""
    head = json.dumps(header, allow_nan=False).encode()
    head += b" " * (-len(head) % 8)
    arrays = [array for item in series for array in (item.steps, item.values, item.times)]
    columns = [np.ascontiguousarray(array, "<f8").tobytes() for array in arrays]
    return b"".join([_COLUMNS_HEAD.pack(b"JXC1", len(head)), head, *columns])


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
        if encoding == 0:
            start, delta = struct.unpack_from("<dd", data, offset)
            steps = start + delta * np.arange(n, dtype=np.float64)
            offset += 16
        else:
            steps = np.frombuffer(data, "<f8", n, offset)
            offset += 8 * n
        values = np.frombuffer(data, "<f8", n, offset)
        offset += 8 * n
        times = base_time + np.frombuffer(data, "<f4", n, offset).astype(np.float64)
        offset += (4 * n + 7) // 8 * 8
        blocks.append(BatchBlock(index, steps, values, times))
    return seq, blocks
