"""Trainings on this machine: a shim and a worker each, forked from a warm interpreter."""

from __future__ import annotations

from pathlib import Path

from jupyter_ext.engine.processes.backend import Launch, StartError
from jupyter_ext.engine.processes.fresh_process import WorkerStartError
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.processes.outcome import Outcome, outcome
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.payloads.worker_specs import TrainingWorkerSpec


class LocalBackend:
    """Runs trainings on this machine."""

    def __init__(self, environments: Environments, control_dir: Path) -> None:
        self._environments = environments
        self._control_dir = control_dir
        self._processes: dict[Path, ShimProcess] = {}

    async def start(self, launch: Launch) -> None:
        """Start a training; see `Backend.start`."""
        spec: TrainingWorkerSpec = {
            "run_dir": str(launch.run_dir),
            "control": str(self._control_dir / f"{launch.run_dir.name}.sock"),
            "rank": "0",
            "cwd": launch.cwd,
            "sys_path": launch.sys_path,
            "environ": None if launch.environ is None else dict(launch.environ),
            "threads": launch.threads,
            "role": "group" if launch.workers > 1 else "training",
            "workers": launch.workers,
            "secrets": dict(launch.secrets or {}),
        }
        try:
            await self._process(launch.run_dir).start(self._environments.get(launch.python), spec)
        except (WorkerStartError, InvalidInput) as error:
            raise StartError(str(error)) from error

    def stop(self, run_dir: Path) -> bool:
        """Begin the stop ladder."""
        return self._process(run_dir).stop()

    async def stacks(self, run_dir: Path) -> str | None:
        """Return where all threads stand."""
        return await self._process(run_dir).stacks()

    def fail_start(self, run_dir: Path, message: str) -> None:
        """Record in the run's files that it could not be started."""
        self._process(run_dir).fail_start(message)

    def adopt(self, run_dir: Path) -> None:
        """Do nothing: its shim never stopped watching it."""

    def started_at(self, run_dir: Path) -> float | None:
        """Return the Unix time at which its process was there, or `None`."""
        return self._process(run_dir).started_at

    async def close(self) -> None:
        """End the warm interpreters."""
        await self._environments.close()

    def outcome(self, run_dir: Path) -> Outcome | None:
        """Read the end of a run from its directory, and tidy what it leaves outside of it."""
        ended = outcome(self._process(run_dir))
        if ended is not None:
            (self._control_dir / f"{run_dir.name}.sock").unlink(missing_ok=True)
            self._processes.pop(run_dir, None)
        return ended

    def _process(self, run_dir: Path) -> ShimProcess:
        return self._processes.setdefault(run_dir, ShimProcess(run_dir))
