"""What clients look at. A training is Replicate's object with keys of ours beside it.

Source: docs/architecture/02-wire.md; Replicate's HTTP API reference, "trainings".
"""

from __future__ import annotations

from typing import Any, Literal, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from jupyter_ext.ipc.json_values import clean, number
from jupyter_ext.ipc.payloads.journal_marks import AlertLevel, RecordMode

Status = Literal["starting", "processing", "succeeded", "failed", "canceled"]
TERMINAL: frozenset[str] = frozenset({"succeeded", "failed", "canceled"})

StopStage = Literal["flag", "interrupt", "terminate", "kill"]
CauseKind = Literal["exception", "signal", "exit", "lost", "out_of_memory", "canceled", "start"]
"""What Cog's `record_metric` does with a value."""
MetricValue = float | Literal["NaN", "Infinity", "-Infinity"]


def metric_value(value: float) -> MetricValue:
    """Return a number as JSON can carry it."""
    return cast("MetricValue", number(value))


class Resource(BaseModel):
    """Base: unknown keys of a newer engine are kept, not refused, and every value is one that JSON can carry."""

    model_config = ConfigDict(extra="allow", ser_json_inf_nan="strings", defer_build=True)

    @model_validator(mode="before")
    @classmethod
    def _clean(cls, values: Any) -> Any:
        return clean(values) if isinstance(values, dict) else values


class Progress(Resource):
    """How far a training says it is."""

    current: float
    total: float | None = None
    fraction: float | None = Field(default=None, ge=0, le=1)
    eta_s: float | None = None


class Stop(Resource):
    """A stop that was asked for, and how far up the ladder it is."""

    stage: StopStage
    requested_at: str


class Cause(Resource):
    """Why a training ended other than by success, and what to do next."""

    kind: CauseKind
    message: str
    hint: str | None = None


class Frame(Resource):
    """One frame of the user's traceback."""

    file: str
    line: int
    function: str
    source: str | None = None


class UserException(Resource):
    """An exception of the user's code, cut to the user's frames."""

    type: str
    message: str
    frames: list[Frame]
    text: str


class Captured(Resource):
    """A notebook name that travelled by value."""

    name: str
    type: str
    bytes: int


class LastPoint(Resource):
    """The latest point of a series."""

    step: float
    value: MetricValue
    time: float


class Checkpoint(Resource):
    """The newest checkpoint that a training can be resumed from; `time` is Unix seconds."""

    step: float
    time: float
    bytes: int


class ResumedFrom(Resource):
    """The training that this one goes on from, and the checkpoint: `loaded` once its code has loaded one.

    `changed` names the inputs that are other than before.
    """

    id: str
    step: float
    time: float
    loaded: bool = False
    changed: list[str] = Field(default_factory=list)


class Sweep(Resource):
    """The sweep that a training is a trial of; the training that drives it has no trial, and the first of those its id."""

    id: str
    trial: int | None = None


class StartedFrom(Resource):
    """The notebook's cell that a training was started from; the path is empty where it is not known."""

    notebook: str
    cell: str


class Extremes(Resource):
    """The smallest and the largest finite value of a series."""

    min: float
    max: float


class Alert(Resource):
    """What the code or a rule told whoever watches; `time` is Unix seconds."""

    text: str
    level: AlertLevel
    step: float
    time: float


class Rule(Resource):
    """What a person asked to be told of, or to be stopped for.

    `threshold` looks for a point of `metric` with `op` `value`; `nan` for one that is not finite, of any metric where none is
    named; `patience` for so many points of `metric` in a row that are no better, by more than `min_delta`, than the best before.
    `fired` is what it found, in words; then it rests.
    """

    id: str
    kind: Literal["threshold", "nan", "patience"]
    action: Literal["tell", "stop"]
    metric: str | None = None
    op: Literal["<", "<=", ">", ">="] | None = None
    value: float | None = None
    patience: int | None = Field(default=None, ge=1)
    mode: Literal["min", "max"] = "min"
    min_delta: float = Field(default=0.0, ge=0)
    fired: str | None = None


class PageUrls(Resource):
    """Where something is shown: `web` is its page in JupyterLab, where one is known."""

    web: str | None = None


class Urls(Resource):
    """Where the training can be asked for and canceled; `web` is the page that shows it in JupyterLab, where one is known."""

    get: str
    cancel: str
    web: str | None = None


