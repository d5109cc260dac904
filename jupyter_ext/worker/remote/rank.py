"""One rank of a group on several nodes: what Ray Train runs in each of its workers. Standard library and Ray only.

The training itself runs in a process of its own, below a shim, as everywhere; here its files are passed on to the hub. Code finds what
`torchrun` would set. Rule: what the user's code raises is told to the hub and not to Ray, which would try it again.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, TypedDict

from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec
from jupyter_ext.worker import shim
from jupyter_ext.worker.remote.hub import Joined, Order
from jupyter_ext.worker.remote.relay import Relay, free_name

JOB_VARIABLE = "JUPYTER_EXT_JOB"
TOKEN_VARIABLE = "JUPYTER_EXT_ATTEMPT"
_INTERVAL_S = 0.1


class RankConfig(TypedDict):
    """What each rank is told: the hub, the run's spec.json, the threads of torch, and the folder of the code there."""

    hub: Any
    spec: dict[str, Any]
    threads: int | None


def run_rank(config: RankConfig) -> None:
    """Be one rank until it is over.

    Raises:
        RuntimeError: Others were lost; Ray starts the group anew.
    """
    home = Path(tempfile.mkdtemp(prefix="jx-"))
    try:
        _Rank(home, config).run()
    finally:
        shutil.rmtree(home, ignore_errors=True)


class _Rank:
    def __init__(self, home: Path, config: RankConfig) -> None:
        import ray.train

        context = ray.train.get_context()
        self._ask = ray.get
        self._hub = config["hub"]
        self._rank = context.get_world_rank()
        self._token = os.environ[TOKEN_VARIABLE]
        joined: Joined = self._ask(self._hub.join.remote(self._rank, self._token, socket.gethostname()))
        self._run_dir = make_run_dir(home, config["spec"], Path.cwd())
        if joined["checkpoints"]:
            folder = self._run_dir / "checkpoints"
            folder.mkdir(mode=0o700, exist_ok=True)
            for name, data in joined["checkpoints"].items():
                (folder / name).write_bytes(data)
        self._control = free_name(self._run_dir)
        self._out = io.StringIO()
        self._relay = Relay(self._run_dir, self._out, config["spec"]["ray"].get("storage"))
        self._environ = _torchrun_variables(context)
        self._spec: TrainingWorkerSpec = {
            "run_dir": str(self._run_dir),
            "control": self._control,
            "role": "training",
            "rank": str(self._rank),
            "cwd": str(self._run_dir / "work"),
            "sys_path": None,
            "environ": None,
            "threads": config["threads"],
            "secrets": {},
        }

    def run(self) -> None:
        """Start the process, and pass on what it writes until it and the group are over."""
        child = subprocess.Popen(
            [sys.executable, "-u", "-m", "jupyter_ext.worker.remote.rank"],
            stdin=subprocess.PIPE,
            env={**_plain_environ(), **self._environ},
        )
        try:
            assert child.stdin is not None
            child.stdin.write(json.dumps([self._spec, os.getpid()]).encode())
            child.stdin.close()
            told_to_stop = False
            while child.poll() is None and not (self._run_dir / run_files.EXIT).exists():
                order = self._send()
                if order == "kill":
                    child.kill()
                    child.wait()
                    write_json(self._run_dir / run_files.EXIT, _ended_with_the_others())
                elif order == "stop" and not told_to_stop:
                    told_to_stop = self._tell_shim()
                time.sleep(_INTERVAL_S)
        finally:
            child.kill()
            child.wait()
        self._leave()

    def _leave(self) -> None:
        """Tell how it ended, and wait until the others have, too."""
        if not (self._run_dir / run_files.EXIT).exists():
            write_json(self._run_dir / run_files.EXIT, _ended_with_the_others())
        self._relay.send_end()
        while (order := self._send()) not in ("leave", "kill"):
            if order == "fail":
                raise RuntimeError(f"rank {self._rank} has ended, and another is not heard from")
            time.sleep(_INTERVAL_S)

    def _send(self) -> Order:
        self._relay.send_news()
        text = self._out.getvalue()
        self._out.seek(0)
        self._out.truncate()
        order: Order = self._ask(self._hub.take.remote(self._rank, self._token, text))
        return order

    def _tell_shim(self) -> bool:
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as peer:
            peer.sendto(b'{"op": "stop"}', self._control)
            return True
        return False


def make_run_dir(home: Path, spec: dict[str, Any], packed: Path) -> Path:
    """Make a run's directory on this machine.

    Args:
        home: Where it goes.
        spec: Its spec.json.
        packed: The folder that the engine packed: `code`, and `checkpoints` of the run that this one resumes.
    """
    run_dir = home / str(spec["id"])
    run_dir.mkdir(mode=0o700)
    for name in ("code", "checkpoints"):
        if (packed / name).is_dir():
            shutil.copytree(packed / name, run_dir / name)
    (run_dir / "work").mkdir()
    (run_dir / "logs.txt").touch(mode=0o600)
    write_json(run_dir / "spec.json", spec)
    return run_dir


def _torchrun_variables(context: Any) -> dict[str, str]:
    """Return what `torchrun` would set, with the threads that it leaves alone."""
    found = {
        "RANK": context.get_world_rank(),
        "WORLD_SIZE": context.get_world_size(),
        "LOCAL_RANK": context.get_local_rank(),
        "LOCAL_WORLD_SIZE": context.get_local_world_size(),
        "GROUP_RANK": context.get_node_rank(),
    }
    told = {name: str(value) for name, value in found.items()}
    if os.environ["MASTER_ADDR"].startswith("127."):
        told["GLOO_SOCKET_IFNAME"] = "lo"  # else gloo looks the host's name up, which may have none
    return told


def _plain_environ() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if name not in (JOB_VARIABLE, TOKEN_VARIABLE)}


def _ended_with_the_others() -> run_files.ExitFile:
    now = time.time()
    return {"code": None, "signal": None, "started_at": now, "ended_at": now, "swept": 0, "stop": None}


def main() -> None:
    """Be the shim of a rank: spec and parent on stdin."""
    spec, parent = json.load(sys.stdin)
    processes.die_with_parent(parent)
    # Ray blocks SIGINT in its workers, and what they start inherits that: no interrupt would ever arrive.
    signal.pthread_sigmask(signal.SIG_SETMASK, [])
    shim.run(spec)


if __name__ == "__main__":
    main()
