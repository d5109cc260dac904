"""What a worker is started with: the engine sends it to a zygote or to a shim's stdin. Standard library only.

It is never written down as a whole: environment and secrets stay in memory. What a model's host gets besides stands in
`worker.model_host.messages`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, NotRequired, TypedDict

from jupyter_ext.ipc.json_types import JsonValue

WorkerRole = Literal["training", "group", "session", "model_host"]


class WorkerSpec(TypedDict):
    """What every worker needs.

    Attributes:
        run_dir: Its directory.
        control: The path of its shim's socket.
        cwd: Its working directory.
        role: What it is; a training where it is not said.
        sys_path: Entries of the caller's import path.
        environ: The caller's environment; `None` keeps that of the interpreter.
        threads: How many torch may use.
        secrets: Secret inputs, which are written nowhere.
        notices: What its user should know of the start.
    """

    run_dir: str
    control: str
    cwd: str
    role: NotRequired[WorkerRole]
    sys_path: NotRequired[Sequence[str] | None]
    environ: NotRequired[Mapping[str, str] | None]
    threads: NotRequired[int | None]
    secrets: NotRequired[Mapping[str, JsonValue]]
    notices: NotRequired[list[str]]


class TrainingWorkerSpec(WorkerSpec):
    """A training or a prediction.

    Attributes:
        rank: Its stream's name.
        workers: The number of processes of a group.
        ends_by_ladder: Whether a SIGTERM that is not of its shim's ladder is passed over: a cluster sends one to all that a job has started.
    """

    rank: NotRequired[str]
    workers: NotRequired[int]
    ends_by_ladder: NotRequired[bool]


class SessionWorkerSpec(WorkerSpec):
    """A debug session.

    Attributes:
        calls: The path of the socket that it answers on.
        sockets: The beginning of the kernel's socket paths.
        inactive_s: It ends after this long without a call; `None` for never.
        code: Whether there is code to load.
        folder: A model's files, instead of `code`.
        keep_on_error: Whether it lives on when that code fails.
    """

    calls: str
    sockets: str
    inactive_s: NotRequired[float | None]
    code: NotRequired[bool]
    folder: NotRequired[str | None]
    keep_on_error: NotRequired[bool]


# -- what a zygote and the engine say to each other -------------------------------------------------------------------


class ForkRequest(TypedDict):
    """That a worker is to be forked."""

    op: Literal["fork"]
    id: int
    spec: WorkerSpec


class ForkAnswer(TypedDict):
    """The shim that was forked, or why none was."""

    id: int
    pid: NotRequired[int]
    error: NotRequired[str]


class ZygoteState(TypedDict):
    """That a zygote can fork, or why it cannot; `torch` is the version that it has imported."""

    state: Literal["warm", "unsafe"]
    detail: str | None
    torch: str | None
    ready_s: float
