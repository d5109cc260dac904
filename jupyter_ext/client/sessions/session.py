"""A debug session on this machine: a live process with a model in it, called piece by piece."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator, Mapping
from types import TracebackType
from typing import Any, cast

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client import display_hook
from jupyter_ext.client.capture.capture import capture_object
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.sessions import requests
from jupyter_ext.client.sessions import report
from jupyter_ext.client.sessions.channel import SessionChannel, error_from
from jupyter_ext.client.sessions.model import Look, Model, State
from jupyter_ext.client.sessions.training import DebugTraining, SessionPage
from jupyter_ext.client.sessions.training_source import SessionTrainings
from jupyter_ext.errors import SessionCallFailed, SessionEnded, SessionError, UnknownId
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.session_messages import (
    CodeChange,
    Failure,
    InstantiateAnswer,
    InterruptAnswer,
    LocalsAnswer,
    LookAnswer,
    SessionParams,
    StacksAnswer,
    StateAnswer,
    ValueAnswer,
)
from jupyter_ext.ipc.payloads.session_reports import SessionReport
from jupyter_ext.ipc.payloads.value_summaries import LocalValue
from jupyter_ext.protocol import sessions as protocol

MIME_TYPE = "application/vnd.jupyter-ext.session+json"


class Session:
    """A debug session. As a context manager it is terminated at the end."""

    def __init__(self, resource: protocol.DebugSession) -> None:
        self._resource = resource
        self._channel = SessionChannel(resource.calls, resource.id, resource.name)

    def __repr__(self) -> str:
        """Return a line that says what it is and how it stands."""
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

    def mime_content(self) -> SessionPage:
        """Return the content of the MIME type from which a page draws it live, without any kernel."""
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
    def ended(self) -> str | None:
        """How it ended; `None` until it has."""
        exit = self.resource.exit
        return None if exit is None else exit.message

    @property
    def functions(self) -> list[str]:
        """Names of the functions of its code that can be called."""
        return self.resource.functions

    @property
    def channel(self) -> SessionChannel:
        """Its socket, for calls that have no method here."""
        return self._channel

    @property
    def models(self) -> list[Model]:
        """The models that live in it, the oldest first."""
        state = self._channel.call("status", answer=SessionReport)
        return [Model(self._channel, protocol.DebugModel.model_validate(one)) for one in state["models"]]

    @property
    def trainings(self) -> list[DebugTraining]:
        """The trainings in it, the oldest first; also when it has ended."""
        try:
            state = self._channel.call("status", answer=SessionReport)
            found = [protocol.DebugTraining.model_validate(one) for one in state["trainings"]]
        except SessionEnded:
            found = self.resource.trainings
        return [DebugTraining(SessionTrainings(self._channel), one) for one in found]

    def create_state(self, *args: Any, **params: Any) -> State:
        """Make a first state (weights), kept in the session."""
        return State(self._channel, self._channel.call("create_state", params, args, answer=StateAnswer))

    def instantiate(
        self, *args: Any, state: State | Mapping[str, object] | None = None, **params: Any
    ) -> Model:
        """Make a model of the session's class or executor.

        Args:
            *args: Arguments of the class by position.
            state: A state of this session, or values by key, to begin with.
            **params: Arguments of the class by name.
        """
        kept = self.upload_state(state) if isinstance(state, Mapping) else state
        extra: dict[str, Any] = {} if kept is None else {"state_id": kept.id}
        answer = self._channel.call("instantiate", params, args, answer=InstantiateAnswer, **extra)
        return Model(self._channel, protocol.DebugModel.model_validate(answer))

    def upload_state(self, values: Mapping[str, object]) -> State:
        """Have the session keep a state that is here."""
        from jupyter_ext.ipc import values as codec

        tree, blobs = codec.encode(dict(values))
        with self._channel._connection() as connection:
            answer, _ = connection.call("upload_state", {"state": tree}, blobs)
        return State(self._channel, cast("StateAnswer", answer))

    def call(self, function: str, /, *args: Any, anomaly: bool = False, **params: Any) -> Any:
        """Call a function of the session's code by name."""
        return self._channel.call("call", params, args, answer=ValueAnswer, method=function, anomaly=anomaly)[
            "value"
        ]

    def update(self, thing: Any) -> CodeChange:
        """Replace the session's code by a class, function or executor as it is now; models keep what they hold.

        Returns:
            `classes` that were replaced, the number of `instances` that follow, and `notices`.
        """
        return self.replace_code(capture_object(thing, name_of(thing)))

    def replace_code(self, bundle: Bundle) -> CodeChange:
        """Replace the session's code by a bundle."""
        from jupyter_ext.client.requests.transport import error_of

        response = loop_thread().run(requests().replace_code(self.id, bundle))
        content = response.json()
        if response.status_code >= 400:
            raise (
                error_from(CallError(content["error"]), self.name)
                if "error" in content
                else error_of(response)
            )
        answer: CodeChange = content
        return answer

    def value(self, expression: str, *, frame: int | None = None) -> Any:
        """Return the value of an expression: in the frame of the last failure, or else in the session's namespace."""
        return self._channel.call(
            "value", answer=ValueAnswer, expression=expression, frame=frame, whole=True
        )["value"]

    def look(self, expression: str, *, frame: int | None = None) -> Look:
        """Describe the value of an expression without fetching it: type, shape, extremes, histogram."""
        return Look(
            self._channel.call("value", answer=LookAnswer, expression=expression, frame=frame)["summary"]
        )

    def locals(self, frame: int | None = None) -> list[LocalValue]:
        """Describe names and values of a frame of the last failure, or of the session's namespace."""
        return self._channel.call("locals", answer=LocalsAnswer, frame=frame)["locals"]

    def frames(self, select: int | None = None) -> Failure:
        """Describe the last failure and its frames; `select` chooses the one to evaluate in.

        Raises:
            SessionError: Nothing has failed since the last good call.
        """
        params: SessionParams = {} if select is None else {"select": select}
        return self._channel.call("frames", answer=Failure, **params)

    def stacks(self) -> str:
        """Return where each of its threads stands now; from outside, where it cannot say so itself."""
        try:
            return report.stacks_text(
                self._channel.call("stacks", answer=StacksAnswer, timeout_s=5.0)["threads"]
            )
        except TimeoutError:
            return loop_thread().run(requests().stacks(self.id))

    def interrupt(self) -> str | None:
        """Interrupt what it does; returns what that was. Models live on.

        Raises:
            SessionError: Its code cannot be interrupted; the text says why.
        """
        answer = self._channel.call("interrupt", answer=InterruptAnswer)
        op = answer["op"]
        if answer.get("deaf"):
            raise SessionError(
                f"{op} in session {self.name} cannot be interrupted: {answer['deaf']}. "
                f"`%debug_session {self.name} stacks` shows where it is; `terminate` ends it and loses its models."
            )
        return op

    def attach(self, *, port: bool = False, force: bool = False) -> protocol.Endpoint:
        """Open an endpoint for a debugger that speaks DAP, such as VS Code's: a Unix socket that only this user can open.

        Args:
            port: Open a port of 127.0.0.1 as well, for editors that know no sockets.
            force: Also where other people have processes on this machine.

        Raises:
            SessionError: This Python has no debugpy, another debugger has the session, or a port would be within reach of
                other people.
        """
        return protocol.Endpoint.model_validate(self._channel.call("attach", port=port, force=force))

    def logs(self, tail: int | None = None, stream: str = "stdout") -> str:
        """Return what it printed to `stdout` or `stderr`, or the last lines of it; a mebibyte at most."""
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


def name_of(thing: Any) -> str:
    """Return what a class, a function or an instance is called."""
    if inspect.isclass(thing) or inspect.isfunction(thing):
        return thing.__name__.strip("<>")
    return type(thing).__name__
