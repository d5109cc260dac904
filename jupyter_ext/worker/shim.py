"""The shim: one tiny process per run, the witness of its end. Standard library only.

It claims the run's directory, is session leader and subreaper, forks the worker, carries out the stop ladder, sweeps everything
the run ever started, and writes `exit.json` last. Rule: a crash of the engine, of the worker or of the zygote must not
be able to take it along, and it never touches the run's data. Where two shims are started for one directory, the second ends itself.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.json_files import ReservedFile, write_json
from jupyter_ext.ipc.payloads.worker_specs import WorkerSpec
from jupyter_ext.ipc.run_files import ExitFile, StartFile, StopFile, StopStage

FLAG_GRACE_S = 1.0
"""Code that polls `should_stop()` gets this long to finish its step before it is interrupted."""
INTERRUPT_GRACE_S = 4.0
"""Time for `finally` blocks after the interrupt, before SIGTERM."""
TERMINATE_GRACE_S = 2.0
"""Time after SIGTERM before SIGKILL."""

ROLES = {
    "training": "jupyter_ext.worker.training.main",
    "group": "jupyter_ext.worker.training.group",
    "session": "jupyter_ext.worker.session.main",
    "model_host": "jupyter_ext.worker.model_host.main",
}
"""What a worker can be, and the module whose `run(spec)` returns its exit code."""

_POLL_S = 0.5
_EXIT_BYTES = 4096
"""Room kept for `exit.json`."""
_FULL_DISK_PATIENCE_S = 3600.0
"""So long a full disk is waited for where not even the room kept is there."""
_OWN_UMASK = 0o077


@dataclass
class _Ladder:
    """How far a requested stop has got."""

    requested_at: float
    stage: StopStage = "flag"
    next_at: float = 0.0

    @property
    def content(self) -> StopFile:
        return {"stage": self.stage, "requested_at": self.requested_at}


def run(spec: WorkerSpec) -> None:
    """Be the shim of one run until it is over; never returns.

    Args:
        spec: What the worker is started with; its role's `run` may need more (see `ROLES`).
    """
    os.setsid()
    processes.become_subreaper()
    run_dir = Path(spec["run_dir"])
    umask = os.umask(_OWN_UMASK)
    claim = _claim(run_dir)
    processes.mark_as_run(run_dir.name)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    wake_read, wake_write = os.pipe()
    os.set_blocking(wake_read, False)
    os.set_blocking(wake_write, False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(wake_write, warn_on_full_buffer=False)
    control = _bind(spec["control"])
    shim_pid = os.getpid()
    exit_file = ReservedFile(run_dir / run_files.EXIT, _EXIT_BYTES)
    started_at = time.time()
    go_read, go_write = os.pipe()
    worker = os.fork()
    if worker == 0:
        to_close = (claim, control.fileno(), wake_read, wake_write, go_write)
        _become_worker(spec, shim_pid, go_read, to_close, umask)
    _to_dev_null(1, 2)
    guard = _Guard(run_dir, worker, control, wake_read, started_at, exit_file)
    start: StartFile = {
        "shim": {"pid": shim_pid, "ticks": processes.start_ticks(shim_pid)},
        "worker": {"pid": worker, "ticks": processes.start_ticks(worker)},
        "control": spec["control"],
        "time": started_at,
        **run_files.here(),
    }
    os.close(go_read)
    try:
        write_json(run_dir / run_files.START, start)
        os.write(go_write, b"1")
    except OSError as error:
        guard.refuse_to_start(f"the run's directory cannot be written ({error.strerror or error})")
    os.close(go_write)
    guard.watch()


def _claim(run_dir: Path) -> int:
    """Claim the run's directory; end this process where that is not possible."""
    try:
        descriptor = run_files.claim(run_dir, "shim")
    except FileNotFoundError:
        os._exit(0)  # it was called off and deleted
    except OSError as error:
        with contextlib.suppress(OSError):
            run_files.write_start_failure(
                run_dir, f"the run's directory cannot be written ({error.strerror})"
            )
        os._exit(1)
    if descriptor is None:
        os._exit(0)  # another shim has it, or the start was called off
    return descriptor


