"""A tensor as a small picture, for a page that must not be sent the tensor.

Rule: a picture says of what part of the tensor it is, and is never larger than a thumbnail.
"""

from __future__ import annotations

import base64
import sys
from typing import Any

MAX_SIDE = 128
"""Pixels; larger planes are averaged down to it."""


def picture(value: Any) -> dict[str, Any] | None:
    """Draw an array or a tensor of two or more dimensions; `None` where there is nothing to see.

    The last three dimensions are taken for colours where the first or the last of them is 3, otherwise the last two are
    a plane; of all before them, the first one is shown. The smallest finite value is black and the largest is white.

    Returns:
        `width`, `height`, `channels` (1 or 3), `pixels` (base64, one byte a value, row by row), `of`.
    """
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is None or numpy is None:
        return None
    if isinstance(value, numpy.ndarray) and value.dtype.kind in "fiub" and value.dtype.itemsize <= 8:
        value = torch.from_numpy(numpy.array(value, dtype="f4"))
    if not isinstance(value, torch.Tensor) or value.layout is not torch.strided or value.is_meta:
        return None
    if value.ndim < 2 or value.numel() == 0 or value.is_complex() or value.is_quantized:
        return None
    plane, of = _plane(value.detach())
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


def _plane(tensor: Any) -> tuple[Any, str]:
    """Give one plane as channels, rows, columns, and which of the tensor it is."""
    colours = tensor.ndim >= 3 and 3 in (tensor.shape[-3], tensor.shape[-1])
    num_kept = 3 if colours else 2
    leading = tensor.ndim - num_kept
    plane = tensor[(0,) * leading]
    if not colours:
        plane = plane[None]
    elif tensor.shape[-3] != 3:
        plane = plane.permute(2, 0, 1)
    return plane, f"[{', '.join('0' * leading)}]" if leading else ""
