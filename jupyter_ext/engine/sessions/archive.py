"""What can still be told of a session that has ended: how its trainings stood, and every number that they logged.

Source: docs/architecture/12-debug-sessions.md, "Truth".
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_ext.engine.metrics.journal_reader import Columns, JournalTail
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.journal_format import parse_journal_name
from jupyter_ext.protocol.sessions import DebugTraining


def can_answer(op: str, params: Mapping[str, Any]) -> bool:
    """Tell whether a call is one that `answer` answers: about a training, and in our own encoding."""
    return op in ("training_status", "training_metrics") and params.get("encoding", "values") == "values"


def answer(
    session_dir: Path, trainings: Mapping[str, DebugTraining], op: str, params: Mapping[str, Any]
) -> tuple[dict[str, Any], list[memoryview]]:
    """Answer a call about a training as the session did.

    Args:
        session_dir: Its directory.
        trainings: Those that the session had told of, by id.
        op: What is asked.
        params: As the session takes them.

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
    told, found = [], []
    for asked in params.get("metrics") or [{"name": name} for name in columns]:
        points = columns.get(str(asked["name"]))
        start, amount = max(0, int(asked.get("start", 0))), asked.get("amount")
        stop = None if amount is None else start + max(0, int(amount))
        parts = [np.zeros(0)] * 3 if points is None else [points.times, points.steps, points.values]
        times, steps, numbers = (part[start:stop].tobytes() for part in parts)
        told.append({"name": asked["name"], "start": start, "count": len(times) // 8})
        found.append({"times": times, "steps": steps, "numbers": numbers})
    tree, blobs = values.encode(found)
    return {"metrics": told, "value": tree}, [memoryview(blob) for blob in blobs]


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


def with_all_counted(session_dir: Path, told: Mapping[str, Any]) -> dict[str, Any]:
    """Give a session's last state with all that its running trainings logged until the last moment."""
    return {**told, "trainings": [_counted(session_dir, one) for one in told.get("trainings", [])]}


def _counted(session_dir: Path, training: dict[str, Any]) -> dict[str, Any]:
    if training["state"] != "running":
        return training
    metrics = {one["name"]: one for one in training["metrics"]}
    for name, points in read(session_dir, training["id"]).items():
        last = float(points.values[-1])
        metrics[name] = {
            "name": name,
            "amount": len(points),
            "last": last if np.isfinite(last) else str(last),
        }
    return {**training, "metrics": list(metrics.values())}
