"""What a place that runs trainings must offer. The service decides; a backend does."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from jupyter_ext.engine.processes.outcome import Outcome
from jupyter_ext.ipc.json_types import JsonObject


@dataclass(frozen=True)
class Launch:
    """A training to start. `environ` and `secrets` are handed over in memory and never stored or logged.

    `threads` is how many torch may use: two trainings that both want every core run far slower than half as fast. More than one
    of `workers` are the ranks of a group.
    """

    run_dir: Path
    python: str
    cwd: str
    threads: int
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None
    secrets: JsonObject | None = None
    workers: int = 1


class StartError(Exception):
    """A training could not be started; the text says why in one line."""


class Backend(Protocol):
    """Runs trainings somewhere."""

    async def start(self, launch: Launch) -> None:
        """Start a training and return when its process is on its way.

        Raises:
            StartError: It cannot be started.
        """

    def stop(self, run_dir: Path) -> bool:
        """Begin to stop a training; tell whether somebody heard it. Asking twice is no error."""

    async def stacks(self, run_dir: Path) -> str | None:
        """Return where each thread of the worker stands now, or `None` where that cannot be told."""

    def adopt(self, run_dir: Path) -> None:
        """Go on with a training that an engine before this one started."""

    def started_at(self, run_dir: Path) -> float | None:
        """Return the Unix time at which it began, or `None`."""

    async def close(self) -> None:
        """Let go of everything; trainings go on."""

    def outcome(self, run_dir: Path) -> Outcome | None:
        """Return how a training ended, or `None` while it is starting or running."""