class Training(Resource):
    """One training. Times are RFC 3339 UTC with `Z`."""

    id: str
    model: str
    version: str
    status: Status
    input: dict[str, Any] = Field(default_factory=dict)
    error: str | None = None
    logs: str | None = None
    created_at: str
    started_at: str | None = None
    completed_at: str | None = None
    output: Any = None
    metrics: dict[str, Any] = Field(default_factory=dict)
    source: Literal["api", "web"] = "api"
    urls: Urls
    kind: Literal["training", "prediction"] = "training"
    destination: str | None = None
    name: str
    progress: Progress | None = None
    stop: Stop | None = None
    cause: Cause | None = None
    exception: UserException | None = None
    captured: list[Captured] = Field(default_factory=list)
    notices: list[str] = Field(default_factory=list)
    last: dict[str, LastPoint] = Field(default_factory=dict)
    recorded: dict[str, RecordMode] = Field(default_factory=dict)
    extremes: dict[str, Extremes] = Field(default_factory=dict)
    silent_s: float | None = None
    checkpoint: Checkpoint | None = None
    resumed_from: ResumedFrom | None = None
    started_from: StartedFrom | None = None
    deadline: str | None = None
    cut: list[str] = Field(default_factory=list)
    """Places of what was left out here because it is large, such as `input.image` or `last`."""
    tags: list[str] = Field(default_factory=list)
    notes: str = ""
    on: str = "local"
    """Where it runs: `local`, `ray`, or the base URL of a service."""
    workers: int = 1
    sweep: Sweep | None = None
    alerts: list[Alert] = Field(default_factory=list)
    rules: list[Rule] = Field(default_factory=list)
    num_media: int = 0
    """How many pictures, histograms and the like it has logged; `/native/trainings/{id}/media` lists them."""


class TrainingPage(Resource):
    """One page of a list; `counts` says how many fit the text in each status, whatever statuses were asked for."""

    trainings: list[Training]
    total: int
    counts: dict[str, int]
    offset: int


class SeriesInfo(Resource):
    """Names the series that an index stands for on one stream or in one set of columns."""

    index: int
    key: str
    rank: str


class Hello(Resource):
    """First message of a stream."""

    kind: Literal["hello"] = "hello"
    protocol: int
    seq: int
    training: Training
    series: list[SeriesInfo]


class State(Resource):
    """A field of the training changed."""

    kind: Literal["state"] = "state"
    seq: int
    training: Training


class Series(Resource):
    """Series that appear for the first time on this connection."""

    kind: Literal["series"] = "series"
    series: list[SeriesInfo]


class Log(Resource):
    """A chunk of the log; offsets are bytes."""

    kind: Literal["log"] = "log"
    seq: int
    offset: int
    next_offset: int
    text: str


class Reset(Resource):
    """What the client holds cannot be continued: fetch anew, continue from `seq`."""

    kind: Literal["reset"] = "reset"
    seq: int


class End(Resource):
    """The training is over and everything was sent."""

    kind: Literal["end"] = "end"
    seq: int


StreamMessage = Hello | State | Series | Log | Reset | End


class Environment(Resource):
    """A Python interpreter whose workers start warm; `extra` is what a second zygote of it has imported besides."""

    python: str
    extra: str | None = None
    state: Literal["starting", "warm", "cold", "failed"]
    detail: str | None = None
    torch: str | None = None
    pid: int | None = None
    ready_s: float | None = None
    memory_mib: float | None = None


class EngineInfo(Resource):
    """What an engine says of itself."""

    protocol: int
    version: str
    pid: int
    started_at: str
    python: str
    data_dir: str
    socket: str
    memory_mib: float
    active: int
    """Trainings that are starting or running."""
    viewers: int
    idle_s: float
    listening: str | None
    listening_as_pieces: str | None = None
    sessions: int = 0
    """Debug sessions that are starting or running."""
    models_loaded: int = 0
    models_fetching: int = 0
    problems: list[str] = Field(default_factory=list)
    """What is worked around, one line each: files that cannot be read, no inotify, a full disk."""
    environments: list[Environment]


class Listening(Resource):
    """The engine's loopback port. The token shows as stars; `token.get_secret_value()` gives it."""

    url: str
    token: SecretStr
    token_file: str
