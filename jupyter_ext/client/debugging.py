"""`jx.debug` and `jx.debug_sessions`: a live process with a model in it, here or on a service, called piece by piece."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_object
from jupyter_ext.client.decthings import launch as decthings_sessions
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.sessions import requests
from jupyter_ext.client.sessions import report
from jupyter_ext.client.sessions.channel import error_from
from jupyter_ext.client.sessions.interfaces import SessionHandle
from jupyter_ext.client.sessions.model import check_name
from jupyter_ext.client.sessions.session import Session, name_of
from jupyter_ext.errors import SessionError, UnknownId
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.call_failures import CallFailure
from jupyter_ext.protocol import sessions as protocol

DEFAULT_INACTIVE_S = 1800.0


def debug(
    thing: Any = None,
    *,
    name: str | None = None,
    inactive_s: float | None = DEFAULT_INACTIVE_S,
    on: str = "local",
) -> SessionHandle:
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
        return decthings_sessions.launch_of(thing, on, name, inactive_s)
    name = check_name(name or ("session" if thing is None else name_of(thing)))
    bundle = None if thing is None else capture_object(thing, name_of(thing))
    return launch(name, bundle, inactive_s)


def launch(name: str, bundle: Bundle | None, inactive_s: float | None = DEFAULT_INACTIVE_S) -> Session:
    """Launch a session of a bundle and wait until it is ready."""
    resource = loop_thread().run(requests().launch(name, bundle, inactive_s))
    if resource.exit is not None:
        hint = f" {resource.exit.hint}" if resource.exit.hint else ""
        raise SessionError(f"Session {name} could not be launched: {resource.exit.message}{hint}")
    session = Session(resource)
    if resource.code_error is not None:
        raise error_from(CallError(cast("CallFailure", resource.code_error)), name)
    return session


class DebugSessions:
    """All debug sessions of this user on this host."""

    def get(self, name: str) -> SessionHandle:
        """Return a session by its name (the newest that runs), its id, or the beginning of that.

        Raises:
            UnknownId: There is none.
        """
        if (remote := decthings_sessions.known(name)) is not None:
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
        """Return them as a table of text."""
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


debug_sessions = DebugSessions()
