"""Run one training as a job of a cluster: `python -m jupyter_ext.worker.remote.main`, in the directory that the engine packed.

    code/             the bundle
    checkpoints/      of the run that this one resumes, if any
    JUPYTER_EXT_JOB   environment variable: base64 of JSON: the run's spec.json, and `workers` and `threads`

The training has the same shim and the same worker as on the engine's machine; this process sends what they write. A cluster's SIGTERM
begins the stop ladder. Rule: nothing outlives this process, which the kernel sees to. Standard library only.
"""

from __future__ import annotations

import base64
import contextlib
import json
import os
import shutil
import signal
import socket
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec
from jupyter_ext.worker import shim
from jupyter_ext.worker.remote import nodes
from jupyter_ext.worker.remote.rank import JOB_VARIABLE, make_run_dir
from jupyter_ext.worker.remote.relay import Relay, free_name

_INTERVAL_S = 0.1
_BYTECODE = b"_make_function"
"""What cloudpickle calls to make a function that travels by value."""


def main() -> int:
    """Run the training that the environment describes; return the exit code of its worker."""
    # Ray blocks SIGINT in its workers, and what they start inherits that: no interrupt would ever arrive.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    job = json.loads(base64.b64decode(os.environ.pop(JOB_VARIABLE)))
    if (why := why_not_here(job.get("python"), Path.cwd() / "code" / "names.pkl")) is not None:
        print(why, file=sys.stderr)
        return 1
    # No TemporaryDirectory: what the worker, a fork of this process, does at its end would remove it.
    home = Path(tempfile.mkdtemp(prefix="jx-"))
    try:
        if int(job["workers"]) > 1 and nodes.is_on_ray():
            return nodes.run(home, job)
        return _run(home, job)
    finally:
        shutil.rmtree(home, ignore_errors=True)


def why_not_here(python: str | None, names: Path) -> str | None:
    """Return why the notebook's functions cannot be run by this interpreter; `None` where they can, or there are none.

    Args:
        python: Major and minor version of the notebook's, if known.
        names: What travels with the code; code that is sent as text is compiled here.
    """
    ours = f"{sys.version_info[0]}.{sys.version_info[1]}"
    if python in (None, ours) or not names.exists() or _BYTECODE not in names.read_bytes():
        return None
    return (
        f"The cluster's Python is {ours} and the notebook's {python}: functions and classes of the notebook hold bytecode of "
        f"{python}. Define them in the cell or the file that is trained, or use a cluster with Python {python}."
    )


def _run(home: Path, job: dict[str, Any]) -> int:
    run_dir = make_run_dir(home, job["spec"], Path.cwd())
    control = free_name(run_dir)
    relay = Relay(run_dir, sys.stdout, job["spec"]["ray"].get("storage"))
    stops = _Stops(control)
    signal.signal(signal.SIGTERM, stops.ask)
    child = _start_shim(run_dir, control, job)
    write_json(run_dir / "worker_start.json", {"time": time.time(), "host": socket.gethostname()})
    while not (run_dir / run_files.EXIT).exists() and _is_running(child):
        relay.send_news()
        stops.go_on()
        time.sleep(_INTERVAL_S)
    relay.send_end()
    end = run_files.read_exit(run_dir)
    return 1 if end is None or end["code"] is None else end["code"]


def _start_shim(run_dir: Path, control: str, job: dict[str, Any]) -> int:
    """Fork the shim; return its pid. It is killed with this process, and its worker with it."""
    parent, workers = os.getpid(), int(job.get("workers") or 1)
    pid = os.fork()
    if pid:
        return pid
    try:
        processes.die_with_parent(parent)
        spec: TrainingWorkerSpec = {
            "run_dir": str(run_dir),
            "control": control,
            "role": "group" if workers > 1 else "training",
            "workers": workers,
            "rank": "0",
            "cwd": str(run_dir / "work"),
            "sys_path": None,
            "environ": None,
            "threads": job.get("threads"),
            "secrets": {},
            "ends_by_ladder": True,
        }
        shim.run(spec)
    except BaseException:  # noqa: BLE001  the last edge of the process: nothing may escape it
        traceback.print_exc()
    finally:
        os._exit(1)


class _Stops:
    """Passes the cluster's wish for an end on to the shim, as soon as there is one."""

    def __init__(self, control: str) -> None:
        self._control = control
        self._wanted = False
        self._told = False

    def ask(self, *_: object) -> None:
        """Take the signal."""
        self._wanted = True
        self.go_on()

    def go_on(self) -> None:
        """Tell the shim, unless it knows."""
        if self._wanted and not self._told:
            with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
                peer.sendto(b'{"op": "stop"}', self._control)
                self._told = True


def _is_running(pid: int) -> bool:
    ended, _ = os.waitpid(pid, os.WNOHANG)
    return not ended


if __name__ == "__main__":
    sys.exit(main())
