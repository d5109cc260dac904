"""What goes into a module and comes out of it: arrays and lists become tensors, results the kind that went in."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch

Kind = Literal["tensor", "array", "list", "other"]


class BadInput(ValueError):
    """A value that the model cannot take; one line for people."""


def is_text(value: Any) -> bool:
    """Tell whether this is a text or a list of texts, an array of text included."""
    if isinstance(value, str):
        return True
    if type(value).__module__ == "numpy" and getattr(value, "ndim", 0) == 1:
        value = value.tolist()
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, str) for item in value)


def texts_of(value: Any) -> list[str]:
    """Return the texts of what `is_text` accepts."""
    return [value] if isinstance(value, str) else [str(item) for item in value]


def to_tensors(value: Any, device: torch.device, dtype: torch.dtype | None) -> tuple[Any, Kind]:
    """Turn arrays and lists of numbers into tensors on a device, wherever they are in a value.

    Args:
        value: An argument, or lists and dicts of them.
        device: Where the module is.
        dtype: What floating arrays and lists become; tensors keep theirs.

    Returns:
        The value, and the leading kind of what was in it.
    """
    if isinstance(value, torch.Tensor):
        return value.to(device), "tensor"
    if type(value).__module__ == "numpy" and hasattr(value, "ndim"):
        return _of_array(value, device, dtype)
    if hasattr(value, "to_numpy") and type(value).__module__.startswith("pandas"):
        return to_tensors(value.to_numpy(), device, dtype)
    if isinstance(value, dict):
        items = {key: to_tensors(item, device, dtype) for key, item in value.items()}
        return {key: item for key, (item, _) in items.items()}, leading(kind for _, kind in items.values())
    if isinstance(value, list | tuple):
        return _of_list(value, device, dtype)
    return value, "other"


def _of_array(value: Any, device: torch.device, dtype: torch.dtype | None) -> tuple[Any, Kind]:
    if value.dtype.kind not in "biufc":
        return value, "other"
    array = torch.from_numpy(value) if value.ndim else torch.tensor(value.item())
    return _cast(array, device, dtype), "array"


def _of_list(
    value: list[Any] | tuple[Any, ...], device: torch.device, dtype: torch.dtype | None
) -> tuple[Any, Kind]:
    if _is_numbers(value):
        try:
            return _cast(torch.tensor(value), device, dtype), "list"
        except (ValueError, TypeError, RuntimeError) as error:
            if isinstance(error, RuntimeError):  # a whole number of more than 64 bits
                raise BadInput(f"a list holds a number that no tensor can ({error}).") from None
            raise BadInput(f"a list of numbers has rows of different lengths ({error}).") from None
    pairs = [to_tensors(item, device, dtype) for item in value]
    items = [item for item, _ in pairs]
    return items if isinstance(value, list) else tuple(items), leading(kind for _, kind in pairs)


def leading(kinds: Any) -> Kind:
    """Return the kind that decides about the result: tensors before arrays before lists."""
    found = set(kinds)
    for kind in ("tensor", "array", "list"):
        if kind in found:
            return kind
    return "other"


def _cast(tensor: torch.Tensor, device: torch.device, dtype: torch.dtype | None) -> torch.Tensor:
    return tensor.to(device, dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype)


def _is_numbers(value: Any) -> bool:
    """Tell whether this is a list of numbers, or of such lists."""
    while isinstance(value, list | tuple):
        if not value:
            return False
        if not all(isinstance(item, list | tuple | int | float | bool) for item in value):
            return False
        value = value[0]
    return isinstance(value, int | float | bool)


def map_tensors(value: Any, change: Callable[[torch.Tensor], Any]) -> Any:
    """Change every tensor in a result; what is neither tensor, plain value nor container of such is left out."""
    if isinstance(value, torch.Tensor):
        return change(value)
    if value is None or isinstance(value, bool | int | float | str | bytes):
        return value
    if isinstance(value, Mapping):
        items = {key: map_tensors(item, change) for key, item in value.items()}
        return {key: item for key, item in items.items() if item is not LEFT_OUT}
    if isinstance(value, list | tuple):
        return (list if isinstance(value, list) else tuple)(
            item for item in (map_tensors(item, change) for item in value) if item is not LEFT_OUT
        )
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return map_tensors(fields, change)
    if type(value).__module__.partition(".")[0] in ("numpy", "pandas", "PIL"):
        return value
    return LEFT_OUT


LEFT_OUT = type("LeftOut", (), {"__repr__": lambda _: "<left out>"})()
"""Stands for a part of a result that cannot be sent, such as a cache of keys and values."""


def of_kind(result: Any, kind: Kind) -> Any:
    """Return a result in the kind that went in.

    Raises:
        BadInput: Nothing of it can be sent.
    """
    changes: dict[str, Callable[[torch.Tensor], Any]] = {
        "array": lambda tensor: _plain(tensor).numpy(),
        "list": lambda tensor: _plain(tensor).tolist(),
    }
    changed = map_tensors(result, changes.get(kind, lambda tensor: tensor))
    if changed is LEFT_OUT:
        raise BadInput(
            f"forward() gave a {type(result).__name__}; only tensors, numbers, text and containers of them can be sent."
        )
    return changed


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    tensor = tensor.detach().cpu()
    return tensor.float() if tensor.dtype == torch.bfloat16 or (tensor.dtype.itemsize == 1 and tensor.is_floating_point()) else tensor  # fmt: skip
