"""Builds what local models and those of services take: records, downloads, hosts, our API and Pieces'."""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager

from jupyter_ext.config import Locations
from jupyter_ext.engine.api.native.downloads import DownloadsAPI
from jupyter_ext.engine.api.native.model_calls import ModelCallsAPI
from jupyter_ext.engine.api.native.models import LocalModelsAPI
from jupyter_ext.engine.api.pieces.models import PiecesModelsAPI
from jupyter_ext.engine.api.pieces.wrapper_stubs import PiecesNeighboursAPI
from jupyter_ext.engine.assembly.part import API, Work
from jupyter_ext.engine.assembly.trained_weights import CatalogTrained
from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.common.pubsub import PubSub, Watch
from jupyter_ext.engine.common.secrets import read_or_make
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.hosts.manager import HostManager
from jupyter_ext.engine.models.service.record import Records
from jupyter_ext.engine.models.service.remote_models import RemoteModels
from jupyter_ext.engine.models.service.router import ModelRouter
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.engine.processes.interpreters import Environments


class ModelsPart:
    """Models; see `part.Part`.

    Args:
        where: The engine's directories.
        environments: The warm interpreters, which hosts are forked from.
        memory_bytes: What models may take together, or `None` for what the machine has.
        catalog: All trainings, for the weights that they have left.
        files: The files that are kept of trainings.
        own_urls: Returns the addresses at which this engine itself answers as Pieces.
        pages: Where JupyterLab is.
    """

    def __init__(
        self,
        where: Locations,
        environments: Environments,
        memory_bytes: int | None,
        catalog: Catalog,
        files: FileStore,
        own_urls: Callable[[], frozenset[str]],
        pages: LabPages,
    ) -> None:
        self._pages = pages
        self._pubsub: PubSub[str] = PubSub()
        downloads = Downloads(where.local_models_dir)
        self._local = ModelService(
            Records(where.local_models_dir / "records"),
            downloads,
            HostManager(
                environments, where, lambda model_id: self._local.host_changed(model_id), memory_bytes
            ),
            CatalogTrained(catalog, files, where.local_models_dir / "trained"),
            self._pubsub,
            os.environ,
        )
        self._remote = RemoteModels(self._pubsub, own_urls)
        self.router = ModelRouter(self._local, self._remote)
        self.pieces: Sequence[API] = (
            PiecesModelsAPI(self._local, self._pubsub),
            PiecesNeighboursAPI(lambda: read_or_make(where.pieces_id, lambda: str(uuid.uuid4()))),
        )
        """What a port in Pieces' range answers."""
        self.apis: Sequence[API] = (
            LocalModelsAPI(self.router, self._pubsub, self._pages),
            DownloadsAPI(downloads),
            ModelCallsAPI(self.router),
            *self.pieces,
        )

    @property
    def memory_mib(self) -> float:
        """Return what the models that are loaded take."""
        return self._local.host_bytes / 2**20

    def watch(self, wake: asyncio.Event) -> AbstractContextManager[Watch]:
        """Hear which models have news."""
        return self._pubsub.watch(wake)

    @property
    def work(self) -> Work:
        """Count what comes, what is in memory and who looks on."""
        return Work(
            fetching=self._local.num_fetching,
            loaded=self._local.num_loaded,
            viewers=self._pubsub.num_subscribers,
            pending=self._remote.num_busy,
        )

    async def open(self) -> None:
        """Adopt the hosts that run, and go on with downloads."""
        await self._local.open()

    async def close(self) -> None:
        """Stop downloads, whose pieces are kept; hosts go on."""
        await self._remote.close()
        await self._local.close()
