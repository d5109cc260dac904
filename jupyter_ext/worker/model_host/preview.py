"""What a person who tries a model sees of a call: made-up inputs go in, a summary of the outputs comes out.

Rule: tensors stay in the model's process. A page gets numbers that fit on a screen, whatever the output's size.
Shapes: B texts, D dimensions.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, Required, TypedDict, cast

import torch

from jupyter_ext.weights.safetensors import MAX_RANK

NUM_BINS = 40
NUM_FIRST = 8
MAX_OUTPUTS = 16
MAX_ELEMENTS = 1 << 26
"""Numbers of an input that is made up; a page asks for no more."""
MAX_TEXTS = 32
MAX_SAMPLE = 1 << 24
"""Numbers of an output that a histogram looks at; of more, evenly spread ones."""
_MAX_DIMENSIONS = 4096
_MAX_TEXT = 20_000
_DTYPES = {
    name: getattr(torch, name)
    for name in ("float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool")
}
_COMPUTED = frozenset(
    {
        torch.float64,
        torch.float32,
        torch.float16,
        torch.bfloat16,
        torch.bool,
        torch.uint8,
        torch.int8,
        torch.int16,
    }
    | {torch.int32, torch.int64}
)
_PACKED = frozenset({getattr(torch, "float4_e2m1fn_x2", None)})
"""Dtypes whose elements hold several numbers."""
_FILLS = ("normal", "uniform", "zeros", "ones", "arange")
_INTEGERS_BELOW = 100
"""What random integers are below: small enough for any vocabulary."""


Number = float | str
"""A number as JSON can carry it: `"NaN"`, `"Infinity"` and `"-Infinity"` are texts."""


class Histogram(TypedDict("_Ends", {"from": float, "to": float})):
    """How numbers are spread between two ends."""

    counts: list[int]


class Statistics(TypedDict, total=False):
    """Finite numbers summed up."""

    min: Number
    max: Number
    mean: Number
    std: Number
    norm: Number
    histogram: Histogram


class Embeddings(TypedDict):
    """A vector for each text, and the cosine of each with each."""

    dimensions: int
    norms: list[Number]
    vectors: list[list[Number]]
    similarity: list[list[Number]]


class Summary(Statistics, total=False):
    """One value of a result. `text` is there for texts and plain values, all else for tensors."""

    name: Required[str]
    kind: Required[Literal["text", "value", "tensor"]]
    text: str
    shape: list[int]
    dtype: str
    num_nonfinite: int
    first: list[Number]
    embeddings: Embeddings


class BadRequest(ValueError):
    """What was asked for cannot be made; one line for people."""


def arguments(asked: Mapping[str, object]) -> list[Any]:
    """Return a call's positional arguments.

    Args:
        asked: `{"texts": [text, …]}`, or `{"tensors": [{"shape", "dtype", "fill"} or {"literal", "dtype"}, …]}`.

    Raises:
        BadRequest: There is neither, or a tensor cannot be made of what is told.
    """
    texts, tensors = asked.get("texts"), asked.get("tensors")
    if isinstance(texts, list) and texts and all(isinstance(text, str) for text in texts):
        if len(texts) > MAX_TEXTS:
            raise BadRequest(f"{len(texts)} texts were given; try at most {MAX_TEXTS} at once here.")
        return [texts]
    if isinstance(tensors, list) and tensors and all(isinstance(item, dict) for item in tensors):
        return [_tensor(item) for item in tensors]
    raise BadRequest("Give texts, or tensors by shape or written out.")


def _tensor(asked: Mapping[str, object]) -> torch.Tensor:
    name = asked.get("dtype", "float32")
    dtype = _DTYPES.get(name) if isinstance(name, str) else None
    if dtype is None:
        raise BadRequest(f"{name!r:.60} is no dtype here; {', '.join(_DTYPES)} are.")
    if "literal" in asked:
        try:
            return torch.tensor(asked["literal"], dtype=dtype)
        except (ValueError, TypeError, RuntimeError, OverflowError) as error:
            raise BadRequest(f"The values make no {name} tensor: {str(error)[:300]}.") from None
    fill = asked.get("fill", "normal")
    if fill not in _FILLS:
        raise BadRequest(f"{fill!r:.60} is no way to fill a tensor; {', '.join(_FILLS)} are.")
    return _filled(_shape(asked.get("shape")), dtype, fill)


def _shape(shape: Any) -> list[int]:
    """Check a shape, its sizes before their product.

    Raises:
        BadRequest: It is none, or too large to try here.
    """
    if not isinstance(shape, list) or not all(type(size) is int and size >= 0 for size in shape):
        raise BadRequest(f"{shape!r:.200} is no shape; give sizes such as [1, 3, 224, 224].")
    if len(shape) > MAX_RANK or any(size > MAX_ELEMENTS for size in shape):
        raise BadRequest(f"The shape is too large; try at most {MAX_ELEMENTS:,} numbers here.")
    if (count := math.prod(size or 1 for size in shape)) > MAX_ELEMENTS:
        raise BadRequest(f"{shape} has {count:,} numbers; try at most {MAX_ELEMENTS:,} here.")
    return shape


def _filled(shape: Sequence[int], dtype: torch.dtype, fill: str) -> torch.Tensor:
    size = tuple(shape)
    if fill == "arange":
        return torch.arange(math.prod(size)).reshape(size).to(dtype)
    if fill in ("zeros", "ones"):
        return torch.full(size, int(fill == "ones"), dtype=dtype)
    if not dtype.is_floating_point:
        return torch.randint(0, 2 if dtype == torch.bool else _INTEGERS_BELOW, size, dtype=dtype)
    return (torch.randn(size) if fill == "normal" else torch.rand(size)).to(dtype)


def summaries(result: Any, texts: Sequence[str] = ()) -> list[Summary]:
    """Describe what a call gave.

    Args:
        result: What the model gave: tensors, arrays, texts and numbers, and containers of them.
        texts: What went in, where it was texts; vectors of shape [B, D] then are their embeddings.

    Returns:
        One description for each value of it; numbers that JSON cannot carry are `"NaN"`, `"Infinity"`, `"-Infinity"`.
    """
    found: list[Summary] = []
    for name, value in _leaves(result, ""):
        if len(found) == MAX_OUTPUTS:
            break
        found.append(_summary(name or "output", value, texts))
    return found


def _leaves(value: Any, name: str) -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for key, item in value.items():
            yield from _leaves(item, f"{name}.{key}" if name else str(key))
    elif isinstance(value, list | tuple) and not _is_numbers(value):
        for index, item in enumerate(value):
            yield from _leaves(item, f"{name}[{index}]")
    else:
        yield name, value


def _is_numbers(value: Any) -> bool:
    while isinstance(value, list | tuple) and value:
        value = value[0]
    return isinstance(value, bool | int | float)


def _summary(name: str, value: Any, texts: Sequence[str]) -> Summary:
    if isinstance(value, str):
        return {"name": name, "kind": "text", "text": value[:_MAX_TEXT]}
    tensor = _as_tensor(value)
    if tensor is None:
        return {"name": name, "kind": "value", "text": repr(value)[:_MAX_TEXT]}
    return _of_tensor(name, tensor, texts)


def _as_tensor(value: Any) -> torch.Tensor | None:
    if isinstance(value, torch.Tensor):
        return value.detach()
    if isinstance(value, bool | int | float) or value is None or isinstance(value, bytes):
        return None
    try:
        return torch.as_tensor(value)
    except (ValueError, TypeError, RuntimeError):
        return None


def _of_tensor(name: str, tensor: torch.Tensor, texts: Sequence[str]) -> Summary:
    tensor = tensor.cpu()
    summary: Summary = {
        "name": name,
        "kind": "tensor",
        "shape": list(tensor.shape),
        "dtype": str(tensor.dtype).removeprefix("torch."),
        "num_nonfinite": 0,
    }
    flat = _numbers(tensor)
    if flat is None or flat.numel() == 0:
        return summary
    summary["first"] = [_number(item) for item in flat[:NUM_FIRST].tolist()]
    if flat.is_floating_point():
        finite = torch.isfinite(flat)
        summary["num_nonfinite"] = int(flat.numel() - finite.sum())
        flat = flat[finite] if summary["num_nonfinite"] else flat
    if flat.numel() == 0:
        return summary
    summary.update(cast("Summary", _statistics(flat)))
    if texts and tensor.ndim == 2 and len(tensor) == len(texts) and tensor.shape[1] <= _MAX_DIMENSIONS:
        summary["embeddings"] = _embeddings(tensor.double())
    return summary


def _statistics(flat: torch.Tensor) -> Statistics:
    """Describe finite numbers: least, most, mean, deviation, norm, and how they are spread."""
    low, high = (float(item) for item in torch.aminmax(flat))
    sample = flat[:: -(-flat.numel() // MAX_SAMPLE)].double()
    statistics: Statistics = {
        "min": _number(low),
        "max": _number(high),
        "mean": _number(float(sample.mean())),
    }
    statistics["std"] = _number(float(sample.std(correction=0)))
    statistics["norm"] = _number(float(torch.linalg.vector_norm(sample)))
    if flat.numel() > 1 and low < high and math.isfinite(high - low):
        counts = torch.histc(sample, NUM_BINS, low, high)
        statistics["histogram"] = {"from": low, "to": high, "counts": [int(count) for count in counts]}
    return statistics


def _embeddings(vectors_BD: torch.Tensor) -> Embeddings:
    """Describe a vector for each text, and how alike they are: the cosine of each with each, [B, B]."""
    vectors_BD = vectors_BD.nan_to_num()
    norms_B = torch.linalg.vector_norm(vectors_BD, dim=1)
    units_BD = vectors_BD / norms_B.clamp(min=1e-12).unsqueeze(1)
    return {
        "dimensions": vectors_BD.shape[1],
        "norms": [_number(round(norm, 6)) for norm in norms_B.tolist()],
        "vectors": [[_number(round(number, 6)) for number in row] for row in vectors_BD.tolist()],
        "similarity": [
            [_number(round(number, 4)) for number in row] for row in (units_BD @ units_BD.T).tolist()
        ],
    }


def _numbers(tensor: torch.Tensor) -> torch.Tensor | None:
    """Return a tensor's numbers in a dtype that torch computes with, or `None` where they are no real numbers."""
    flat = tensor.reshape(-1)
    if flat.is_complex() or flat.dtype in _PACKED:
        return None
    if flat.dtype in _COMPUTED:
        return flat
    return flat.to(torch.float32 if flat.is_floating_point() else torch.float64)


def _number(value: float) -> float | str:
    if isinstance(value, bool | int) or math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
