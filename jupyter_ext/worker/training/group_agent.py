"""Torch's own elastic agent for a group on this machine, which also folds logs and remembers who ended first.

Source: torch.distributed.elastic, "Elastic Agent": `SimpleElasticAgent`'s methods that a subclass overrides.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from torch.distributed.elastic.agent.server.api import RunResult, WorkerGroup, WorkerSpec, WorkerState
from torch.distributed.elastic.agent.server.local_elastic_agent import LocalElasticAgent
from torch.distributed.elastic.multiprocessing.api import LogsDest, LogsSpecs
from torch.distributed.elastic.rendezvous import RendezvousParameters
from torch.distributed.elastic.rendezvous.registry import get_rendezvous_handler

from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec
from jupyter_ext.worker.training.log_folding import LogFolder

_MONITOR_INTERVAL_S = 0.05
_QUIT_GRACE_S = 1.0
"""A rank whose process has ended without an error and without a result: so long its result may be on its way."""
_HOST = "127.0.0.1"


class GroupAgent(LocalElasticAgent):
    """Runs the ranks of one group.

    Args:
        spec: What they run.
        logs: Where torch's agent writes.
        folder: Folds what they print.
    """

    def __init__(self, spec: WorkerSpec, logs: LogsSpecs, folder: LogFolder) -> None:
        super().__init__(spec, logs, start_method="fork")
        self.folder = folder
        self.exit_codes: dict[int, int] = {}
        """Of the ranks that had ended when the first of them was seen to have failed; negative for a signal."""
        self._quit_since: float | None = None

    def rank_pids(self) -> list[int]:
        """List the processes of the ranks, by rank."""
        return [] if self._pcontext is None else list(self._pcontext.pids().values())

    def run_to_the_end(self) -> bool:
        """Run the group; tell whether all ranks succeeded."""
        return not self.run().is_failed()

    def _start_workers(self, worker_group: WorkerGroup) -> dict[int, Any]:
        started: dict[int, Any] = super()._start_workers(worker_group)
        self.folder.start()  # only now: no thread of ours is there while ranks are forked
        return started

    def _monitor_workers(self, worker_group: WorkerGroup) -> RunResult:
        processes = getattr(getattr(self._pcontext, "_pc", None), "processes", ())
        ended = {
            rank: process.exitcode for rank, process in enumerate(processes) if process.exitcode is not None
        }
        if any(ended.values()) and not self.exit_codes:
            self.exit_codes = ended  # before the agent ends the others, too
        result: RunResult = super()._monitor_workers(worker_group)
        if result.state == WorkerState.HEALTHY and self._has_quit(ended):
            self.exit_codes = self.exit_codes or ended
            return RunResult(state=WorkerState.FAILED)
        return result

    def _has_quit(self, ended: Mapping[int, int]) -> bool:
        """Tell whether a rank has ended its process without an error, for which the others would wait for ever."""
        self._quit_since = (self._quit_since or time.monotonic()) if ended else None
        return self._quit_since is not None and time.monotonic() - self._quit_since > _QUIT_GRACE_S


class _OwnLogs(LogsSpecs):
    """The agent redirects nothing: each rank does that for itself, by descriptor.

    Args:
        directories: Of each rank.
    """

    def __init__(self, directories: Mapping[int, Path]) -> None:
        super().__init__()
        self._directories = directories

    @property
    def root_log_dir(self) -> str:
        """The directory that has those of the ranks."""
        return str(self._directories[0].parent)

    def reify(self, envs: dict[int, dict[str, str]]) -> LogsDest:
        """Name the files of torch's own."""
        nowhere = dict.fromkeys(envs, "")
        errors = {rank: str(self._directories[rank] / "torch_error.json") for rank in envs}
        return LogsDest(nowhere, nowhere, nowhere, nowhere, errors)


def make(
    entry: Callable[..., None],
    argument: TrainingWorkerSpec,
    directories: Mapping[int, Path],
    folder: LogFolder,
) -> GroupAgent:
    """Make the agent of a group; its rendezvous takes a port that nobody else has.

    Args:
        entry: Run in each rank.
        argument: What it is called with.
        directories: Of each rank, from 0.
        folder: Folds what the ranks print.
    """
    parameters = RendezvousParameters(
        backend="c10d",
        endpoint=f"{_HOST}:0",
        run_id=directories[0].parents[1].name,
        min_nodes=1,
        max_nodes=1,
        local_addr=_HOST,
        is_host="true",
    )
    workers = WorkerSpec(
        role="train",
        local_world_size=len(directories),
        entrypoint=entry,
        args=(argument,),
        rdzv_handler=get_rendezvous_handler(parameters),
        max_restarts=0,
        monitor_interval=_MONITOR_INTERVAL_S,
    )
    return GroupAgent(workers, _OwnLogs(directories), folder)
