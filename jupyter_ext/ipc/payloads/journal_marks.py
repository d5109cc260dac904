"""What a run says that is not a point: the fields of the marks in its journal, and a mark as the engine hands it on.

Written by `worker.sdk` and by mirrors of runs on a service. A mark is read from a file, so whoever takes one over must expect
that a key is missing or wrong. Standard library only.
"""

from __future__ import annotations

from typing import Literal, TypedDict

from jupyter_ext.ipc.json_types import JsonValue

RecordMode = Literal["replace", "incr", "append"]
AlertLevel = Literal["info", "warning", "error"]


class WireMark(TypedDict):
    """Any mark: `time` in Unix seconds, `stream` the rank as text, or `system`."""

    kind: str
    time: float
    stream: str


class ProgressMark(WireMark):
    """How far the code says it is."""

    current: float
    total: float | None


class RecordedMark(WireMark):
    """That a metric was recorded by `record_metric`, and how."""

    key: str
    mode: RecordMode


class OutputMark(WireMark):
    """An item of a prediction's output."""

    value: JsonValue


class CheckpointMark(WireMark):
    """That a checkpoint was saved."""

    step: float
    saved_at: float
    bytes: int


class ResumedMark(WireMark):
    """That the code has loaded a checkpoint of the run before."""

    step: float
    saved_at: float


class NoticeMark(WireMark):
    """A line for the user."""

    text: str


class DroppedMark(WireMark):
    """How many `log()` calls could not be written."""

    count: int


class AlertMark(WireMark):
    """Something that the user should look at."""

    text: str
    level: AlertLevel
    step: float


class MediaMark(WireMark):
    """How many media of a stream there are."""

    count: int
