"""Read the user's arrays and pictures as pixels and numbers, whichever library they are of. Standard library only.

Rule: what is returned is a copy, as the training goes on and changes its own.
"""

from __future__ import annotations

import math
from importlib import import_module
from typing import Any

from jupyter_ext.worker.sdk.media.png import Pixels

MAX_PIXELS = 1 << 26
_CHANNELS = (1, 3, 4)
_GRID_GAP = 2
_MAX_IN_GRID = 64
_GREY = 128


def library_of(value: object) -> set[str]:
    """Name the libraries whose classes a value's class derives from, such as `{"torch"}`."""
    return {kind.__module__.partition(".")[0] for kind in type(value).__mro__} - {"builtins"}


def as_numpy(value: Any) -> Any:
    """Return a tensor, an array or nested lists as a numpy array, on this machine and without a gradient.

    Raises:
        ValueError: It is none, or there is no numpy.
    """
    try:
        numpy = import_module("numpy")
    except ImportError:
        raise ValueError("this needs numpy, which this Python does not have") from None
    if hasattr(value, "detach"):
        value = value.detach().cpu()
        if str(getattr(value, "dtype", "")).endswith(("bfloat16", "float8_e4m3fn", "float8_e5m2")):
            value = value.float()
        value = value.numpy()
    array = numpy.asarray(value)
    if array.dtype.kind not in "biuf":
        raise ValueError(f"a {type(value).__name__} with elements of type {array.dtype} has no numbers")
    return array


def pixels_of(value: Any, layout: str | None = None) -> Pixels:
    """Return a picture of an array: of two dimensions grey, of three with channels first or last, of four as a grid.

    Args:
        value: A PIL image, or an array. uint8 is taken as it is, bool as black and white, other numbers within 0 to 1 as
            0 to 255, those within 0 to 255 as they are, and others are spread from their smallest to their largest.
        layout: `HW`, `HWC`, `CHW`, `NHWC` or `NCHW`; by default found from the shape, channels first for torch.

    Raises:
        ValueError: It is no picture.
    """
    if "PIL" in library_of(value):
        return _of_pil(value)
    array = _bytes_of(as_numpy(value))
    array = _channels_last(array, layout, prefers_first="torch" in library_of(value))
    if array.ndim == 4:
        array = _grid(array)
    height, width, channels = array.shape
    if not 0 < height * width <= MAX_PIXELS:
        raise ValueError(f"a picture of {width} x {height} pixels is not within 1 to {MAX_PIXELS} pixels")
    return Pixels(width, height, channels, array.tobytes())


def frames_of(value: Any, layout: str | None = None) -> list[Pixels]:
    """Return the frames of an array of shape T, H, W, C or T, C, H, W (`layout`), or T, H, W.

    Raises:
        ValueError: It has another shape.
    """
    array = _bytes_of(as_numpy(value))
    if array.ndim == 5 and array.shape[0] == 1:  # a batch of one, as TensorBoard's add_video takes it
        array = array[0]
    if array.ndim == 3:
        array = array[..., None]
    if array.ndim != 4 or len(array) == 0:
        raise ValueError(f"a video has frames, height, width and channels, not the shape {array.shape}")
    frames = _channels_last(array, layout, prefers_first="torch" in library_of(value))
    _, height, width, channels = frames.shape
    if not 0 < frames.shape[0] * height * width <= MAX_PIXELS:
        raise ValueError(f"a video of {frames.shape[0]} x {width} x {height} pixels is too large")
    return [Pixels(width, height, channels, frame.tobytes()) for frame in frames]


def _of_pil(image: Any) -> Pixels:
    mode = image.mode if image.mode in ("L", "LA", "RGB", "RGBA") else "RGBA" if "A" in image.mode else "RGB"
    if image.width * image.height > MAX_PIXELS:
        raise ValueError(f"a picture of {image.width} x {image.height} pixels is too large")
    return Pixels(image.width, image.height, len(mode), image.convert(mode).tobytes())


def _bytes_of(array: Any) -> Any:
    """Return the numbers of an array as uint8."""
    numpy = import_module("numpy")
    if array.dtype == numpy.uint8:
        return array
    if array.dtype.kind == "b":
        return array.astype(numpy.uint8) * 255
    if array.size == 0:
        return array.astype(numpy.uint8)
    array = array.astype(numpy.float32)
    finite = array[numpy.isfinite(array)]
    low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)
    if low >= 0 and high <= 1:
        scale, zero = 255.0, 0.0
    elif low >= 0 and high <= 255:
        scale, zero = 1.0, 0.0
    else:
        scale, zero = 255.0 / ((high - low) or 1.0), low
    spread = (array - numpy.float32(zero)) * numpy.float32(scale)
    return (
        numpy.nan_to_num(spread, nan=0.0, posinf=255.0, neginf=0.0).clip(0, 255).round().astype(numpy.uint8)
    )


def _channels_last(array: Any, layout: str | None, *, prefers_first: bool) -> Any:
    numpy = import_module("numpy")
    if layout is not None:
        return _by_layout(array, layout)
    if array.ndim == 2:
        return array[..., None]
    if array.ndim not in (3, 4):
        raise ValueError(
            f"a picture has two or three dimensions, a grid of them four, not the shape {array.shape}"
        )
    first, last = array.shape[-3] in _CHANNELS, array.shape[-1] in _CHANNELS
    if not first and not last:
        raise ValueError(f"the shape {array.shape} has no 1, 3 or 4 channels first or last")
    is_first = first and (prefers_first or not last)
    return numpy.moveaxis(array, -3, -1) if is_first else array


def _by_layout(array: Any, layout: str) -> Any:
    names = layout.upper()
    if sorted(names) not in (sorted("HW"), sorted("HWC"), sorted("NHWC")) or len(names) != array.ndim:
        raise ValueError(
            f"the layout {layout!r} does not fit the shape {array.shape}; such as HWC or NCHW does"
        )
    if "C" not in names:
        array, names = array[..., None], names + "C"
    order = [names.index(axis) for axis in ("NHWC" if "N" in names else "HWC")]
    array = array.transpose(order)
    if array.shape[-1] not in _CHANNELS:
        raise ValueError(f"{array.shape[-1]} channels are not 1, 3 or 4")
    return array


def _grid(batch: Any) -> Any:
    """Return pictures of one size side by side, at most `_MAX_IN_GRID` of them."""
    numpy = import_module("numpy")
    batch = batch[:_MAX_IN_GRID]
    count, height, width, channels = batch.shape
    if count == 0:
        raise ValueError("a batch of no pictures has nothing to show")
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    shape = rows * (height + _GRID_GAP) - _GRID_GAP, columns * (width + _GRID_GAP) - _GRID_GAP, channels
    grid = numpy.full(shape, _GREY, numpy.uint8)
    for number, picture in enumerate(batch):
        top, left = number // columns * (height + _GRID_GAP), number % columns * (width + _GRID_GAP)
        grid[top : top + height, left : left + width] = picture
    return grid
