"""Builds what local models and those of services take: records, downloads, hosts, our API and Pieces'."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Sequence

from jupyter_ext.config import Locations
from jupyter_ext.engine.api.downloads import DownloadsAPI
from jupyter_ext.engine.api.local_models import LocalModelsAPI
from jupyter_ext.engine.api.model_calls import ModelCallsAPI
from jupyter_ext.engine.api.pieces.models import PiecesModelsAPI
from jupyter_ext.engine.api.pieces.neighbours import PiecesNeighboursAPI
from jupyter_ext.engine.assembly.part import API, Work
from jupyter_ext.engine.assembly.trained_weights import CatalogTrained
from jupyter_ext.engine.hub import Hub
from jupyter_ext.engine.models.doors import ModelDoors
from jupyter_ext.engine.models.downloads import Downloads
from jupyter_ext.engine.models.fetching import HubFetching
from jupyter_ext.engine.models.hosting import Hosts
from jupyter_ext.engine.models.record import Records
from jupyter_ext.engine.models.remote import RemoteModels
from jupyter_ext.engine.models.service import ModelService
from jupyter_ext.engine.store.catalog import Catalog
from jupyter_ext.engine.store.files import FileStore
from jupyter_ext.engine.store.secret_files import read_or_make
from jupyter_ext.engine.workers.environments import Environments


class ModelsPart:
    """Models; see `part.Part`.

    Args:
        where: The engine's directories.
        environments: The warm interpreters, which hosts are forked from.
        memory_bytes: What models may take together, or `None` for what the machine has.
        catalog: All trainings, for the weights that they have left.
        files: The files that are kept of trainings.
        own_urls: Gives the addresses at which this engine itself answers as Pieces.
    """

    def __init__(
        self,
        where: Locations,
        environments: Environments,
        memory_bytes: int | None,
        catalog: Catalog,
        files: FileStore,
        own_urls: Callable[[], frozenset[str]],
    ) -> None:
        self._hub: Hub[str] = Hub()
        downloads = Downloads(where.local_models_dir)
        self._local = ModelService(
            Records(where.local_models_dir / "records"),
            HubFetching(downloads),
            Hosts(environments, where, lambda model_id: self._local.host_changed(model_id), memory_bytes),
            CatalogTrained(catalog, files, where.local_models_dir / "trained"),
            self._hub,
            os.environ,
        )
        self._remote = RemoteModels(self._hub, own_urls)
        doors = ModelDoors(self._local, self._remote)
        self.pieces: Sequence[API] = (
            PiecesModelsAPI(self._local, self._hub),
            PiecesNeighboursAPI(lambda: read_or_make(where.pieces_id, lambda: str(uuid.uuid4()))),
        )
        """What a port in Pieces' range answers."""
        self.apis: Sequence[API] = (
            LocalModelsAPI(doors, self._hub),
            DownloadsAPI(downloads),
            ModelCallsAPI(doors),
            *self.pieces,
        )

    @property
    def work(self) -> Work:
        """Count what comes, what is in memory and who looks on."""
        return Work(
            fetching=self._local.num_fetching,
            loaded=self._local.num_loaded,
            viewers=self._hub.num_subscribers,
            pending=self._remote.num_busy,
        )

    async def open(self) -> None:
        """Adopt the hosts that run, and go on with downloads."""
        await self._local.open()

    async def close(self) -> None:
        """Stop downloads, whose pieces are kept; hosts go on."""
        await self._remote.close()
        await self._local.close()
