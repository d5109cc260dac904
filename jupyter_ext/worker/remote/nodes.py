"""Run a training as a group of ranks on the nodes of a Ray cluster, by Ray Train. Standard library and Ray only.

Ray places the ranks, and starts all of them anew where a node or a worker of its own is lost; this process, the job's entry, has the
directory that the hub fills, and relays it as it would that of a training on this node.
"""

from __future__ import annotations

import os
import signal
import socket
import sys
import tempfile
import threading
import time
import uuid
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.run_files import ErrorFile, ExitFile
from jupyter_ext.worker.remote.hub import RANKS, Hub, State, first_error
from jupyter_ext.worker.remote.rank import TOKEN_VARIABLE, RankConfig, make_run_dir, run_rank
from jupyter_ext.worker.remote.relay import Relay
from jupyter_ext.worker.sdk.journal_writer import JournalWriter
from jupyter_ext.worker.training.log_folding import LogFolder

if TYPE_CHECKING:
    from ray.train.backend import BackendConfig

MAX_LOST = 3
"""So often Ray starts a group anew that has lost a worker or a node."""
_INTERVAL_S = 0.1
_WAITS_S = 60.0
"""A group of which no rank has begun for so long is said to wait."""


def is_on_ray() -> bool:
    """Tell whether this process is a job of Ray's."""
    return "RAY_ADDRESS" in os.environ


def run(home: Path, job: dict[str, Any]) -> int:
    """Run the training that a job describes; return the exit code for this process."""
    run_dir = make_run_dir(home, job["spec"], Path.cwd())
    return _Group(run_dir, job).run()


