"""What a run said that is not a point: started, progress, checkpoint, notice and the like."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import NamedTuple, cast

from jupyter_ext.ipc.payloads.journal_marks import WireMark

_MAX_MARKS = 10_000
"""More of one run are not held in memory; they stand in its journals."""
MAX_CHECKPOINTS = 200
REPLACED = frozenset({"progress", "media", "read"})
"""Kinds of which a later mark of the same stream says all that those before it said."""


class Mark(NamedTuple):
    """Something that is not a point. `ordinal` counts the points of its stream before it."""

    time: float
    ordinal: int
    fields: Mapping[str, object]


class Marks:
    """All marks of a run; of progress and the like (`REPLACED`) only the latest of each stream."""

    def __init__(self) -> None:
        self._marks: list[WireMark] = []
        self._latest: dict[tuple[str, str], WireMark] = {}

    def add(self, stream: str, marks: Iterable[Mark]) -> None:
        """Take in marks of one stream, in their order."""
        for mark in marks:
            payload = wire_mark(stream, mark)
            if payload["kind"] in REPLACED:
                self._latest[stream, payload["kind"]] = payload
            elif len(self._marks) < _MAX_MARKS:
                self._marks.append(payload)

    def checkpoints(self) -> list[tuple[float, float]]:
        """Return step and Unix seconds of each checkpoint that was saved, of the newest `MAX_CHECKPOINTS`."""
        found = []
        for mark in self._marks:
            step = mark.get("step")
            if mark["kind"] == "checkpoint" and isinstance(step, int | float) and math.isfinite(step):
                found.append((float(step), float(mark["time"])))
        return found[-MAX_CHECKPOINTS:]

    def all(self) -> list[WireMark]:
        """Return `{kind, time (Unix s), stream, …}` of each, by time."""
        return sorted([*self._marks, *self._latest.values()], key=lambda mark: float(mark["time"]))


def wire_mark(stream: str, mark: Mark) -> WireMark:
    """Return a mark as the rest of the engine sees it."""
    return cast("WireMark", {"kind": "", **mark.fields, "time": mark.time, "stream": stream})
