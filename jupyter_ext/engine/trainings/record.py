"""One training as the engine holds it, and the resource that clients see of it."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_ext.engine.trainings import state
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.workers.exit import Outcome, rfc3339
from jupyter_ext.ids import TrainingId
from jupyter_ext.protocol.resources import (
    TERMINAL,
    Cause,
    Extremes,
    LastPoint,
    Progress,
    Status,
    Stop,
    Training,
    Urls,
)


@dataclass
class Record:
    """State of one training. Only the training service changes it."""

    id: TrainingId
    run_dir: Path
    spec: dict[str, Any]
    status: Status = "starting"
    started_at: float | None = None
    outcome: Outcome | None = None
    stop: Stop | None = None
    progress: tuple[float, float | None, float] | None = None
    """Current, total, and the Unix time it was said."""
    notices: list[str] = field(default_factory=list)
    last: dict[str, LastPoint] = field(default_factory=dict)
    extremes: dict[str, Extremes] = field(default_factory=dict)
    reported_at: float | None = None
    labels: Labels = field(init=False)

    def __post_init__(self) -> None:
        """Read the labels that a person gave it."""
        self.labels = Labels.read(self.run_dir)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.status in TERMINAL

    def move(self, then: Status) -> None:
        """Go to another state by the table in `state`."""
        for status in state.path(self.status, then):
            self.status = status

    def finish(self, outcome: Outcome) -> None:
        """Take over how it ended."""
        if self.started_at is None and outcome.status == "succeeded":
            self.started_at = outcome.ended_at
        self.outcome = outcome
        self.move(outcome.status)

    def notice(self, text: str) -> None:
        """Add a line for the user, once."""
        if text not in self.notices:
            self.notices.append(text)

    def resource(self) -> Training:
        """Give the resource; its URLs are paths, which the HTTP layer completes."""
        outcome = self.outcome
        cause = outcome.cause if outcome else None
        return Training(
            id=self.id,
            model=self.spec["model"],
            version=self.spec["version"],
            status=self.status,
            input=self.spec["input"],
            error=_error_text(cause) if self.status == "failed" else None,
            created_at=self.spec["created_at"],
            started_at=None if self.started_at is None else rfc3339(self.started_at),
            completed_at=rfc3339(outcome.ended_at) if outcome else None,
            output=outcome.output if outcome else None,
            metrics=self._durations(),
            urls=Urls(get=f"/v1/trainings/{self.id}", cancel=f"/v1/trainings/{self.id}/cancel"),
            name=self.spec["name"],
            progress=self._progress(),
            stop=None if self.is_over else self.stop,
            cause=cause,
            exception=outcome.exception if outcome else None,
            captured=self.spec.get("captured", []),
            notices=list(self.notices),
            last=dict(self.last),
            extremes=dict(self.extremes),
            silent_s=self._silent_s(),
            tags=list(self.labels.tags),
            notes=self.labels.notes,
        )

    def _durations(self) -> dict[str, float]:
        if self.outcome is None:
            return {}
        metrics = {"total_time": max(0.0, self.outcome.ended_at - self.spec["created_unix"])}
        if self.started_at is not None:
            metrics["predict_time"] = max(0.0, self.outcome.ended_at - self.started_at)
        return metrics

    def _progress(self) -> Progress | None:
        if self.progress is None:
            return None
        current, total, said_at = self.progress
        if not total:
            return Progress(current=current, total=total)
        fraction = min(1.0, max(0.0, current / total))
        eta_s = None
        if self.started_at is not None and fraction > 0 and not self.is_over:
            whole_s = (said_at - self.started_at) / fraction
            eta_s = max(0.0, self.started_at + whole_s - time.time())
        return Progress(current=current, total=total, fraction=fraction, eta_s=eta_s)

    def _silent_s(self) -> float | None:
        since = self.reported_at or self.started_at
        return None if self.is_over or since is None else max(0.0, time.time() - since)


def _error_text(cause: Cause | None) -> str | None:
    return None if cause is None else cause.message
