"""What a reader of another tool's files finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Picture(NamedTuple):
    """A picture of a run: a file's bytes, at a step and a time (Unix s)."""

    key: str
    step: float
    time: float
    data: bytes


class Points(NamedTuple):
    """One metric: steps, values and times (Unix s), of one length."""

    steps: list[float]
    values: list[float]
    times: list[float]

    def add(self, step: float, value: float, time: float) -> None:
        """Add a point."""
        self.steps.append(step)
        self.values.append(value)
        self.times.append(time)


@dataclass
class FoundRun:
    """One run.

    Attributes:
        name: What it is called.
        source: The tool that recorded it.
        inputs: Its parameters.
        metrics: By name.
        pictures: In their order.
    """

    name: str
    source: str
    inputs: dict[str, object] = field(default_factory=dict)
    metrics: dict[str, Points] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)

    def add(self, key: str, step: float, value: float, time: float) -> None:
        """Add a point of a metric."""
        self.metrics.setdefault(key, Points([], [], [])).add(step, value, time)
