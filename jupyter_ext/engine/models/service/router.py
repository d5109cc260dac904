"""Who has a model: this engine or a service, told by the id's prefix; and the list of all."""

from __future__ import annotations

from jupyter_ext.engine.models.service.provider import ModelProvider
from jupyter_ext.engine.models.service.remote_models import RemoteModels
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.engine.services.pieces import PREFIX
from jupyter_ext.protocol.models import ModelPage


class ModelRouter:
    """All models.

    Args:
        local: Those of this engine.
        remote: Those of services.
    """

    def __init__(self, local: ModelService, remote: RemoteModels) -> None:
        self.local = local
        self._remote = remote

    def provider(self, model_id: str) -> ModelProvider:
        """Return who has the model of an id, known or not."""
        return self._remote if model_id.startswith(PREFIX) else self.local

    async def page(self) -> ModelPage:
        """Return all models, those of the services that are known last."""
        page = await self.local.page()
        page.models.extend(await self._remote.page())
        return page

    async def page_of(self, on: str, token: str | None) -> ModelPage:
        """Return the models of one service, and know it from now on."""
        base_url = await self._remote.connect(on, token)
        page = await self.local.page()
        return page.model_copy(update={"models": await self._remote.page(base_url)})
