"""What a debug session says of itself: its state, and the files that it leaves. Standard library only.

Engines read both, also those of older versions. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Literal, NotRequired, Required, TypedDict

from jupyter_ext.ipc.payloads.call_failures import CallFailure


class TurnReport(TypedDict):
    """What has the main thread, or waits for it; `deaf` says why an interrupt cannot reach it."""

    op: str
    subject: str | None
    queued_at: float
    started_at: float | None
    interrupting: bool
    deaf: NotRequired[str | None]


class EntryReport(TypedDict):
    """What models of the session are made from."""

    kind: str
    name: str


class ModelReport(TypedDict):
    """A model that lives in the session."""

    id: str
    type: str
    created_at: float
    num_calls: int
    methods: list[str]


class MetricReport(TypedDict):
    """A metric of a training: how many points, and the last number where they are numbers."""

    name: str
    amount: int
    last: float | str | None


class TrainingReport(TypedDict):
    """A training of the session."""

    id: str
    model_id: str
    created_at: float
    started_at: float | None
    finished_at: float | None
    duration_s: float | None
    state: str
    progress: float
    cancel_stage: str | None
    fail: CallFailure | None
    metrics: list[MetricReport]


TRAINING_FILE = "training.json"


class TrainingFile(TrainingReport):
    """`training.json` in a training's directory; `types` are Decthings' types of its metrics by name."""

    types: dict[str, str]


class FailureReport(TypedDict):
    """The last exception, in short; `selected` is the frame that cells are evaluated in."""

    op: str
    at: float
    type: str
    message: str
    num_frames: int
    selected: int


class EndpointReport(TypedDict):
    """Where a debugger can connect."""

    socket: str
    adapter: str
    host: str | None
    port: int | None


class SessionReport(TypedDict):
    """All that a session says of itself; the answer to `status`."""

    pid: int
    ready: bool
    busy: TurnReport | None
    cell_runs: bool
    queued: list[TurnReport]
    entry: EntryReport | None
    functions: list[str]
    models: list[ModelReport]
    trainings: list[TrainingReport]
    states: list[str]
    failure: FailureReport | None
    attached: EndpointReport | None
    active_at: float
    expires_at: float | None
    inactive_s: float | None
    num_calls: int
    notices: list[str]


# -- files ------------------------------------------------------------------------------------------------------------


LOAD_FILE, ENDING_FILE = "load.json", "ending.json"


class LoadFile(TypedDict, total=False):
    """`load.json`: whether the code that the session was launched with was loaded."""

    ok: Required[bool]
    error: CallFailure
    entry: EntryReport | None
    classes: list[str]
    instances: int
    notices: list[str]


class EndingFile(TypedDict):
    """`ending.json`: that the session ends by itself, and why."""

    reason: Literal["inactive_timeout"]
    inactive_s: float | None
