"""The head of a safetensors file: what tensors it holds, before any of them is read. Standard library only.

Source: the safetensors format (8 bytes little-endian length N, N bytes of JSON, then the tensors' bytes).
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 100_000_000
"""The format's own limit."""

FIRST_READ_BYTES = 128 * 1024
"""Holds nearly every header, so that one range request is enough."""

DTYPE_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E4M3": 8, "F8_E5M2": 8, "F8_E8M0": 8, "F8_E4M3FNUZ": 8, "F8_E5M2FNUZ": 8,
    "U16": 16, "I16": 16, "F16": 16, "BF16": 16, "U32": 32, "I32": 32, "F32": 32,
    "U64": 64, "I64": 64, "F64": 64, "C64": 64, "F4": 4, "F6_E2M3": 6, "F6_E3M2": 6,
}  # fmt: skip
"""Bits of one number; a sub-byte dtype is packed."""

TORCH_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "U16": "uint16", "I16": "int16", "U32": "uint32", "I32": "int32",
    "U64": "uint64", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
}  # fmt: skip
"""What torch calls a dtype."""


class BadHeader(ValueError):
    """The bytes are no head of a safetensors file; the message says why."""


@dataclass(frozen=True)
class TensorInfo:
    """One tensor: `dtype` in the format's words, `shape`, and where its bytes lie after the header, `start` to `end`."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int
    end: int

    @property
    def num_elements(self) -> int:
        """Count its numbers; a scalar is one."""
        return math.prod(self.shape)

    @property
    def num_bytes(self) -> int:
        """Give the size of its bytes in the file."""
        return self.end - self.start


@dataclass(frozen=True)
class Header:
    """A file's tensors in the order of the file, its metadata, and where their bytes begin."""

    tensors: tuple[TensorInfo, ...]
    metadata: Mapping[str, str]
    data_start: int

    @property
    def file_bytes(self) -> int:
        """Give what the whole file's size must be."""
        return self.data_start + max((tensor.end for tensor in self.tensors), default=0)


@dataclass(frozen=True)
class WeightsSummary:
    """What the tensors of a model's files add up to.

    Attributes:
        num_parameters: Single numbers, of floating, complex and sub-byte dtypes; of all where there is no such.
        num_tensors: Tensors.
        num_bytes: Bytes of all tensors as stored, which is what a mapped load takes.
        bytes_by_dtype: The same by dtype, in the format's words.
    """

    num_parameters: int
    num_tensors: int
    num_bytes: int
    bytes_by_dtype: Mapping[str, int] = field(default_factory=dict)
    elements_by_dtype: Mapping[str, int] = field(default_factory=dict)

    @property
    def dtype(self) -> str | None:
        """Name the dtype that most bytes have, as torch does; `None` without tensors."""
        if not self.bytes_by_dtype:
            return None
        largest = max(self.bytes_by_dtype, key=lambda dtype: self.bytes_by_dtype[dtype])
        return TORCH_NAMES.get(largest, largest.lower())


def header_length(first: bytes) -> int:
    """Give how many bytes of JSON follow the first eight.

    Raises:
        BadHeader: Fewer than eight bytes, or a length that no such file has.
    """
    if len(first) < LENGTH_BYTES:
        raise BadHeader(f"it has {len(first)} bytes, and a safetensors file has at least {LENGTH_BYTES}")
    (length,) = struct.unpack_from("<Q", first)
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise BadHeader(f"it says that its header has {length} bytes; it is no safetensors file")
    return int(length)


def parse_header(head: bytes) -> Header:
    """Read a header from a file's first bytes.

    Args:
        head: At least the length and the whole JSON.

    Raises:
        BadHeader: Cut short, no JSON, an unknown dtype, or offsets that fit neither shape nor one another.
    """
    length = header_length(head)
    text = head[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(text) < length:
        raise BadHeader(f"its header has {length} bytes and is cut short after {len(text)}")
    try:
        entries = json.loads(text)
    except (ValueError, RecursionError):
        raise BadHeader("its header is no JSON") from None
    if not isinstance(entries, dict):
        raise BadHeader("its header is no JSON object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise BadHeader("its metadata is no JSON object")
    tensors = sorted(
        (_tensor(name, entry) for name, entry in entries.items()), key=lambda t: (t.start, t.end)
    )
    position = 0
    for tensor in tensors:
        if tensor.start != position:
            raise BadHeader(f"tensor {tensor.name!r} begins at byte {tensor.start} instead of {position}")
        position = tensor.end
    return Header(tuple(tensors), {str(k): str(v) for k, v in metadata.items()}, LENGTH_BYTES + length)


def _tensor(name: str, entry: object) -> TensorInfo:
    if not isinstance(entry, dict):
        raise BadHeader(f"tensor {name!r} is described by no JSON object")
    dtype: object = entry.get("dtype")
    shape, offsets = _sizes(entry.get("shape")), _sizes(entry.get("data_offsets"))
    if not isinstance(dtype, str) or dtype not in DTYPE_BITS:
        raise BadHeader(f"tensor {name!r} has the unknown dtype {dtype!r}")
    if shape is None or offsets is None or len(offsets) != 2:
        raise BadHeader(f"tensor {name!r} has a bad shape or bad offsets")
    info = TensorInfo(name, dtype, shape, offsets[0], offsets[1])
    bits = info.num_elements * DTYPE_BITS[dtype]
    if bits % 8 or info.num_bytes != bits // 8:
        raise BadHeader(
            f"tensor {name!r} has {info.num_bytes} bytes, and {bits / 8:g} by its shape and dtype"
        )
    return info


def _sizes(values: object) -> tuple[int, ...] | None:
    if not isinstance(values, list):
        return None
    if any(not isinstance(value, int) or isinstance(value, bool) or value < 0 for value in values):
        return None
    return tuple(values)


def read_header(path: Path) -> Header:
    """Read the header of a file, and check that the file is as long as it says.

    Raises:
        BadHeader: It is no whole safetensors file.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        first = file.read(LENGTH_BYTES)
        header = parse_header(first + file.read(header_length(first)))
        actual = file.seek(0, 2)
    if actual != header.file_bytes:
        raise BadHeader(f"it has {actual} bytes, and {header.file_bytes} by its header")
    return header


def summarize(headers: Iterable[Header]) -> WeightsSummary:
    """Add up the tensors of a model's files."""
    sizes: dict[str, int] = {}
    elements: dict[str, int] = {}
    num_tensors = 0
    for header in headers:
        for tensor in header.tensors:
            num_tensors += 1
            sizes[tensor.dtype] = sizes.get(tensor.dtype, 0) + tensor.num_bytes
            elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.num_elements
    learned = sum(count for dtype, count in elements.items() if dtype[0] in "FBC" and dtype != "BOOL")
    return WeightsSummary(
        learned or sum(elements.values()), num_tensors, sum(sizes.values()), sizes, elements
    )
