"""Values as JSON and blobs, so that what comes back is of the kind that went in. Standard library, and what the value brings.

Rule: nothing is unpickled and nothing is converted on the way; what cannot be carried exactly is refused by name.

A tree is a JSON scalar, or `{"k": kind, …}` with `"b"` as the index of its first blob:

| kind | more | blob |
|---|---|---|
| `list`, `tuple` | `v` trees | |
| `dict` | `v` pairs of trees | |
| `float` | `v` "nan", "inf" or "-inf" | |
| `int` | `v` decimal text, beyond 53 bits | |
| `complex` | `v` [re, im] as trees | |
| `bytes` | | the bytes |
| `array` | `dtype` as numpy writes it, `shape` | elements in C order |
| `scalar` | as array | one numpy scalar |
| `strings` | `dtype`, `shape`, `v` texts | an array of text |
| `tensor` | `dtype` such as "bfloat16", `shape`, `device` it came from | elements in C order |
| `frame`, `series` | `columns`, `index` trees | pandas, column by column |
| `image` | `mode`, `size` | PIL, its raw pixels |
| `dataset` | `path`, `key` | one key of a dataset, which is read lazily from its files |
"""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypedDict

from jupyter_ext.ipc.frames import Buffer
from jupyter_ext.ipc.json_types import JsonValue

_EXACT_INT = 1 << 53


_MALFORMED = (
    LookupError,
    TypeError,
    AttributeError,
    OverflowError,
    RecursionError,
    RuntimeError,
    SyntaxError,
)
"""What Python, numpy, torch, pandas and PIL raise for parts that are missing or of another form."""
_MAX_DIMS = 64


class _ArrayTree(TypedDict):
    dtype: str
    shape: list[int]


class _TextsTree(_ArrayTree):
    v: list[str]


class _ColumnTree(TypedDict, total=False):
    """A column: as an `array`, or by its `items` and the dtype that pandas gave them."""

    array: JsonValue
    items: JsonValue
    dtype: str


class _IndexTree(_ColumnTree, total=False):
    range: tuple[int, int, int]


class _FrameTree(TypedDict):
    names: list[JsonValue]
    v: list[_ColumnTree]
    index: _IndexTree


class _SeriesTree(TypedDict):
    name: JsonValue
    v: _ColumnTree
    index: _IndexTree


class _ImageTree(TypedDict):
    mode: str
    size: tuple[int, int]


class _DatasetTree(TypedDict):
    path: str
    key: str


class CannotTravel(TypeError):
    """A value, or a part of it, that cannot be sent; the text names it and says what to do."""


def encode(value: Any) -> tuple[Any, list[Buffer]]:
    """Turn a value into a tree and its blobs.

    Args:
        value: `None`, bool, int, float, complex, str, bytes; numpy arrays and scalars of numbers, booleans, times and
            text; torch tensors of any dtype and device; pandas frames and series; PIL images; and lists, tuples and
            dicts of them.

    Raises:
        CannotTravel: It, or a part of it, is something else.
    """
    blobs: list[Buffer] = []
    return _encode(value, blobs, "the value"), blobs


def decode(tree: Any, blobs: Sequence[memoryview]) -> Any:
    """Turn a tree and its blobs into a value; arrays and tensors lie in the blobs' own memory, uncopied.

    Raises:
        ValueError: It is no tree, or a blob is missing or of the wrong size.
    """
    try:
        return _decode(tree, blobs)
    except _MALFORMED as error:
        raise ValueError(f"the value cannot be read: {type(error).__name__}: {str(error)[:200]}") from error


def _decode(tree: Any, blobs: Sequence[memoryview]) -> Any:
    if tree is None or isinstance(tree, bool | int | float | str):
        return tree
    kind = tree.get("k") if isinstance(tree, dict) else None
    if not isinstance(kind, str) or kind not in _DECODERS:
        raise ValueError(f"{str(tree)[:80]!r} is no value that this version knows")
    return _DECODERS[kind](tree, blobs)


