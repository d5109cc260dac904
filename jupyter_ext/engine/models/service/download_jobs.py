"""Downloads of models: begun, joined, canceled, gone on with; and what is on the disk.

Rule: an update is fetched beside what is there and takes its place when it is whole. What it replaces goes when nobody has it
loaded any more, and only if it was fetched here.
"""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.models.interfaces import Downloader, DownloadPlan, DownloadTask, Environ
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.service.background_tasks import BackgroundTasks
from jupyter_ext.engine.models.service.record import Record
from jupyter_ext.engine.models.service.registry import ModelRegistry, one_line
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import DownloadCanceled, InvalidInput, JupyterExtError, UnknownId
from jupyter_ext.protocol.models import Transfer
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

_FETCHED = ("hub", "url")


class DownloadJobs:
    """What is on its way, and what is here.

    Args:
        registry: The records.
        downloader: Fetches files.
    """

    def __init__(self, registry: ModelRegistry, downloader: Downloader[Any]) -> None:
        self._registry = registry
        self._downloader = downloader
        self._tasks = BackgroundTasks()
        self._running: dict[str, DownloadTask] = {}
        self._closing = False

    async def close(self) -> None:
        """Stop what runs; what has come is kept, and the next engine goes on with it."""
        self._closing = True
        for running in self._running.values():
            running.cancel()
        await self._tasks.cancel_all()
        await self._downloader.close()

    def is_running(self, record: Record) -> bool:
        """Tell whether a model is on its way."""
        return record.id in self._tasks

    # -- looking --------------------------------------------------------------------------------------------------

    async def found(self) -> list[ModelRef]:
        """List the models of the engine's own cache that are here whole."""
        try:
            return await self._downloader.all_local(self._own_settings())
        except (JupyterExtError, OSError) as error:
            log.warning("the cache is not looked at: %s", error)
            return []

    async def look(self, record: Record) -> None:
        """Set the disk's state from what is there."""
        ref = record.ref
        found = await self._here(record)
        if found is not None:
            record.describe(found)
            if record.disk != "downloaded":
                record.move_disk("downloaded")
            return
        is_fetched = ref.source in _FETCHED
        record.path = None if is_fetched else record.path
        kept = await self._downloader.kept_bytes(ref) if is_fetched else 0
        record.disk = "partial" if kept else "absent"

    async def _here(self, record: Record) -> ModelDescription | None:
        ref = record.ref
        if ref.source == "custom":
            return None
        try:
            if ref.source in _FETCHED:
                return await self._downloader.local(ref, self._settings(record))
            found = await self._downloader.describe(ref, Path(record.path or ref.name))
        except (JupyterExtError, OSError) as error:
            record.error = one_line(error)
            return None
        record.error = None
        return found

    async def look_ahead(self, ref: ModelRef, environ: Environ | None) -> ModelDescription | None:
        """Ask what there is to fetch of a model that is not here.

        Raises:
            InvalidInput: There is nothing in it that may be fetched.
            Problem: The hub knows none such, or cannot be asked.
        """
        if ref.source not in _FETCHED:
            return None
        settings = HubSettings.from_environment(environ or self._registry.environ)
        if await self._downloader.local(ref, settings) is not None:
            return None
        try:
            plan: DownloadPlan = await self._downloader.resolve(ref, settings)
            return plan.description()
        except InvalidInput:
            raise
        except JupyterExtError as error:
            raise Problem(502, "Not found on the hub", str(error)) from error

    async def check_file(self, ref: ModelRef) -> None:
        """Ensure that a path of the user's holds weights.

        Raises:
            InvalidInput: It does not.
        """
        try:
            await self._downloader.describe(ref, Path(ref.name))
        except UnknownId as error:
            raise InvalidInput(str(error)) from error

    async def newer(self, record: Record) -> str | None:
        """Ask the hub for a newer revision.

        Raises:
            Problem: It cannot be asked.
        """
        try:
            return await self._downloader.newer(record.ref, self._settings(record))
        except JupyterExtError as error:
            raise Problem(502, "The hub cannot be asked", str(error)) from error

    def disk_bytes(self) -> tuple[int, int]:
        """Return the space of the disk that files go to by default, bytes: free, and in all."""
        return self._downloader.disk_bytes(self._own_settings())

    def check_fetchable(self, record: Record) -> None:
        """Refuse to fetch what is nowhere to be fetched from.

        Raises:
            Problem: It is.
        """
        ref = record.ref
        if ref.source in _FETCHED:
            return
        hint = {
            "file": f"it is read from {record.path or ref.name}, which is not there",
            "training": "its training's files are gone",
        }.get(ref.source, "it was described without saying where its files are (`unique`)")
        raise Problem(409, "Nothing to fetch", f"{record.id} cannot be downloaded: {hint}.")

    # -- fetching -------------------------------------------------------------------------------------------------

    def begin(self, record: Record, *, updating: bool = False) -> None:
        """Begin to fetch, unless that runs already."""
        if record.id in self._tasks or self._closing:
            return
        record.error = None
        record.transfer = Transfer(status="running", phase="queued", started_at=rfc3339(time.time()))
        record.move_disk("updating" if updating else "downloading")
        record.fetching = True
        self._registry.save(record)
        self._tasks.begin(record.id, self._fetch(record))

    async def wait(self, record: Record) -> None:
        """Wait until a model is no longer on its way."""
        await self._tasks.wait(record.id)

    async def cancel(self, record: Record) -> None:
        """Stop a download and wait until it has; what has come is kept."""
        task = self._tasks.get(record.id)
        if task is None:
            return
        running = self._running.get(record.id)
        if running is not None:
            running.cancel()
        else:
            task.cancel()
        await asyncio.wait([task])
        if record.disk in ("downloading", "updating"):  # canceled before its first step
            await self._end(record, "canceled")
            record.fetching = False
            self._registry.save(record)

    async def remove(self, record: Record) -> None:
        """Delete a model's files, those of a cut download included; the user's own and a training's stay.

        Raises:
            Problem: The disk refuses.
        """
        if record.ref.source not in _FETCHED:
            return
        try:
            await self._downloader.remove(record.ref, self._settings(record))
        except (OSError, JupyterExtError) as error:
            detail = f"The files of {record.id} cannot be deleted: {one_line(error)}"
            raise Problem(409, "Not deleted", detail) from error
        record.disk = "absent"
        record.path = record.revision = record.newer_revision = record.transfer = record.error = None
        record.stale = []

    async def tidy(self, record: Record) -> None:
        """Delete the revisions that updates have replaced, once nobody has them loaded."""
        if record.memory != "free" or not record.stale:
            return
        for revision in record.stale:
            try:
                await self._downloader.remove_revision(record.ref, revision, self._settings(record))
            except (JupyterExtError, OSError) as error:
                log.warning("revision %s of %s stays: %s", revision, record.id, error)
        record.stale = []
        self._registry.save(record)

    async def _fetch(self, record: Record) -> None:
        try:
            await self._fetch_whole(record)
        except (asyncio.CancelledError, DownloadCanceled):
            await self._end(record, "canceled")
            if self._closing:
                raise
        except (JupyterExtError, Problem, OSError) as error:
            await self._end(record, "failed", one_line(error))
        except Exception as error:
            log.exception("the download of %s failed", record.id)
            await self._end(record, "failed", f"{type(error).__name__}: {one_line(error)}")
        finally:
            self._running.pop(record.id, None)
            was_cut = record.transfer is not None and record.transfer.status == "canceled"
            record.fetching = self._closing and was_cut
            self._registry.save(record)

    async def _fetch_whole(self, record: Record) -> None:
        self._take(record, self._transfer(record).model_copy(update={"phase": "resolve"}))
        plan = await self._downloader.resolve(record.ref, self._settings(record), record.weights)
        described = plan.description()
        replaced = record.revision
        record.describe(replace(described, revision=replaced or described.revision))
        task = self._running[record.id] = self._downloader.start(
            plan, lambda transfer: self._take(record, transfer)
        )
        path = await task.wait()
        self._take(record, task.transfer)
        record.describe(replace(described, path=path))
        record.newer_revision = None
        await self._end(record, "completed")
        if replaced is not None and replaced != record.revision:
            record.stale.append(replaced)
        await self.tidy(record)

    def _take(self, record: Record, transfer: Transfer) -> None:
        """Show how far a download is; that it is over is told together with what is on the disk then, by `_end`."""
        record.transfer = transfer.model_copy(update={"status": "running", "error": None, "ended_at": None})
        self._registry.changed(record)

    async def _end(self, record: Record, status: str, error: str | None = None) -> None:
        """Note how a download ended, and set the disk's state."""
        is_here = status == "completed" or record.disk == "updating"
        kept = 0 if is_here else await self._downloader.kept_bytes(record.ref)
        changes = {"status": status, "error": error, "ended_at": rfc3339(time.time()), "eta_s": None}
        record.transfer = self._transfer(record).model_copy(update=changes)
        record.error = error
        record.move_disk("downloaded" if is_here else "partial" if kept else "absent")

    def _transfer(self, record: Record) -> Transfer:
        return record.transfer or Transfer(status="running", phase="queued", started_at=rfc3339(time.time()))

    def _settings(self, record: Record) -> HubSettings:
        """Return the hub of whoever asked for a model last.

        Raises:
            InvalidInput: A variable is malformed.
        """
        return HubSettings.from_environment(self._registry.environ_of(record))

    def _own_settings(self) -> HubSettings:
        """Return the hub of the engine's own variables; malformed ones count as not set, as a download says what is wrong."""
        try:
            return HubSettings.from_environment(self._registry.environ)
        except InvalidInput as error:
            log.warning("the engine's own hub is not used: %s", error)
            return HubSettings.from_environment({})
