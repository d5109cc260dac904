"""How a training runs, and what it belongs to, as a request tells the engine."""

from __future__ import annotations

from dataclasses import dataclass

from jupyter_ext.errors import InvalidInput

MAX_WORKERS = 256


@dataclass(frozen=True)
class Place:
    """How a training runs on this machine.

    Attributes:
        workers: How many processes train; more than one are the ranks of a group, as `torchrun` starts them.

    Raises:
        InvalidInput: `workers` is no number from 1 to 256.
    """

    workers: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        workers: object = self.workers
        if not isinstance(workers, int) or not 1 <= workers <= MAX_WORKERS:
            raise InvalidInput(
                f"workers={self.workers!r} is no number of processes from 1 to {MAX_WORKERS}, such as workers=2."
            )

    def as_json(self) -> dict[str, object]:
        """Return what the engine is told."""
        return {} if self.workers == 1 else {"workers": self.workers}


@dataclass(frozen=True)
class VersionRef:
    """Code that the engine keeps: its model `owner/name`, and the version's id."""

    model: str
    id: str


@dataclass(frozen=True)
class SweepRef:
    """A sweep, and the trial of it; what drives it has no trial, and a sweep that is to be made an empty id."""

    id: str
    trial: int | None = None
