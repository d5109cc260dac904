"""Look at the engine and control it, also when it does not answer."""

from __future__ import annotations

import os
import platform
import signal
import sqlite3
import sys
import time
from importlib import metadata

from jupyter_ext import __version__
from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.client.engine import halves
from jupyter_ext.config import PROTOCOL_VERSION, locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineError, EngineUnreachable, RequestRefused
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.counts import counted_runs
from jupyter_ext.protocol.trainings import EngineInfo

_END_TIMEOUT_S = 20.0
_NEEDED = ("torch", "ipykernel", "ipywidgets", "anywidget", "plotly", "jupyter_server", "cloudpickle")


def status() -> EngineInfo | None:
    """Describe the engine, or give `None` where there is none."""
    found = discovery.find()
    return None if found is None else EngineInfo.model_validate(found.info)


def stop(*, force: bool = False) -> str:
    """End the engine; say what became of it.

    Raises:
        RequestRefused: Trainings run, and `force` is false.
    """
    where = locations()
    try:
        found = discovery.find(where)
    except EngineUnreachable:
        if not force:
            raise
        return _kill_stuck()
    if found is None:
        return "No engine runs."
    code, body = discovery.request(found.socket_path, "POST", "/native/engine/stop", {"force": force})
    if code >= 400:
        raise RequestRefused(body["detail"])
    _wait_until_ended()
    running = counted_runs(body["active"], body.get("sessions", 0))
    return (
        f"The engine ended. What runs goes on under the next engine: {running}."
        if running
        else "The engine ended."
    )


def restart() -> EngineInfo:
    """End the engine and start another, which takes over what runs."""
    stop(force=True)
    return EngineInfo.model_validate(discovery.ensure().info)


def log_tail(num_lines: int) -> str:
    """Return the last lines of the engine's own log."""
    path = locations().engine_log
    try:
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return f"There is no log yet at {path}."
    return "\n".join(lines[-num_lines:])


def doctor() -> list[str]:
    """Look at everything that could be wrong; give one line each, beginning with `ok` or `!!`."""
    where = locations()
    lines = [
        f"ok  jupyter-ext {__version__}, protocol {PROTOCOL_VERSION}, Python {platform.python_version()}"
    ]
    lines += [_version_line(name) for name in _NEEDED]
    lines += halves.lines()
    lines += [_directory_line(str(directory)) for directory in (where.data_dir, where.runtime_dir)]
    lines.append(f"ok  SQLite {sqlite3.sqlite_version}, one writer by lock")
    try:
        found = discovery.find(where)
    except EngineError as error:
        return [*lines, f"!!  {error}"]
    if found is None:
        running = discovery.is_running(where)
        return [
            *lines,
            "!!  an engine holds the lock but does not answer" if running else "ok  no engine runs",
        ]
    info = EngineInfo.model_validate(found.info)
    same = info.protocol == PROTOCOL_VERSION
    lines.append(f"{'ok' if same else '!!'}  engine {info.version}, protocol {info.protocol}, pid {info.pid}")
    if info.version != __version__:
        lines.append(f"!!  the engine has {info.version}, this kernel {__version__}: %engine restart")
    for environment in info.environments:
        mark = "ok" if environment.state in ("warm", "starting") else "!!"
        lines.append(f"{mark}  {environment.python}: {environment.state} {environment.detail or ''}".rstrip())
    lines += [f"!!  {problem}" for problem in info.problems]
    if sys.executable not in {environment.python for environment in info.environments}:
        lines.append(f"ok  {sys.executable}: not warmed yet")
    return lines


def _kill_stuck() -> str:
    """End an engine that holds the lock but does not answer, by the pid it left; its trainings go on."""
    record = read_json(locations().engine_file)
    if record is None or not processes.kill(int(record["pid"]), signal.SIGKILL):
        raise EngineUnreachable("The engine does not answer and did not leave its pid; end it by hand.")
    _wait_until_ended()
    return "The engine did not answer and was killed; what runs goes on."


def _wait_until_ended() -> None:
    where = locations()
    deadline = time.monotonic() + _END_TIMEOUT_S
    while discovery.is_running(where):
        if time.monotonic() > deadline:
            raise EngineUnreachable(
                f"The engine is still ending after {_END_TIMEOUT_S:.0f} s; see `%engine log`."
            )
        time.sleep(0.02)


def _version_line(name: str) -> str:
    try:
        return f"ok  {name} {metadata.version(name)}"
    except metadata.PackageNotFoundError:
        return f"!!  {name} is not installed here: pip install {name}"


def _directory_line(path: str) -> str:
    if not os.path.isdir(path):
        return f"ok  {path} will be made at the first training"
    free = os.statvfs(path)
    free_bytes = free.f_bavail * free.f_frsize
    if not os.access(path, os.W_OK):
        return f"!!  {path} cannot be written; set JUPYTER_EXT_DATA_DIR and JUPYTER_EXT_RUNTIME_DIR"
    return f"{'ok' if free_bytes > 1 << 30 else '!!'}  {path}: {format_bytes(free_bytes)} free"
