"""`jx.debug` and `jx.debug_sessions`: a live process with a model in it, called piece by piece."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any

from jupyter_ext.client import display_hook
from jupyter_ext.client.capture.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_object
from jupyter_ext.client.decthings import session as decthings_session
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.sessions import requests
from jupyter_ext.client.sessions import report
from jupyter_ext.client.sessions.channel import SessionChannel, told
from jupyter_ext.client.sessions.model import Look, Model, State, check_name
from jupyter_ext.client.sessions.training import DebugTraining
from jupyter_ext.errors import SessionCallFailed, SessionEnded, SessionError, UnknownId
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.protocol import sessions as protocol

DEFAULT_INACTIVE_S = 1800.0
MIME_TYPE = "application/vnd.jupyter-ext.session+json"


class Session:
    """A debug session. As a context manager it is terminated at the end."""

    def __init__(self, resource: protocol.DebugSession) -> None:
        self._resource = resource
        self._channel = SessionChannel(resource.calls, resource.id, resource.name)

    def __repr__(self) -> str:
        """Give a line that says what it is and how it stands."""
        return f"<Session {self.name} {self.id} {self._resource.status}>"

    def __enter__(self) -> Session:
        """Begin to use it."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Terminate it, unless its code has raised: then it stays, stopped where that was."""
        if isinstance(error, SessionCallFailed):
            print(
                f"Session {self.name} is still there, stopped in the frame that raised: %debug_session {self.name} frames"
            )
            return
        self.terminate()

    def _ipython_display_(self) -> None:
        display_hook.show("session", self, lambda: {MIME_TYPE: self.mime_content(), "text/plain": repr(self)})

    def mime_content(self) -> dict[str, Any]:
        """Give the content of the MIME type from which a page draws it live, without any kernel."""
        return {"version": 1, "id": self.id, "session": self.resource.model_dump(mode="json")}

    @property
    def id(self) -> str:
        """Its id."""
        return self._resource.id

    @property
    def name(self) -> str:
        """What the user called it."""
        return self._resource.name

    @property
    def resource(self) -> protocol.DebugSession:
        """Everything the engine says of it, asked anew unless it has ended."""
        if self._resource.exit is None:
            self._resource = loop_thread().run(requests().get(self.id))
        return self._resource

    @property
    def status(self) -> str:
        """One of `starting`, `running`, `ended`."""
        return self.resource.status

    @property
    def channel(self) -> SessionChannel:
        """Its socket, for calls that have no method here."""
        return self._channel

    @property
    def models(self) -> list[Model]:
        """The models that live in it, the oldest first."""
        state = self._channel.call("status")
        return [Model(self._channel, protocol.DebugModel.model_validate(one)) for one in state["models"]]

    @property
    def trainings(self) -> list[DebugTraining]:
        """The trainings in it, the oldest first."""
        state = self._channel.call("status")
        return [
            DebugTraining(self._channel, protocol.DebugTraining.model_validate(one))
            for one in state["trainings"]
        ]

    def create_state(self, *args: Any, **params: Any) -> State:
        """Make a first state (weights), kept in the session."""
        return State(self._channel, self._channel.call("create_state", params, args))

    def instantiate(self, *args: Any, state: State | Mapping[str, Any] | None = None, **params: Any) -> Model:
        """Make a model of the session's class or executor.

        Args:
            *args: Arguments of the class by position.
            state: A state of this session, or values by key, to begin with.
            **params: Arguments of the class by name.
        """
        extra: dict[str, Any] = {}
        if isinstance(state, State):
            extra["state_id"] = state.id
        elif state is not None:
            extra["state_id"] = self.upload_state(state).id
        answer = self._channel.call("instantiate", params, args, **extra)
        return Model(self._channel, protocol.DebugModel.model_validate(answer))

    def upload_state(self, values: Mapping[str, Any]) -> State:
        """Have the session keep a state that is here."""
        from jupyter_ext.ipc import values as codec

        tree, blobs = codec.encode(dict(values))
        with self._channel._connection() as connection:
            answer, _ = connection.call("upload_state", {"state": tree}, blobs)
        return State(self._channel, answer)

    def call(self, function: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call a function of the session's code by name."""
        return self._channel.call("call", params, args, method=function, anomaly=anomaly)["value"]

    def update(self, thing: Any) -> dict[str, Any]:
        """Replace the session's code by a class, function or executor as it is now; models keep what they hold.

        Returns:
            `classes` that were replaced, the number of `instances` that follow, and `notices`.
        """
        return self.replace_code(capture_object(thing, _name_of(thing)))

    def replace_code(self, bundle: Bundle) -> dict[str, Any]:
        """Replace the session's code by a bundle."""
        from jupyter_ext.client.requests.transport import error_of

        response = loop_thread().run(requests().replace_code(self.id, bundle))
        content = response.json()
        if response.status_code >= 400:
            raise told(CallError(content["error"]), self.name) if "error" in content else error_of(response)
        answer: dict[str, Any] = content
        return answer

    def value(self, expression: str, *, frame: int | None = None) -> Any:
        """Give the value of an expression: in the frame of the last failure, or else in the session's namespace."""
        return self._channel.call("value", expression=expression, frame=frame, whole=True)["value"]

    def look(self, expression: str, *, frame: int | None = None) -> Look:
        """Describe the value of an expression without fetching it: type, shape, extremes, histogram."""
        return Look(self._channel.call("value", expression=expression, frame=frame)["summary"])

    def locals(self, frame: int | None = None) -> list[dict[str, Any]]:
        """Describe names and values of a frame of the last failure, or of the session's namespace."""
        found: list[dict[str, Any]] = self._channel.call("locals", frame=frame)["locals"]
        return found

    def frames(self, select: int | None = None) -> dict[str, Any]:
        """Describe the last failure and its frames; `select` chooses the one to evaluate in.

        Raises:
            SessionError: Nothing has failed since the last good call.
        """
        params: dict[str, Any] = {} if select is None else {"select": select}
        return self._channel.call("frames", **params)

    def stacks(self) -> str:
        """Tell where each of its threads stands now; from outside, where it cannot say so itself."""
        try:
            return report.stacks_text(self._channel.call("stacks", timeout_s=5.0)["threads"])
        except TimeoutError:
            return loop_thread().run(requests().stacks(self.id))

    def interrupt(self) -> str | None:
        """Interrupt what it does; gives what that was. Models live on.

        Raises:
            SessionError: Its code cannot be interrupted; the text says why.
        """
        told = self._channel.call("interrupt")
        op: str | None = told["op"]
        if told.get("deaf"):
            raise SessionError(
                f"{op} in session {self.name} cannot be interrupted: {told['deaf']}. "
                f"`%debug_session {self.name} stacks` shows where it is; `terminate` ends it and loses its models."
            )
        return op

    def attach(self) -> protocol.Endpoint:
        """Open an endpoint for a debugger that speaks DAP, such as VS Code's."""
        return protocol.Endpoint.model_validate(self._channel.call("attach"))

    def logs(self, tail: int | None = None, stream: str = "stdout") -> str:
        """Give what it printed to `stdout` or `stderr`, or the last lines of it; a mebibyte at most."""
        return loop_thread().run(requests().logs(self.id, stream, tail))

    def terminate(self) -> Session:
        """End it, and all models in it."""
        self._channel.close()
        with contextlib.suppress(UnknownId):
            self._resource = loop_thread().run(requests().terminate(self.id))
        return self

    def follow(self) -> Iterator[protocol.DebugSession]:
        """Yield it now and whenever it changed, until it has ended."""
        try:
            for state in self._channel.watch():
                yield self._resource.model_copy(
                    update=protocol.DebugSession.model_validate(
                        {**self._resource.model_dump(), **state}
                    ).__dict__
                )
        except SessionEnded:
            yield self.resource


def debug(
    thing: Any = None,
    *,
    name: str | None = None,
    inactive_s: float | None = DEFAULT_INACTIVE_S,
    on: str = "local",
) -> Any:
    """Launch a debug session: a process of its own with a model's code in it, ready in less than a second.

    Args:
        thing: A class, an `nn.Module` or another instance, a function that makes a model, or an executor of Decthings'
            contract; names of the notebook that it uses travel with it by value. `None` for an empty session.
        name: What to call it; by default the class's name.
        inactive_s: It ends after this long without a call, seconds; `None` for never.
        on: Where it runs: `local`, `decthings`, or the base URL of a service that speaks Decthings' API; `thing` is then the
            id of a model that it has.

    Raises:
        CannotTravel: Something cannot be sent.
        SessionCallFailed: The code raised when it was loaded; the session is there, to be mended.
        SessionError: It cannot be launched.
    """
    if on != "local":
        return decthings_session.launch_of(thing, on, name, inactive_s)
    name = check_name(name or ("session" if thing is None else _name_of(thing)))
    bundle = None if thing is None else capture_object(thing, _name_of(thing))
    return launch(name, bundle, inactive_s)


def launch(name: str, bundle: Bundle | None, inactive_s: float | None = DEFAULT_INACTIVE_S) -> Session:
    """Launch a session of a bundle and wait until it is ready."""
    resource = loop_thread().run(requests().launch(name, bundle, inactive_s))
    if resource.exit is not None:
        hint = f" {resource.exit.hint}" if resource.exit.hint else ""
        raise SessionError(f"Session {name} could not be launched: {resource.exit.message}{hint}")
    session = Session(resource)
    if resource.code_error is not None:
        raise told(CallError(resource.code_error), name)
    return session


class DebugSessions:
    """All debug sessions of this user on this host."""

    def get(self, name: str) -> Any:
        """Give a session by its name (the newest that runs), its id, or the beginning of that.

        Raises:
            UnknownId: There is none.
        """
        if (remote := decthings_session.known(name)) is not None:
            return remote
        found = loop_thread().run(requests().list(ended=True))
        tests: list[Callable[[protocol.DebugSession], bool]] = [
            lambda one: one.exit is None and name in (one.name, one.id),
            lambda one: name in (one.name, one.id),
            lambda one: len(name) >= 4 and one.id.startswith(name),
        ]
        for test in tests:
            for one in found:
                if test(one):
                    return Session(one)
        raise UnknownId(f"There is no debug session {name!r}. `%debug_sessions` lists those there are.")

    def list(self, *, ended: bool = False) -> SessionList:
        """List sessions, newest first; by default those that have not ended."""
        return SessionList(Session(one) for one in loop_thread().run(requests().list(ended=ended)))


class SessionList(list[Session]):
    """Sessions that show as a table."""

    def __repr__(self) -> str:
        """Give them as a table of text."""
        if not self:
            return "No debug session runs. `%%debug_session NAME` launches one."
        rows: list[tuple[str, ...]] = [("name", "state", "models", "trainings", "ends", "id")]
        rows += [_row(session._resource) for session in self]
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        return "\n".join(
            "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
            for row in rows
        )


def _row(one: protocol.DebugSession) -> tuple[str, ...]:
    import time

    if one.exit is not None:
        state = f"ended ({one.exit.code})"
    elif one.busy is not None:
        state = f"in {one.busy.op}"
    elif one.failure is not None:
        state = f"stopped at {one.failure.type}"
    else:
        state = one.status
    ends = "" if one.expires_at is None else f"in {report.clock(max(0.0, one.expires_at - time.time()))}"
    running = sum(training.state == "running" for training in one.trainings)
    trainings = f"{len(one.trainings)}, {running} running" if running else str(len(one.trainings))
    return one.name, state, str(len(one.models)), trainings, ends, one.id


def _name_of(thing: Any) -> str:
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return thing.__name__.strip("<>")
    return type(thing).__name__


debug_sessions = DebugSessions()
