"""What may be asked of a model, wherever it is: of this engine's own, and of those of a running service.

Rule: what a provider cannot do it refuses by name; it never does something else instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from jupyter_ext.engine.models.interfaces import Environ, LoadOptions
from jupyter_ext.protocol.models import LocalModel, ModelUser


class ModelProvider(Protocol):
    """Has models. Every method takes a model's id and raises a 404 problem or `UnknownId` where it has none such."""

    def known(self, model_id: str) -> LocalModel | None:
        """Return a model as it was last heard of, or `None`."""

    async def get(self, model_id: str) -> LocalModel:
        """Return a model as it is now."""

    async def download(
        self, model_id: str, environ: Environ | None = None, weights: Sequence[str] | None = None
    ) -> LocalModel:
        """Begin to download, and return at once.

        Args:
            model_id: Which.
            environ: Whose hub and token.
            weights: Names or patterns of weights that are no safetensors and are wanted all the same.
        """

    async def cancel(self, model_id: str) -> LocalModel:
        """Stop a download; what has come is kept."""

    async def update(
        self, model_id: str, environ: Environ | None = None, *, check_only: bool = False
    ) -> LocalModel:
        """Look for a newer revision, and begin to fetch it unless `check_only`."""

    async def load(self, model_id: str, options: LoadOptions, *, wait: bool = True) -> LocalModel:
        """Load; with `wait` return when it is loaded."""

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """Unload; with `wait` return when it is."""

    async def change(
        self, model_id: str, *, name: str | None = None, description: str | None = None
    ) -> LocalModel:
        """Change what is said of a model; what is not given stays."""

    async def keep(
        self, model_id: str, *, pinned: bool | None = None, keep_alive_s: float | None = None
    ) -> LocalModel:
        """Change how long a loaded model stays."""

    async def attach(self, model_id: str, user: ModelUser) -> LocalModel:
        """Note that somebody uses a loaded model."""

    async def detach(self, model_id: str, user_id: str) -> LocalModel:
        """Forget that somebody used a model."""

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Forget a model and delete its files; with `force` it is unloaded first."""

    async def delete_cache(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Delete a model's files and go on knowing it."""
