"""From values of a notebook to Decthings' tensors: the type is what holds every value exactly. Standard library only.

Rule: nothing is rounded, cut or guessed. float64 stays f64; what has no exact type is refused with the reason.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from typing import Any

from jupyter_ext.ipc.decthings.tensors import Media, Tensor, WireError

_NUMPY_TYPES = {
    "f2": "f32", "f4": "f32", "f8": "f64", "i1": "i8", "i2": "i16", "i4": "i32", "i8": "i64",
    "u1": "u8", "u2": "u16", "u4": "u32", "u8": "u64", "b1": "boolean",
}  # fmt: skip
_NO_TYPE = {
    "M": "a time has no type there; send .astype('int64'), and say what unit it is in",
    "m": "a duration has no type there; send .astype('int64'), and say what unit it is in",
    "c": "a complex number has no type there; send .real and .imag",
    "V": "a record has no type there; send each field as a parameter of its own",
    "g": "a long double has no type there; send .astype('float64') if its digits may be rounded",
}


def infer(value: Any, what: str = "the value") -> Tensor:
    """Make a tensor of a value.

    Args:
        value: A number, text, bytes, `Media`, numpy array, torch tensor, pandas Series or Index, PIL image, or a list
            or nested list of numbers, texts or bytes.
        what: How an error calls it, such as `parameter x`.

    Raises:
        WireError: No type of Decthings holds it exactly; the text says why and what to send instead.
    """
    if isinstance(value, Tensor):
        return value
    if isinstance(value, Media):
        return Tensor("image", (), [value])
    if isinstance(value, bytes | bytearray | memoryview):
        return Tensor("binary", (), [bytes(value)])
    if isinstance(value, str):
        return Tensor("string", (), [value])
    torch, image = sys.modules.get("torch"), sys.modules.get("PIL.Image")
    if torch is not None and isinstance(value, torch.Tensor):
        return infer(_of_torch(value, torch), what)
    if image is not None and isinstance(value, image.Image):
        return Tensor("image", (), [_of_pil(value)])
    if isinstance(value, list | tuple) and _holds(value, (bytes, Media)):
        return _of_objects(value, what)
    return _of_array(_as_array(value, what), what)


def _as_array(value: Any, what: str) -> Any:
    import numpy

    if hasattr(value, "to_numpy") and not isinstance(value, numpy.ndarray):
        if getattr(value, "ndim", 1) == 2:
            kinds = {str(dtype) for dtype in value.dtypes}
            if len(kinds) > 1:
                raise WireError(
                    f"{what}: a table with columns of {', '.join(sorted(kinds))} is no tensor; send columns one by one."
                )
        return value.to_numpy()
    try:
        array = numpy.asarray(value)
    except (ValueError, OverflowError) as error:
        raise WireError(f"{what}: a {type(value).__name__} is no tensor: {error}.") from error
    if isinstance(value, list | tuple) and array.dtype.kind in "USf":
        _check_mixture(_flatten(value, what)[1], array, what)
    return array


def _check_mixture(items: list[Any], array: Any, what: str) -> None:
    """Refuse what numpy has turned into something else: numbers beside texts, integers that became rounded floats."""
    if array.dtype.kind in "US":
        kinds = sorted({type(item).__name__ for item in items if not isinstance(item, str | bytes)})
        if kinds:
            raise WireError(f"{what} holds texts beside {', '.join(kinds[:4])}; send tensors of one kind.")
    elif any(isinstance(item, int) and int(float(item)) != item for item in items):
        raise WireError(f"{what} holds integers that a float64 would round; send an array of one dtype.")


def _of_array(array: Any, what: str) -> Tensor:
    kind = array.dtype.kind
    name = _NUMPY_TYPES.get(f"{kind}{array.dtype.itemsize}")
    if name is not None:
        return Tensor.from_array(array, name)
    if kind == "U":
        return Tensor("string", array.shape, array.reshape(-1).tolist())
    if kind == "S":
        return Tensor("binary", array.shape, array.reshape(-1).tolist())
    if kind == "T":
        return Tensor("string", array.shape, [str(item) for item in array.reshape(-1)])
    if kind == "O":
        return _of_objects(array, what)
    reason = _NO_TYPE.get("g" if kind == "f" else kind, f"dtype {array.dtype} has no type there")
    raise WireError(f"{what} has dtype {array.dtype} and cannot be sent as a tensor: {reason}.")


def _of_objects(values: Any, what: str) -> Tensor:
    """Take texts, bytes or media; numbers among objects would have to be guessed at."""
    import numpy

    if isinstance(values, numpy.ndarray):
        shape: Sequence[int] = values.shape
        items = values.reshape(-1).tolist()
    else:
        shape, items = _flatten(values, what)
    for kind, name in ((str, "string"), (bytes, "binary"), (Media, "image")):
        if all(isinstance(item, kind) for item in items):
            return Tensor(name, shape, items)
    image = sys.modules.get("PIL.Image")
    if image is not None and all(isinstance(item, image.Image) for item in items):
        return Tensor("image", shape, [_of_pil(item) for item in items])
    kinds = sorted({type(item).__name__ for item in items})
    hint = "; fill the missing values" if kinds and {"NoneType", "float", "NAType"} & set(kinds) else ""
    raise WireError(f"{what} holds objects of {', '.join(kinds[:4])}, which is no type of tensor{hint}.")


def _holds(values: Any, kinds: tuple[type, ...]) -> bool:
    while isinstance(values, list | tuple) and values:
        values = values[0]
    image = sys.modules.get("PIL.Image")
    return isinstance(values, (*kinds, image.Image) if image is not None else kinds)


def _flatten(values: Any, what: str) -> tuple[tuple[int, ...], list[Any]]:
    if not isinstance(values, list | tuple):
        return (), [values]
    inner = [_flatten(value, what) for value in values]
    shapes = {shape for shape, _ in inner}
    if len(shapes) > 1:
        raise WireError(f"{what}: rows of different lengths are no tensor; send each as a tensor of its own.")
    return (len(inner), *(shapes.pop() if shapes else ())), [item for _, items in inner for item in items]


def _of_torch(tensor: Any, torch: Any) -> Any:
    tensor = tensor.detach().cpu()
    if tensor.dtype is torch.bfloat16:
        tensor = tensor.float()  # every bfloat16 is a float32
    if tensor.is_sparse or tensor.is_quantized:
        tensor = tensor.to_dense() if tensor.is_sparse else tensor.dequantize()
    return tensor.resolve_conj().resolve_neg().numpy()


def _of_pil(image: Any) -> Media:
    buffer = io.BytesIO()
    image.save(buffer, "PNG")  # without loss
    return Media("png", buffer.getvalue())
