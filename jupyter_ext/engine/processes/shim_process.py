"""A process under a shim, be it a training, a debug session or a model's host: its start, its stacks, its end.

Rules: its files say how it ended, and every role makes a sentence of its own of that. A start that was given up is called off by
claiming the directory, so that it can no longer begin. Nobody is sent a signal without proof of who it is.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import time
from pathlib import Path

from jupyter_ext.engine.processes import shim_control
from jupyter_ext.engine.processes.fresh_process import WorkerStartError
from jupyter_ext.engine.processes.interpreters import Interpreter
from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.json_files import read_json, remove_unfinished, write_json
from jupyter_ext.ipc.payloads.worker_specs import WorkerSpec
from jupyter_ext.ipc.run_files import ClaimFile, ExitFile, LostReason, StartFile

log = logging.getLogger(__name__)

START_GRACE_S = 10.0
"""A start of an engine before this one that has claimed nothing so long after the first look never began."""
STACKS_WITHIN_S = 2.0
_STACKS_POLL_S = 0.02
_STACKS_SETTLE_S = 0.05
_MAX_STACK_CHARACTERS = 8000
_MAX_SWEEPS = 20


class ShimProcess:
    """One process under a shim, seen by its directory. Only its start and its first look are remembered.

    Args:
        run_dir: Its directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self._is_starting = False
        self._first_look: float | None = None

    async def start(self, interpreter: Interpreter, spec: WorkerSpec) -> None:
        """Start it, and return once its shim has claimed the directory.

        Raises:
            WorkerStartError: It was not started, and no longer can be; that is in its files.
        """
        self._is_starting = True
        try:
            await interpreter.start(spec)
        except WorkerStartError as error:
            self.fail_start(str(error))
            raise
        finally:
            self._is_starting = False

    def fail_start(self, message: str) -> None:
        """Record that it could not be started, unless its shim has begun in the meantime."""
        if not run_files.call_off(self.run_dir):
            claim = run_files.read_claim(self.run_dir)
            if claim is None or claim["by"] != "engine":
                return
        if run_files.read_exit(self.run_dir) is None:
            run_files.write_start_failure(self.run_dir, message)

    def call_off(self) -> bool:
        """Cancel a start that has not begun; tell whether that was in time."""
        if not run_files.call_off(self.run_dir):
            return False
        self._lose("called_off", None, time.time())
        return True

    @property
    def started_at(self) -> float | None:
        """Unix time at which it was there, or `None`."""
        start = run_files.read_start(self.run_dir)
        return None if start is None else float(start["time"])

    def stop(self) -> bool:
        """Begin the stop ladder; tell whether the shim heard it."""
        return shim_control.send(self.run_dir, "stop")

    async def stacks(self) -> str | None:
        """Return where each of its threads stands now, or `None` where it does not run."""
        path = self.run_dir / "stacks.txt"
        before = _size(path)
        if not shim_control.send(self.run_dir, "stacks"):
            return None
        deadline = time.monotonic() + STACKS_WITHIN_S
        while _size(path) == before and time.monotonic() < deadline:
            await asyncio.sleep(_STACKS_POLL_S)
        await asyncio.sleep(_STACKS_SETTLE_S)
        data: bytes = await asyncio.to_thread(path.read_bytes)
        return data[before:].decode(errors="replace")

    def end(self) -> ExitFile | None:
        """Return how it ended, or `None` while it is starting or running.

        The end of one that no shim has seen is written down here, once.
        """
        found = run_files.read_exit(self.run_dir)
        if found is not None:
            return found
        witness: StartFile | ClaimFile | None = run_files.read_start(self.run_dir)
        began = witness is not None
        witness = witness or run_files.read_claim(self.run_dir)
        if witness is None:
            return self._end_unclaimed()
        if self._is_starting:
            return None
        if witness.get("by") == "engine":
            return self._lose("not_started", None)
        if self._is_alive(witness):
            return None
        found = run_files.read_exit(self.run_dir)  # it may have been written between the two looks
        if found is not None:
            return found
        if run_files.is_here(witness):
            _kill_remains(self.run_dir)
        if witness["boot_id"] != processes.boot_id():
            reason: LostReason = "restarted"
        else:
            reason = "killed" if began else "killed_at_start"
        return self._lose(reason, witness["shim"]["pid"])

    def _is_alive(self, witness: StartFile | ClaimFile) -> bool:
        """Tell whether its shim lives: by pid and start time here, by its lock in another container or on another host."""
        if run_files.is_here(witness):
            return processes.is_alive(witness["shim"]["pid"], witness["shim"]["ticks"])
        return run_files.holds_claim(self.run_dir)

    def _end_unclaimed(self) -> ExitFile | None:
        """Call a start off that nobody is at work on."""
        if self._is_starting:
            return None
        now = time.monotonic()
        if self._first_look is None:
            self._first_look = now
        if now - self._first_look < START_GRACE_S and self.run_dir.exists():
            return None
        return self._lose("not_started", None) if run_files.call_off(self.run_dir) else None

    def _lose(self, reason: LostReason, pid: int | None, ended_at: float | None = None) -> ExitFile:
        ended_at = _last_sign(self.run_dir) if ended_at is None else ended_at
        start = run_files.read_start(self.run_dir)
        end: ExitFile = {
            "code": None,
            "signal": None,
            "started_at": ended_at if start is None else start["time"],
            "ended_at": ended_at,
            "swept": 0,
            "stop": run_files.read_stop(self.run_dir),
            "lost": {"reason": reason, "pid": pid},
        }
        remove_unfinished(self.run_dir)
        try:
            write_json(self.run_dir / run_files.EXIT, end)
        except OSError as error:  # a full disk: the next look finds the same again
            log.warning("the end of %s cannot be written: %s", self.run_dir, error)
        return end


