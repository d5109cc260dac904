"""One training or evaluation of a stored model: how it stands, how long its steps took, and why it failed."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import Any, Literal, NotRequired, TypedDict

from jupyter_ext.engine.decthings.places import Location, Usage
from jupyter_ext.ids import new_training_id
from jupyter_ext.protocol.decthings.tensors import Layout
from jupyter_ext.protocol.sessions import DebugTraining

Words = Literal["state", "version"]
"""Which vocabulary a client speaks: states until 2025-03, versions with weights since."""


class RunError(TypedDict):
    """Why a run ended before its time: `code` as on the wire, and what belongs to it; `at` is the step it happened in."""

    code: str
    at: NotRequired[str]
    exceptionDetails: NotRequired[str]
    exitCode: NotRequired[int | None]
    signal: NotRequired[str | None]
    oom: NotRequired[bool]
    reason: NotRequired[str]
    details: NotRequired[str]


RunState = Literal["starting", "running", "gettingState", "completed", "failed"]


class RunFailed(Exception):
    """A run ended before its time.

    Attributes:
        error: `code` as on the wire, and what belongs to it; `at` is where, if that is told with this code.
    """

    def __init__(self, code: str, at: str | None = None, **more: Any) -> None:
        super().__init__(code)
        self.error: RunError = {"code": code, **({"at": at} if at else {}), **more}  # type: ignore[typeddict-item]


@dataclass
class Phases:
    """How long each step of a run took, milliseconds, and which is under way."""

    done: dict[str, int] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)

    @property
    def total(self) -> int:
        """Return the time since the run began."""
        return int((time.monotonic() - self.began) * 1000)


@dataclass
class Run:
    """One training or evaluation.

    Attributes:
        location: Where it runs, as the wire has it.
        words: The vocabulary that it was begun in.
        from_state: The state or version that it takes; `None` for the active one.
        new_name: What to call the state or version that comes out of a training.
        layout: How media of its outputs are to be written.
        reported: What its session last said of its training.
        result: Of an evaluation: the outputs and their blobs.
    """

    model_id: str
    location: Location
    words: Words = "state"
    from_state: str | None = None
    new_name: str | None = None
    layout: Layout = "new"
    id: str = field(default_factory=lambda: str(new_training_id()))
    created_at: float = field(default_factory=time.time)
    finished_at: float | None = None
    state: RunState = "starting"
    phases: Phases = field(default_factory=Phases)
    error: RunError | None = None
    session_id: str | None = None
    reported: DebugTraining | None = None
    metrics: dict[str, list[tuple[float, bytes]]] = field(default_factory=dict)
    created_state: str | None = None
    result: tuple[list[dict[str, str]], list[bytes]] | None = None
    task: asyncio.Task[None] | None = None
    canceled: bool = False
    samples: list[Usage] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it has ended."""
        return self.state in ("completed", "failed")
