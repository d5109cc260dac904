"""A run as the engine takes it, and as TensorBoard reads it."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from jupyter_ext.client.imports import tensorboard
from jupyter_ext.client.imports.found import FoundRun, Item
from jupyter_ext.protocol.event_file import tag_of
from jupyter_ext.protocol.metrics_codec import SeriesColumns, encode_columns


def encode(run: FoundRun, name: str) -> bytes:
    """Return a run as `POST /native/imported-runs` takes it."""
    series = [
        SeriesColumns(index, key, "0", *(np.asarray(part, np.float64) for part in points))
        for index, (key, points) in enumerate(run.metrics.items())
    ]
    infos = [{"index": item.index, "key": item.key, "rank": "0", "n": len(item.steps)} for item in series]
    columns = encode_columns({"seq": 0, "series": infos}, series)
    pictures = [
        {"key": item.key, "step": item.step, "time": item.time, "bytes": len(item.data)}
        for item in run.pictures
    ]
    head = json.dumps(
        {
            "name": name,
            "source": run.source,
            "input": run.inputs,
            "columns": len(columns),
            "pictures": pictures,
            "items": [_item(item) for item in run.items],
        },
        default=str,
    ).encode()
    return b"".join([struct.pack("<I", len(head)), head, columns, *(item.data for item in run.pictures)])


def _item(item: Item) -> dict[str, object]:
    value = item.value if isinstance(item.value, str) else item.value._asdict()
    kind = "text" if isinstance(value, str) else "histogram"
    return {"key": item.key, "step": item.step, "time": item.time, "kind": kind, "data": value}


def to_tensorboard(series: Iterable[SeriesColumns], folder: Path, run_id: str) -> Path:
    """Write metrics as an event file, and return it."""
    folder.mkdir(parents=True, exist_ok=True)
    run = FoundRun(run_id, "jupyter-ext")
    for item in series:
        tag = tag_of(item.key, item.rank)
        if tag is not None:
            for step, value, time in zip(
                item.steps.tolist(), item.values.tolist(), item.times.tolist(), strict=True
            ):
                run.add(tag, step, value, time)
    path = folder / f"events.out.tfevents.{run_id}"
    tensorboard.write(path, run)
    return path
