"""Calls into a debug session, straight to its socket: values in, values out, and errors that show the user's own code."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, cast

from typing_extensions import TypeVar

from jupyter_ext.client.requests.call_arguments import encode_arguments
from jupyter_ext.client.sessions import report
from jupyter_ext.errors import (
    InvalidInput,
    SessionCallFailed,
    SessionCallInterrupted,
    SessionEnded,
    SessionError,
    UnknownId,
)
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import CallError, ChannelClosed, Connection
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import SessionEvent, WaitingEvent
from jupyter_ext.ipc.payloads.session_reports import SessionReport

A = TypeVar("A", default=JsonObject)
_UNKNOWN = frozenset({"model_not_found", "training_not_found", "state_not_found", "state_key_not_found"})


class SessionChannel:
    """A session's socket; any thread may call.

    Args:
        path: The socket.
        session_id: The session's id.
        name: What the user calls the session.
    """

    def __init__(self, path: str, session_id: str, name: str) -> None:
        self._idle: list[Connection] = []
        self._path = path
        self.session_id = session_id
        self.name = name
        self._lock = threading.Lock()

    def call(
        self,
        op: str,
        args: Mapping[str, object] | None = None,
        positional: Sequence[Any] = (),
        *,
        answer: type[A] | None = None,
        timeout_s: float | None = None,
        **params: Any,
    ) -> A:
        """Call, and return the answer with its `value` decoded. An interrupt here interrupts the call there.

        Args:
            op: What is asked; see `ipc.payloads.session_messages`.
            args: Arguments of the user's code by name.
            positional: Those by position.
            answer: What the call answers.
            timeout_s: How long to wait for it; `None` for ever.
            **params: What with.

        Raises:
            SessionCallFailed: The user's code raised; the text holds its traceback and locals.
            SessionCallInterrupted: The call was interrupted.
            SessionEnded: The session is gone.
            SessionError: It refused.
            CannotTravel: An argument cannot be sent.
        """
        blobs = pack(params, args, positional)
        with self._connection() as connection:
            try:
                told, found = connection.call(op, params, blobs, timeout_s, self._on_event)
            except CallError as error:
                raise error_from(error, self.name) from None
        return cast("A", decoded(told, found))

    def _on_event(self, event: JsonObject) -> None:
        """Say what a call waits for."""
        if event.get("kind") == "waiting":
            waiting = cast("WaitingEvent", event)
            print(
                f"{waiting['op']} waits for {waiting['busy']}, in session {self.name}; an interrupt gives up.",
                file=sys.stderr,
            )

    def watch(self) -> Iterator[SessionReport]:
        """Yield the session's state now and whenever it changed."""
        with self._connection(keep=False) as connection:
            for event, _ in connection.stream("watch"):
                if event.get("kind") == "session":
                    yield cast("SessionEvent", event)["session"]

    def close(self) -> None:
        """Close what is not in use."""
        with self._lock:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def __del__(self) -> None:
        self.close()

    @contextmanager
    def _connection(self, *, keep: bool = True) -> Iterator[Connection]:
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        try:
            if connection is None:
                connection = Connection(self._path)
            yield connection
        except ChannelClosed as error:
            if connection is not None:
                connection.close()
            raise SessionEnded(
                f"Session {self.name} has ended or does not answer ({error}); `%debug_session {self.name}` says why."
            ) from None
        except BaseException as error:
            if connection is not None and not (isinstance(error, SessionError | UnknownId) and keep):
                connection.close()
            elif connection is not None:
                self._give_back(connection)
            raise
        if keep:
            self._give_back(connection)
        else:
            connection.close()

    def _give_back(self, connection: Connection) -> None:
        with self._lock:
            self._idle.append(connection)


def pack(
    params: dict[str, object], args: Mapping[str, object] | None, positional: Sequence[Any]
) -> Sequence[Any]:
    """Put arguments into a call's params; returns their blobs.

    Raises:
        CannotTravel: One cannot be sent; the text names it.
    """
    if not args and not positional:
        return ()
    whole = {"named": dict(args or {}), "positional": list(positional)}
    tree, blobs = encode_arguments(whole)
    parts = dict(tree["v"])
    params["args"] = dict(parts["named"]["v"])
    params["positional"] = parts["positional"]["v"]
    return blobs


def decoded(answer: JsonObject, blobs: Sequence[memoryview]) -> dict[str, object]:
    """Return an answer with the value of its tree."""
    return {**answer, "value": values.decode(answer["value"], blobs)} if "value" in answer else {**answer}


def error_from(error: CallError, name: str) -> Exception:
    """Turn what a session refused into an error of ours."""
    content = error.error
    code, message = content.get("code"), str(error)
    if code == "exception" and "exception" in content:
        return SessionCallFailed(message, report.failure_text(content["exception"], name))
    if code == "interrupted":
        return SessionCallInterrupted(f"{message}. Its models are as the call left them.")
    if code in _UNKNOWN:
        return UnknownId(message)
    if code == "invalid_parameter":
        return InvalidInput(message)
    return SessionError(message)
