"""What a model's host and the engine write for each other. Standard library only.

    spec.json     the engine, before it starts the host: `HostSpec`
    host.json     the host, once: `ReadyReport` when it answers calls, or `FailedReport`
    ended.json    the host, when it ends by itself: `EndedReport`

Answers to `status`, `attach`, `detach` and `settings` are `HostState`. Times are Unix seconds unless said, memory is bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal, NotRequired, TypedDict

from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.ipc.payloads.worker_specs import WorkerSpec
from jupyter_ext.ipc.run_files import ErrorFrame

HostTask = Literal["embed", "classify", "generate", "forward", "tensors"]
EndReason = Literal["keep_alive", "hung", "room", "unload"]


class _HostTask(TypedDict):
    """What a host is started for.

    Attributes:
        model_id: Its model.
        path: Where the model's files are.
        dtype: What floating weights become; `None` leaves them.
        device: A torch device; `None` is the CPU.
        keep_alive_s: It ends after so long without a call; below 0 never; `None` for the default.
        pin: Whether it never ends by itself.
        estimate: What the engine expects it to take, the fields of `memory.Estimate` in order.
        code: Identifies the code that builds the module, where some does.
        code_dir: Where that code is.
        calls: The socket that it answers on.
        weights: The file of weights to take, by name.
        factory_name: What in the code builds the module, by name.
        batch: Whether concurrent calls may be computed together.
    """

    model_id: str
    path: str
    dtype: str | None
    device: str | None
    keep_alive_s: float | None
    pin: bool
    estimate: Sequence[Any]
    code: str | None
    code_dir: str | None
    calls: str
    weights: NotRequired[str | None]
    factory_name: NotRequired[str | None]
    batch: NotRequired[bool | None]


class HostSpec(_HostTask):
    """`spec.json`; `sys_path` is where the code's imports are found, `notices` what people should know of it."""

    sys_path: NotRequired[Sequence[str] | None]
    notices: NotRequired[list[str]]


class HostWorkerSpec(_HostTask, WorkerSpec):
    """What its process is started with."""


class HostError(TypedDict):
    """Why a model could not be loaded; frames and text where user code raised."""

    code: str
    message: str
    frames: NotRequired[list[ErrorFrame]]
    text: NotRequired[str]


class Loaded(TypedDict):
    """What was loaded; does not change."""

    device: str
    dtype: str | None
    task: HostTask
    architecture: str | None
    tokenizer: bool
    num_parameters: int
    weights_bytes: int
    grown_bytes: int
    load_s: float
    loaded_at: float
    pid: int


class ReadyReport(Loaded):
    """`host.json` of a host that answers calls."""

    state: Literal["ready"]
    notices: list[str]


class FailedReport(TypedDict):
    """`host.json` of a host that could not load its model."""

    state: Literal["failed"]
    error: HostError


class EndedReport(TypedDict):
    """`ended.json`."""

    reason: EndReason
    time: float


class UserState(TypedDict):
    """A process that uses the model."""

    id: str
    name: str
    pid: int | None
    since: float


class Memory(TypedDict):
    """What a host takes: PSS, the part that nobody shares, and memory of its device."""

    memory_bytes: int
    private_bytes: int
    device_bytes: int | None


class HostState(Loaded, Memory):
    """How a host is now. `used_at` is by the machine's monotonic clock, `expires_at` by the time of day."""

    state: Literal["ready", "busy", "unloading"]
    notices: list[str]
    num_calls: int
    num_batches: int
    in_flight: int
    used_at: float
    keep_alive_s: float
    expires_at: float | None
    pinned: bool
    users: list[UserState]


# -- parameters and answers of calls ----------------------------------------------------------------------------------


class AttachedUser(TypedDict):
    """Who attaches."""

    id: str
    name: str
    pid: int | None


class HostParams(TypedDict, total=False):
    """What calls bring; each takes some of these.

    Attributes:
        value: Of `call` and `generate`: a tree of `ipc.values` with arguments, or with prompt and options.
        for_page: Whether the engine asks for a page, which is no user.
        texts: Of `preview`: what to call with.
        tensors: Of `preview`: what to make up and call with; see `preview.arguments`.
        name: A tensor's.
        user: Who attaches.
        id: The user who leaves.
        pinned: Whether it never ends by itself.
        keep_alive_s: It ends after so long without a call.
        used_before: It is retired only if nobody used it since, by the machine's monotonic clock.
        reason: Why it is retired.
    """

    value: JsonValue
    for_page: bool
    texts: list[str]
    tensors: list[JsonObject]
    name: str
    user: AttachedUser
    id: str
    pinned: bool | None
    keep_alive_s: float | None
    used_before: float | None
    reason: EndReason


class ValueAnswer(TypedDict):
    """A tree of `ipc.values`."""

    value: JsonValue


class GenerateEnd(TypedDict):
    """The last event of `generate`, whose value decodes to `Generated`."""

    result: ValueAnswer


class TextEvent(TypedDict):
    """Some text, and how many tokens there are so far."""

    text: str
    num_tokens: int


class Generated(TypedDict):
    """How a generation ended."""

    text: str
    num_tokens: int
    finish: str


class TensorRow(TypedDict):
    """A tensor of a model."""

    name: str
    dtype: str
    shape: list[int]


class TensorsAnswer(TypedDict):
    """All tensors."""

    tensors: list[TensorRow]


class RetireAnswer(TypedDict):
    """Whether the host ends; `state` as it was then."""

    retired: bool
    in_flight: int
    state: NotRequired[HostState]
