"""Debug sessions as clients look at them. Times are Unix seconds.

Source: docs/architecture/12-debug-sessions.md. What is between `pid` and `notices` is told by the session itself and is
as it was last told where the session has ended.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from jupyter_ext.protocol.trainings import Captured, PageUrls, Resource, UserException

SessionStatus = Literal["starting", "running", "ended"]
ExitCode = Literal["requested", "inactive", "exception", "exited", "lost", "start"]
DebugTrainingState = Literal["running", "completed", "failed"]


class SessionTurn(Resource):
    """A piece of the user's code that has the main thread, or waits for it. `deaf`: why an interrupt cannot reach it."""

    op: str
    subject: str | None = None
    queued_at: float
    started_at: float | None = None
    interrupting: bool = False
    deaf: str | None = None


class DebugMetric(Resource):
    """A metric of a debug training: how many points there are, and the last number where they are numbers."""

    name: str
    amount: int
    last: float | str | None = None


class DebugTraining(Resource):
    """A training inside of a session. `fail` has a `code` (`exception`, `cancelled`, `interrupted`, `not_offered`,
    `unknown`), a `message`, and with an exception `exception`. `started_at` is null while it waits for the main thread.
    """

    id: str
    model_id: str
    state: DebugTrainingState
    progress: float
    created_at: float
    started_at: float | None = None
    finished_at: float | None = None
    duration_s: float | None = None
    cancel_stage: Literal["flag", "interrupt"] | None = None
    fail: dict[str, Any] | None = None
    metrics: list[DebugMetric] = Field(default_factory=list)


class DebugModel(Resource):
    """A model that lives in a session."""

    id: str
    type: str
    created_at: float
    num_calls: int
    methods: list[str]


class SessionFailure(Resource):
    """The last exception of a session, whose frames it keeps; `selected` is the frame that cells are evaluated in."""

    op: str
    at: float
    type: str
    message: str
    num_frames: int
    selected: int


class SessionEntry(Resource):
    """What models of a session are made from."""

    kind: Literal["executor", "class", "instance", "function"]
    name: str


class SessionExit(Resource):
    """Why a session ended, and what to do next."""

    code: ExitCode
    message: str
    hint: str | None = None
    exit_code: int | None = None
    signal: int | None = None
    oom: bool = False
    ended_at: float
    exception: UserException | None = None


class Endpoint(Resource):
    """Where a debugger can connect: a Unix socket of this user's, and a port where one was asked for.

    `adapter` is a script that an editor runs as its debug adapter to get to the socket.
    """

    socket: str | None = None
    adapter: str | None = None
    host: str | None = None
    port: int | None = None


class DebugSession(Resource):
    """One debug session. `calls` is the Unix socket where it answers; `connection_file` is its kernel's."""

    id: str
    name: str
    status: SessionStatus
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None
    python: str
    cwd: str | None = None
    calls: str
    connection_file: str
    code_error: dict[str, Any] | None = None
    captured: list[Captured] = Field(default_factory=list)
    pid: int | None = None
    busy: SessionTurn | None = None
    cell_runs: bool = False
    queued: list[SessionTurn] = Field(default_factory=list)
    entry: SessionEntry | None = None
    functions: list[str] = Field(default_factory=list)
    models: list[DebugModel] = Field(default_factory=list)
    trainings: list[DebugTraining] = Field(default_factory=list)
    states: list[str] = Field(default_factory=list)
    failure: SessionFailure | None = None
    attached: Endpoint | None = None
    active_at: float | None = None
    expires_at: float | None = None
    inactive_s: float | None = None
    num_calls: int = 0
    notices: list[str] = Field(default_factory=list)
    exit: SessionExit | None = None
    urls: PageUrls = Field(default_factory=PageUrls)


class SessionMessage(Resource):
    """First message of a stream, and again whenever the session changed."""

    kind: Literal["session"] = "session"
    session: DebugSession


class SessionLog(Resource):
    """A piece of what a session printed; offsets are bytes of its stream, `skipped` those left out before it."""

    kind: Literal["log"] = "log"
    stream: Literal["stdout", "stderr"]
    offset: int
    next_offset: int
    skipped: int = 0
    text: str


class SessionEnd(Resource):
    """Last message of a stream: the session is over and everything was sent."""

    kind: Literal["exit"] = "exit"
    exit: SessionExit


SessionStreamMessage = SessionMessage | SessionLog | SessionEnd