def signal_name(number: int) -> str:
    """Return a signal's name, such as `SIGSEGV`."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return "unknown"


_CRASHES = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"})
"""What a process gets for what it does itself; every other signal was sent."""


def is_crash(number: int) -> bool:
    """Whether a signal says that native code went wrong, rather than that somebody sent it."""
    return signal_name(number) in _CRASHES


def ended_by(number: int) -> str:
    """Return how a signal ended a process, such as `crashed with signal 11 (SIGSEGV), in native code`."""
    told = f"signal {number} ({signal_name(number)})"
    return f"crashed with {told}, in native code" if is_crash(number) else f"was ended by {told}"


def fatal_stacks(run_dir: Path) -> str:
    """Return what faulthandler wrote when native code crashed, without our frames, or an empty text."""
    try:
        text = (run_dir / "stacks.txt").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    begin = text.rfind("Fatal Python error")
    lines = text[begin:].splitlines() if begin >= 0 else []
    ours = str(Path(processes.__file__).parents[1])
    spec = read_json(run_dir / "spec.json")
    cell = f"Cell {spec.get('name') if isinstance(spec, dict) else None}"
    kept = [line for line in lines if ours not in line and not line.startswith("Extension modules")]
    return "\n".join(kept).replace(f'File "{run_dir / "code" / "code.py"}"', cell)[:_MAX_STACK_CHARACTERS]


def _last_sign(run_dir: Path) -> float:
    """Return the time of the last thing the run wrote."""
    times = []
    for path in [
        *run_dir.glob("*.jnl"),
        *(run_dir / name for name in ("logs.txt", "start.json", "spec.json")),
    ]:
        with contextlib.suppress(OSError):
            times.append(path.stat().st_mtime)
    now = time.time()
    return min(max(times, default=now), now)


def _kill_remains(run_dir: Path) -> None:
    """End what a killed shim left behind: whatever carries the run's id in its environment, and what is below that."""
    killed: set[tuple[int, int]] = set()
    for _ in range(_MAX_SWEEPS):
        found = set(processes.of_run(run_dir.name)) - killed
        for pid, _ticks in list(found):
            found |= {
                (child, ticks)
                for child in processes.descendants(pid)
                if (ticks := processes.start_ticks(child))
            }
        found -= killed
        if not found:
            return
        for pid, ticks in found:
            processes.kill_if_same(pid, ticks)
        killed |= found


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0
