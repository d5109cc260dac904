"""One door to all models: our own, and those of services by their prefix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from jupyter_ext.engine.models.interfaces import Environ, LoadOptions
from jupyter_ext.engine.models.service.remote_models import RemoteModels, refused_by_service
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.engine.services.pieces import PREFIX
from jupyter_ext.protocol.models import LocalModel, ModelPage, ModelUser
from jupyter_ext.protocol.problems import Problem


class ModelRouter:
    """Passes what is asked of a model on to whoever has it; see `ModelService` for what each does."""

    def __init__(self, local: ModelService, remote: RemoteModels) -> None:
        self._local = local
        self._remote = remote

    async def page(self) -> ModelPage:
        """Give all models, those of the services that are known last."""
        page = await self._local.page()
        page.models.extend(await self._remote.page())
        return page

    async def page_of(self, on: str, token: str | None) -> ModelPage:
        """Give the models of one service, and know it from now on."""
        base_url = await self._remote.connect(on, token)
        page = await self._local.page()
        return page.model_copy(update={"models": await self._remote.page(base_url)})

    def known(self, model_id: str) -> LocalModel | None:
        """Give a model as it is now, or `None`."""
        return (self._remote if _is_remote(model_id) else self._local).known(model_id)

    async def get(self, model_id: str) -> LocalModel:
        """Give a model."""
        return await (self._remote if _is_remote(model_id) else self._local).get(model_id)

    async def add(self, text: str, **options: Any) -> LocalModel:
        """Begin to know a model of our own."""
        return await self._local.add(text, **options)

    async def download(
        self, model_id: str, environ: Environ | None = None, weights: Sequence[str] | None = None
    ) -> LocalModel:
        """Begin to download."""
        if _is_remote(model_id):
            return await self._remote.download(model_id)
        return await self._local.download(model_id, environ, weights)

    async def cancel(self, model_id: str) -> LocalModel:
        """Stop a download."""
        if _is_remote(model_id):
            return await self._remote.act(model_id, "download/cancel")
        return await self._local.cancel(model_id)

    async def update(
        self, model_id: str, environ: Environ | None = None, *, check_only: bool = False
    ) -> LocalModel:
        """Look for a newer revision; a service has one way only, to download again."""
        if not _is_remote(model_id):
            return await self._local.update(model_id, environ, check_only=check_only)
        if check_only:
            raise Problem(
                409, "Cannot be asked", "A service does not tell whether there is a newer revision."
            )
        return await self._remote.download(model_id)

    async def load(self, model_id: str, options: LoadOptions, *, wait: bool = True) -> LocalModel:
        """Load."""
        if not _is_remote(model_id):
            return await self._local.load(model_id, options, wait=wait)
        for name in ("device", "dtype", "keep_alive_s", "pin"):
            if getattr(options, name):
                raise refused_by_service(name)
        return await self._remote.act(model_id, "load")

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """Unload."""
        if _is_remote(model_id):
            return await self._remote.act(model_id, "unload")
        return await self._local.unload(model_id, wait=wait)

    async def unload_all(self) -> None:
        """Unload all of our own that nobody has pinned."""
        await self._local.unload_all()

    async def change(
        self, model_id: str, *, name: str | None = None, description: str | None = None
    ) -> LocalModel:
        """Change what is said of a model."""
        if _is_remote(model_id):
            return await self._remote.change(model_id, name, description)
        return await self._local.change(model_id, name=name, description=description)

    async def keep(
        self, model_id: str, *, pinned: bool | None = None, keep_alive_s: float | None = None
    ) -> LocalModel:
        """Change how long a model stays loaded."""
        self._only_local(model_id, "pinning or keep-alive")
        return await self._local.keep(model_id, pinned=pinned, keep_alive_s=keep_alive_s)

    async def attach(self, model_id: str, user: ModelUser) -> LocalModel:
        """Note a user of a loaded model."""
        self._only_local(model_id, "users")
        return await self._local.attach(model_id, user)

    async def detach(self, model_id: str, user_id: str) -> LocalModel:
        """Forget a user."""
        self._only_local(model_id, "users")
        return await self._local.detach(model_id, user_id)

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Forget a model."""
        if not _is_remote(model_id):
            await self._local.delete(model_id, force=force)
            return
        if force:
            await self._remote.act(model_id, "unload")
        await self._remote.delete(model_id)

    async def delete_cache(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Delete a model's files."""
        if not _is_remote(model_id):
            return await self._local.delete_cache(model_id, force=force)
        if force:
            await self._remote.act(model_id, "unload")
        return await self._remote.delete_cache(model_id)

    def _only_local(self, model_id: str, what: str) -> None:
        if _is_remote(model_id):
            raise refused_by_service(what)


def _is_remote(model_id: str) -> bool:
    return model_id.startswith(PREFIX)
