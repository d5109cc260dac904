"""Sessions to be made: what is ordered, and the directory that it gets before there is a process."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.engine.sessions.files import SessionFile, SessionMeta, StartedSession
from jupyter_ext.engine.sessions.pending_code import PendingCode
from jupyter_ext.engine.sessions.record import SessionRecord
from jupyter_ext.ids import new_training_id
from jupyter_ext.ipc.bundle_manifest import Captured
from jupyter_ext.ipc.json_files import write_json

DEFAULT_INACTIVE_S = 1800.0
"""Source: Decthings, terminateAfterInactiveSeconds."""


@dataclass(frozen=True)
class SessionLaunch:
    """A session to be launched.

    Attributes:
        name: What to call it.
        python: The interpreter.
        code: Id of an uploaded bundle, or `None`.
        folder: Directory with a model's `main.py`, instead of `code`.
        cwd: Working directory; without one it gets its own.
        sys_path: Entries of the notebook's import path.
        environ: Environment variables; handed over in memory, never stored.
        inactive_s: It ends after this long without a call, seconds; `None` for never.
        threads: How many torch may use.
        keep_on_error: Whether it lives on when its code raises, so that the code can be mended.
        meta: Anything that whoever launches it wants to find again.
    """

    name: str
    python: str
    code: str | None = None
    folder: str | None = None
    cwd: str | None = None
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None
    inactive_s: float | None = DEFAULT_INACTIVE_S
    threads: int | None = None
    keep_on_error: bool = True
    meta: SessionMeta = field(default_factory=SessionMeta)


def prepare(
    request: SessionLaunch, sessions_dir: Path, socket_dir: Path, bundles: PendingCode
) -> SessionRecord:
    """Make the directory of an ordered session.

    Raises:
        Problem: There is no such code.
    """
    session_id = new_training_id()
    session_dir = sessions_dir / session_id
    session_dir.mkdir(mode=0o700)
    captured: list[Captured] = []
    if request.code is not None:
        captured = bundles.take(request.code, session_dir / "code" / "0").get("captured", [])
    cwd = request.cwd
    if cwd is None:
        (session_dir / "work").mkdir(mode=0o700)
        cwd = str(session_dir / "work")
    spec: SessionFile = {
        "id": session_id,
        "role": "session",
        "name": request.name,
        "python": request.python,
        "cwd": cwd,
        "created_at": time.time(),
        "calls": str(socket_dir / f"{session_id}.call"),
        "control": str(socket_dir / f"{session_id}.sock"),
        "sockets": str(socket_dir / f"{session_id}.k"),
        "inactive_s": request.inactive_s,
        "code": request.code is not None,
        "folder": request.folder,
        "keep_on_error": request.keep_on_error,
        "captured": captured,
        "meta": request.meta.copy(),
    }
    for name in ("logs.txt", "stderr.txt"):
        (session_dir / name).touch(mode=0o600)
    write_json(session_dir / "spec.json", spec)
    return SessionRecord(session_id, session_dir, spec)


def worker_spec(record: SessionRecord, request: SessionLaunch, threads: int) -> StartedSession:
    """Return what the session's process is started with."""
    return {
        **record.spec,
        "run_dir": str(record.session_dir),
        "sys_path": request.sys_path,
        "environ": None if request.environ is None else dict(request.environ),
        "threads": request.threads or threads,
        "secrets": {},
        "notices": [],
    }
