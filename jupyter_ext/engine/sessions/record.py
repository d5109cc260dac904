"""One debug session as the engine holds it, and the resource that clients see of it."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.engine.common.records import why
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.engine.sessions import states as state
from jupyter_ext.engine.sessions.files import SessionFile, SessionMeta
from jupyter_ext.ipc.channel import AsyncConnection
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.sessions import DebugSession, SessionExit, SessionStatus

log = logging.getLogger(__name__)


Reported = JsonObject
"""What a session said of itself, a `SessionReport` of some version; read as a resource, which checks it."""


@dataclass
class SessionRecord:
    """State of one session. Only the session service changes it.

    Attributes:
        reported: What the session last said of itself, as its `status` answers.
        ready: Set once it answers and its code was loaded, or it has ended.
        over: Set once it has ended.
    """

    id: str
    session_dir: Path
    spec: SessionFile
    status: SessionStatus = "starting"
    reported: Reported = field(default_factory=dict)
    code_error: JsonObject | None = None
    started_at: float | None = None
    exit: SessionExit | None = None
    num_codes: int = 1
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    over: asyncio.Event = field(default_factory=asyncio.Event)
    connection: AsyncConnection | None = None
    process: ShimProcess = field(init=False)

    def __post_init__(self) -> None:
        """Look at its directory for the process's state."""
        self.process = ShimProcess(self.session_dir)

    @property
    def calls(self) -> str:
        """The socket where it answers."""
        return str(self.spec["calls"])

    @property
    def meta(self) -> SessionMeta:
        """What whoever launched it wants to find again."""
        return self.spec.setdefault("meta", {})

    def move(self, then: SessionStatus) -> None:
        """Go to another state by the table in `state`."""
        self.status = state.move(self.status, then)

    def resource(self) -> DebugSession:
        """Return the resource."""
        reported: dict[str, object] = {**self.reported}
        if self.exit is not None:
            reported |= {"busy": None, "queued": [], "cell_runs": False, "expires_at": None, "attached": None}
            trainings = reported.get("trainings")
            reported["trainings"] = [
                _ended_with(self.exit, training)
                for training in (trainings if isinstance(trainings, list) else [])
                if isinstance(training, dict)
            ]
        known = {
            "id": self.id,
            "name": self.spec["name"],
            "status": self.status,
            "created_at": self.spec["created_at"],
            "started_at": self.started_at,
            "ended_at": None if self.exit is None else self.exit.ended_at,
            "python": self.spec["python"],
            "cwd": self.spec["cwd"],
            "calls": self.calls,
            "connection_file": str(self.session_dir / f"kernel-{self.id}.json"),
            "code_error": self.code_error,
            "captured": self.spec.get("captured", []),
            "exit": self.exit,
        }
        try:
            return DebugSession.model_validate(
                {"inactive_s": self.spec.get("inactive_s"), **reported, **known}
            )
        except ValueError as error:  # what a session says of itself never costs a list
            log.warning("what session %s says of itself cannot be read: %s", self.id, why(error))
            return DebugSession.model_validate({**known, "code_error": None, "captured": []})


def _ended_with(exit: SessionExit, training: JsonObject) -> JsonObject:
    """A training that ran when its session ended has failed with it."""
    if training.get("state") != "running":
        return training
    fail: JsonObject = {"code": "session_ended", "message": exit.message}
    return {**training, "state": "failed", "finished_at": exit.ended_at, "fail": fail}
