"""Builds what trainings, predictions and their versions take: the catalog, the backends, Replicate's API and ours."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from jupyter_ext.config import Locations
from jupyter_ext.engine.api.native.exports import ExportsAPI
from jupyter_ext.engine.api.native.logs import LogsAPI
from jupyter_ext.engine.api.native.media import MediaAPI
from jupyter_ext.engine.api.native.sources import SourcesAPI
from jupyter_ext.engine.api.native.training_list import ListingAPI
from jupyter_ext.engine.api.native.trainings import NativeAPI
from jupyter_ext.engine.api.replicate.account import AccountAPI
from jupyter_ext.engine.api.replicate.events import EventsAPI
from jupyter_ext.engine.api.replicate.files import FilesAPI
from jupyter_ext.engine.api.replicate.idempotency import DuplicateGuard
from jupyter_ext.engine.api.replicate.models import ModelsAPI
from jupyter_ext.engine.api.replicate.predictions import PredictionsAPI
from jupyter_ext.engine.api.replicate.trainings import TrainingsAPI
from jupyter_ext.engine.assembly.part import API, Work
from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.common.pubsub import PubSub, Watch
from jupyter_ext.engine.common.secrets import read_or_make
from jupyter_ext.engine.files.named_models import ModelStore
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.engine.metrics.serving.run_store import Batch
from jupyter_ext.engine.processes.backend import Backend
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.processes.local_backend import LocalBackend
from jupyter_ext.engine.services.ray.backend import RayBackend
from jupyter_ext.engine.services.replicate.backend import ReplicateBackend
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.models import Models
from jupyter_ext.engine.trainings.artifacts.publisher import Publisher
from jupyter_ext.engine.trainings.artifacts.versions import Versions
from jupyter_ext.engine.trainings.artifacts.weights import WeightFiles
from jupyter_ext.engine.trainings.delivery.signed_links import SignedLinks
from jupyter_ext.engine.trainings.delivery.webhook_signature import is_secret, new_secret
from jupyter_ext.engine.trainings.delivery.webhooks import MAX_LOG_BYTES, Webhooks
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext
from jupyter_ext.engine.trainings.listing import TrainingList
from jupyter_ext.engine.trainings.monitoring.directory_watcher import Watcher
from jupyter_ext.engine.trainings.monitoring.sealer import Sealer
from jupyter_ext.engine.trainings.record import LOCAL, Record
from jupyter_ext.engine.trainings.run_monitor import RunMonitor
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.engine.trainings.store_cache import StoreCache

_SEAL_WAIT_S = 10.0


class TrainingsPart:
    """Trainings and predictions; see `part.Part`.

    Args:
        where: The engine's directories.
        environments: The warm interpreters; they end with this part.
        pages: Where JupyterLab is.
    """

    def __init__(self, where: Locations, environments: Environments, pages: LabPages) -> None:
        self._where = where
        self.catalog = Catalog(where.catalog)
        self.files = FileStore(where.files_dir)
        self.links = SignedLinks(
            bytes.fromhex(read_or_make(where.link_secret, lambda: secrets.token_hex(32), _is_key))
        )
        self._models = ModelStore(where.models_dir)
        self._pubsub: PubSub[Batch] = PubSub()
        self._watcher, self._sealer = Watcher(), Sealer()
        services, file_inputs = ReplicateBackend(), FileInputs(self.files)
        self._backends: dict[str, Backend] = {
            LOCAL: LocalBackend(environments, where.socket_dir),
            "replicate": services,
            "ray": RayBackend(),
        }
        self._weights = WeightFiles(where.runs_dir, file_inputs, services.find_token)
        self._serializer = Serializer(self.links, self.files, pages)
        self._webhooks = Webhooks(where.webhooks_dir, self._webhook_secret, self._webhook_payload)
        versions = Versions(where.versions_dir, where.blobs_dir)
        records: dict[str, Record] = {}
        monitor = RunMonitor(
            records,
            StoreCache(where.runs_dir, self._pubsub, records.__contains__),
            self.catalog,
            self._backends,
            self._pubsub,
            self._watcher,
            self._sealer,
            Publisher(versions, self.files, self.catalog),
            file_inputs,
            self._webhooks,
        )
        self._trainings = TrainingService(
            where.runs_dir, self.catalog, versions, monitor, file_inputs, self._webhooks
        )
        self.list = TrainingList(
            where.runs_dir, self._trainings, self.catalog, versions, self._sealer, self._pubsub.notify
        )
        self.apis = self._build_apis(Models(self._models, versions, self.files, self.catalog))

    def _build_apis(self, models: Models) -> Sequence[API]:
        serializer, guard = self._serializer, DuplicateGuard()
        return (
            TrainingsAPI(self._trainings, models, serializer, guard, CallerContext(sys.executable)),
            PredictionsAPI(self._trainings, models, serializer, guard),
            EventsAPI(self._trainings, self._pubsub, serializer),
            ModelsAPI(models),
            FilesAPI(self.files, self.links),
            AccountAPI(self._webhook_secret),
            NativeAPI(self._trainings, models, self._pubsub, serializer, self._weights),
            ListingAPI(self.list, serializer),
            MediaAPI(self._trainings),
            ExportsAPI(self._trainings),
            LogsAPI(self._trainings),
            SourcesAPI(),
        )

    @property
    def memory_mib(self) -> float:
        """Return what the trainings that run were last seen to take."""
        return self._trainings.memory_mib

    def watch(self, wake: asyncio.Event) -> AbstractContextManager[Watch]:
        """Hear which trainings have news."""
        return self._pubsub.watch(wake)

    @property
    def work(self) -> Work:
        """Count what runs, who looks on and what is to be told."""
        return Work(
            trainings=self._trainings.num_active,
            viewers=self._pubsub.num_subscribers,
            pending=self._webhooks.num_pending,
        )

    async def open(self) -> None:
        """Open the stores, then adopt the trainings that run."""
        self._watcher.start()
        self._sealer.start()
        await self.catalog.open()
        await asyncio.to_thread(self.files.open)
        await asyncio.to_thread(self._models.open)
        await self._trainings.open()
        await self.list.open()

    async def close(self) -> None:
        """Leave the trainings to the next engine, and close the stores."""
        await self._weights.close()
        await self._trainings.close()
        await self._sealer.wait_idle(_SEAL_WAIT_S)
        await self._sealer.close()
        self._watcher.close()
        for backend in self._backends.values():
            await backend.close()
        await self.catalog.close()

    def _webhook_secret(self) -> str:
        return read_or_make(self._where.webhook_secret, new_secret, is_secret)

    async def _webhook_payload(self, run_id: str, base_url: str) -> dict[str, Any]:
        run, store = await self._trainings.get(run_id), await self._trainings.store(run_id)
        resource = self._serializer.with_logs(run, base_url, store, MAX_LOG_BYTES)
        return self._serializer.replicate(resource) if run.kind == "training" else resource


def _is_key(text: str) -> bool:
    """Tell whether a text is a key of 32 bytes in hexadecimal."""
    return len(text) == 64 and frozenset("0123456789abcdef").issuperset(text)
