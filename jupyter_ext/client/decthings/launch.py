"""Launch a debug session on a service, attach to one that runs there, and find those that this process has."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_ext.client.decthings.session import RemoteSession, open_sessions
from jupyter_ext.client.requests.decthings import service
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.decthings.answers import LaunchAnswer, SessionsAnswer
from jupyter_ext.protocol.decthings.definitions import parse_definitions

DEFAULT_SPEC: Mapping[str, float] = {"cpus": 1, "memoryMebibytes": 1024}


def launch(
    model: str,
    *,
    on: str = "decthings",
    name: str | None = None,
    inactive_s: float = 1800.0,
    launcher: str | None = None,
    spec: Mapping[str, object] = DEFAULT_SPEC,
) -> RemoteSession:
    """Launch a debug session of a model that a service has.

    Args:
        model: The model's id there.
        on: `decthings`, or a base URL.
        name: What to call it here; by default its id.
        inactive_s: The service ends it after this long without a call, seconds.
        launcher: Id of a persistent launcher.
        spec: What a temporary launcher is to have: `cpus`, `memoryMebibytes` …
    """
    there = service(on)
    location = (
        {"type": "temporaryLauncher", "spec": dict(spec)}
        if launcher is None
        else {"type": "persistentLauncher", "persistentLauncherId": launcher}
    )
    options = {"terminateAfterInactiveSeconds": int(inactive_s)}
    params = {"modelId": model, "executionLocation": location, "options": options}
    result, _ = there.call("Debug/launchDebugSession", params, answer=LaunchAnswer)
    return attach(result["debugSessionId"], on=on, name=name)


def launch_of(model: Any, on: str, name: str | None, inactive_s: float | None) -> RemoteSession:
    """Launch as `jx.debug(model, on=…)` does.

    Raises:
        InvalidInput: `model` is no id: a service debugs models that it has, not code of the notebook.
    """
    if not isinstance(model, str):
        raise InvalidInput(f"{on} debugs models that it has, not code of the notebook; give the id of one.")
    if inactive_s is None:
        raise InvalidInput("inactive_s=None: a service has no session that never ends; give seconds.")
    return launch(model, on=on, name=name, inactive_s=inactive_s)


def known(name: str) -> RemoteSession | None:
    """Return a session on a service that this process launched or attached to, by its name or id."""
    for session in open_sessions.values():
        if name in (session.name, session.id):
            return session
    return None


def attach(session_id: str, *, on: str = "decthings", name: str | None = None) -> RemoteSession:
    """Return a session that runs on a service.

    Raises:
        InvalidInput: There is none of this id.
    """
    there = service(on)
    result, _ = there.call("Debug/getDebugSessions", {"debugSessionIds": [session_id]}, answer=SessionsAnswer)
    if not result["debugSessions"]:
        raise InvalidInput(f"{there.base_url} has no debug session {session_id!r} that runs.")
    definitions = parse_definitions(result["debugSessions"][0].get("parameterDefinitions"))
    return RemoteSession(there, session_id, definitions, name)
