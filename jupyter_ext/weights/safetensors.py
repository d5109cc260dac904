"""The head of a safetensors file: what tensors it holds, before any of them is read. Standard library only.

The one parser of downloader, estimate and loader. A header comes from strangers.

Rule: every number is compared with its limit before anything is computed with it, and only `BadHeader` is raised.

Source: the safetensors format (8 bytes little-endian length N, N bytes of JSON, then the tensors' bytes).
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

LENGTH_BYTES = 8
MAX_HEADER_BYTES = 16 << 20
"""Most JSON that is parsed; the format allows 100 MB. The 91,000 tensors of DeepSeek-V3 would take 11 MB in one file."""
MAX_TENSORS = 250_000
"""Most tensors of one file. Counted by brackets and colons before the JSON is parsed: 16 MiB of nothing but lists would take
half a gigabyte."""
MAX_RANK = 64
"""Most dimensions of a tensor; torch's own kernels take no more."""
LIMIT = 1 << 63
"""Sizes, offsets and numbers of elements are below this; torch and the kernel count with 64 bits and a sign."""
_MAX_SHOWN = 80

FIRST_READ_BYTES = 128 * 1024
"""Holds nearly every header, so that one range request is enough."""


class Dtype(NamedTuple):
    """A dtype: bits of one number, and what torch calls it; `None` where torch has none such."""

    bits: int
    torch: str | None


DTYPES = {
    "BOOL": Dtype(8, "bool"), "U8": Dtype(8, "uint8"), "I8": Dtype(8, "int8"),
    "U16": Dtype(16, "uint16"), "I16": Dtype(16, "int16"), "F16": Dtype(16, "float16"), "BF16": Dtype(16, "bfloat16"),
    "U32": Dtype(32, "uint32"), "I32": Dtype(32, "int32"), "F32": Dtype(32, "float32"),
    "U64": Dtype(64, "uint64"), "I64": Dtype(64, "int64"), "F64": Dtype(64, "float64"), "C64": Dtype(64, "complex64"),
    "F8_E4M3": Dtype(8, "float8_e4m3fn"), "F8_E5M2": Dtype(8, "float8_e5m2"), "F8_E8M0": Dtype(8, "float8_e8m0fnu"),
    "F8_E4M3FNUZ": Dtype(8, "float8_e4m3fnuz"), "F8_E5M2FNUZ": Dtype(8, "float8_e5m2fnuz"),
    "F4": Dtype(4, "float4_e2m1fn_x2"), "F6_E2M3": Dtype(6, None), "F6_E3M2": Dtype(6, None),
}  # fmt: skip
"""All dtypes of the format. Numbers below a byte are packed; torch's dtype for `F4` holds two of them."""

FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
"""What a dtype asked for at loading applies to; smaller floats come with scales of their own and stay."""


class BadHeader(ValueError):
    """The bytes are no head of a safetensors file; the message says why."""


