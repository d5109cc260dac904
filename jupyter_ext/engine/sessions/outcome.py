"""How a debug session ended, in a session's words. No state: the same files always give the same answer."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Literal

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.processes.shim_process import ShimProcess, fatal_stacks, signal_name
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.ipc.payloads.session_reports import ENDING_FILE, LOAD_FILE
from jupyter_ext.ipc.run_files import ExitFile, Lost
from jupyter_ext.protocol.sessions import SessionExit
from jupyter_ext.protocol.trainings import UserException

_KILLED_HINT = "Its models are gone, its trainings' metrics are kept; launch it anew. get_state().download() keeps weights that matter."
_LOST = {
    "not_started": "The session was never started: the engine ended before it could be.",
    "called_off": "The session was ended before it began.",
    "killed_at_start": "The process that guards this session (pid {pid}) was killed from outside before the session began.",
    "killed": "The process that guards this session (pid {pid}) was killed from outside, and the session with it.",
    "restarted": "This machine was restarted while the session ran.",
}


def ending(process: ShimProcess) -> SessionExit | None:
    """Return how a session ended, or `None` while it is starting or running."""
    end = process.end()
    if end is None:
        return None
    if (lost := end.get("lost")) is not None:
        return _lost(end["ended_at"], lost)
    return _from_exit(process.run_dir, end)


def _lost(ended_at: float, lost: Lost) -> SessionExit:
    code: Literal["start", "lost"] = "start" if lost["reason"] == "not_started" else "lost"
    message = _LOST[lost["reason"]].format(pid=lost["pid"])
    return SessionExit(code=code, message=message, hint=_KILLED_HINT, ended_at=ended_at)


def _from_exit(session_dir: Path, end: ExitFile) -> SessionExit:
    ended_at = end["ended_at"]
    error = run_files.read_error(session_dir)
    if error is not None and error.get("kind") == "start":
        return SessionExit(code="start", message=error["message"], exit_code=end["code"], ended_at=ended_at)
    if (stop := end["stop"]) is not None:
        took = ended_at - stop["requested_at"]
        hint = f"It took {took:.1f} s." if took > 1 else None
        return SessionExit(
            code="requested", message="Terminated on request.", hint=hint, exit_code=end["code"],
            signal=end["signal"], ended_at=ended_at,
        )  # fmt: skip
    last = read_json(session_dir / ENDING_FILE) or {}
    if last.get("reason") == "inactive_timeout":
        message = f"Nobody called for {last['inactive_s']:g} s, so the session ended."
        hint = "inactive_s= says how long it may be, at launch."
        return SessionExit(code="inactive", message=message, hint=hint, exit_code=0, ended_at=ended_at)
    loaded = read_json(session_dir / LOAD_FILE) or {}
    if end["code"] is not None and loaded.get("ok") is False and "exception" in loaded["error"]:
        raised = UserException.model_validate(loaded["error"]["exception"])
        message = loaded["error"]["message"]
        return SessionExit(
            code="exception", message=message, exception=raised, exit_code=end["code"], ended_at=ended_at
        )
    return _by_itself(session_dir, end)


def _by_itself(session_dir: Path, end: ExitFile) -> SessionExit:
    ended_at = end["ended_at"]
    if end["signal"] is None:
        return SessionExit(
            code="exited",
            message=f"The session's process ended with exit code {end['code']}.",
            hint=f"Look for os._exit() or exit() in a console on it. {_KILLED_HINT}",
            exit_code=end["code"],
            ended_at=ended_at,
        )
    oom = bool(end.get("oom_killed"))
    name = signal_name(end["signal"])
    stacks = "" if end["signal"] == signal.SIGKILL else fatal_stacks(session_dir)
    message = (
        "The system's out-of-memory killer ended the session (signal 9, SIGKILL)."
        if oom
        else f"The session's process was ended by signal {end['signal']} ({name})."
    )
    return SessionExit(
        code="exited",
        message=message,
        hint=f"Its peak memory was {format_bytes(end.get('max_rss_bytes', 0))}. {_KILLED_HINT}",
        signal=end["signal"],
        oom=oom,
        ended_at=ended_at,
        exception=UserException(type=name, message="", frames=[], text=stacks) if stacks else None,
    )
