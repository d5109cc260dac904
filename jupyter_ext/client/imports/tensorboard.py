"""TensorBoard's event files, read and written without TensorBoard.

Source: https://www.tensorflow.org/tutorials/load_data/tfrecord (records); tensorflow/core/util/event.proto and
tensorflow/core/framework/summary.proto (messages, by the numbers of their fields).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from jupyter_ext.client.imports.found import MAX_BINS, MAX_ITEMS, FoundRun, Picture
from jupyter_ext.client.imports.protobuf import Fields, bytes_of, fields_of
from jupyter_ext.protocol import event_file

_HEAD = struct.Struct("<QI")
_CRC_BYTES = 4
_MAX_RECORD_BYTES = 1 << 30
_STRING = 7
_NUMBERS: dict[bytes | int, tuple[int, str]] = {1: (5, "<f"), 2: (6, "<d")}
"""Of tensorflow's DataType: `DT_FLOAT` and `DT_DOUBLE`, with the field that holds their values, and how one is packed."""


def read(path: Path, name: str) -> FoundRun:
    """Read an event file, or all of a folder in the order of their names.

    A file that ends within a record is read up to there, as one that is still being written.
    """
    run = FoundRun(name, "tensorboard")
    files = [path] if path.is_file() else sorted(path.glob("*tfevents*"))
    for file in files:
        for record in _records(file):
            _take_event(run, record)
    return run


def _records(path: Path) -> Iterator[bytes]:
    with open(path, "rb") as file:
        while len(head := file.read(_HEAD.size)) == _HEAD.size:
            length, _ = _HEAD.unpack(head)
            if length > _MAX_RECORD_BYTES:
                return
            data = file.read(length)
            if len(data) < length or len(file.read(_CRC_BYTES)) < _CRC_BYTES:
                return
            yield data


def _take_event(run: FoundRun, record: bytes) -> None:
    try:
        event = fields_of(record)
        time = struct.unpack("<d", bytes_of(event, 1))[0] if 1 in event else 0.0
        step = _signed(event[2][0]) if 2 in event else 0
        for summary in event.get(5, ()):
            for value in fields_of(summary).get(1, ()) if isinstance(summary, bytes) else ():
                if isinstance(value, bytes):
                    _take_value(run, fields_of(value), step, time)
    except (ValueError, IndexError, struct.error, UnicodeDecodeError):
        return  # one event that cannot be read harms no other


def _take_value(run: FoundRun, value: Fields, step: int, time: float) -> None:
    tag = bytes_of(value, 1).decode()
    if 2 in value:
        run.add(tag, step, struct.unpack("<f", bytes_of(value, 2))[0], time)
    elif 4 in value:
        _add_picture(run, tag, step, time, bytes_of(fields_of(bytes_of(value, 4)), 4))
    elif 5 in value:
        _take_histogram(run, tag, step, time, fields_of(bytes_of(value, 5)))
    elif 8 in value:
        _take_tensor(run, tag, step, time, fields_of(bytes_of(value, 8)), _plugin(value))


def _plugin(value: Fields) -> str:
    metadata = fields_of(bytes_of(value, 9)) if 9 in value else {}
    data = fields_of(bytes_of(metadata, 1)) if 1 in metadata else {}
    return bytes_of(data, 1).decode() if 1 in data else ""


def _take_tensor(run: FoundRun, tag: str, step: int, time: float, tensor: Fields, plugin: str) -> None:
    kind = tensor[1][0] if 1 in tensor else 0
    content = bytes_of(tensor, 4) if 4 in tensor else b""
    strings = [item for item in tensor.get(8, []) if isinstance(item, bytes)] if kind == _STRING else []
    if plugin == "images":
        for item in strings[2:]:  # after width and height
            _add_picture(run, tag, step, time, item)
    elif plugin == "text" and strings:
        text = "\n".join(item.decode(errors="replace") for item in strings)
        run.add_text(tag.removesuffix("/text_summary"), step, time, text)
    elif plugin == "histograms":
        _take_bins(run, tag, step, time, content)
    elif kind in _NUMBERS:
        number, form = _NUMBERS[kind]
        content = content or bytes_of(tensor, number)
        if len(content) == struct.calcsize(form):
            run.add(tag, step, struct.unpack(form, content)[0], time)


def _take_histogram(run: FoundRun, tag: str, step: int, time: float, histogram: Fields) -> None:
    """Take a HistogramProto: its limits are the upper edges of the bins, the first and the last of which reach over all."""
    numbers = {
        number: struct.unpack("<d", found)[0]
        for number in (1, 2)
        if isinstance(found := histogram.get(number, [b""])[0], bytes) and len(found) == 8
    }
    limits, counts = _doubles(histogram, 6), _doubles(histogram, 7)
    filled = [i for i, count in enumerate(counts) if count > 0]
    if not filled or len(limits) != len(counts):
        return
    first, last = filled[0], filled[-1]
    low, high = numbers.get(1, 0.0), numbers.get(2, 0.0)
    below = max(low, limits[first - 1]) if first > 0 else low
    edges = [min(below, limits[first]), *limits[first:last], max(high, below)]
    run.add_histogram(tag, step, time, *_coarser(counts[first : last + 1], edges))


def _take_bins(run: FoundRun, tag: str, step: int, time: float, content: bytes) -> None:
    """Take the rows `[low, high, count]` of TensorBoard's newer histograms."""
    rows = list(struct.iter_unpack("<3d", content[: len(content) // 24 * 24]))
    if rows:
        counts, edges = [row[2] for row in rows], [rows[0][0], *(row[1] for row in rows)]
        run.add_histogram(tag, step, time, *_coarser(counts, edges))


def _coarser(counts: list[float], edges: list[float]) -> tuple[list[float], list[float]]:
    """Join neighbouring bins until there are few enough."""
    by = -(-len(counts) // MAX_BINS)
    joined = [sum(counts[i : i + by]) for i in range(0, len(counts), by)]
    return joined, [*edges[: len(counts) : by], edges[-1]]


def _doubles(message: Fields, number: int) -> list[float]:
    """Return a repeated double, packed or not."""
    data = b"".join(part for part in message.get(number, ()) if isinstance(part, bytes))
    return [found for (found,) in struct.iter_unpack("<d", data)]


def _add_picture(run: FoundRun, tag: str, step: int, time: float, data: bytes) -> None:
    if len(run.pictures) < MAX_ITEMS:
        run.pictures.append(Picture(tag, step, time, data))


def _signed(number: bytes | int) -> int:
    if not isinstance(number, int):
        raise ValueError("no number")
    return number - (1 << 64) if number >= 1 << 63 else number


# -- writing ----------------------------------------------------------------------------------------------------------


def write(path: Path, run: FoundRun) -> None:
    """Write a run's metrics as an event file.

    Args:
        path: The file; its name has to contain `tfevents`.
        run: What to write.
    """
    with open(path, "wb") as file:
        file.write(
            event_file.first_event(min((min(item.times) for item in run.metrics.values()), default=0.0))
        )
        for key, points in run.metrics.items():
            steps, values, times = (np.asarray(part, np.float64) for part in points)
            file.writelines(event_file.scalar_events(key, steps, values, times))