@dataclass(frozen=True)
class TensorHeader:
    """One tensor.

    Attributes:
        name: Its name.
        dtype: In the format's words, a key of `DTYPES`.
        shape: Its dimensions.
        num_elements: Their product; a scalar is one.
        begin: Where its bytes begin, counted from the file's first.
        end: Where they end, exclusive.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    num_elements: int
    begin: int
    end: int

    @property
    def num_bytes(self) -> int:
        """Its bytes in the file."""
        return self.end - self.begin


@dataclass(frozen=True)
class Header:
    """A file's tensors in the order of the file, its metadata, and what the whole file's size must be, in bytes."""

    tensors: tuple[TensorHeader, ...]
    metadata: Mapping[str, str]
    file_bytes: int

    @property
    def unloadable(self) -> str | None:
        """Name a dtype in the file that torch does not have, or `None`."""
        return next((t.dtype for t in self.tensors if DTYPES[t.dtype].torch is None), None)


@dataclass(frozen=True)
class WeightsSummary:
    """What the tensors of a model's files add up to.

    Attributes:
        num_parameters: Single numbers, of floating, complex and sub-byte dtypes; of all where there is no such.
        num_tensors: Tensors.
        num_bytes: Bytes of all tensors as stored, which is what a mapped load takes.
        elements_by_dtype: Single numbers by dtype, in the format's words.
        unloadable: A dtype among them that torch does not have, or `None`.
    """

    num_parameters: int
    num_tensors: int
    num_bytes: int
    elements_by_dtype: Mapping[str, int]
    unloadable: str | None = None

    @property
    def dtype(self) -> str | None:
        """The dtype of most numbers, as `main_dtype` names it."""
        return main_dtype(self.elements_by_dtype)


def header_length(first: bytes) -> int:
    """Return how many bytes of JSON follow the first eight.

    Raises:
        BadHeader: Fewer than eight bytes, or a length that no such file has.
    """
    if len(first) < LENGTH_BYTES:
        raise BadHeader(f"it has {len(first)} bytes, and a safetensors file has at least {LENGTH_BYTES}")
    length = int.from_bytes(first[:LENGTH_BYTES], "little")
    if not 2 <= length <= MAX_HEADER_BYTES:
        raise BadHeader(
            f"it says that its header has {length} bytes; it is no safetensors file "
            f"(headers are read up to {MAX_HEADER_BYTES >> 20} MiB)"
        )
    return length


def parse_header(head: bytes) -> Header:
    """Parse a header from a file's first bytes.

    Args:
        head: At least the length and the whole JSON.

    Raises:
        BadHeader: Cut short, no JSON, an unknown dtype, or offsets that fit neither shape nor one another.
    """
    length = header_length(head)
    text = head[LENGTH_BYTES : LENGTH_BYTES + length]
    if len(text) < length:
        raise BadHeader(f"its header has {length} bytes and is cut short after {len(text)}")
    num_containers = text.count(b"[") + text.count(b"{")
    if num_containers > 3 * MAX_TENSORS + 2 or text.count(b":") > 5 * MAX_TENSORS:
        raise BadHeader(f"its header describes more than {MAX_TENSORS:,} tensors")
    try:
        entries = json.loads(text.decode("utf-8"))
    except (ValueError, RecursionError):
        raise BadHeader("its header is no JSON") from None
    if not isinstance(entries, dict):
        raise BadHeader("its header is no JSON object")
    metadata = entries.pop("__metadata__", None) or {}
    if not isinstance(metadata, dict):
        raise BadHeader("its metadata is no JSON object")
    data_begin = LENGTH_BYTES + length
    tensors = sorted(
        (_tensor(name, entry, data_begin) for name, entry in entries.items()), key=lambda t: (t.begin, t.end)
    )
    position = data_begin
    for tensor in tensors:
        if tensor.begin != position:
            raise BadHeader(
                f"tensor {_shown(tensor.name)} begins at byte {tensor.begin - data_begin} "
                f"instead of {position - data_begin}"
            )
        position = tensor.end
    text_only = {key: value for key, value in metadata.items() if isinstance(value, str)}
    return Header(tuple(tensors), text_only, position)


def read_header(path: Path) -> Header:
    """Read the header of a file, and check that the file is as long as it says.

    Raises:
        BadHeader: It is no whole safetensors file.
        OSError: It cannot be read.
    """
    with open(path, "rb") as file:
        file_bytes = file.seek(0, 2)
        file.seek(0)
        first = file.read(LENGTH_BYTES)
        length = header_length(first)
        if length > file_bytes - LENGTH_BYTES:
            raise BadHeader(f"its header would have {length} bytes, and the whole file has {file_bytes}")
        header = parse_header(first + file.read(length))
    if file_bytes != header.file_bytes:
        raise BadHeader(f"it has {file_bytes} bytes, and {header.file_bytes} by its header")
    return header


def summarize(headers: Iterable[Header]) -> WeightsSummary:
    """Add up the tensors of a model's files."""
    elements: dict[str, int] = {}
    num_tensors = num_bytes = 0
    for header in headers:
        for tensor in header.tensors:
            num_tensors += 1
            num_bytes += tensor.num_bytes
            elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.num_elements
    learned = sum(count for dtype, count in elements.items() if dtype.startswith(("F", "BF", "C")))
    unloadable = next((dtype for dtype in elements if DTYPES[dtype].torch is None), None)
    return WeightsSummary(learned or sum(elements.values()), num_tensors, num_bytes, elements, unloadable)


