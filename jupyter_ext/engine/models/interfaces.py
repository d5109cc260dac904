"""What the service needs of the parts below it: a downloader, and something that holds
models in memory.

Rule: those parts know nothing of the service, and the service knows nothing of how they work.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import LoadFailed
from jupyter_ext.protocol.models import ModelHost, ModelUser, Transfer, Unloaded

Environ = Mapping[str, str]
"""`HF_*` variables of whoever asks: endpoint, token, offline, cache. In memory only."""


class DownloadTask(Protocol):
    """One running download."""

    @property
    def transfer(self) -> Transfer:
        """How far it is."""

    def cancel(self) -> None:
        """Begin to stop; what has come is kept."""

    async def wait(self) -> Path:
        """Wait for the end and return where the files are.

        Raises:
            DownloadCanceled: It was canceled.
            DownloadFailed: It failed; one line.
        """


class DownloadPlan(Protocol):
    """What there is to fetch of a model."""

    def description(self, path: Path | None = None) -> ModelDescription:
        """Return what people see of it; `path` is where it is, once it is here."""


P = TypeVar("P", bound=DownloadPlan)


class Downloader(Protocol[P]):
    """Fetches models' files and knows which are here. `settings` say whose hub, token and cache."""

    async def resolve(self, ref: ModelRef, settings: HubSettings, weights: Sequence[str] = ()) -> P:
        """Ask what there is to fetch.

        Args:
            ref: The model.
            settings: Whose hub and token.
            weights: Names or patterns of weights that are no safetensors and are wanted all the same.

        Raises:
            JupyterExtError: There is no such model, or it may not be had; one line.
        """

    def start(self, plan: P, on_progress: Callable[[Transfer], None], /) -> DownloadTask:
        """Begin to fetch what was resolved."""

    async def local(self, ref: ModelRef, settings: HubSettings) -> ModelDescription | None:
        """Describe the files that are here whole, or return `None`."""

    async def describe(self, ref: ModelRef, path: Path) -> ModelDescription:
        """Describe a folder or file that the user or a training owns.

        Raises:
            JupyterExtError: There are no weights, or broken ones; one line.
        """

    async def remove_revision(self, ref: ModelRef, revision: str, settings: HubSettings) -> None:
        """Delete a revision that was fetched here and that an update has replaced; others' stay."""

    async def kept_bytes(self, ref: ModelRef) -> int:
        """Count what an interrupted download has left of a model, bytes."""

    async def remove(self, ref: ModelRef, settings: HubSettings) -> None:
        """Delete a model's files and what is kept of an interrupted download."""

    async def newer(self, ref: ModelRef, settings: HubSettings) -> str | None:
        """Return the revision that the hub has now, where it is another one than the one that is here."""

    def disk_bytes(self, settings: HubSettings) -> tuple[int, int]:
        """Return the space of the disk that files go to, bytes: free, and in all."""

    async def all_local(self, settings: HubSettings) -> list[ModelRef]:
        """List the models whose files are here whole."""

    async def close(self) -> None:
        """Stop what runs; what has come is kept."""


@dataclass(frozen=True)
class LoadOptions:
    """How a model is to be loaded; times in seconds.

    `environ` is for the host's process and `hub_environ` for a download before it; both in memory only.
    """

    python: str
    cwd: str = "/"
    device: str | None = None
    dtype: str | None = None
    keep_alive_s: float | None = None
    pin: bool = False
    force: bool = False
    environ: Mapping[str, str] = field(default_factory=dict)
    hub_environ: Mapping[str, str] = field(default_factory=dict)
    extra: Mapping[str, object] = field(default_factory=dict)
    user: ModelUser | None = None


class LoadKilled(LoadFailed):
    """A model's process was ended from outside while it loaded; nothing is wrong with what was asked for."""


class ModelHosts(Protocol):
    """Holds models in memory, each in a process of its own."""

    async def adopt(self) -> dict[str, ModelHost]:
        """Find the hosts that an earlier engine started; by model id."""

    async def load(self, model_id: str, path: Path, options: LoadOptions) -> ModelHost:
        """Load a model and return when it answers calls.

        Raises:
            LoadKilled: Its process was killed meanwhile.
            JupyterExtError: It cannot be loaded, or does not fit; one line with the numbers.
        """

    async def close(self) -> None:
        """Let go of the hosts; they go on."""

    def code_of(self, options: LoadOptions) -> str | None:
        """Identify the code that these options build the module with, or `None` where there is none."""

    def why_ended(self, model_id: str) -> str | None:
        """Tell why a model's host ended by itself, in one line, or `None`."""

    def host(self, model_id: str) -> ModelHost | None:
        """Describe the host of a model, where there is one."""

    async def unload(self, model_id: str) -> Unloaded:
        """End a model's host, also while it is loading, and tell what that gave back."""

    def change(self, model_id: str, *, pinned: bool | None, keep_alive_s: float | None) -> None:
        """Change how long a loaded model stays."""

    def add_user(self, model_id: str, user: ModelUser) -> None:
        """Note somebody who uses a loaded model."""

    def remove_user(self, model_id: str, user_id: str) -> None:
        """Forget somebody who used a loaded model."""


@dataclass(frozen=True)
class TrainedWeights:
    """Weights that a finished training left."""

    training_id: str
    name: str
    path: Path
    created_at: str


class Trained(Protocol):
    """Knows the weights that finished trainings have left."""

    async def find(self, training_id: str) -> TrainedWeights | None:
        """Return the weights of a training, if it left any."""

    async def all(self) -> list[TrainedWeights]:
        """List the weights that trainings have left."""
