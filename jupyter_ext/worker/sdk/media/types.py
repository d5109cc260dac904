"""The media that `log()` takes: `log({"samples": jx.Image(x), "weights": jx.Histogram(w)})`. Standard library only.

Rule: making one copies nothing; it is copied when it is logged, by `prepare`, which raises ValueError in the user's words.
"""

from __future__ import annotations

import io
import math
import os
import struct
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import Any, ClassVar

from jupyter_ext.ipc.json_values import clean
from jupyter_ext.worker.sdk.media.arrays import as_numpy, frames_of, library_of, pixels_of
from jupyter_ext.worker.sdk.media.png import encode, encode_animation
from jupyter_ext.worker.sdk.media.stored import MAX_ITEM_BYTES, JsonValue, Prepared, read_file, suffix_of
from jupyter_ext.worker.sdk.media.table_rows import read_frame, read_rows

MAX_BINS = 512
_PATHS = (str, os.PathLike)


class Media:
    """What `log()` stores besides numbers. Use one of the kinds below it.

    Attributes:
        kind: Its name on disk and on the wire.
        caption: A line shown with it, or `None`.
    """

    kind: ClassVar[str] = ""

    def __init__(self, caption: str | None = None) -> None:
        self.caption = caption

    def prepare(self) -> Prepared:
        """Copy what is to be stored.

        Raises:
            ValueError: The value cannot be stored; the message says why.
        """
        raise NotImplementedError

    def __repr__(self) -> str:
        """Name the kind, and the caption where there is one."""
        return f"{type(self).__name__}({'' if self.caption is None else repr(self.caption)})"


class Image(Media):
    """A picture: a PIL image, an array or tensor, a matplotlib figure, the path of a file, or a file's bytes.

    Args:
        value: Arrays may be H x W, H x W x C, C x H x W, or a batch of those, which becomes a grid. Numbers from 0 to 1 are
            taken as 0 to 255; those beyond 0 to 255 are spread from their smallest to their largest.
        caption: A line shown with it.
        layout: The order of an array's axes where its shape leaves a doubt, such as `HWC` or `NCHW`.
    """

    kind = "image"

    def __init__(self, value: Any, caption: str | None = None, layout: str | None = None) -> None:
        super().__init__(caption)
        self.value = value
        self.layout = layout

    def prepare(self) -> Prepared:
        """Copy the pixels, or the file."""
        if isinstance(self.value, bytes | str | os.PathLike):
            return _file(self.kind, self.value, ("png", "jpg", "gif", "webp", "svg"))
        if "matplotlib" in library_of(self.value):
            return _drawn(self.value)
        pixels = pixels_of(self.value, self.layout)
        facts: dict[str, JsonValue] = {"width": pixels.width, "height": pixels.height}
        return Prepared(self.kind, "png", lambda: encode(pixels), len(pixels.data), facts=facts)


class Video(Media):
    """A video: frames as an array (T x H x W x C or T x C x H x W), the path of an mp4, webm or gif file, or its bytes.

    Args:
        value: Frames are kept as an animated PNG.
        fps: Frames a second, of an array.
        caption: A line shown with it.
        layout: The order of a frame's axes where its shape leaves a doubt, such as `NHWC`.
    """

    kind = "video"

    def __init__(
        self, value: Any, fps: float = 4, caption: str | None = None, layout: str | None = None
    ) -> None:
        super().__init__(caption)
        self.value = value
        self.fps = fps
        self.layout = layout

    def prepare(self) -> Prepared:
        """Copy the frames, or the file."""
        if isinstance(self.value, bytes | str | os.PathLike):
            return _file(self.kind, self.value, ("mp4", "webm", "gif", "png"))
        if not self.fps > 0:
            raise ValueError(f"fps={self.fps!r} is not above 0")
        frames, fps = frames_of(self.value, self.layout), float(self.fps)
        facts: dict[str, JsonValue] = {
            "width": frames[0].width,
            "height": frames[0].height,
            "frames": len(frames),
            "fps": fps,
        }
        size = sum(len(frame.data) for frame in frames)
        return Prepared(self.kind, "png", lambda: encode_animation(frames, fps), size, facts=facts)


