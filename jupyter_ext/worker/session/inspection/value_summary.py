"""Values in a line: what a table of locals shows instead of the values. Standard library, and what the value brings.

Rule: short, quick and never the whole of it. A tensor of a billion numbers is looked at, not printed; what a user calls a
token or a password is stars.
"""

from __future__ import annotations

import math
import re
import sys
import types
from collections.abc import Mapping
from typing import Any

from jupyter_ext.worker.runtime.redaction import STARS, Redactor

MAX_TEXT = 120
MAX_LOOKED_AT = 50_000_000
"""Elements of an array that are looked at for its extremes; of a larger one, that many from its beginning."""
_SECRET_NAME = re.compile(r"token|secret|passw|api_?key|credential|private_?key", re.IGNORECASE)


def summarize(name: str, value: Any, redactor: Redactor) -> dict[str, Any]:
    """Describe a value that goes by a name.

    Returns:
        `name`, `type`, `text`; of arrays and tensors also `shape`, `dtype`, `device`, and of numbers `min`, `max`,
        `mean` of what is finite, `num_nan`, `num_inf`.
    """
    kind = type(value).__qualname__
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes):
        return {"name": name, "type": kind, "text": STARS}
    told = {"name": name, "type": kind}
    try:
        numbers = numbers_of(value)
        if numbers is not None:
            return {**told, **numbers, "text": _array_text(numbers)}
        text = _short(value, redactor)
    except Exception as error:  # noqa: BLE001  a user's __repr__, or a deleted storage, may do anything
        text = f"<no text: {type(error).__name__}>"
    return {**told, "text": redactor.text(text)[:MAX_TEXT]}


def numbers_of(value: Any) -> dict[str, Any] | None:
    """Describe an array or a tensor; `None` where it is none."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        shape = [int(size) for size in value.shape]
        told = {"shape": shape, "dtype": str(value.dtype).removeprefix("torch."), "device": str(value.device)}
        if value.layout is not torch.strided or value.is_meta or value.is_quantized:
            return told
        return {**told, **_torch_extremes(value.detach(), torch)}
    if numpy is not None and isinstance(value, numpy.ndarray):
        told = {"shape": list(value.shape), "dtype": str(value.dtype), "device": "cpu"}
        return told | (_numpy_extremes(value, numpy) if value.dtype.kind in "fiub" else {})
    return None


def number(value: float) -> float | str:
    """Give a number as JSON can carry it."""
    return value if math.isfinite(value) else str(value)


def _torch_extremes(tensor: Any, torch: Any) -> dict[str, Any]:
    if tensor.numel() == 0 or tensor.is_complex():
        return {}
    flat = tensor.reshape(-1)[:MAX_LOOKED_AT]
    if not flat.is_floating_point():
        flat = flat.to(torch.int64) if flat.dtype is not torch.bool else flat.to(torch.uint8)
        return {"min": int(flat.min()), "max": int(flat.max()), "mean": float(flat.double().mean())}
    finite = torch.isfinite(flat)
    num_nan = int(torch.isnan(flat).sum())
    num_inf = int((~finite).sum()) - num_nan
    kept = flat if num_nan + num_inf == 0 else flat[finite]
    return _floats(kept.numel(), kept.min, kept.max, lambda: kept.double().mean(), num_nan, num_inf)


def _numpy_extremes(array: Any, numpy: Any) -> dict[str, Any]:
    if array.size == 0:
        return {}
    flat = array.reshape(-1)[:MAX_LOOKED_AT]
    if flat.dtype.kind in "iub":
        return {"min": int(flat.min()), "max": int(flat.max()), "mean": float(flat.mean())}
    num_nan, num_inf = int(numpy.isnan(flat).sum()), int(numpy.isinf(flat).sum())
    kept = flat if num_nan + num_inf == 0 else flat[numpy.isfinite(flat)]
    return _floats(kept.size, kept.min, kept.max, lambda: kept.mean(dtype="f8"), num_nan, num_inf)


def _floats(count: int, low: Any, high: Any, mean: Any, num_nan: int, num_inf: int) -> dict[str, Any]:
    told: dict[str, Any] = {"num_nan": num_nan, "num_inf": num_inf}
    if count:
        told |= {"min": float(low()), "max": float(high()), "mean": number(float(mean()))}
    return told


def _array_text(told: Mapping[str, Any]) -> str:
    parts = [f"{told['dtype']}[{', '.join(str(size) for size in told['shape'])}]"]
    if told["device"] != "cpu":
        parts.append(told["device"])
    if "min" in told:
        parts.append(f"{told['min']:.4g} … {told['max']:.4g}")
    parts += [
        f"{told[key]} {word}" for key, word in (("num_nan", "NaN"), ("num_inf", "inf")) if told.get(key)
    ]
    return "  ".join(parts)


def _short(value: Any, redactor: Redactor) -> str:
    """Give a text of a value without making that of all it holds."""
    if isinstance(value, str | bytes):
        text = repr(value[: MAX_TEXT + 1])
        return text if len(value) <= MAX_TEXT else f"{text[: MAX_TEXT - 24]}… ({len(value):,} in all)"
    if isinstance(value, dict | list | tuple | set | frozenset):
        return _container(value, redactor)
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.nn.Module):
        return f"{sum(item.numel() for item in value.parameters()):,} parameters"
    if torch is not None and isinstance(value, torch.optim.Optimizer):
        return ", ".join(f"lr={group.get('lr')}" for group in value.param_groups)
    if isinstance(value, types.ModuleType):
        return value.__name__
    if isinstance(value, types.FunctionType | type):
        return f"{value.__module__}.{value.__qualname__}"
    if hasattr(value, "shape") and hasattr(value, "columns"):
        return f"{value.shape[0]:,} rows: {', '.join(str(name) for name in list(value.columns)[:8])}"
    return repr(value)


def _container(value: Any, redactor: Redactor) -> str:
    shown = []
    for item in list(value)[:3]:
        if isinstance(value, dict):
            inner = summarize(str(item), value[item], redactor)["text"]
            shown.append(f"{item!r:.30}: {inner:.30}")
        else:
            shown.append(f"{summarize('', item, redactor)['text']:.30}")
    more = f", … {len(value):,} in all" if len(value) > 3 else ""
    left, right = ("{", "}") if isinstance(value, dict | set | frozenset) else ("[", "]")
    return f"{left}{', '.join(shown)}{more}{right}"