def _encode(value: Any, blobs: list[Buffer], where: str) -> Any:
    if hasattr(value, "session_tree"):
        return value.session_tree()
    if value is None or type(value) in (bool, str):
        return value
    if type(value) in (int, float, complex):
        return _encode_number(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return {"k": "bytes", "b": _add(blobs, memoryview(value).cast("B"))}
    if isinstance(value, list | tuple | dict):
        return _encode_container(value, blobs, where)
    for package, encoder in _FOREIGN.items():
        if package in sys.modules and (tree := encoder(value, blobs, where)) is not None:
            return tree
    if isinstance(value, str | int | float):
        return _encode(_plain(value), blobs, where)
    raise CannotTravel(
        f"{where} is a {type(value).__module__}.{type(value).__qualname__}, which cannot be sent; "
        "give tensors, arrays, frames, images, numbers, text, bytes, or lists and dicts of them."
    )


def _encode_number(value: int | float | complex) -> Any:
    if isinstance(value, int):
        return value if -_EXACT_INT < value < _EXACT_INT else {"k": "int", "v": str(value)}
    if isinstance(value, float):
        return value if math.isfinite(value) else {"k": "float", "v": str(value)}
    return {"k": "complex", "v": [_encode_number(value.real), _encode_number(value.imag)]}


def _encode_container(
    value: list[Any] | tuple[Any, ...] | dict[Any, Any], blobs: list[Buffer], where: str
) -> Any:
    if isinstance(value, dict):
        pairs = [
            [_encode(key, blobs, f"a key of {where}"), _encode(item, blobs, f"{where}[{key!r}]")]
            for key, item in value.items()
        ]
        return {"k": "dict", "v": pairs}
    kind = "list" if isinstance(value, list) else "tuple"
    return {"k": kind, "v": [_encode(item, blobs, f"{where}[{i}]") for i, item in enumerate(value)]}


def _plain(value: Any) -> Any:
    for kind in (str, int, float):
        if isinstance(value, kind):
            return kind(value)
    raise AssertionError("unreachable")


def _add(blobs: list[Buffer], blob: Buffer) -> int:
    blobs.append(blob)
    return len(blobs) - 1


def _encode_numpy(value: Any, blobs: list[Buffer], where: str) -> Any:
    np = sys.modules["numpy"]
    if not isinstance(value, np.ndarray | np.generic):
        return None
    kind = "array" if isinstance(value, np.ndarray) else "scalar"
    array = np.asarray(value)
    if array.dtype.kind in "OUT":
        texts = array.reshape(-1).tolist()
        if not all(isinstance(text, str) for text in texts):
            raise CannotTravel(
                f"{where} is an array of objects that are not all text; give one dtype, or a list."
            )
        dtype = "O" if array.dtype.kind in "OT" else array.dtype.str
        return {"k": "strings", "dtype": dtype, "shape": list(array.shape), "v": texts}
    if array.dtype.kind == "V":
        raise CannotTravel(f"{where} has the dtype {array.dtype}; give its fields one by one.")
    flat = np.ascontiguousarray(array).reshape(-1).view(np.uint8)
    return {"k": kind, "dtype": array.dtype.str, "shape": list(array.shape), "b": _add(blobs, flat.data)}


def _encode_torch(value: Any, blobs: list[Buffer], where: str) -> Any:
    torch = sys.modules["torch"]
    if not isinstance(value, torch.Tensor):
        return None
    if value.is_meta:
        raise CannotTravel(f"{where} is a tensor on the device meta, which has no data; make it on the cpu.")
    if value.is_quantized:
        raise CannotTravel(f"{where} is a quantized tensor; give `.dequantize()` of it.")
    if value.layout is not torch.strided:
        raise CannotTravel(f"{where} is a {value.layout} tensor; give `.to_dense()` of it.")
    device = str(value.device)
    tensor = value.detach().resolve_conj().resolve_neg().cpu().contiguous()
    flat = tensor.reshape(-1).view(torch.uint8) if tensor.numel() else torch.empty(0, dtype=torch.uint8)
    tree = {"k": "tensor", "dtype": str(value.dtype).removeprefix("torch."), "shape": list(value.shape)}
    return {**tree, "device": device, "b": _add(blobs, flat.numpy().data)}


def _encode_pandas(value: Any, blobs: list[Buffer], where: str) -> Any:
    pd = sys.modules["pandas"]
    if isinstance(value, pd.DataFrame):
        names = [_encode(name, blobs, f"a column of {where}") for name in value.columns]
        columns = [
            _column(value.iloc[:, i], blobs, f"{where}[{name!r}]") for i, name in enumerate(value.columns)
        ]
        return {"k": "frame", "names": names, "v": columns, "index": _index(value.index, blobs, where)}
    if isinstance(value, pd.Series):
        name = _encode(value.name, blobs, f"the name of {where}")
        return {
            "k": "series",
            "name": name,
            "v": _column(value, blobs, where),
            "index": _index(value.index, blobs, where),
        }
    return _encode(value.isoformat(), blobs, where) if isinstance(value, pd.Timestamp) else None


def _column(series: Any, blobs: list[Buffer], where: str) -> Any:
    """Encode a column: its numpy array where that is exact, else its items one by one."""
    np = sys.modules["numpy"]
    if isinstance(series.dtype, np.dtype) and series.dtype.kind != "O":
        return {"array": _encode_numpy(series.to_numpy(), blobs, where)}
    pd = sys.modules["pandas"]
    items = [None if item is pd.NA or item is None or item is pd.NaT else item for item in series.tolist()]
    return {"items": _encode(items, blobs, where), "dtype": str(series.dtype)}


def _index(index: Any, blobs: list[Buffer], where: str) -> Any:
    pd = sys.modules["pandas"]
    if isinstance(index, pd.RangeIndex):
        return {"range": [index.start, index.stop, index.step]}
    if isinstance(index, pd.MultiIndex):
        raise CannotTravel(f"{where} has an index of several levels; give `.reset_index()` of it.")
    return _column(index.to_series(), blobs, f"the index of {where}")


def _encode_image(value: Any, blobs: list[Buffer], where: str) -> Any:
    image = sys.modules["PIL.Image"]
    if not isinstance(value, image.Image):
        return None
    if value.mode == "P":
        value = value.convert("RGBA" if "transparency" in value.info else "RGB")
    return {"k": "image", "mode": value.mode, "size": list(value.size), "b": _add(blobs, value.tobytes())}


_FOREIGN = {
    "numpy": _encode_numpy,
    "torch": _encode_torch,
    "pandas": _encode_pandas,
    "PIL.Image": _encode_image,
}


def _blob(tree: Mapping[str, object], blobs: Sequence[memoryview], itemsize: int = 1) -> memoryview:
    index = tree.get("b")
    if not isinstance(index, int) or not 0 <= index < len(blobs):
        raise ValueError(f"blob {index!r} is not among the {len(blobs)} that came")
    blob = blobs[index]
    if "shape" in tree and blob.nbytes != math.prod(_sizes(tree["shape"])) * itemsize:
        raise ValueError(f"a blob of {blob.nbytes} bytes does not hold {tree['shape']} of {tree['dtype']}")
    return blob


def _sizes(shape: object) -> list[int]:
    """Return a shape or an image's size, once it is known that it can be computed with."""
    if not isinstance(shape, list) or len(shape) > _MAX_DIMS:
        raise ValueError(f"{str(shape)[:80]} is no shape")
    if not all(isinstance(size, int) and 0 <= size < 1 << 63 for size in shape):
        raise ValueError(f"{str(shape)[:80]} is no shape of whole numbers")
    return shape


def _decode_array(tree: _ArrayTree, blobs: Sequence[memoryview]) -> Any:
    import numpy as np

    dtype = np.dtype(tree["dtype"])
    if dtype.hasobject:
        raise ValueError(f"{tree['dtype']!r} is no dtype of plain numbers")
    blob = _blob(tree, blobs, dtype.itemsize)
    array = np.frombuffer(blob, dtype) if blob.nbytes else np.empty(0, dtype)
    return array.reshape(tree["shape"])


def _decode_tensor(tree: _ArrayTree, blobs: Sequence[memoryview]) -> Any:
    import torch

    dtype = getattr(torch, str(tree["dtype"]), None)
    if not isinstance(dtype, torch.dtype):
        raise ValueError(f"{tree['dtype']!r} is no dtype of this torch")
    blob = _blob(tree, blobs, dtype.itemsize)
    flat = torch.frombuffer(blob, dtype=dtype) if blob.nbytes else torch.empty(0, dtype=dtype)
    return flat.reshape(tree["shape"])


def _decode_strings(tree: _TextsTree, blobs: Sequence[memoryview]) -> Any:
    import numpy as np

    dtype, texts = np.dtype(tree["dtype"]), [str(text) for text in tree["v"]]
    if dtype.kind not in "OU" or dtype.itemsize > max(8, 4 * max(map(len, texts), default=0)):
        raise ValueError(f"{str(tree['dtype'])[:40]!r} is no dtype of these texts")
    return np.array(texts, dtype=dtype).reshape(_sizes(tree["shape"]))


def _decode_column(tree: _ColumnTree, blobs: Sequence[memoryview]) -> Any:
    import pandas as pd

    if "array" in tree:
        return pd.Series(_decode(tree["array"], blobs))
    return pd.Series(_decode(tree["items"], blobs), dtype=tree["dtype"])


def _decode_index(tree: _IndexTree, blobs: Sequence[memoryview]) -> Any:
    import pandas as pd

    return pd.RangeIndex(*tree["range"]) if "range" in tree else pd.Index(_decode_column(tree, blobs))


def _decode_frame(tree: _FrameTree, blobs: Sequence[memoryview]) -> Any:
    import pandas as pd

    index = _decode_index(tree["index"], blobs)
    columns = [_decode_column(column, blobs).set_axis(index) for column in tree["v"]]
    frame = pd.concat(columns, axis=1) if columns else pd.DataFrame(index=index)
    return frame.set_axis([_decode(name, blobs) for name in tree["names"]], axis=1)


def _decode_series(tree: _SeriesTree, blobs: Sequence[memoryview]) -> Any:
    series = _decode_column(tree["v"], blobs).set_axis(_decode_index(tree["index"], blobs))
    return series.rename(_decode(tree["name"], blobs))


def _decode_image(tree: _ImageTree, blobs: Sequence[memoryview]) -> Any:
    from PIL import Image

    blob, size = _blob(tree, blobs), _sizes(tree["size"])
    if len(size) != 2 or math.prod(size) > 8 * blob.nbytes:  # the fewest are one bit a pixel
        raise ValueError(f"a blob of {blob.nbytes} bytes does not hold an image of {size}")
    return Image.frombytes(tree["mode"], (size[0], size[1]), blob.tobytes())


def _decode_int(digits: object) -> int:
    text = str(digits)
    if len(text) > 4000:
        raise ValueError(f"an int of {len(text)} digits is too long")
    return int(text)


def _decode_dataset(tree: _DatasetTree) -> Any:
    from jupyter_ext.ipc.decthings.codec import DatasetTensors, Values

    try:
        return Values(DatasetTensors(tree["path"], tree["key"]))
    except LookupError as error:
        raise ValueError(str(error.args[0])) from error


_DECODERS: dict[str, Callable[[Any, Sequence[memoryview]], Any]] = {
    "list": lambda tree, blobs: [_decode(item, blobs) for item in tree["v"]],
    "tuple": lambda tree, blobs: tuple(_decode(item, blobs) for item in tree["v"]),
    "dict": lambda tree, blobs: {_decode(key, blobs): _decode(item, blobs) for key, item in tree["v"]},
    "float": lambda tree, blobs: float(tree["v"]),
    "int": lambda tree, blobs: _decode_int(tree["v"]),
    "complex": lambda tree, blobs: complex(*(_decode(part, blobs) for part in tree["v"])),
    "bytes": lambda tree, blobs: bytes(_blob(tree, blobs)),
    "array": _decode_array,
    "scalar": lambda tree, blobs: _decode_array(tree, blobs)[()],
    "strings": _decode_strings,
    "tensor": _decode_tensor,
    "frame": _decode_frame,
    "series": _decode_series,
    "image": _decode_image,
    "dataset": lambda tree, blobs: _decode_dataset(tree),
}
