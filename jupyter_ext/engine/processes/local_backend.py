"""Trainings on this machine: a shim and a worker each, forked from a warm interpreter."""

from __future__ import annotations

from pathlib import Path

from jupyter_ext.engine.processes import outcome as exit
from jupyter_ext.engine.processes import shim_control
from jupyter_ext.engine.processes.backend import Launch, StartError
from jupyter_ext.engine.processes.interpreters import Environments, WorkerStartError
from jupyter_ext.errors import InvalidInput


class LocalBackend:
    """Runs trainings on this machine."""

    def __init__(self, environments: Environments, control_dir: Path) -> None:
        self._environments = environments
        self._control_dir = control_dir

    async def start(self, launch: Launch) -> None:
        """Start a training; see `Backend.start`."""
        spec = {
            "run_dir": str(launch.run_dir),
            "control": str(self._control_dir / f"{launch.run_dir.name}.sock"),
            "rank": "0",
            "cwd": launch.cwd,
            "sys_path": launch.sys_path,
            "environ": None if launch.environ is None else dict(launch.environ),
            "threads": launch.threads,
            "secrets": dict(launch.secrets or {}),
        }
        try:
            await self._environments.get(launch.python).start(spec)
        except (WorkerStartError, InvalidInput) as error:
            raise StartError(str(error)) from error

    def stop(self, run_dir: Path) -> bool:
        """Begin the stop ladder."""
        return shim_control.send(run_dir, "stop")

    def stacks(self, run_dir: Path) -> bool:
        """Ask for the stacks of all threads."""
        return shim_control.send(run_dir, "stacks")

    def adopt(self, run_dir: Path) -> None:
        """Do nothing: its shim never stopped watching it."""

    def started_at(self, run_dir: Path) -> float | None:
        """Give the Unix time at which its process was there, or `None`."""
        return exit.started_at(run_dir)

    async def close(self) -> None:
        """End the warm interpreters."""
        await self._environments.close()

    def outcome(self, run_dir: Path, now: float) -> exit.Outcome | None:
        """Read the end of a run from its directory, and tidy what it leaves outside of it."""
        ended = exit.outcome(run_dir, now)
        if ended is not None:
            (self._control_dir / f"{run_dir.name}.sock").unlink(missing_ok=True)
        return ended
