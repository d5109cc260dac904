"""What a new engine finds: hosts that run, models in the cache, what is on the disk of every record, downloads to go on with.

Rule: the engine is ready before; requests for models wait. What goes wrong with one step or model is logged and hides no other.
"""

from __future__ import annotations

import asyncio
import logging

from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.service.download_jobs import DownloadJobs
from jupyter_ext.engine.models.service.load_jobs import LoadJobs
from jupyter_ext.engine.models.service.registry import ModelRegistry, new_record, one_line

log = logging.getLogger(__name__)


class LookAround:
    """Looks once, in a task of its own.

    Args:
        registry: The records.
        downloads: What is on the disk.
        loads: What is in memory.
    """

    def __init__(self, registry: ModelRegistry, downloads: DownloadJobs, loads: LoadJobs) -> None:
        self._registry = registry
        self._downloads = downloads
        self._loads = loads
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to look."""
        self._task = asyncio.create_task(self._look(), name="models: what is here")

    async def wait(self) -> None:
        """Wait until it is known what is here."""
        if self._task is not None and not self._task.done():
            await asyncio.wait([self._task])

    async def close(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _look(self) -> None:
        for step in (self._adopt_hosts, self._find_in_cache, self._look_at_records, self._go_on):
            try:
                await step()
            except Exception:
                log.exception("models: %s failed", step.__name__.strip("_").replace("_", " "))

    async def _adopt_hosts(self) -> None:
        for model_id, host in (await self._loads.adopt()).items():
            record = self._registry.get(model_id) or self._registry.put(new_record(parse_ref(model_id)))
            record.host = host
            record.move_memory("loaded")

    async def _find_in_cache(self) -> None:
        for ref in await self._downloads.found():
            self._registry.put(new_record(ref))

    async def _look_at_records(self) -> None:
        for record in self._registry.all():
            try:
                await self._downloads.look(record)
            except Exception as error:
                log.exception("the files of %s cannot be looked at", record.id)
                record.error = one_line(error)
            self._registry.changed(record)

    async def _go_on(self) -> None:
        for record in self._registry.all():
            if record.fetching:
                log.info("going on with the download of %s", record.id)
                self._downloads.begin(record, updating=record.disk == "downloaded")
