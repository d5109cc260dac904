"""How a training runs, and what it belongs to, as a request tells the engine."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import NotRequired, TypedDict

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.addresses import checked_base_url

MAX_WORKERS, MAX_RESOURCES = 256, 4096
DEFAULT_RAY_ADDRESS = "http://127.0.0.1:8265"


class RayPlace(TypedDict):
    """Where on a Ray cluster: the dashboard's URL, what each worker gets, and where large checkpoints go."""

    address: str
    cpus: float
    gpus: float
    storage: NotRequired[str]


@dataclass(frozen=True)
class Place:
    """Where and how a training runs.

    Attributes:
        workers: How many processes train; more than one are the ranks of a group, as `torchrun` starts them.
        on: `local`, or `ray` for a Ray cluster.
        address: The URL of the cluster's dashboard; by default what Ray's own variables say, else `http://127.0.0.1:8265`.
        cpus: Of the cluster, for each worker.
        gpus: Of the cluster, for each worker.
        storage: Where checkpoints go that are too large for the job's log: a path that all machines share, or a URL for fsspec.

    Raises:
        InvalidInput: A number is none, or an option goes with a cluster only.
    """

    workers: int = 1
    on: str = "local"
    address: str | None = None
    cpus: float | None = None
    gpus: float | None = None
    storage: str | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        workers: object = self.workers
        if not isinstance(workers, int) or isinstance(workers, bool) or not 1 <= workers <= MAX_WORKERS:
            raise InvalidInput(
                f"workers={self.workers!r} is no number of processes from 1 to {MAX_WORKERS}, such as workers=2."
            )
        for name in ("address", "cpus", "gpus", "storage"):
            if getattr(self, name) is not None and self.on != "ray":
                raise InvalidInput(
                    f"{name}={getattr(self, name)!r} goes with a Ray cluster; add on='ray' (--on ray)."
                )
        for name in ("cpus", "gpus"):
            if (number := getattr(self, name)) is not None and not _is_amount(number):
                raise InvalidInput(
                    f"{name}={number!r:.40} is no number from 0 to {MAX_RESOURCES}, such as {name}=1."
                )
        if self.on == "ray":
            self._check_texts()

    def _check_texts(self) -> None:
        """Refuse an address or a storage that is none; a wrong address is named before anything is stored."""
        address: object = _address() if self.address is None else self.address
        if not isinstance(address, str):
            raise InvalidInput(f"address={address!r:.80} is no URL; give one such as {DEFAULT_RAY_ADDRESS}.")
        checked_base_url(address, "address", DEFAULT_RAY_ADDRESS, "the token in RAY_AUTH_TOKEN")
        storage: object = self.storage
        if storage is None:
            return
        if not isinstance(storage, str) or not (os.path.isabs(storage) or "://" in storage):
            raise InvalidInput(
                f"storage={storage!r:.200} is neither an absolute path that all machines share nor a URL such as s3://bucket/runs."
            )

    def check_plain(self) -> None:
        """Refuse what a service cannot be told.

        Raises:
            InvalidInput: It is to be a group.
        """
        if self.workers > 1:
            raise InvalidInput(
                f"workers={self.workers} goes with this machine or a Ray cluster, not with {self.on}."
            )

    def as_json(self) -> dict[str, object]:
        """Return what the engine is told."""
        told: dict[str, object] = {} if self.workers == 1 else {"workers": self.workers}
        if self.ray is not None:
            told["ray"] = self.ray
        return told

    @property
    def ray(self) -> RayPlace | None:
        """The place on a Ray cluster, with what was left open filled in; `None` for on this machine."""
        if self.on != "ray":
            return None
        cpus = 1 if self.cpus is None else self.cpus
        told: RayPlace = {"address": self.address or _address(), "cpus": cpus, "gpus": self.gpus or 0}
        if self.storage is not None:
            told["storage"] = self.storage
        return told

    @classmethod
    def of(cls, workers: int, ray: RayPlace | None) -> Place:
        """Return the place that was told as `workers` and `ray`."""
        if ray is None:
            return cls(workers)
        return cls(workers, "ray", ray["address"], ray["cpus"], ray["gpus"], ray.get("storage"))


HERE = Place()
"""One process on this machine."""


def _is_amount(number: object) -> bool:
    return isinstance(number, int | float) and not isinstance(number, bool) and 0 <= number <= MAX_RESOURCES


def _address() -> str:
    """Return the cluster that Ray's own variables name for jobs; `ray://` and `host:port` are for other uses."""
    for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"):
        if os.environ.get(name, "").startswith(("http://", "https://")):
            return os.environ[name]
    return DEFAULT_RAY_ADDRESS


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
