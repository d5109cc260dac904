"""`spec.json` of a session's directory, and what its process is started with.

Source: docs/architecture/12-debug-sessions.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TypedDict

from jupyter_ext.ipc.bundle_manifest import Captured
from jupyter_ext.ipc.payloads.worker_specs import SessionWorkerSpec, WorkerRole


class SessionMeta(TypedDict, total=False):
    """What whoever launched a session wants to find again; the keys are Decthings' own.

    Attributes:
        modelId: The model whose code it has.
        run: The training or evaluation that it was launched for.
        definitions: What the model's functions take and give.
        executionLocation: Where it was asked to run.
        remoteInspector: Whether clients may debug it.
        launcherTerminated: That its launcher was deleted under it.
    """

    modelId: str
    run: str
    definitions: Mapping[str, object]
    executionLocation: Mapping[str, object]
    remoteInspector: bool
    launcherTerminated: bool


class _Described(TypedDict):
    """What a session is called, where it came from, and what whoever launched it wants to find again (`meta`)."""

    id: str
    name: str
    python: str
    created_at: float
    captured: list[Captured]
    meta: SessionMeta


class SessionFile(_Described):
    """`spec.json`; nothing secret is in it. The other keys are those of `SessionWorkerSpec`."""

    role: WorkerRole
    cwd: str
    control: str
    calls: str
    sockets: str
    inactive_s: float | None
    code: bool
    folder: str | None
    keep_on_error: bool


class StartedSession(_Described, SessionWorkerSpec):
    """What the process is started with: what was written down, and what stays in memory."""
