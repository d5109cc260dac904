"""Which record a model's id stands for, and how a model begins to be known: by its id, as a path, or as what a training left."""

from __future__ import annotations

import asyncio
import os

from jupyter_ext.engine.models.interfaces import Trained
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.service.download_jobs import DownloadJobs
from jupyter_ext.engine.models.service.look_around import LookAround
from jupyter_ext.engine.models.service.record import Record
from jupyter_ext.engine.models.service.registry import ModelRegistry, missing, new_record
from jupyter_ext.protocol.problems import Problem


class RecordFinder:
    """Finds and begins records.

    Args:
        registry: The records.
        downloads: Knows what is on disk.
        trained: Knows what trainings have left.
        look_around: The first look at what is here, which requests wait for.
    """

    def __init__(
        self, registry: ModelRegistry, downloads: DownloadJobs, trained: Trained, look_around: LookAround
    ) -> None:
        self._registry = registry
        self._downloads = downloads
        self._trained = trained
        self._look_around = look_around

    async def find(self, model_id: str, *, add: bool = False) -> Record:
        """Return a model's record, once it is known what is here.

        Args:
            model_id: Which.
            add: Begin to know it where it is not known; one that a training left is begun with in any case.

        Raises:
            InvalidInput: It is no id, or a path without weights.
            Problem: There is none of this id.
        """
        await self._look_around.wait()
        found = self._registry.find(model_id)
        if isinstance(found, Record):
            return found
        if not add and found.source != "training":
            raise missing(found)
        return await self.make(found)

    async def find_loaded(self, model_id: str) -> Record:
        """Return the record of a model that is in memory.

        Raises:
            Problem: There is none of this id, or it is not loaded.
        """
        record = await self.find(model_id)
        if record.memory != "loaded":
            raise Problem(409, "Not loaded", f"{record.id} is {record.state}; load it first.")
        return record

    async def make(self, ref: ModelRef) -> Record:
        """Begin to know a model.

        Raises:
            InvalidInput: It is a path without weights.
            Problem: There is no such training, or it left no weights.
        """
        if ref.source == "file":
            await self._downloads.check_file(ref)
        record = new_record(ref)
        if ref.source == "training":
            found = await self._trained.find(ref.name)
            if found is None:
                detail = f"No training {ref.name!r} has left weights; `%trainings` lists those there are."
                raise Problem(404, "Not found", detail)
            record.name, record.path, record.created_at = found.name, str(found.path), found.created_at
        await self._downloads.look(record)
        record = self._registry.put(record)
        self._registry.save(record)
        return record

    async def find_trained(self) -> None:
        """Know the weights that trainings have left, and no longer those that are gone."""
        for record in self._registry.all():
            is_free = record.ref.source == "training" and record.memory == "free"
            if is_free and not await asyncio.to_thread(os.path.exists, record.path or ""):
                self._registry.remove(record)
        for weights in await self._trained.all():
            if self._registry.get(f"training:{weights.training_id}") is None:
                await self.make(ModelRef("training", weights.training_id))
