"""What can be answered about a session that has ended: how its trainings stood, and every number that they logged.

Rule: all of it is read from files that the session wrote itself, so that no engine needs to have been there.

Source: docs/architecture/12-debug-sessions.md, "Truth".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_ext.engine.common import records
from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.ipc import json_values, values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.decthings.codec import encode_metric
from jupyter_ext.ipc.journal_format import parse_journal_name
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.ipc.late_import import late
from jupyter_ext.ipc.payloads.session_messages import MetricPart, MetricRange, MetricsAnswer, SessionParams
from jupyter_ext.ipc.payloads.session_reports import TRAINING_FILE
from jupyter_ext.protocol.sessions import DebugTraining

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")


def can_answer(op: str) -> bool:
    """Return whether `answer` answers a call: those about a training."""
    return op in ("training_status", "training_metrics")


def answer(
    session_dir: Path, trainings: Mapping[str, DebugTraining], op: str, params: SessionParams
) -> tuple[Mapping[str, object], list[memoryview]]:
    """Answer a call about a training as the session did.

    Args:
        session_dir: Its directory.
        trainings: Those that the session had, by id.
        op: What is asked.
        params: As the session takes them, in either encoding.

    Raises:
        CallError: There was no such training.
    """
    training = trainings.get(str(params.get("training_id")))
    if training is None:
        message = f"the session that has ended had no training {params.get('training_id')!r}"
        raise CallError({"code": "training_not_found", "message": message})
    if op == "training_status":
        return training.model_dump(mode="json"), []
    columns = read(session_dir, training.id)
    every: list[MetricRange] = [{"name": name} for name in columns]
    asked = [(str(one["name"]), *_span(one)) for one in params.get("metrics") or every]
    cuts = [(name, start, _cut(columns.get(name), start, stop)) for name, start, stop in asked]
    if params.get("encoding", "values") == "decthings":
        types = (read_json(session_dir / "trainings" / training.id / TRAINING_FILE) or {}).get("types", {})
        return _as_tensors(cuts, types)
    metrics: list[MetricPart] = []
    found = []
    for name, start, points in cuts:
        metrics.append({"name": name, "start": start, "count": len(points)})
        parts = {"times": points.times, "steps": points.steps, "numbers": points.values}
        found.append({key: part.tobytes() for key, part in parts.items()})
    tree, blobs = values.encode(found)
    return {"metrics": metrics, "value": tree}, [memoryview(blob) for blob in blobs]


def _span(asked: MetricRange) -> tuple[int, int | None]:
    start, amount = max(0, int(asked.get("start", 0))), asked.get("amount")
    return start, None if amount is None else start + max(0, int(amount))


def _cut(points: Columns | None, start: int, stop: int | None) -> Columns:
    if points is None:
        empty = np.zeros(0)
        return Columns(empty, empty, empty, np.zeros(0, np.int64))
    cut = slice(start, stop)
    return Columns(points.steps[cut], points.values[cut], points.times[cut], points.ordinals[cut])


def _as_tensors(
    cuts: list[tuple[str, int, Columns]], types: Mapping[str, str]
) -> tuple[MetricsAnswer, list[memoryview]]:
    metrics: list[MetricPart] = []
    blobs: list[memoryview] = []
    for name, start, points in cuts:
        metrics.append({"name": name, "start": start, "times": points.times.tolist()})
        tensors = (encode_metric(number, types.get(name)) for number in points.values.tolist())
        blobs += [memoryview(tensor) for tensor in tensors]
    return {"metrics": metrics}, blobs


def read(session_dir: Path, training_id: str) -> dict[str, Columns]:
    """Read what a training logged, by metric, in the order in which it came."""
    parts: dict[str, list[Columns]] = {}
    directory = session_dir / "trainings" / training_id
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    journals = sorted((place, name) for name in names if (place := parse_journal_name(name)) is not None)
    for _, name in journals:
        tail = JournalTail(directory / name)
        try:
            while True:
                news = tail.read()
                for key, columns in news.columns.items():
                    parts.setdefault(key, []).append(columns)
                if not news.more:
                    break
        finally:
            tail.close()
    return {
        key: Columns(*(np.concatenate(columns) for columns in zip(*found, strict=True)))
        for key, found in parts.items()
    }


def complete(session_dir: Path, reported: JsonObject) -> JsonObject:
    """Return a session's last report with all trainings that it had, and all that they logged until the last moment.

    Args:
        session_dir: Its directory.
        reported: What it last said of itself, as an engine heard it; empty where none did.
    """
    heard = reported.get("trainings")
    last: dict[str, JsonObject] = {
        str(one.get("id")): one for one in (heard if isinstance(heard, list) else []) if isinstance(one, dict)
    }
    directory = session_dir / "trainings"
    for path in sorted(directory.iterdir()) if directory.is_dir() else []:
        record = records.load(path / TRAINING_FILE, DebugTraining.model_validate)
        if record is not None and (path.name not in last or record.state != "running"):
            last[path.name] = record.model_dump(mode="json", exclude={"types"}) | {"id": path.name}
    trainings = sorted(last.values(), key=lambda one: str(one.get("created_at")))
    found: JsonObject = json_values.clean(
        {**reported, "trainings": [_counted(session_dir, one) for one in trainings]}
    )
    return found


def _counted(session_dir: Path, training: JsonObject) -> JsonObject:
    metrics: list[JsonValue] = [
        {"name": name, "amount": len(points), "last": _json_number(float(points.values[-1]))}
        for name, points in read(session_dir, str(training["id"])).items()
    ]
    return {**training, "metrics": metrics}


def _json_number(number: float) -> float | str:
    return number if np.isfinite(number) else str(number)
