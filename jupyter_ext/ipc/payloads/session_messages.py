"""What is said over a debug session's socket: the parameters of its calls, their answers and events. Standard library only.

The calls are the `op_…` methods of `worker.session`; `client.sessions` and the engine are the callers. How a call fails is in
`call_failures`, how a value is described in `value_summaries`. Times are Unix seconds.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from jupyter_ext.ipc.json_types import JsonValue
from jupyter_ext.ipc.payloads.call_failures import Frame
from jupyter_ext.ipc.payloads.session_reports import (
    EndpointReport,
    EntryReport,
    ModelReport,
    SessionReport,
    TrainingReport,
)
from jupyter_ext.ipc.payloads.value_summaries import Activation, LocalValue, ParameterLook, ParameterUpdate

# -- parameters -------------------------------------------------------------------------------------------------------


class MetricRange(TypedDict):
    """Which points of a metric: from index `start` on, at most `amount` of them."""

    name: str
    start: NotRequired[int]
    amount: NotRequired[int | None]


class DatasetPlace(TypedDict):
    """A key of a dataset on this machine."""

    path: str
    key: str


class SessionParameter(TypedDict):
    """An argument in Decthings' encoding: a key of a dataset, or else the next blob."""

    name: str
    dataset: NotRequired[DatasetPlace]


class SessionParams(TypedDict, total=False):
    """What calls bring; each call takes some of these and ignores the rest.

    Attributes:
        directory: Name of uploaded code below the session's `code`.
        folder: A model's own directory.
        model_id: A model of the session.
        state_id: A state that it keeps.
        training_id: A training of it.
        method: What to call.
        args: Arguments by name, as trees of `ipc.values` or in Decthings' encoding.
        positional: Arguments by position, as trees.
        params: Arguments in Decthings' encoding: names and where their bytes are.
        keys: Keys of a state.
        state: A state as a tree.
        encoding: `values`, or `decthings` for its own.
        metrics: Which points.
        modules: Names of modules to listen to.
        histograms: Count values in bins as well.
        anomaly: Have the operation that makes a NaN raise.
        wait_s: How long to wait.
        expression: What to evaluate.
        frame: A frame of the last failure, `none` for the session's namespace.
        select: The frame to choose.
        picture: Draw the value.
        whole: Answer with the value itself.
        port: Open a port for debuggers.
        force: Also where other people use this machine.
    """

    directory: str
    folder: str
    model_id: str
    state_id: str
    training_id: str
    method: str
    args: dict[str, JsonValue]
    positional: list[JsonValue]
    params: list[SessionParameter]
    keys: list[str]
    state: JsonValue
    encoding: str
    metrics: list[MetricRange]
    modules: list[str]
    histograms: bool
    anomaly: bool
    wait_s: float
    expression: str
    frame: int | Literal["none"] | None
    select: int
    picture: bool
    whole: bool
    port: bool
    force: bool


# -- answers ----------------------------------------------------------------------------------------------------------


class Nothing(TypedDict):
    """The answer of a call that has nothing to say."""


class Replaced(TypedDict):
    """What defining classes anew did to their instances."""

    classes: list[str]
    instances: int
    notices: list[str]


class CodeChange(Replaced):
    """What replacing a session's code did."""

    entry: NotRequired[EntryReport | None]


class StateKey(TypedDict):
    """A key of a state."""

    key: str
    bytes: int


class StateAnswer(TypedDict):
    """A state that the session keeps now."""

    state_id: str
    keys: list[StateKey]


class InstantiateAnswer(ModelReport):
    """A model that was made."""

    model_id: str


class TrainAnswer(TrainingReport):
    """A training that begins."""

    training_id: str


class ValueAnswer(TypedDict):
    """A value of the user's code: a tree of `ipc.values`, or what that was decoded to."""

    value: Any


class DownloadAnswer(TypedDict):
    """Values of a state; without `value` they are the blobs, in the order of `keys`."""

    keys: list[str]
    value: NotRequired[Any]


class LookAnswer(TypedDict):
    """What a value looks like, and the value itself where it was asked for."""

    summary: LocalValue
    value: NotRequired[Any]


class StepResult(TypedDict):
    """What one step did."""

    method: str
    ran_backward: bool
    activations: list[Activation]
    parameters: list[ParameterLook]
    updates: dict[str, ParameterUpdate]


class StepAnswer(StepResult):
    """What one step did and gave."""

    value: Any


class ParametersAnswer(TypedDict):
    """Parameters of a model's module."""

    parameters: list[ParameterLook]


class LocalsAnswer(TypedDict):
    """Names and values of a frame or namespace."""

    locals: list[LocalValue]


class Stack(TypedDict):
    """Where a thread stands, outermost frame first."""

    name: str
    main: bool
    frames: list[Frame]


class StacksAnswer(TypedDict):
    """Where all threads stand, the main thread first."""

    threads: list[Stack]


class NumberedFrame(Frame):
    """A frame of the last failure, with its number."""

    number: int


class Failure(TypedDict):
    """The last exception of a session, with the frames that are kept alive."""

    type: str
    message: str
    text: str
    op: str
    at: float
    selected: int
    frames: list[Frame]
    frame: NumberedFrame | None


class InterruptAnswer(TypedDict):
    """What was interrupted; `deaf` says why it cannot be."""

    op: str | None
    subject: NotRequired[str | None]
    deaf: str | None


class CancelAnswer(TypedDict):
    """How far a cancel got."""

    ended: bool
    stage: str | None
    hint: NotRequired[str]


class TouchAnswer(TypedDict):
    """When the session ends unless somebody calls."""

    expires_at: float | None


class MetricPart(TypedDict):
    """Which points of a metric an answer has; `count` of them, or their `times` in Decthings' encoding."""

    name: str
    start: int
    count: NotRequired[int]
    times: NotRequired[list[float]]


class MetricsAnswer(TypedDict):
    """Points of metrics; `value` is a list with arrays for each, in Decthings' encoding they are the blobs."""

    metrics: list[MetricPart]
    value: NotRequired[Any]


class AttachAnswer(EndpointReport):
    """Where a debugger connects, and what the files of the session's code are called there."""

    labels: dict[str, str]
    code_dir: str


# -- events -----------------------------------------------------------------------------------------------------------


class WaitingEvent(TypedDict):
    """A call waits for the main thread, which `busy` has."""

    kind: Literal["waiting"]
    op: str
    busy: str


class SessionEvent(TypedDict):
    """The session's state, now and whenever it changed."""

    kind: Literal["session"]
    session: SessionReport