class Audio(Media):
    """A sound: samples from -1 to 1 (n, or n x channels), the path of a wav, mp3, ogg or flac file, or its bytes.

    Args:
        value: Samples are kept as 16-bit WAV.
        sample_rate: Samples a second, of an array.
        caption: A line shown with it.
    """

    kind = "audio"

    def __init__(self, value: Any, sample_rate: int = 44_100, caption: str | None = None) -> None:
        super().__init__(caption)
        self.value = value
        self.sample_rate = sample_rate

    def prepare(self) -> Prepared:
        """Copy the samples, or the file."""
        if isinstance(self.value, bytes | str | os.PathLike):
            return _file(self.kind, self.value, ("wav", "mp3", "ogg", "flac", "mp4", "webm"))
        rate = int(self.sample_rate)
        if not 0 < rate <= 1_000_000:
            raise ValueError(f"sample_rate={self.sample_rate!r} is not within 1 to 1,000,000")
        numpy = import_module("numpy")
        samples = as_numpy(self.value)
        if samples.ndim == 2 and samples.shape[0] < samples.shape[1] and samples.shape[0] <= 8:
            samples = samples.T
        if samples.ndim not in (1, 2) or samples.size == 0:
            raise ValueError(f"samples have the shape n or n x channels, not {samples.shape}")
        if samples.dtype.kind == "f":
            samples = numpy.nan_to_num(samples).clip(-1, 1) * 32_767
        data = samples.astype("<i2").tobytes()
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        facts: dict[str, JsonValue] = {"sample_rate": rate, "duration_s": len(samples) / rate}
        return Prepared(self.kind, "wav", lambda: _wave(data, rate, channels), len(data), facts=facts)


class Histogram(Media):
    """A distribution: numbers, which are counted, or counts and edges as `numpy.histogram` returns them.

    Args:
        values: An array, a tensor or a sequence of numbers. NaN and infinities are counted apart.
        num_bins: How many bins, 1 to 512.
        np_histogram: `(counts, edges)` instead of `values`; one more edge than counts.
        caption: A line shown with it.
    """

    kind = "histogram"

    def __init__(
        self,
        values: Any = None,
        num_bins: int = 64,
        np_histogram: tuple[Sequence[float], Sequence[float]] | None = None,
        caption: str | None = None,
    ) -> None:
        super().__init__(caption)
        self.values = values
        self.num_bins = num_bins
        self.np_histogram = np_histogram

    def prepare(self) -> Prepared:
        """Count."""
        if self.np_histogram is not None:
            counts, edges = ([float(number) for number in part] for part in self.np_histogram)
            if len(edges) != len(counts) + 1 or not 1 <= len(counts) <= MAX_BINS:
                raise ValueError(
                    f"{len(counts)} counts and {len(edges)} edges are no histogram of 1 to {MAX_BINS} bins"
                )
            if not all(map(math.isfinite, counts + edges)):
                raise ValueError("a histogram's counts and edges are finite")
            return Prepared(self.kind, data={"counts": [*counts], "edges": [*edges]})
        if not 1 <= self.num_bins <= MAX_BINS:
            raise ValueError(f"num_bins={self.num_bins!r} is not within 1 to {MAX_BINS}")
        numpy = import_module("numpy")
        array = as_numpy(self.values).ravel()
        if array.dtype.kind == "b":
            array = array.astype(numpy.uint8)
        is_finite = numpy.isfinite(array)
        nonfinite = int(array.size - is_finite.sum())
        finite = array[is_finite] if nonfinite else array
        if finite.size == 0:
            raise ValueError(f"there is no finite number among {array.size}")
        counted, edged = numpy.histogram(finite, self.num_bins)
        facts: dict[str, JsonValue] = {
            "n": int(finite.size),
            "mean": float(finite.mean(dtype=numpy.float64)),
            "std": float(finite.std(dtype=numpy.float64)),
        }
        if nonfinite:
            facts["nonfinite"] = nonfinite
        return Prepared(self.kind, data={"counts": counted.tolist(), "edges": edged.tolist()}, facts=facts)


class Table(Media):
    """A table: a pandas or polars DataFrame, a list of dicts, or `columns` and rows.

    Args:
        data: A DataFrame, rows, or dicts by column; further rows come by `add_data`.
        columns: Their names, of rows.
        dataframe: The same as `data`, under wandb's name.
        caption: A line shown with it.
    """

    kind = "table"

    def __init__(
        self,
        data: Any = None,
        columns: Sequence[str] | None = None,
        dataframe: Any = None,
        caption: str | None = None,
    ) -> None:
        super().__init__(caption)
        self._columns = None if columns is None else [str(name) for name in columns]
        self._frame = dataframe if dataframe is not None else data if hasattr(data, "columns") else None
        self._rows: list[Any] = [] if data is None or self._frame is not None else list(data)

    def add_data(self, *row: Any) -> None:
        """Add a row."""
        self._rows.append(row)

    def prepare(self) -> Prepared:
        """Copy the cells; of very many rows the first."""
        table = read_frame(self._frame) if self._frame is not None else read_rows(self._rows, self._columns)
        facts: dict[str, JsonValue] = {"rows": table.num_rows, "columns": len(table.columns)}
        return Prepared(self.kind, data={"columns": [*table.columns], "rows": table.cells()}, facts=facts)


