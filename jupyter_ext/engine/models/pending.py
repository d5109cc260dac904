"""Parts that refuse, until the ones that fetch files and hold models in memory are there. Goes when they come."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from jupyter_ext.engine.models.parts import Described, Environ, FetchTask, TrainedWeights
from jupyter_ext.errors import RequestRefused
from jupyter_ext.protocol.local_models import Transfer
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


class NoTrained:
    """Knows of no trainings."""

    async def find(self, training_id: str) -> TrainedWeights | None:
        """Find none."""
        return None

    async def all(self) -> list[TrainedWeights]:
        """Find none."""
        return []