class _Group:
    def __init__(self, run_dir: Path, job: dict[str, Any]) -> None:
        self._run_dir = run_dir
        self._job = job
        self._num_ranks = int(job["workers"])
        for rank in range(self._num_ranks):
            (run_dir / RANKS / str(rank)).mkdir(mode=0o700, parents=True)
        self._journal = JournalWriter(run_dir, "cluster")
        self._error: BaseException | None = None
        self._stop_at: float | None = None
        self._told_stop = self._told_wait = False
        self._began = time.monotonic()
        self._attempt = 0

    def run(self) -> int:
        """Run the group to its end."""
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        ray.init(log_to_driver=False, logging_level="ERROR", configure_logging=False)
        signal.signal(signal.SIGTERM, self._take_stop)  # only now: Ray has set one of its own
        here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
        hub = ray.remote(Hub).options(num_cpus=0, scheduling_strategy=here)
        self._hub: Any = hub.remote(str(self._run_dir), self._num_ranks)
        started_at = time.time()
        log = os.open(self._run_dir / "logs.txt", os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        paths = {rank: self._run_dir / RANKS / str(rank) / "logs.txt" for rank in range(self._num_ranks)}
        folder, relay = LogFolder(paths, log, log), Relay(self._run_dir, sys.stdout)
        training = threading.Thread(target=self._train, name="ray train", daemon=True)
        training.start()
        while training.is_alive():
            self._look(ray.get(self._hub.news.remote()), ray.get(self._hub.state.remote()))
            folder.fold()
            relay.send_news()
            time.sleep(_INTERVAL_S)
        state: State = ray.get(self._hub.state.remote())
        folder.close()
        self._journal.close()
        end = self._end(state, started_at)
        write_json(self._run_dir / run_files.EXIT, end)
        relay.send_end()
        return end["code"] or 0

    def _train(self) -> None:
        """Have Ray Train run the ranks."""
        os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # a rank finds its code in its working directory
        try:
            from ray.train import FailureConfig, RunConfig, ScalingConfig
            from ray.train.v2.api.data_parallel_trainer import DataParallelTrainer

            wanted = self._job["spec"]["ray"]
            config: RankConfig = {
                "hub": self._hub,
                "spec": self._job["spec"],
                "threads": self._job.get("threads"),
            }
            scaling = ScalingConfig(
                num_workers=self._num_ranks,
                use_gpu=bool(wanted["gpus"]),
                resources_per_worker={"CPU": wanted["cpus"], "GPU": wanted["gpus"]},
            )
            run_config = RunConfig(
                name=str(self._job["spec"]["id"]),
                storage_path=tempfile.mkdtemp(prefix="ray-train-", dir=self._run_dir.parent),
                failure_config=FailureConfig(max_failures=MAX_LOST),
            )
            DataParallelTrainer(
                run_rank,
                train_loop_config=config,
                backend_config=_backend_config(),
                scaling_config=scaling,
                run_config=run_config,
            ).fit()
        except BaseException as error:  # noqa: BLE001  the edge of a thread: how the group ended is told from it
            self._error = error

    def _look(self, began: list[str], state: State) -> None:
        """Note where ranks began, and pass a stop on."""
        if state.attempt > self._attempt:
            if self._attempt:
                text = f"A worker was lost; Ray starts all of them again (attempt {state.attempt}), from the last checkpoint."
                self._journal.mark("notice", text=text)
            else:
                write_json(
                    self._run_dir / "worker_start.json", {"time": time.time(), "host": socket.gethostname()}
                )
            self._attempt = state.attempt
        if began:
            self._journal.mark("notice", text=f"Attempt {state.attempt}: {', '.join(began)}.")
        if not self._attempt and not self._told_wait and time.monotonic() - self._began > _WAITS_S:
            wanted = self._job["spec"]["ray"]
            text = f"Waits until Ray has {self._num_ranks} times {wanted['cpus']:g} CPUs and {wanted['gpus']:g} GPUs free."
            self._journal.mark("notice", text=text)
            self._told_wait = True
        if self._stop_at is not None and not self._told_stop:
            if not self._attempt:
                os._exit(128 + signal.SIGTERM)  # nothing has begun, and nothing is left to be told
            self._hub.ask_to_stop.remote()
            self._told_stop = True

    def _take_stop(self, *_: object) -> None:
        self._stop_at = self._stop_at or time.time()

    def _end(self, state: State, started_at: float) -> ExitFile:
        """Return how the group ended, and write what made it fail."""
        ends = list(state.ends.values())
        stops = [end["stop"] for end in ends if end["stop"] is not None]
        code = 0
        if self._stop_at is None or not stops:
            if state.failed is not None:
                error = first_error(self._run_dir, state.failed, state.ends, self._num_ranks)
                write_json(self._run_dir / run_files.ERROR, error)
                code = 1
            elif self._error is not None:
                write_json(self._run_dir / run_files.ERROR, _lost(self._error, state.attempt))
                code = 1
        else:
            code = max((end["code"] or 0 for end in ends), default=1)
        return {
            "code": code,
            "signal": None,
            "started_at": started_at,
            "ended_at": time.time(),
            "swept": sum(end["swept"] for end in ends),
            "stop": stops[0] if stops and self._stop_at is not None else None,
            "max_rss_bytes": max((end.get("max_rss_bytes", 0) for end in ends), default=0),
            "oom_killed": any(end.get("oom_killed") for end in ends),
        }


def _lost(error: BaseException, attempt: int) -> ErrorFile:
    """Return what is said of a group that Ray has given up."""
    failures = getattr(error, "worker_failures", None) or {}
    rank, cause = next(iter(failures.items()), (None, error))
    reason = " ".join(str(cause).split())[:300]
    who = (
        "Ray Train gave the group up"
        if rank is None
        else f"Ray Train gave the group up: rank {rank} was lost"
    )
    if attempt == 0:
        who = "Ray Train started no worker (the cluster's Python needs 'ray[train]')"
    text = f"{who}, attempt {attempt}. {type(cause).__name__}: {reason}"
    return {
        "kind": "lost" if attempt else "start",
        "type": type(cause).__name__,
        "message": text,
        "frames": [],
        "text": text,
    }


def _backend_config() -> BackendConfig:
    """Return what has Ray Train tell the ranks of each attempt where rank 0 is; the user's code joins the process group."""
    from ray.train.backend import Backend, BackendConfig

    class Rendezvous(Backend):  # type: ignore[misc]
        share_cuda_visible_devices = True

        def on_start(self, worker_group: Any, backend_config: BackendConfig) -> None:
            address, port = worker_group.execute_single(0, _free_address)
            worker_group.execute(_set_variables, address, port, uuid.uuid4().hex)

    class Config(BackendConfig):  # type: ignore[misc]
        @property
        def backend_cls(self) -> type[Backend]:
            return Rendezvous

    return Config()


def _free_address() -> tuple[str, int]:
    """Return this node's address, and a port of it that nobody listens on."""
    import ray.util

    address = ray.util.get_node_ip_address()
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as found:
        found.bind((address, 0))
        return address, int(found.getsockname()[1])


def _set_variables(address: str, port: int, token: str) -> None:
    os.environ.update({"MASTER_ADDR": address, "MASTER_PORT": str(port), TOKEN_VARIABLE: token})