@dataclass
class _Guard:
    """Watches one worker until its end."""

    run_dir: Path
    worker: int
    control: socket.socket
    wake: int
    started_at: float
    exit_file: ReservedFile
    ladder: _Ladder | None = None
    oom_kills: int | None = field(default_factory=processes.oom_kills)

    def refuse_to_start(self, message: str) -> None:
        """Kill a worker before it has begun, and say why."""
        processes.kill(self.worker)
        with contextlib.suppress(OSError):
            run_files.write_start_failure(self.run_dir, message)

    def watch(self) -> None:
        """Carry out commands until the worker has ended, sweep, and write how it ended; never returns."""
        while (ended := _reap(self.worker)) is None:
            self._wait()
            if self.ladder is not None and time.monotonic() >= self.ladder.next_at:
                self._climb(self.ladder)
        swept = _sweep()
        _release_workers_room(self.run_dir, self.exit_file)
        with contextlib.suppress(OSError):  # the directory is gone, or the disk stayed full for an hour
            self.exit_file.write_json(self._end(*ended, swept), _FULL_DISK_PATIENCE_S)
        self.control.close()
        os._exit(0)

    def _wait(self) -> None:
        """Wait for a child's end, a command or the next rung, and take the command."""
        timeout = _POLL_S
        if self.ladder is not None:
            timeout = max(0.0, min(_POLL_S, self.ladder.next_at - time.monotonic()))
        readable, _, _ = select.select([self.control.fileno(), self.wake], [], [], timeout)
        if self.wake in readable:
            os.read(self.wake, 512)
        if self.control.fileno() in readable:
            self._obey(_receive(self.control))

    def _obey(self, op: object) -> None:
        if op == "stop" and self.ladder is None:
            self.ladder = _Ladder(time.time())
            self._publish(self.ladder)
            polls = (self.run_dir / "polls_stop").exists()
            self.ladder.next_at = time.monotonic() + (FLAG_GRACE_S if polls else 0.0)
        elif op == "stacks":
            processes.kill(self.worker, signal.SIGUSR1)

    def _climb(self, ladder: _Ladder) -> None:
        """Take the next rung."""
        if ladder.stage == "flag":
            ladder.stage, grace = "interrupt", INTERRUPT_GRACE_S
            processes.kill(self.worker, signal.SIGINT)
        elif ladder.stage == "interrupt":
            ladder.stage, grace = "terminate", TERMINATE_GRACE_S
            _signal_group(self.worker, signal.SIGTERM)
        else:
            ladder.stage, grace = "kill", _POLL_S
            _signal_group(self.worker, signal.SIGKILL)
            processes.kill(self.worker, signal.SIGKILL)
        ladder.next_at = time.monotonic() + grace
        self._publish(ladder)

    def _publish(self, ladder: _Ladder) -> None:
        with contextlib.suppress(OSError):  # on a full disk the signals still come
            write_json(self.run_dir / run_files.STOP, ladder.content)

    def _end(self, code: int, usage: resource.struct_rusage, swept: int) -> ExitFile:
        oom_kills = self.oom_kills
        return {
            "code": os.waitstatus_to_exitcode(code) if os.WIFEXITED(code) else None,
            "signal": os.WTERMSIG(code) if os.WIFSIGNALED(code) else None,
            "core_dumped": os.WIFSIGNALED(code) and os.WCOREDUMP(code),
            "started_at": self.started_at,
            "ended_at": time.time(),
            "max_rss_bytes": usage.ru_maxrss * 1024,
            "cpu_s": usage.ru_utime + usage.ru_stime,
            "swept": swept,
            "oom_killed": oom_kills is not None and (processes.oom_kills() or 0) > oom_kills,
            "stop": None if self.ladder is None else self.ladder.content,
        }


def _release_workers_room(run_dir: Path, but: ReservedFile) -> None:
    """Remove the room that the worker had reserved and could not use."""
    for path in run_dir.glob(".*.reserved"):
        if path.name != f".{but.path.name}.reserved":
            path.unlink(missing_ok=True)


def _signal_group(worker: int, number: int) -> None:
    try:
        os.killpg(worker, number)
    except (ProcessLookupError, PermissionError):
        processes.kill(worker, number)


def _reap(worker: int) -> tuple[int, resource.struct_rusage] | None:
    """Collect ended children; return status and usage of the worker if it is among them."""
    while True:
        pid, status, usage = os.wait4(-1, os.WNOHANG)
        if pid == 0:
            return None
        if pid == worker:
            return status, usage


def _sweep() -> int:
    """Kill everything the run left behind, also what moved to a session of its own.

    Where this process has no child, it has no descendant, as those of a process that ends become its own. So only where one is left is
    all of `/proc` looked through.
    """
    swept: set[int] = set()
    while not _has_no_child():
        for pid in processes.descendants(os.getpid()):
            if processes.kill_if_same(pid, processes.start_ticks(pid)):
                swept.add(pid)
        time.sleep(0.002)
    return len(swept)


def _has_no_child() -> bool:
    """Collect ended children; tell whether there is none any more."""
    try:
        while os.wait4(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        return True
    return False


def _bind(path: str) -> socket.socket:
    control = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    if os.path.exists(path):
        os.unlink(path)
    control.bind(path)
    os.chmod(path, 0o600)
    return control


def _receive(control: socket.socket) -> object:
    """Return what is to be done, or `None` where that is no command."""
    try:
        command = json.loads(control.recv(4096))
    except (ValueError, OSError):
        return None
    return command.get("op") if isinstance(command, dict) else None


def _to_dev_null(*descriptors: int) -> None:
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in descriptors:
        os.dup2(null, descriptor)
    os.close(null)


def _become_worker(spec: WorkerSpec, shim_pid: int, go: int, to_close: tuple[int, ...], umask: int) -> None:
    """Turn this fresh child into the worker; never returns."""
    code = 1
    try:
        processes.die_with_parent(shim_pid)
        os.setpgid(0, 0)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        signal.signal(signal.SIGUSR1, signal.SIG_IGN)  # until faulthandler is there to answer it
        signal.pthread_sigmask(signal.SIG_SETMASK, [])
        for descriptor in to_close:
            os.close(descriptor)
        path, flags = os.path.join(spec["run_dir"], "logs.txt"), os.O_WRONLY | os.O_APPEND | os.O_CREAT
        # Opened twice, so that each descriptor knows where its own last write ended.
        opened = os.open(os.devnull, os.O_RDONLY), os.open(path, flags, 0o600), os.open(path, flags, 0o600)
        for target, source in enumerate(opened):
            os.dup2(source, target)
        for source in opened:
            if source > 2:
                os.close(source)
        if not os.read(go, 1):
            return
        os.close(go)
        os.umask(umask)  # the user's, for the user's files; our own say 0600 themselves
        code = importlib.import_module(ROLES[spec.get("role", "training")]).run(spec)
    except BaseException:  # noqa: BLE001  the last edge of the process: nothing may escape it
        import traceback

        traceback.print_exc()
    finally:
        os._exit(code)
