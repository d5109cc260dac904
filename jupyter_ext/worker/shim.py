"""The shim: one tiny process per run, the witness of its end. Standard library only.

It is session leader and subreaper, forks the worker, carries out the stop ladder, sweeps everything the run ever
started, and writes `exit.json` last. Rule: a crash of the engine, of the worker or of the zygote must not be able to
take it along, and it never touches the run's data.
"""

from __future__ import annotations

import importlib
import json
import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import write_json

FLAG_GRACE_S = 1.0
"""Code that polls `should_stop()` gets this long to finish its step before it is interrupted."""
INTERRUPT_GRACE_S = 4.0
"""Time for `finally` blocks after the interrupt, before SIGTERM."""
TERMINATE_GRACE_S = 2.0
"""Time after SIGTERM before SIGKILL."""

ROLES = {
    "training": "jupyter_ext.worker.training.main",
    "session": "jupyter_ext.worker.session.main",
    "model_host": "jupyter_ext.worker.model_host.main",
}
"""What a worker can be, and the module whose `run(spec)` gives its exit code."""

_POLL_S = 0.5


@dataclass
class _Ladder:
    """How far a requested stop has got."""

    requested_at: float
    stage: str = "flag"
    next_at: float = 0.0


def run(spec: dict[str, Any]) -> None:
    """Be the shim of one run until it is over; never returns.

    Args:
        spec: `run_dir`, `control` (socket path), `role` (see `ROLES`), and what that role's `run` needs.
    """
    os.setsid()
    processes.become_subreaper()
    run_dir = Path(spec["run_dir"])
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    control = _bind(spec["control"])
    shim_pid = os.getpid()
    started_at = time.time()
    go_read, go_write = os.pipe()
    worker = os.fork()
    if worker == 0:
        _become_worker(spec, shim_pid, go_read, (control.fileno(), wake_read, wake_write, go_write))
    _to_dev_null(1, 2)
    write_json(
        run_dir / "start.json",
        {
            "shim": {"pid": shim_pid, "ticks": processes.start_ticks(shim_pid)},
            "worker": {"pid": worker, "ticks": processes.start_ticks(worker)},
            "boot_id": processes.boot_id(),
            "control": spec["control"],
            "time": started_at,
        },
    )
    os.close(go_read)
    os.write(go_write, b"1")
    os.close(go_write)
    _watch(run_dir, worker, control, wake_read, started_at)


def _watch(run_dir: Path, worker: int, control: socket.socket, wake: int, started_at: float) -> None:
    ladder: _Ladder | None = None
    oom_kills = processes.oom_kills()
    while True:
        ended = _reap(worker)
        if ended is not None:
            break
        timeout = _POLL_S if ladder is None else max(0.0, min(_POLL_S, ladder.next_at - time.monotonic()))
        readable, _, _ = select.select([control.fileno(), wake], [], [], timeout)
        if wake in readable:
            os.read(wake, 512)
        if control.fileno() in readable:
            command = _receive(control)
            if command.get("op") == "stop" and ladder is None:
                ladder = _Ladder(time.time())
                _begin_stop(run_dir, ladder)
            elif command.get("op") == "stacks":
                processes.kill(worker, signal.SIGUSR1)
        if ladder is not None and time.monotonic() >= ladder.next_at:
            _climb(run_dir, worker, ladder)
    code, usage = ended
    swept = _sweep()
    write_json(
        run_dir / "exit.json",
        {
            "code": os.waitstatus_to_exitcode(code) if os.WIFEXITED(code) else None,
            "signal": os.WTERMSIG(code) if os.WIFSIGNALED(code) else None,
            "core_dumped": os.WIFSIGNALED(code) and os.WCOREDUMP(code),
            "started_at": started_at,
            "ended_at": time.time(),
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "swept": swept,
            "oom_killed": oom_kills is not None and (processes.oom_kills() or 0) > oom_kills,
            "stop": None if ladder is None else {"stage": ladder.stage, "requested_at": ladder.requested_at},
        },
    )
    control.close()
    os._exit(0)


def _begin_stop(run_dir: Path, ladder: _Ladder) -> None:
    _publish(run_dir, ladder)
    polls = (run_dir / "polls_stop").exists()
    ladder.next_at = time.monotonic() + (FLAG_GRACE_S if polls else 0.0)


def _climb(run_dir: Path, worker: int, ladder: _Ladder) -> None:
    """Take the next rung."""
    if ladder.stage == "flag":
        ladder.stage, grace = "interrupt", INTERRUPT_GRACE_S
        processes.kill(worker, signal.SIGINT)
    elif ladder.stage == "interrupt":
        ladder.stage, grace = "terminate", TERMINATE_GRACE_S
        _signal_group(worker, signal.SIGTERM)
    else:
        ladder.stage, grace = "kill", _POLL_S
        _signal_group(worker, signal.SIGKILL)
        processes.kill(worker, signal.SIGKILL)
    ladder.next_at = time.monotonic() + grace
    _publish(run_dir, ladder)


def _publish(run_dir: Path, ladder: _Ladder) -> None:
    write_json(run_dir / "stop", {"stage": ladder.stage, "requested_at": ladder.requested_at})


def _signal_group(worker: int, number: int) -> None:
    try:
        os.killpg(worker, number)
    except (ProcessLookupError, PermissionError):
        processes.kill(worker, number)


def _reap(worker: int) -> tuple[int, resource.struct_rusage] | None:
    """Collect ended children; give status and usage of the worker if it is among them."""
    while True:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == worker:
            return status, usage


def _sweep() -> int:
    """Kill everything the run left behind, also what moved to a session of its own."""
    swept: set[int] = set()
    while True:
        left = processes.descendants(os.getpid())
        for pid in left:
            if processes.kill(pid):
                swept.add(pid)
        try:
            while os.wait4(-1, os.WNOHANG)[0]:
                pass
        except ChildProcessError:
            return len(swept)
        time.sleep(0.002)


def _bind(path: str) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(path):
        os.unlink(path)
    control.bind(path)
    os.chmod(path, 0o600)
    return control


def _receive(control: socket.socket) -> dict[str, Any]:
    try:
        command = json.loads(control.recv(4096))
    except (ValueError, OSError):
        return {}
    return command if isinstance(command, dict) else {}


def _to_dev_null(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def _become_worker(spec: dict[str, Any], shim_pid: int, go: int, to_close: tuple[int, ...]) -> None:
    """Turn this fresh child into the worker; never returns."""
    code = 1
    try:
        processes.die_with_parent(shim_pid)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for descriptor in to_close:
            os.close(descriptor)
        log = os.open(
            os.path.join(spec["run_dir"], "logs.txt"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600
        )
        null = os.open(os.devnull, os.O_RDONLY)
        for source, target in ((null, 0), (log, 1), (log, 2)):
            os.dup2(source, target)
        os.close(log)
        os.close(null)
        os.read(go, 1)
        os.close(go)
        code = importlib.import_module(ROLES[spec.get("role", "training")]).run(spec)
    except BaseException:  # noqa: BLE001  the last edge of the process: nothing may escape it
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)
