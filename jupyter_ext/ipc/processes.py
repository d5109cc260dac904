"""Facts about processes on Linux, from /proc. Standard library only.

A process is the same one only if pid *and* start time agree, and a zombie is not alive. Rule: a signal goes to a child of
one's own that was not yet waited for, or through `kill_if_same`, which looks at who it is once the process can no longer be replaced.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping
from functools import cache
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
RUN_ID_VARIABLE = "JUPYTER_EXT_RUN_ID"
"""Whose run a process belongs to; inherited, so it also finds what left the run's session."""
_ENV_START, _ENV_END = 47, 48
"""Places in /proc/PID/stat, counted from the state: where the environment lies in the process's memory."""
_PLACEHOLDER = "-" * 64


def start_ticks(pid: int) -> int | None:
    """Return the start time of a living process in clock ticks since boot, or `None` for a zombie or none at all."""
    fields = _stat(pid)
    return None if fields is None or fields[0] in ("Z", "X") else int(fields[19])


def is_alive(pid: int, ticks: int | None) -> bool:
    """Tell whether the process that had this pid and start time still runs."""
    now = start_ticks(pid)
    return now is not None and (ticks is None or now == ticks)


@cache
def boot_id() -> str:
    """Return the id of the boot of this host; it changes with each start of the machine, so a process reads it once."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return ""


def pid_namespace() -> int | None:
    """Return the inode of this process's pid namespace, or `None` where it cannot be told."""
    try:
        return os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return None


def oom_kills() -> int | None:
    """Count the processes of this control group that the kernel's out-of-memory killer ended, or `None`."""
    try:
        text = Path("/proc/self/cgroup").read_text()
    except OSError:
        return None
    for events in _memory_events(text):
        try:
            counts = dict(line.split() for line in events.read_text().splitlines())
        except (OSError, ValueError):
            continue
        if "oom_kill" in counts:
            return int(counts["oom_kill"])
    return None


def _memory_events(groups: str) -> list[Path]:
    """List where the kernel may count them: in version 2 of control groups, then in version 1.

    Args:
        groups: Content of `/proc/self/cgroup`: lines of `number:controllers:group`.
    """
    found = []
    for line in sorted(groups.splitlines()):
        number, controllers, group = line.split(":", 2)
        if number == "0":
            found.append(Path(f"/sys/fs/cgroup{group}/memory.events"))
        elif "memory" in controllers.split(","):
            # a container that sees only its own group has it at the top
            tops = (f"/sys/fs/cgroup/memory{group}", "/sys/fs/cgroup/memory")
            found += [Path(top) / "memory.oom_control" for top in tops]
    return found


def num_threads() -> int:
    """Count the threads of this process."""
    try:
        return len(os.listdir("/proc/self/task"))
    except OSError:
        return 1


def descendants(pid: int) -> list[int]:
    """List the living processes below `pid`, children before their own children."""
    return below(pid, children_of_all())


def children_of_all() -> dict[int, list[int]]:
    """Return the living children of each process of this machine that has any."""
    children: dict[int, list[int]] = {}
    for name in _proc_pids():
        fields = _stat(name)
        if fields is not None and fields[0] not in ("Z", "X"):
            children.setdefault(int(fields[1]), []).append(name)
    return children


def below(pid: int, children: Mapping[int, list[int]]) -> list[int]:
    """List the processes below `pid`, children before their own children; see `children_of_all`."""
    found, queue = [], [pid]
    while queue:
        for child in children.get(queue.pop(), []):
            found.append(child)
            queue.append(child)
    return found


def in_session(session: int) -> list[int]:
    """List the living processes of a session."""
    found = []
    for pid in _proc_pids():
        fields = _stat(pid)
        if fields is not None and fields[0] not in ("Z", "X") and int(fields[3]) == session:
            found.append(pid)
    return found


def with_placeholder(environ: Mapping[str, str]) -> dict[str, str]:
    """Return an environment in which processes that are forked later can be marked; see `mark_as_run`."""
    return {**environ, RUN_ID_VARIABLE: _PLACEHOLDER}


def mark_as_run(run_id: str) -> None:
    """Write a run's id into the environment that /proc shows of this process and of all that it forks.

    What Python changes in `os.environ` shows only after an `exec`; so the placeholder of `with_placeholder` is overwritten where
    it lies. Without one only what is executed later is marked.
    """
    os.environ[RUN_ID_VARIABLE] = run_id
    if sys.platform != "linux" or (fields := _stat(os.getpid())) is None:
        return
    start, end = int(fields[_ENV_START]), int(fields[_ENV_END])
    if not 0 < start < end or len(run_id) > len(_PLACEHOLDER):
        return
    head = f"{RUN_ID_VARIABLE}=".encode()
    at = b"\0".join([b"", ctypes.string_at(start, end - start)]).find(
        b"\0" + head + _PLACEHOLDER.encode() + b"\0"
    )
    if at >= 0:
        ctypes.memmove(
            start + at + len(head), run_id.encode().ljust(len(_PLACEHOLDER), b"\0"), len(_PLACEHOLDER)
        )


def of_run(run_id: str) -> list[tuple[int, int]]:
    """List the living processes that carry a run's id in their environment: pid and start time in ticks."""
    wanted = f"{RUN_ID_VARIABLE}={run_id}".encode()
    found = []
    for pid in _proc_pids():
        ticks = start_ticks(pid)
        if ticks is not None and pid != os.getpid() and wanted in _environ(pid).split(b"\0"):
            found.append((pid, ticks))
    return found


def kill_if_same(pid: int, ticks: int | None, number: int = signal.SIGKILL) -> bool:
    """Send a signal to the process of this pid *and* start time, and to no other; tell whether it was there."""
    if ticks is None:
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except (AttributeError, OSError):  # an old kernel: the look just before the signal must do
        return start_ticks(pid) == ticks and kill(pid, number)
    try:
        if start_ticks(pid) != ticks:
            return False
        signal.pidfd_send_signal(descriptor, number)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def kill(pid: int, number: int = signal.SIGKILL) -> bool:
    """Send a signal; tell whether there was somebody to get it."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return False
    return True


def become_subreaper() -> None:
    """Make this process the parent of every orphan below it (Linux)."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent(parent: int) -> None:
    """Have the kernel kill this process when its parent ends (Linux)."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


def _prctl(option: int, value: int) -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(option, value, 0, 0, 0)


def _proc_pids() -> list[int]:
    try:
        return [int(name) for name in os.listdir("/proc") if name.isdigit()]
    except OSError:
        return []


def _environ(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/environ").read_bytes()
    except OSError:
        return b""


def _stat(pid: int) -> list[str] | None:
    """Return /proc/PID/stat from the state on: state, ppid, pgrp, session, …; start time is the 20th of them."""
    try:
        text = Path(f"/proc/{pid}/stat").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return None
    return text[text.rindex(")") + 2 :].split()
