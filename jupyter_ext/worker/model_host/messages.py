"""What a model's host and the engine write for each other. Standard library only.

    spec.json     the engine, before it starts the host: `HostSpec`
    host.json     the host, once: `ReadyReport` when it answers calls, or `FailedReport`
    ended.json    the host, when it ends by itself: `EndedReport`

Answers to `status`, `attach`, `detach` and `settings` are `HostState`. Times are Unix seconds unless said, memory is bytes.
"""

from __future__ import annotations

from typing import Any, Literal, NotRequired, TypedDict

from jupyter_ext.ipc.run_files import ErrorFrame

HostTask = Literal["embed", "classify", "generate", "forward", "tensors"]
EndReason = Literal["keep_alive", "hung", "room", "unload"]


class HostSpec(TypedDict):
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
        sys_path: Where the code's imports are found.
        batch: Whether concurrent calls may be computed together.
        notices: What people should know of it.
    """

    model_id: str
    path: str
    dtype: str | None
    device: str | None
    keep_alive_s: float | None
    pin: bool
    estimate: list[Any]
    code: str | None
    code_dir: str | None
    calls: str
    weights: NotRequired[str | None]
    factory_name: NotRequired[str | None]
    sys_path: NotRequired[list[str] | None]
    batch: NotRequired[bool | None]
    notices: NotRequired[list[str]]


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
