"""The only writer of local models' states: finds, fetches, loads, unloads and forgets them.

Rule: whoever asks for what is already under way joins it. Work belongs to the service, not to the request that began
it: a client that goes away cancels nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.interfaces import (
    Downloader,
    Environ,
    LoadOptions,
    ModelHosts,
    Trained,
)
from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.service import states as state
from jupyter_ext.engine.models.service.download_jobs import DownloadJobs
from jupyter_ext.engine.models.service.load_jobs import LoadJobs
from jupyter_ext.engine.models.service.look_around import LookAround
from jupyter_ext.engine.models.service.record import Record, Records
from jupyter_ext.engine.models.service.record_finder import RecordFinder
from jupyter_ext.engine.models.service.registry import (
    ModelRegistry,
    checked_texts,
)
from jupyter_ext.protocol.model_refs import full_id
from jupyter_ext.protocol.models import LocalModel, ModelPage, ModelUser
from jupyter_ext.protocol.problems import Problem


class ModelService:
    """All local models of this engine.

    Args:
        records: Their files.
        downloader: Fetches files.
        hosts: Holds models in memory.
        trained: Knows what trainings have left.
        pubsub: Where changes are published, under `registry.TOPIC`.
        environ: The engine's own variables, for whoever brings none.
    """

    def __init__(
        self,
        records: Records,
        downloader: Downloader[Any],
        hosts: ModelHosts,
        trained: Trained,
        pubsub: PubSub[str],
        environ: Environ,
    ) -> None:
        self._registry = ModelRegistry(records, pubsub, environ)
        self._downloads = DownloadJobs(self._registry, downloader)
        self._loads = LoadJobs(self._registry, self._downloads, hosts)
        self._look_around = LookAround(self._registry, self._downloads, self._loads)
        self._finder = RecordFinder(self._registry, self._downloads, trained, self._look_around)

    # -- life -----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the records, and begin to look at what is here; requests wait for that, the engine's start does not."""
        await self._registry.open()
        self._look_around.begin()

    async def opened(self) -> None:
        """Wait until it is known what is here."""
        await self._look_around.wait()

    async def close(self) -> None:
        """Stop what runs here; what has come of a download is kept, and hosts go on."""
        await self._look_around.close()
        await self._downloads.close()
        await self._loads.close()

    @property
    def num_fetching(self) -> int:
        """Count the models that are on their way."""
        return sum(record.disk in ("downloading", "updating") for record in self._registry.all())

    @property
    def num_loaded(self) -> int:
        """Count the models that are in memory, or on their way into it or out of it."""
        return sum(record.memory != "free" for record in self._registry.all())

    @property
    def host_bytes(self) -> int:
        """Return the memory of all processes that have models loaded, as last looked at."""
        hosts = [record.host for record in self._registry.all()]
        return sum(host.memory_bytes or 0 for host in hosts if host is not None)

    # -- looking --------------------------------------------------------------------------------------------------

    async def page(self) -> ModelPage:
        """Return all models, those that trainings left included, the latest used first."""
        await self.opened()
        await self._finder.find_trained()
        models = [record.resource() for record in self._registry.all()]
        models.sort(key=lambda model: (model.used_at or model.created_at, model.id), reverse=True)
        disk_free, disk_total = self._downloads.disk_bytes()
        return ModelPage(
            models=models,
            disk_free_bytes=disk_free,
            disk_total_bytes=disk_total,
            memory_available_bytes=memory.available_bytes(),
            memory_total_bytes=memory.total_bytes(),
        )

    async def get(self, model_id: str) -> LocalModel:
        """Return a model.

        Raises:
            Problem: There is none of this id.
        """
        return (await self._finder.find(model_id)).resource()

    def known(self, model_id: str) -> LocalModel | None:
        """Return a model as it is now, or `None`."""
        record = self._registry.get(model_id)
        return None if record is None else record.resource()

    async def add(
        self,
        text: str,
        *,
        name: str | None = None,
        description: str | None = None,
        custom: bool = False,
        look: bool = False,
        environ: Environ | None = None,
    ) -> LocalModel:
        """Begin to know a model by its id, a path or an address; nothing is fetched. Twice is once.

        With `look`, the hub is asked first what it is and how big, so that this is known before a download.

        Raises:
            InvalidInput: It is no id, or a path that is not there.
            Problem: There is no such training, or it left no weights; or the hub knows none, or cannot be asked.
        """
        ref = parse_ref(full_id(text))
        name, description = checked_texts(name, description)
        await self.opened()
        record = self._registry.get(str(ref))
        is_unknown = record is None or record.bytes is None
        described = await self._downloads.look_ahead(ref, environ) if look and is_unknown else None
        record = self._registry.get(str(ref)) or await self._finder.make(ref)
        self._registry.take_environ(record, environ)
        if described is not None and record.disk in ("absent", "partial"):
            # a revision is written down with the files that have it
            record.describe(replace(described, revision=record.revision))
        record.name = record.name if name is None else name
        record.description = record.description if description is None else description
        record.custom = record.custom or custom
        self._registry.save(record)
        return record.resource()

    # -- downloads ------------------------------------------------------------------------------------------------

    async def download(
        self, model_id: str, environ: Environ | None = None, weights: Sequence[str] | None = None
    ) -> LocalModel:
        """Begin to fetch a model's files, and return at once. Whoever asks while it runs joins.

        Args:
            model_id: Which.
            environ: Whose hub and token.
            weights: Names or patterns of weights that are no safetensors and are wanted all the same.

        Raises:
            Problem: It has no files to fetch.
        """
        record = await self._finder.find(model_id, add=True)
        if not self._downloads.is_running(record):
            self._registry.take_environ(record, environ)
            record.weights = record.weights if weights is None else list(weights)
        if state.answer("download", record.state) == "begin":
            self._downloads.check_fetchable(record)
            self._downloads.begin(record)
        return record.resource()

    async def cancel(self, model_id: str) -> LocalModel:
        """Stop a download; what has come is kept for the next one. Where none runs, nothing happens."""
        record = await self._finder.find(model_id)
        await self._downloads.cancel(record)
        return record.resource()

    async def update(
        self, model_id: str, environ: Environ | None = None, *, check_only: bool = False
    ) -> LocalModel:
        """Look for a newer revision and begin to fetch it beside the one that is here.

        The new one takes the old one's place when it is whole; a loaded model keeps what it has until it is unloaded.

        Raises:
            Problem: The hub cannot be asked.
        """
        record = await self._finder.find(model_id)
        if self._downloads.is_running(record):
            return record.resource()
        self._registry.take_environ(record, environ)
        self._downloads.check_fetchable(record)
        if record.disk in ("absent", "partial") and not check_only:
            self._downloads.begin(record)
            return record.resource()
        record.newer_revision = await self._downloads.newer(record)
        self._registry.save(record)
        if record.newer_revision is None or check_only:
            return record.resource()
        if record.ref.is_pinned:
            whole = f"hub:{record.ref.name}"
            detail = f"{record.id} names one commit and stays what it is; `%model {whole} download` fetches the newest."
            raise Problem(409, "Pinned", detail)
        self._downloads.begin(record, updating=True)
        return record.resource()

    # -- memory ---------------------------------------------------------------------------------------------------

    async def load(
        self, model_id: str, options: LoadOptions, *, wait: bool = True, fetch: bool = True
    ) -> LocalModel:
        """Load a model into a process of its own. Whoever asks while it loads, or is loaded, joins.

        Args:
            model_id: Which.
            options: How; another device or type than it is loaded with is refused.
            wait: Return when it is loaded; otherwise at once.
            fetch: Download it first where it is not here; otherwise that is refused. A running download is waited for.

        Raises:
            Problem: It cannot be loaded: not here, does not fit, failed.
        """
        record = await self._finder.find(model_id, add=fetch)
        if not self._downloads.is_running(record):
            self._registry.take_environ(record, options.hub_environ)
        if record.disk in ("absent", "partial") and record.memory == "free":
            if not fetch:
                detail = f"{record.id} is not here; download it first, then load it."
                raise Problem(409, "Not downloaded", detail)
            self._downloads.check_fetchable(record)
        await self._loads.load(record, options, wait=wait)
        return record.resource()

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """End a model's process, also while it loads. Where it is not loaded, nothing happens."""
        record = await self._finder.find(model_id)
        await self._loads.unload(record, wait=wait)
        return record.resource()

    async def unload_all(self) -> None:
        """Unload every model that nobody has pinned and that is not in a call."""
        await self.opened()
        loaded = [
            record.id
            for record in self._registry.all()
            if record.memory != "free" and not (record.host and (record.host.pinned or record.host.in_flight))
        ]
        await asyncio.gather(*(self.unload(model_id) for model_id in loaded))

    async def keep(
        self, model_id: str, *, pinned: bool | None = None, keep_alive_s: float | None = None
    ) -> LocalModel:
        """Change how long a loaded model stays.

        Raises:
            Problem: It is not loaded.
        """
        record = await self._finder.find_loaded(model_id)
        self._loads.keep(record, pinned=pinned, keep_alive_s=keep_alive_s)
        return record.resource()

    async def attach(self, model_id: str, user: ModelUser) -> LocalModel:
        """Note that somebody uses a loaded model."""
        record = await self._finder.find_loaded(model_id)
        self._loads.attach(record, user)
        return record.resource()

    async def detach(self, model_id: str, user_id: str) -> LocalModel:
        """Forget that somebody used a model."""
        record = await self._finder.find(model_id)
        self._loads.detach(record, user_id)
        return record.resource()

    def host_changed(self, model_id: str) -> None:
        """Look at a model's host anew: its memory, its users, or that it has ended by itself."""
        record = self._registry.get(model_id)
        if record is not None:
            self._loads.look(record)

    # -- describing and forgetting --------------------------------------------------------------------------------

    async def change(
        self,
        model_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        meta: Mapping[str, object] | None = None,
    ) -> LocalModel:
        """Change what is said of a model; what is not given stays."""
        name, description = checked_texts(name, description)
        record = await self._finder.find(model_id)
        record.name = name if name is not None else record.name
        record.description = description if description is not None else record.description
        record.meta = {**record.meta, **(meta or {})}
        self._registry.save(record)
        return record.resource()

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Forget a model and delete its files; those of a `file:` model, or of a training, stay.

        Raises:
            Problem: It is in memory, and `force`, which unloads it first, is false.
        """
        record = await self._finder.find(model_id)
        await self._free(record, force=force)
        await self._downloads.remove(record)
        self._registry.remove(record)

    async def delete_cache(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Delete a model's files, and what is kept of a cut download; the model stays known.

        Raises:
            Problem: It is in memory and `force` is false, or its files are not ours to delete.
        """
        record = await self._finder.find(model_id)
        if record.ref.source in ("file", "training"):
            owner = "you" if record.ref.source == "file" else "its training"
            raise Problem(
                409, "Not ours", f"The files of {record.id} belong to {owner}; they are not deleted here."
            )
        await self._free(record, force=force)
        await self._downloads.remove(record)
        self._registry.save(record)
        return record.resource()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _free(self, record: Record, *, force: bool) -> None:
        """Ensure that a model is neither in memory nor on its way, nor loaded later as it was.

        Raises:
            Problem: It is in memory, and `force` is false.
        """
        await self._downloads.cancel(record)
        if state.answer("delete", record.state) != "refuse" and not self._loads.is_loading(record):
            self._loads.forget(record)
            return
        if not force:
            users = ", ".join(user.name for user in record.host.users) if record.host else ""
            used = f", used by {users}" if users else ""
            raise Problem(409, "In memory", f"{record.id} is {record.state}{used}; unload it first.")
        await self._loads.unload(record, wait=True)
