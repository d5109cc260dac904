"""The small files of a process under a shim: who writes which, and what is in it. Standard library only.

    claim.json    the shim, first of all, or the engine that calls a start off: whoever makes it owns the directory
    start.json    the shim, once the worker is forked
    stop          the shim, once a stop was asked for
    error.json    the worker at an exception, or the engine where the start failed
    exit.json     the shim, last; the engine, once, where there was no shim to write it
    stderr.bin    the worker: where in logs.txt stderr's bytes stand, a `STDERR_MARK` for each write

Rule: a file that is not there, not whole or not of its shape reads as `None`; nobody fails because of one.

Source: docs/architecture/03-run-directory.md.
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import time
from pathlib import Path
from typing import Literal, NotRequired, TypedDict, cast

from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import NO_ROOM, read_json, write_json
from jupyter_ext.ipc.json_types import JsonObject, JsonValue

if sys.platform != "win32":
    import fcntl

CLAIM, START, STOP, ERROR, EXIT = "claim.json", "start.json", "stop", "error.json", "exit.json"

STDERR_MARKS = "stderr.bin"
STDERR_MARK = struct.Struct("<QQ")
"""Where a write begins and where it ends, in bytes of `logs.txt` beside it."""

StopStage = Literal["flag", "interrupt", "terminate", "kill"]
LostReason = Literal["not_started", "called_off", "killed_at_start", "killed", "restarted"]


class ProcessId(TypedDict):
    """A process of this boot and pid namespace: a pid is used again, a pid with its start time is not."""

    pid: int
    ticks: int | None


class Place(TypedDict):
    """Where a pid means what it says.

    Attributes:
        boot_id: The boot of the host.
        pid_namespace: Inode of the pid namespace; `None` where it cannot be told. Directories of older versions have none.
    """

    boot_id: str
    pid_namespace: NotRequired[int | None]


class ClaimFile(Place):
    """`claim.json`; `time` in Unix seconds."""

    by: Literal["shim", "engine"]
    shim: ProcessId
    time: float


class StartFile(Place):
    """`start.json`; `control` is the path of the shim's socket, `time` in Unix seconds."""

    shim: ProcessId
    worker: ProcessId
    control: str
    time: float


class StopFile(TypedDict):
    """`stop`; `requested_at` in Unix seconds."""

    stage: StopStage
    requested_at: float


class Lost(TypedDict):
    """Why there was no shim to see the end; `pid` is the shim's, where there was one."""

    reason: LostReason
    pid: int | None


class ExitFile(TypedDict):
    """`exit.json`; times in Unix seconds, `code` or `signal` as the worker ended, neither where it was lost."""

    code: int | None
    signal: int | None
    started_at: float
    ended_at: float
    swept: int
    stop: StopFile | None
    core_dumped: NotRequired[bool]
    max_rss_bytes: NotRequired[int]
    cpu_s: NotRequired[float]
    oom_killed: NotRequired[bool]
    lost: NotRequired[Lost]


class ErrorFrame(TypedDict):
    """One frame of a user's traceback."""

    file: str
    line: int
    function: str
    source: str | None


class ErrorFile(TypedDict):
    """`error.json`.

    Attributes:
        kind: `start` where nothing of the user's code ran, `lost` where a cluster gave a group up, `exit` where it asked to end (`sys.exit("text")`), `signal` where a
            `rank` of a group was killed by `signal`.
        summary: The exception in one line. Those of older versions have none.
    """

    type: str
    message: str
    frames: list[ErrorFrame]
    text: str
    kind: NotRequired[Literal["start", "exit", "signal", "lost"]]
    signal: NotRequired[int]
    rank: NotRequired[int]
    summary: NotRequired[str]


def here() -> Place:
    """Return the boot and pid namespace of this process."""
    return {"boot_id": processes.boot_id(), "pid_namespace": processes.pid_namespace()}


def is_here(place: Place) -> bool:
    """Tell whether pids that were recorded at `place` can be those of this process's world."""
    now = here()
    namespace = place.get("pid_namespace")
    return place["boot_id"] == now["boot_id"] and namespace in (None, now["pid_namespace"])


# -- the claim --------------------------------------------------------------------------------------------------------


