"""`spec.json`: what a run's directory says of it before there is a process.

Source: docs/architecture/03-run-directory.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal, NotRequired, cast

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records

FILE_NAME = "spec.json"


class ResumedSpec(TypedDict):
    """The run that this one goes on from, and the checkpoint; times are Unix seconds."""

    id: str
    step: float
    saved_at: float
    bytes: int
    next_call: NotRequired[int]
    changed: NotRequired[list[str]]


class RemoteSpec(TypedDict):
    """What a run on a service is made of there."""

    base_url: str
    model: str
    version: str
    destination: NotRequired[str]


class RaySpec(TypedDict):
    """Where on a Ray cluster a run works: the dashboard's URL, what each worker gets, and where large checkpoints go."""

    address: str
    cpus: float
    gpus: float
    storage: NotRequired[str]


class SweepSpec(TypedDict):
    """The sweep that a run belongs to: its id, and the number of the trial; the run that drives it has none."""

    id: str
    trial: int | None


class StartedFromSpec(TypedDict):
    """The notebook's cell that a run was started from; the path is empty where it is not known."""

    notebook: str
    cell: str


class CapturedSpec(TypedDict):
    """A notebook name that travelled by value."""

    name: str
    type: str
    bytes: int


class RunSpec(TypedDict):
    """A run as it was made.

    Attributes:
        input: What the code gets: links are local paths, secrets are left out.
        given: What the client gave; older versions wrote only `input`.
        created_at: RFC 3339 UTC.
        created_unix: The same in Unix seconds.
        cwd: Working directory.
        cancel_after_s: It is canceled so many seconds after it was made; `None` for never.
        backend: What runs it, `local` where it is not said.
        workers: How many processes train; one where it is not said.
        ray: Where on a cluster, where `backend` is `ray`.
        sweep: The sweep that it is a trial of, or that it drives.
        returns_path: Whether a prediction's function returns paths of files.
        started_from: The notebook's cell, where there is one.
    """

    id: str
    name: str
    model: str
    version: str
    input: dict[str, Any]
    created_at: str
    created_unix: float
    python: str
    cwd: str
    kind: NotRequired[Literal["training", "prediction"]]
    given: NotRequired[dict[str, Any]]
    captured: NotRequired[list[CapturedSpec]]
    destination: NotRequired[str | None]
    notices: NotRequired[list[str]]
    resumed_from: NotRequired[ResumedSpec]
    sys_path: NotRequired[list[str] | None]
    cancel_after_s: NotRequired[float | None]
    backend: NotRequired[str]
    remote: NotRequired[RemoteSpec]
    returns_path: NotRequired[bool]
    workers: NotRequired[int]
    sweep: NotRequired[SweepSpec]
    ray: NotRequired[RaySpec]
    started_from: NotRequired[StartedFromSpec]


def read_spec(run_dir: Path) -> RunSpec | None:
    """Read a run's spec; `None` where there is none or it was set aside. Keys that a newer version wrote are kept."""
    return records.load(run_dir / FILE_NAME, _make)


def _make(content: Any) -> RunSpec:
    known = records.parse(RunSpec, content)
    return cast("RunSpec", {**content, **known})