class Text(Media):
    """A text, shown as it is.

    Args:
        value: The text.
        caption: A line shown with it.
    """

    kind = "text"

    def __init__(self, value: str, caption: str | None = None) -> None:
        super().__init__(caption)
        self.value = value

    def prepare(self) -> Prepared:
        """Keep it."""
        return Prepared(self.kind, data=str(clean(str(self.value))))


class Html(Media):
    """HTML, shown in a frame of its own that reaches neither the page nor the network.

    Args:
        value: The markup, the path of a file that ends in .html, or an open file. Scripts and styles must be within it.
        caption: A line shown with it.
    """

    kind = "html"

    def __init__(self, value: Any, caption: str | None = None) -> None:
        super().__init__(caption)
        self.value = value

    def prepare(self) -> Prepared:
        """Copy it."""
        value = self.value
        if isinstance(value, os.PathLike) or (isinstance(value, str) and value.endswith((".html", ".htm"))):
            data = read_file(value)
        else:
            data = str(value.read() if hasattr(value, "read") else value).encode("utf-8", "replace")
        return Prepared(self.kind, "html", lambda: data, len(data))


class Plotly(Media):
    """A plotly figure, drawn by the panel and read back as a figure.

    Args:
        figure: The figure.
        caption: A line shown with it.
    """

    kind = "plotly"

    def __init__(self, figure: Any, caption: str | None = None) -> None:
        super().__init__(caption)
        self.figure = figure

    def prepare(self) -> Prepared:
        """Copy it as plotly's JSON."""
        data = str(self.figure.to_json()).encode()
        return Prepared(self.kind, "plotly.json", lambda: data, len(data))


# -- inside -----------------------------------------------------------------------------------------------------------


def _file(kind: str, value: Any, allowed: Sequence[str]) -> Prepared:
    data = value if isinstance(value, bytes) else read_file(value)
    suffix = suffix_of(data)
    if suffix is None or suffix not in allowed:
        raise ValueError(f"the file is no {', '.join(allowed[:-1])} or {allowed[-1]}")
    return Prepared(kind, suffix, lambda: data, len(data))


def _drawn(figure: Any) -> Prepared:
    """Draw a matplotlib figure, or the figure of an axes."""
    figure = getattr(figure, "figure", None) or figure
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", bbox_inches="tight")
    data = buffer.getvalue()
    width, height = struct.unpack(">II", data[16:24])
    return Prepared("image", "png", lambda: data, len(data), facts={"width": width, "height": height})


def _wave(data: bytes, rate: int, channels: int) -> bytes:
    head = struct.pack(
        "<4sI8sIHHIIHH4sI", b"RIFF", 36 + len(data), b"WAVEfmt ", 16, 1, channels, rate,
        rate * channels * 2, channels * 2, 16, b"data", len(data),
    )  # fmt: skip
    return head + data


_WRAPPED: dict[str, Callable[[Any], Media]] = {"PIL": Image, "matplotlib": Image, "plotly": Plotly}


def wrap(value: Any) -> Media | None:
    """Return the medium that a value is: one of ours, or a picture, a figure or a DataFrame of a library known here."""
    if isinstance(value, Media):
        return value
    libraries = library_of(value)
    for name, kind in _WRAPPED.items():
        if name in libraries:
            return kind(value)
    if libraries & {"pandas", "polars"} and hasattr(value, "columns"):
        return Table(value)
    return None


__all__ = [
    "MAX_ITEM_BYTES",
    "Audio",
    "Histogram",
    "Html",
    "Image",
    "Media",
    "Plotly",
    "Table",
    "Text",
    "Video",
]

for _public in (Image, Video, Audio, Histogram, Table, Text, Html, Plotly):
    _public.__module__ = (
        "jupyter_ext"  # stored bundles name them by it, so it must outlive this module's path
    )