def claim(run_dir: Path, by: Literal["shim", "engine"]) -> int | None:
    """Claim a run directory: only one process ever succeeds.

    Args:
        run_dir: The directory.
        by: Who claims it. The engine does so to call a start off.

    Returns:
        A descriptor that holds a lock on the claim until it is closed, or `None` where the directory is claimed already.

    Raises:
        FileNotFoundError: The directory is gone.
        OSError: The disk refuses.
    """
    path = run_dir / CLAIM
    pid = os.getpid()
    content: ClaimFile = {
        "by": by,
        "shim": {"pid": pid, "ticks": processes.start_ticks(pid)},
        "time": time.time(),
        **here(),
    }
    temporary = run_dir / f".{CLAIM}.{pid}"
    descriptor = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        os.write(descriptor, json.dumps(content).encode())
        _lock(descriptor)
        os.link(temporary, path)  # all of it or nothing, and an error where there is one
    except FileExistsError:
        os.close(descriptor)
        return None
    except OSError as error:
        os.close(descriptor)
        if error.errno in NO_ROOM:
            raise
        return _claim_in_place(path, content)  # a file system without hard links
    finally:
        temporary.unlink(missing_ok=True)
    return descriptor


def _claim_in_place(path: Path, content: ClaimFile) -> int | None:
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        return None
    _lock(descriptor)
    os.write(descriptor, json.dumps(content).encode())
    return descriptor


def call_off(run_dir: Path) -> bool:
    """Claim a directory so that nothing can begin there any more; tell whether that was in time.

    A directory that is gone, or that cannot be written, counts as called off: nothing can begin there either.
    """
    try:
        descriptor = claim(run_dir, "engine")
    except OSError:
        return True
    if descriptor is None:
        return False
    os.close(descriptor)
    return True


def is_claimed(run_dir: Path) -> bool:
    """Tell whether somebody has claimed the directory."""
    return (run_dir / CLAIM).exists()


def holds_claim(run_dir: Path) -> bool:
    """Tell whether a living process holds the claim's lock; it may be one of another container or host."""
    if sys.platform == "win32":
        return False
    try:
        descriptor = os.open(run_dir / CLAIM, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return False


def _lock(descriptor: int) -> None:
    if sys.platform != "win32":
        with contextlib.suppress(OSError):  # where there are no locks, pids and start times must do
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)


# -- reading and writing ----------------------------------------------------------------------------------------------


def read_claim(run_dir: Path) -> ClaimFile | None:
    """Read `claim.json`."""
    found = _of_shape(run_dir / CLAIM, by=str, shim=dict, boot_id=str)
    return cast("ClaimFile", found) if found is not None and _is_process(found["shim"]) else None


def read_start(run_dir: Path) -> StartFile | None:
    """Read `start.json`."""
    found = _of_shape(run_dir / START, shim=dict, worker=dict, boot_id=str, control=str, time=(int, float))
    if found is None or not (_is_process(found["shim"]) and _is_process(found["worker"])):
        return None
    return cast("StartFile", found)


def read_stop(run_dir: Path) -> StopFile | None:
    """Read `stop`."""
    return cast("StopFile | None", _of_shape(run_dir / STOP, stage=str, requested_at=(int, float)))


def read_error(run_dir: Path) -> ErrorFile | None:
    """Read `error.json`."""
    found = _of_shape(run_dir / ERROR, type=str, message=str)
    return None if found is None else cast("ErrorFile", {"frames": [], "text": found["message"], **found})


def read_exit(run_dir: Path) -> ExitFile | None:
    """Read `exit.json`."""
    found = _of_shape(run_dir / EXIT, ended_at=(int, float))
    if found is None:
        return None
    known = {"code": None, "signal": None, "started_at": found["ended_at"], "swept": 0, "stop": None}
    return cast("ExitFile", known | found)


def write_start_failure(run_dir: Path, message: str) -> None:
    """Record that a process could not be started: what its worker would have written, and its end."""
    error: ErrorFile = {
        "kind": "start",
        "type": "StartError",
        "message": message,
        "frames": [],
        "text": message,
    }
    write_json(run_dir / ERROR, error)
    now = time.time()
    end: ExitFile = {"code": 1, "signal": None, "started_at": now, "ended_at": now, "swept": 0, "stop": None}
    write_json(run_dir / EXIT, end)


def _of_shape(path: Path, **fields: type | tuple[type, ...]) -> JsonObject | None:
    found = read_json(path)
    if not isinstance(found, dict):
        return None
    return found if all(isinstance(found.get(name), kind) for name, kind in fields.items()) else None


def _is_process(found: JsonValue) -> bool:
    return (
        isinstance(found, dict)
        and isinstance(found.get("pid"), int)
        and isinstance(found.get("ticks"), int | None)
    )
