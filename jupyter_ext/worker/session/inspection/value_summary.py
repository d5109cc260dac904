"""Values in a line or as a thumbnail: what a page shows instead of the values. Standard library, and what the value brings.

Rule: short, quick and never the whole of it, as text or as a thumbnail that says of which part it is. A tensor of a billion numbers is looked at, not printed; what a user calls a
token or a password is stars.
"""

from __future__ import annotations

import base64
import math
import re
import sys
import types
from typing import Any

from jupyter_ext.ipc.payloads.value_summaries import ArraySummary, Extremes, LocalValue, Picture
from jupyter_ext.worker.runtime.redaction import STARS, Redactor

MAX_TEXT = 120
MAX_LOOKED_AT = 50_000_000
"""Elements of an array that are looked at for its extremes; of a larger one, that many from its beginning."""
MAX_SIDE = 128
"""Pixels of a thumbnail's side; larger planes are averaged down to it."""
_SECRET_NAME = re.compile(r"token|secret|passw|api_?key|credential|private_?key", re.IGNORECASE)


def summarize(name: str, value: Any, redactor: Redactor) -> LocalValue:
    """Describe a value that goes by a name."""
    kind = type(value).__qualname__
    if _SECRET_NAME.search(name) and isinstance(value, str | bytes):
        return {"name": name, "type": kind, "text": STARS}
    try:
        numbers = numbers_of(value)
        if numbers is not None:
            summary: LocalValue = {"name": name, "type": kind, "text": _array_text(numbers)}
            return {**summary, **numbers}
        text = _short(value, redactor)
    except Exception as error:  # noqa: BLE001  a user's __repr__, or a deleted storage, may do anything
        text = f"<no text: {type(error).__name__}>"
    return {"name": name, "type": kind, "text": redactor.text(text)[:MAX_TEXT]}


def numbers_of(value: Any) -> ArraySummary | None:
    """Describe an array or a tensor; `None` where it is none."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and isinstance(value, torch.Tensor):
        payload: ArraySummary = {
            "shape": [int(size) for size in value.shape],
            "dtype": str(value.dtype).removeprefix("torch."),
            "device": str(value.device),
        }
        if value.layout is not torch.strided or value.is_meta or value.is_quantized:
            return payload
        return {**payload, **_torch_extremes(value.detach(), torch)}
    if numpy is not None and isinstance(value, numpy.ndarray):
        extremes: Extremes = _numpy_extremes(value, numpy) if value.dtype.kind in "fiub" else {}
        return {"shape": list(value.shape), "dtype": str(value.dtype), "device": "cpu", **extremes}
    return None


def number(value: float) -> float | str:
    """Return a number as JSON can carry it."""
    return value if math.isfinite(value) else str(value)


def _torch_extremes(tensor: Any, torch: Any) -> Extremes:
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


def _numpy_extremes(array: Any, numpy: Any) -> Extremes:
    if array.size == 0:
        return {}
    flat = array.reshape(-1)[:MAX_LOOKED_AT]
    if flat.dtype.kind in "iub":
        return {"min": int(flat.min()), "max": int(flat.max()), "mean": float(flat.mean())}
    num_nan, num_inf = int(numpy.isnan(flat).sum()), int(numpy.isinf(flat).sum())
    kept = flat if num_nan + num_inf == 0 else flat[numpy.isfinite(flat)]
    return _floats(kept.size, kept.min, kept.max, lambda: kept.mean(dtype="f8"), num_nan, num_inf)


def _floats(count: int, low: Any, high: Any, mean: Any, num_nan: int, num_inf: int) -> Extremes:
    payload: Extremes = {"num_nan": num_nan, "num_inf": num_inf}
    if count:
        payload |= {"min": float(low()), "max": float(high()), "mean": number(float(mean()))}
    return payload


def _array_text(payload: ArraySummary) -> str:
    parts = [f"{payload['dtype']}[{', '.join(str(size) for size in payload['shape'])}]"]
    if payload["device"] != "cpu":
        parts.append(payload["device"])
    if "min" in payload:
        parts.append(f"{payload['min']:.4g} … {payload['max']:.4g}")
    counts = (payload.get("num_nan"), "NaN"), (payload.get("num_inf"), "inf")
    parts += [f"{count} {word}" for count, word in counts if count]
    return "  ".join(parts)


def _short(value: Any, redactor: Redactor) -> str:
    """Return a text of a value without making that of all it holds."""
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


def picture(value: Any) -> Picture | None:
    """Draw an array or a tensor of two or more dimensions; `None` where there is nothing to see.

    The last three dimensions are taken for colours where the first or the last of them is 3, otherwise the last two are
    a plane; of all before them, the first one is shown. The smallest finite value is black and the largest is white.
    """
    torch = sys.modules.get("torch")
    tensor = None if torch is None else _drawable(value, torch)
    if torch is None or tensor is None:
        return None
    plane, of = _plane(tensor.detach())
    if plane.shape[-1] < 2 and plane.shape[-2] < 2:
        return None
    plane = plane.to("cpu", torch.float32)
    height, width = (min(MAX_SIDE, size) for size in plane.shape[-2:])
    small = torch.nn.functional.adaptive_avg_pool2d(plane, (height, width))
    finite = small[torch.isfinite(small)]
    low, high = (float(finite.min()), float(finite.max())) if finite.numel() else (0.0, 0.0)
    scaled = (small - low) / (high - low) if high > low else torch.full_like(small, 0.5)
    levels = (scaled.nan_to_num(0.0, 1.0, 0.0).clamp(0, 1) * 255).round().to(torch.uint8)
    pixels = levels.permute(1, 2, 0).contiguous().numpy().tobytes()
    return {
        "width": width,
        "height": height,
        "channels": int(plane.shape[0]),
        "pixels": base64.b64encode(pixels).decode(),
        "of": of,
    }


def _drawable(value: Any, torch: Any) -> Any:
    """Return an array or a tensor as a dense tensor of real numbers in two or more dimensions; `None` where it is none."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray) and value.dtype.kind in "fiub":
        if value.dtype.itemsize > 8:
            return None
        value = torch.from_numpy(numpy.array(value, dtype="f4"))
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_meta:
        return None
    if value.ndim < 2 or value.numel() == 0 or value.is_complex() or value.is_quantized:
        return None
    return value


def _plane(tensor: Any) -> tuple[Any, str]:
    """Return one plane as channels, rows, columns, and which of the tensor it is."""
    colours = tensor.ndim >= 3 and 3 in (tensor.shape[-3], tensor.shape[-1])
    num_kept = 3 if colours else 2
    leading = tensor.ndim - num_kept
    plane = tensor[(0,) * leading]
    if not colours:
        plane = plane[None]
    elif tensor.shape[-3] != 3:
        plane = plane.permute(2, 0, 1)
    return plane, f"[{', '.join('0' * leading)}]" if leading else ""
