"""How a training ended, in a training's words. No state: the same files always give the same answer.

Rule: be honest rather than guess. A kill is called out-of-memory only where the kernel counted one.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.processes.shim_process import (
    ShimProcess,
    ended_by,
    fatal_stacks,
    is_crash,
    signal_name,
)
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.ipc.run_files import ErrorFile, ExitFile, Lost, StopFile
from jupyter_ext.protocol.trainings import Cause, UserException


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    status: Literal["succeeded", "failed", "canceled"]
    ended_at: float
    cause: Cause | None = None
    exception: UserException | None = None
    output: Any = None
    output_files: Sequence[Sequence[str | int]] = ()
    """Where in `output` paths of files stand, each a list of keys and indexes."""
    max_rss_bytes: int | None = None
    metrics: dict[str, Any] = field(default_factory=dict)
    """What it was told to say of itself in numbers; no curves."""


def outcome(process: ShimProcess) -> Outcome | None:
    """Return how a training ended, or `None` while it is starting or running."""
    end = process.end()
    return None if end is None else outcome_of(process.run_dir, end)


def outcome_of(run_dir: Path, end: ExitFile) -> Outcome:
    """Return how a training ended that left this `exit.json` in its directory."""
    if (lost := end.get("lost")) is not None:
        return _lost(end["ended_at"], lost)
    output, peak = read_json(run_dir / "output.json"), end.get("max_rss_bytes")
    finished = end["code"] == 0 and (run_dir / "output.json").exists()
    stop = end["stop"]
    if stop is not None and not (
        finished and stop["stage"] == "flag" and not (run_dir / "polls_stop").exists()
    ):
        return Outcome("canceled", end["ended_at"], _canceled(end, stop), output=output, max_rss_bytes=peak)
    if finished:
        places = read_json(run_dir / "output_files.json") or []
        return Outcome("succeeded", end["ended_at"], output=output, output_files=places, max_rss_bytes=peak)
    cause, exception = _failure(run_dir, end)
    return Outcome("failed", end["ended_at"], cause, exception, max_rss_bytes=peak)


def _canceled(end: ExitFile, stop: StopFile) -> Cause:
    took = f"It ended {end['ended_at'] - stop['requested_at']:.1f} s after Cancel"
    ways = {
        "flag": f"{took}: it saw should_stop() and returned.",
        "interrupt": f"{took}, by interrupt.",
        "terminate": f"{took}, by SIGTERM: it did not react to the interrupt.",
        "kill": f"{took}, by SIGKILL: it reacted to nothing else.",
    }
    return Cause(kind="canceled", message="Canceled.", hint=ways[stop["stage"]])


def _failure(run_dir: Path, end: ExitFile) -> tuple[Cause, UserException | None]:
    error = run_files.read_error(run_dir)
    peak = f"Its peak memory was {format_bytes(end.get('max_rss_bytes', 0))}."
    if error is not None and error.get("kind") == "signal":
        return _rank_killed(run_dir, error, end, peak)
    if error is not None:
        return _raised(error)
    if end["signal"] is None:
        return Cause(
            kind="exit",
            message=f"The code ended its process with exit code {end['code']} before train() returned.",
            hint="Look for sys.exit() or os._exit(); the last log lines may say more.",
        ), None
    name = signal_name(end["signal"])
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
    stacks = fatal_stacks(run_dir)
    hint = "The stack below shows where." if stacks else "The last log lines may say more."
    if not is_crash(end["signal"]):
        hint = "Its own code, a library or another program sent it."
    return Cause(kind="signal", message=f"The worker {ended_by(end['signal'])}.", hint=hint), (
        UserException(type=name, message="", frames=[], text=stacks) if stacks else None
    )


def _rank_killed(
    run_dir: Path, error: ErrorFile, end: ExitFile, peak: str
) -> tuple[Cause, UserException | None]:
    """Return why a group ended one of whose ranks was killed."""
    if error.get("signal") != signal.SIGKILL:
        stacks = fatal_stacks(run_dir / "ranks" / str(error.get("rank", 0)))
        hint = "The stack below shows where." if stacks else "The last log lines may say more."
        shown = UserException(type=error["type"], message="", frames=[], text=stacks) if stacks else None
        return Cause(kind="signal", message=error["message"], hint=hint), shown
    if end.get("oom_killed"):
        hint = f"The system's out-of-memory killer did it. {peak} Use a smaller batch or model, or fewer workers."
        return Cause(kind="out_of_memory", message=error["message"], hint=hint), None
    hint = f"{peak} Somebody's kill -9, or a memory limit that this system does not report."
    return Cause(kind="signal", message=error["message"], hint=hint), None


def _raised(error: ErrorFile) -> tuple[Cause, UserException | None]:
    kind, message = error.get("kind"), error["message"]
    if kind == "start":
        hint = "Nothing of your code ran; `%engine doctor` looks for the reason."
        return Cause(kind="start", message=f"The worker could not be started: {message}", hint=hint), None
    if kind == "lost":
        hint = "Resume it from its last checkpoint, or run it again; what it logged is kept."
        return Cause(kind="lost", message=message, hint=hint), None
    if kind == "exit":
        return Cause(kind="exit", message=f"The code ended itself: {error.get('summary', message)}"), None
    line = error.get("summary") or " ".join(f"{error['type']}: {message}".split())
    exception = UserException.model_validate(
        {name: error[name] for name in ("type", "message", "frames", "text")}
    )
    reads = error["type"] in ("bdb.BdbQuit", "BdbQuit") or message == _NO_INPUT
    cause = Cause(kind="exception", message=line.removesuffix(":"), hint=_NO_KEYBOARD if reads else None)
    return cause, exception


_NO_INPUT = "EOF when reading a line"
_NO_KEYBOARD = "A training has no keyboard: give it what it needs as an input, and stop in its code in a debug session (`%%debug_session`)."
_LOST = {
    "not_started": "The worker was never started: the engine ended before it could be.",
    "killed_at_start": "The process that guards this run (pid {pid}) was killed from outside before the worker began.",
    "killed": "The process that guards this run (pid {pid}) was killed from outside, and its worker with it.",
    "restarted": "This machine was restarted while the training ran.",
}


def _lost(ended_at: float, lost: Lost) -> Outcome:
    if lost["reason"] == "called_off":
        return Outcome("canceled", ended_at, Cause(kind="canceled", message="Canceled before it began."))
    kind: Literal["start", "lost"] = "start" if lost["reason"] == "not_started" else "lost"
    message = _LOST[lost["reason"]].format(pid=lost["pid"])
    cause = Cause(kind=kind, message=message, hint="Run it again; what it logged is kept.")
    return Outcome("failed", ended_at, cause)
