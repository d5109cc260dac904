"""How a debug session ended, read from its directory. No state: the same files always give the same answer."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any, Literal

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.processes import outcome as exits
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.sessions import SessionExit
from jupyter_ext.protocol.trainings import UserException

_KILLED_HINT = "Its models are gone, its trainings' metrics are kept; launch it anew. get_state().download() keeps weights that matter."


def ending(session_dir: Path, now: float) -> SessionExit | None:
    """Tell how a session ended, or `None` while it is starting or running.

    Args:
        session_dir: Its directory.
        now: Unix time, seconds.
    """
    outcome = exits.outcome(session_dir, now)
    if outcome is None:
        return None
    end = read_json(session_dir / "exit.json")
    if end is None:
        cause = outcome.cause
        assert cause is not None
        code: Literal["start", "lost"] = "start" if cause.kind == "start" else "lost"
        message = cause.message.replace("guards this run", "guards this session").replace(
            "training", "session"
        )
        return SessionExit(code=code, message=message, hint=_KILLED_HINT, ended_at=outcome.ended_at)
    return _from_exit(session_dir, end, outcome)


def _from_exit(session_dir: Path, end: dict[str, Any], outcome: exits.Outcome) -> SessionExit:
    ended_at = end["ended_at"]
    told = read_json(session_dir / "error.json")
    if told is not None and told.get("kind") == "start":
        return SessionExit(code="start", message=told["message"], exit_code=end["code"], ended_at=ended_at)
    if end.get("stop") is not None:
        took = ended_at - end["stop"]["requested_at"]
        hint = f"It took {took:.1f} s." if took > 1 else None
        return SessionExit(
            code="requested", message="Terminated on request.", hint=hint, exit_code=end["code"],
            signal=end["signal"], ended_at=ended_at,
        )  # fmt: skip
    last = read_json(session_dir / "ending.json") or {}
    if last.get("reason") == "inactive_timeout":
        message = f"Nobody called for {last['inactive_s']:g} s, so the session ended."
        hint = "inactive_s= says how long it may be, at launch."
        return SessionExit(code="inactive", message=message, hint=hint, exit_code=0, ended_at=ended_at)
    loaded = read_json(session_dir / "load.json") or {}
    if end["code"] is not None and loaded.get("ok") is False and "exception" in loaded["error"]:
        raised = UserException.model_validate(loaded["error"]["exception"])
        message = loaded["error"]["message"]
        return SessionExit(
            code="exception", message=message, exception=raised, exit_code=end["code"], ended_at=ended_at
        )
    return _by_itself(end, outcome, ended_at)


def _by_itself(end: dict[str, Any], outcome: exits.Outcome, ended_at: float) -> SessionExit:
    if end["signal"] is None:
        return SessionExit(
            code="exited",
            message=f"The session's process ended with exit code {end['code']}.",
            hint=f"Look for os._exit() or exit() in a console on it. {_KILLED_HINT}",
            exit_code=end["code"],
            ended_at=ended_at,
        )
    oom = bool(end.get("oom_killed"))
    name = signal.Signals(end["signal"]).name if end["signal"] in set(signal.Signals) else "unknown"
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
        exception=outcome.exception,
    )
