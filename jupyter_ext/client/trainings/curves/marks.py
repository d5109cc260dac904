"""What happened to a training beside its points, for the marks of a figure."""

from __future__ import annotations

from datetime import datetime
from typing import Literal, NamedTuple

from jupyter_ext.protocol.trainings import Training


class Mark(NamedTuple):
    """What happened at a step; `time` is Unix seconds."""

    kind: Literal["checkpoint", "resume", "alert"]
    step: float
    time: float
    text: str = ""


def start_of(training: Training) -> float:
    """Return the zero of its elapsed time, Unix seconds."""
    return datetime.fromisoformat(training.started_at or training.created_at).timestamp()


def _changed(training: Training) -> str:
    """Say with which other inputs it goes on."""
    names = training.resumed_from.changed if training.resumed_from is not None else []
    pairs = ", ".join(f"{name}={training.input.get(name)!r:.60}" for name in names)
    return f"with {pairs}" if pairs else ""


def marks_of(training: Training) -> list[Mark]:
    """Return its newest checkpoint, where it was resumed, and its alerts."""
    marks = []
    if training.checkpoint is not None:
        marks.append(Mark("checkpoint", training.checkpoint.step, training.checkpoint.time))
    if training.resumed_from is not None:
        marks.append(
            Mark("resume", training.resumed_from.step, training.resumed_from.time, _changed(training))
        )
    marks += [Mark("alert", alert.step, alert.time, alert.text) for alert in training.alerts]
    return marks
