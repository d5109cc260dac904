"""What happened to a training beside its points, for the marks of a figure."""

from __future__ import annotations

from datetime import datetime

from jupyter_ext.client.trainings.curves.figure import Mark
from jupyter_ext.protocol.trainings import Training


def start_of(training: Training) -> float:
    """Return the zero of its elapsed time, Unix seconds."""
    return datetime.fromisoformat(training.started_at or training.created_at).timestamp()


def marks_of(training: Training) -> list[Mark]:
    """Return its newest checkpoint, where it was resumed, and its alerts."""
    marks = []
    if training.checkpoint is not None:
        marks.append(Mark("checkpoint", training.checkpoint.step, training.checkpoint.time))
    if training.resumed_from is not None:
        marks.append(Mark("resume", training.resumed_from.step, training.resumed_from.time))
    marks += [Mark("alert", alert.step, alert.time, alert.text) for alert in training.alerts]
    return marks
