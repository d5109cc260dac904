"""What a reader of another tool's files finds."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Counted(NamedTuple):
    """A histogram: counts, and one more edge than there are of them."""

    counts: list[float]
    edges: list[float]


class Picture(NamedTuple):
    """A picture of a run: a file's bytes, at a step and a time (Unix s)."""

    key: str
    step: float
    time: float
    data: bytes


class Item(NamedTuple):
    """A text or a histogram of a run, at a step and a time (Unix s)."""

    key: str
    step: float
    time: float
    value: str | Counted


MAX_ITEMS = 5_000
"""So many texts and histograms of a run are kept, and as many pictures."""
MAX_TEXT = 100_000
"""Characters of a text that are kept."""
MAX_BINS = 512


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
        items: Texts and histograms, in their order.
    """

    name: str
    source: str
    inputs: dict[str, object] = field(default_factory=dict)
    metrics: dict[str, Points] = field(default_factory=dict)
    pictures: list[Picture] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)

    def add(self, key: str, step: float, value: float, time: float) -> None:
        """Add a point of a metric."""
        self.metrics.setdefault(key, Points([], [], [])).add(step, value, time)

    def add_text(self, key: str, step: float, time: float, text: str) -> None:
        """Add a text."""
        self._add_item(Item(key, step, time, text[:MAX_TEXT]))

    def add_histogram(
        self, key: str, step: float, time: float, counts: Sequence[float], edges: Sequence[float]
    ) -> None:
        """Add a histogram; one that is none, or has infinite edges, is left out."""
        numbers = [*counts, *edges]
        if 0 < len(counts) == len(edges) - 1 <= MAX_BINS and all(map(math.isfinite, numbers)):
            self._add_item(Item(key, step, time, Counted(list(counts), list(edges))))

    def _add_item(self, item: Item) -> None:
        if len(self.items) < MAX_ITEMS:
            self.items.append(item)