def main_dtype(elements_by_dtype: Mapping[str, int]) -> str | None:
    """Name the dtype of most floating numbers, else of most numbers, as torch does; `None` without tensors."""
    floats = {name: count for name, count in elements_by_dtype.items() if name.startswith(("F", "BF"))}
    counts = floats or elements_by_dtype
    if not counts:
        return None
    most = max(counts, key=lambda name: counts[name])
    return DTYPES[most].torch or most.lower()


def _tensor(name: str, entry: object, data_begin: int) -> TensorHeader:
    if not isinstance(entry, dict):
        raise BadHeader(f"tensor {_shown(name)} is described by no JSON object")
    if any("\ud800" <= character <= "\udfff" for character in name):
        raise BadHeader(f"a tensor is called {_shown(name)}, which is no text")
    dtype: object = entry.get("dtype")
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise BadHeader(f"tensor {_shown(name)} has the unknown dtype {_shown(dtype)}")
    shape, offsets = _sizes(entry.get("shape"), MAX_RANK), _sizes(entry.get("data_offsets"), 2)
    if shape is None or offsets is None or len(offsets) != 2:
        raise BadHeader(f"tensor {_shown(name)} has a bad shape or bad offsets")
    num_elements = _num_elements(shape)
    _check_size(name, dtype, shape, num_elements, offsets[1] - offsets[0])
    return TensorHeader(name, dtype, shape, num_elements, data_begin + offsets[0], data_begin + offsets[1])


def _check_size(name: str, dtype: str, shape: tuple[int, ...], num_elements: int, num_bytes: int) -> None:
    """Check that a tensor's bytes are as many as its shape and dtype take.

    Raises:
        BadHeader: They are not, or no file holds as many.
    """
    num_bits = num_elements * DTYPES[dtype].bits
    if num_bits >= LIMIT:
        raise BadHeader(f"tensor {_shown(name)} has a bad shape: it is larger than any file")
    if num_bits % 8 or num_bytes != num_bits // 8:
        raise BadHeader(
            f"tensor {_shown(name)} has {num_bytes} bytes, and {num_bits / 8:g} by its shape and dtype"
        )
    if dtype == "F4" and num_elements and (not shape or shape[-1] % 2):
        raise BadHeader(f"tensor {_shown(name)} is packed in pairs, and its last dimension is odd")


def _sizes(values: object, most: int) -> tuple[int, ...] | None:
    """Check a list of at most so many whole numbers from 0 to 2^63 - 1; `None` for anything else."""
    if not isinstance(values, list) or len(values) > most:
        return None
    if any(type(value) is not int or not 0 <= value < LIMIT for value in values):
        return None
    return tuple(values)


def _num_elements(shape: tuple[int, ...]) -> int:
    """Multiply dimensions; `LIMIT` where those that are not 0 make as much or more, which nothing can address."""
    product = 1
    for size in shape:
        product *= size or 1
        if product >= LIMIT:
            return LIMIT
    return 0 if 0 in shape else product


def _shown(value: object) -> str:
    """Write a value of a stranger's for a message, in a line and not endless."""
    text = ascii(value[: _MAX_SHOWN + 1]) if isinstance(value, str) else type(value).__name__
    return text if len(text) <= _MAX_SHOWN + 2 else f"{text[:_MAX_SHOWN]}…'"
