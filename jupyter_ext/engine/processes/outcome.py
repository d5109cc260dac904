"""How a run ended, read from its directory. No state: the same files always give the same answer.

Rule: be honest rather than guess. A kill is called out-of-memory only where the kernel counted one.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.trainings import Cause, UserException

START_GRACE_S = 30.0
"""A run whose shim has not shown itself this long after its spec was written never started."""


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    status: Literal["succeeded", "failed", "canceled"]
    ended_at: float
    cause: Cause | None = None
    exception: UserException | None = None
    output: Any = None
    max_rss_bytes: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    """What it was told to say of itself in numbers; no curves."""


def outcome(run_dir: Path, now: float) -> Outcome | None:
    """Tell how a run ended, or `None` while it is starting or running.

    Args:
        run_dir: Its directory.
        now: Unix time, seconds.
    """
    end = read_json(run_dir / "exit.json")
    if end is not None:
        return _from_exit(run_dir, end)
    start = read_json(run_dir / "start.json")
    if start is None:
        written_at = (run_dir / "spec.json").stat().st_mtime
        if now - written_at < START_GRACE_S:
            return None
        return _lost(now, "start", "The worker was never started: the engine ended before it could be.")
    shim = start["shim"]
    if start["boot_id"] == processes.boot_id() and processes.is_alive(shim["pid"], shim["ticks"]):
        return None
    end = read_json(run_dir / "exit.json")  # it may have been written between the two looks
    if end is not None:
        return _from_exit(run_dir, end)
    _kill_remains(start)
    ended_at = _last_sign(run_dir, now)
    if start["boot_id"] != processes.boot_id():
        return _lost(ended_at, "lost", "This machine was restarted while the training ran.")
    return _lost(
        ended_at,
        "lost",
        f"The process that guards this run (pid {shim['pid']}) was killed from outside, and its worker with it.",
    )


def started_at(run_dir: Path) -> float | None:
    """Give the Unix time at which the run's process was there, or `None`."""
    start = read_json(run_dir / "start.json")
    return None if start is None else float(start["time"])


def _from_exit(run_dir: Path, end: dict[str, Any]) -> Outcome:
    output, peak = read_json(run_dir / "output.json"), end.get("max_rss_bytes")
    finished = end["code"] == 0 and (run_dir / "output.json").exists()
    stop = end.get("stop")
    if stop is not None and not (
        finished and stop["stage"] == "flag" and not (run_dir / "polls_stop").exists()
    ):
        return Outcome("canceled", end["ended_at"], _canceled(end, stop), output=output, max_rss_bytes=peak)
    if finished:
        return Outcome("succeeded", end["ended_at"], output=output, max_rss_bytes=peak)
    cause, exception = _failure(run_dir, end)
    return Outcome("failed", end["ended_at"], cause, exception, max_rss_bytes=peak)


def _canceled(end: dict[str, Any], stop: dict[str, Any]) -> Cause:
    took = f"It ended {end['ended_at'] - stop['requested_at']:.1f} s after Cancel"
    ways = {
        "flag": f"{took}: it saw should_stop() and returned.",
        "interrupt": f"{took}, by interrupt.",
        "terminate": f"{took}, by SIGTERM: it did not react to the interrupt.",
        "kill": f"{took}, by SIGKILL: it reacted to nothing else.",
    }
    return Cause(kind="canceled", message="Canceled.", hint=ways[stop["stage"]])


def _failure(run_dir: Path, end: dict[str, Any]) -> tuple[Cause, UserException | None]:
    told = read_json(run_dir / "error.json")
    if told is not None and told.get("kind") == "start":
        hint = "Nothing of your code ran; `%engine doctor` looks for the reason."
        return Cause(
            kind="start", message=f"The worker could not be started: {told['message']}", hint=hint
        ), None
    if told is not None:
        message = f"{told['type']}: {told['message']}" if told["message"] else told["type"]
        return Cause(kind="exception", message=message), UserException.model_validate(told)
    peak = f"Its peak memory was {format_bytes(end.get('max_rss_bytes', 0))}."
    if end["signal"] is None:
        return Cause(
            kind="exit",
            message=f"The code ended its process with exit code {end['code']} before train() returned.",
            hint="Look for sys.exit() or os._exit(); the last log lines may say more.",
        ), None
    name = _signal_name(end["signal"])
    if end["signal"] == signal.SIGKILL:
        if end.get("oom_killed"):
            return Cause(
                kind="out_of_memory",
                message="The system's out-of-memory killer ended the worker (signal 9, SIGKILL).",
                hint=f"{peak} Use a smaller batch or model, or a machine with more memory.",
            ), None
        return Cause(
            kind="signal",
            message="The worker was killed by signal 9 (SIGKILL), from outside of it.",
            hint=f"{peak} Somebody's kill -9, or a memory limit that this system does not report.",
        ), None
    stacks = _fatal_stacks(run_dir)
    return Cause(
        kind="signal",
        message=f"The worker crashed with signal {end['signal']} ({name}), in native code.",
        hint="The stack below shows where." if stacks else "The last log lines may say more.",
    ), UserException(type=name, message="", frames=[], text=stacks) if stacks else None


def _fatal_stacks(run_dir: Path) -> str:
    try:
        text = (run_dir / "stacks.txt").read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        return ""
    begin = text.rfind("Fatal Python error")
    lines = text[begin:].splitlines() if begin >= 0 else []
    ours = str(Path(processes.__file__).parent)
    cell = f"Cell {(read_json(run_dir / 'spec.json') or {}).get('name')}"
    kept = [line for line in lines if ours not in line and not line.startswith("Extension modules")]
    return "\n".join(kept).replace(f'File "{run_dir / "code" / "code.py"}"', cell)[:8000]


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


def _lost(ended_at: float, kind: Literal["lost", "start"], message: str) -> Outcome:
    return Outcome(
        "failed", ended_at, Cause(kind=kind, message=message, hint="Run it again; what it logged is kept.")
    )


def _last_sign(run_dir: Path, now: float) -> float:
    """Give the time of the last thing the run wrote."""
    times = [path.stat().st_mtime for path in run_dir.glob("*.jnl")]
    times += [
        path.stat().st_mtime for path in (run_dir / "logs.txt", run_dir / "start.json") if path.exists()
    ]
    return min(max(times, default=now), now)


def _kill_remains(start: dict[str, Any]) -> None:
    """End what a killed shim left in its session; its worker is gone by the kernel's own hand."""
    if start["boot_id"] != processes.boot_id():
        return
    for pid in [*processes.descendants(start["worker"]["pid"]), *processes.in_session(start["shim"]["pid"])]:
        processes.kill(pid)
