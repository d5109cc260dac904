"""Parts that refuse, until the ones that fetch files and hold models in memory are there. Goes when they come."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from jupyter_ext.engine.models.parts import Described, Environ, FetchTask, LoadOptions, TrainedWeights
from jupyter_ext.errors import RequestRefused
from jupyter_ext.protocol.local_models import ModelHost, ModelUser, Transfer, Unloaded
from jupyter_ext.protocol.model_refs import ModelRef


class NoFetching:
    """Fetches nothing."""

    async def resolve(self, ref: ModelRef, environ: Environ) -> tuple[Described, Any]:
        """Refuse."""
        raise RequestRefused("This engine cannot download yet.")

    def start(self, plan: Any, on_progress: Callable[[Transfer], None]) -> FetchTask:
        """Refuse."""
        raise RequestRefused("This engine cannot download yet.")

    async def local(self, ref: ModelRef, environ: Environ) -> Described | None:
        """Find nothing."""
        return None

    async def kept_bytes(self, ref: ModelRef, environ: Environ) -> int:
        """Keep nothing."""
        return 0

    async def remove(self, ref: ModelRef, environ: Environ) -> None:
        """Have nothing to remove."""

    async def newer(self, ref: ModelRef, revision: str, environ: Environ) -> str | None:
        """Refuse."""
        raise RequestRefused("This engine cannot download yet.")

    async def all_local(self, environ: Environ) -> list[ModelRef]:
        """Find nothing."""
        return []


class NoHosting:
    """Loads nothing."""

    async def adopt(self) -> dict[str, ModelHost]:
        """Find none."""
        return {}

    async def load(self, model_id: str, path: Path, options: LoadOptions) -> ModelHost:
        """Refuse."""
        raise RequestRefused("This engine cannot load yet.")

    def host(self, model_id: str) -> ModelHost | None:
        """Have none."""
        return None

    async def unload(self, model_id: str) -> Unloaded:
        """Refuse."""
        raise RequestRefused("This engine cannot load yet.")

    def change(self, model_id: str, *, pinned: bool | None, keep_alive_s: float | None) -> None:
        """Have nothing to change."""

    def add_user(self, model_id: str, user: ModelUser) -> None:
        """Have no users."""

    def remove_user(self, model_id: str, user_id: str) -> None:
        """Have no users."""


class NoTrained:
    """Knows of no trainings."""

    async def find(self, training_id: str) -> TrainedWeights | None:
        """Find none."""
        return None

    async def all(self) -> list[TrainedWeights]:
        """Find none."""
        return []
