"""The weight files of a model as they lie on disk: which they are, and what their headers say. Standard library only.

Rule: nothing here reads weights or unpickles anything; a name in an index never leads out of the model's directory.

Source: https://huggingface.co/docs/safetensors (8 bytes length, JSON header, data), Hugging Face's index of shards.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

MAX_HEADER_BYTES = 100 << 20
"""safetensors' own limit."""
INDEX = "model.safetensors.index.json"
PICKLED = (".bin", ".pt", ".pth", ".ckpt")
DTYPE_BYTES = {
    "BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "F8_E8M0": 1,
    "I16": 2, "U16": 2, "F16": 2, "BF16": 2,
    "I32": 4, "U32": 4, "F32": 4,
    "I64": 8, "U64": 8, "F64": 8, "C64": 8,
}  # fmt: skip
TORCH_NAMES = {
    "BOOL": "bool", "U8": "uint8", "I8": "int8", "F8_E4M3": "float8_e4m3fn", "F8_E5M2": "float8_e5m2",
    "F8_E8M0": "float8_e8m0fnu", "I16": "int16", "U16": "uint16", "F16": "float16", "BF16": "bfloat16",
    "I32": "int32", "U32": "uint32", "F32": "float32", "I64": "int64", "U64": "uint64", "F64": "float64",
    "C64": "complex64",
}  # fmt: skip
FLOATS = frozenset({"F16", "BF16", "F32", "F64"})
"""What a dtype asked for at loading applies to; eight-bit floats come with scales of their own and stay."""


class BadWeights(ValueError):
    """Weights that are not there or not what their header says; the text names the file and the next step."""


@dataclass(frozen=True)
class TensorHeader:
    """One tensor. `dtype` as safetensors writes it; `begin` and `end` in bytes from the file's first."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int

    @property
    def num_elements(self) -> int:
        """Count its elements."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class WeightFile:
    """One file. `tensors` is `None` for a pickled one, whose contents nobody knows before it is read."""

    path: Path
    bytes: int
    tensors: tuple[TensorHeader, ...] | None


def find(path: Path, wanted: str | None = None) -> list[WeightFile]:
    """Find the weight files of a model and read their headers.

    Args:
        path: A directory in Hugging Face's layout, or one file.
        wanted: The file to take, by name. Naming a pickled file is the permission to read it.

    Raises:
        BadWeights: There are none, or they are not whole, or only pickled ones and none was named.
    """
    if wanted is not None:
        return [_file(_inside(path, wanted) if path.is_dir() else path)]
    if path.is_dir():
        return [_file(found) for found in _in_directory(path)]
    if path.suffix in PICKLED:
        raise BadWeights(_refuse_pickled(path.name))
    return [_file(path)]


def _in_directory(path: Path) -> list[Path]:
    if (path / "model.safetensors").exists():
        return [path / "model.safetensors"]
    if (path / INDEX).exists():
        return _shards(path / INDEX)
    found = sorted(path.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        names = ", ".join(file.name for file in found[:5])
        raise BadWeights(
            f"{path} has several weight files and no index: {names}; name one with weights='{found[0].name}'."
        )
    pickled = sorted(file.name for file in path.iterdir() if file.suffix in PICKLED) if path.exists() else []
    if pickled:
        raise BadWeights(_refuse_pickled(pickled[0]))
    raise BadWeights(f"{path} has no safetensors weights; download the model again or name a file.")


def _refuse_pickled(name: str) -> str:
    return f"{name} is a pickle, not safetensors; if you trust where it comes from, name it: load(weights={name!r})."


def _shards(index: Path) -> list[Path]:
    try:
        names = json.loads(index.read_text(encoding="utf-8"))["weight_map"].values()
        return [_inside(index.parent, name) for name in sorted(set(names))]
    except (ValueError, KeyError, AttributeError, TypeError) as error:
        if isinstance(error, BadWeights):
            raise
        raise BadWeights(f"{index.name} is no index of shards ({error}); download the model again.") from None


def _inside(directory: Path, name: object) -> Path:
    """Give the path of a file in a directory; a name is a plain name, nothing else."""
    if not isinstance(name, str) or not name or name != os.path.basename(name) or name in (".", ".."):
        raise BadWeights(f"{name!r} is no name of a file in the model's directory.")
    if not (directory / name).exists():
        raise BadWeights(f"{name} is missing in {directory}; download the model again.")
    return directory / name


def _file(path: Path) -> WeightFile:
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from None
    if path.suffix in PICKLED:
        return WeightFile(path, size, None)
    with open(path, "rb") as file:
        head = file.read(8)
        length = int.from_bytes(head, "little")
        if len(head) < 8 or length > min(MAX_HEADER_BYTES, size - 8):
            raise BadWeights(f"{path.name} is no safetensors file, or only a part of one; download it again.")
        return WeightFile(path, size, parse_header(file.read(length), size, path.name))


def parse_header(text: bytes, size: int, name: str) -> tuple[TensorHeader, ...]:
    """Read a safetensors header.

    Args:
        text: The JSON, without its length.
        size: Bytes of the whole file; the header must account for all of them.
        name: What to call the file in an error.

    Raises:
        BadWeights: It is none, or does not fit the file.
    """
    begin = 8 + len(text)
    try:
        header: dict[str, Any] = json.loads(text)
        header.pop("__metadata__", None)
        tensors = tuple(sorted((_tensor(key, item, begin) for key, item in header.items()), key=_begin))
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadWeights(f"{name} has a header that is not safetensors' ({error}).") from None
    at = begin
    for tensor in tensors:
        if tensor.begin != at or tensor.end - tensor.begin != tensor.num_elements * DTYPE_BYTES[tensor.dtype]:
            raise BadWeights(f"{name} has a header that lies about {tensor.name!r}; download it again.")
        at = tensor.end
    if at != size:
        raise BadWeights(
            f"{name} has {size:,} bytes, its header accounts for {at:,}; it is not whole, download it again."
        )
    return tensors


def _begin(tensor: TensorHeader) -> tuple[int, int]:
    return tensor.begin, tensor.end


def _tensor(name: str, item: dict[str, Any], begin: int) -> TensorHeader:
    dtype, shape, (first, last) = item["dtype"], item["shape"], item["data_offsets"]
    if dtype not in DTYPE_BYTES:
        raise ValueError(f"dtype {dtype!r} of {name!r} is unknown")
    if not all(isinstance(number, int) and number >= 0 for number in (*shape, first, last)):
        raise ValueError(f"{name!r} has a shape or place that is no number")
    return TensorHeader(name, dtype, tuple(shape), begin + first, begin + last)


def main_dtype(tensors: Iterable[TensorHeader]) -> str | None:
    """Name the floating dtype that most elements have, as torch calls it, or `None`."""
    counts: dict[str, int] = {}
    for tensor in tensors:
        if tensor.dtype.startswith(("F", "BF")):
            counts[tensor.dtype] = counts.get(tensor.dtype, 0) + tensor.num_elements
    return TORCH_NAMES[max(counts, key=lambda dtype: counts[dtype])] if counts else None
