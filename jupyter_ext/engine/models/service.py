"""The only writer of local models' states: finds, fetches, loads, unloads and forgets them.

Rule: whoever asks for what is already under way joins it. Work belongs to the service, not to the request that began
it: a client that goes away cancels nothing.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_ext.engine.hub import Hub
from jupyter_ext.engine.models import memory, state
from jupyter_ext.engine.models.parts import (
    Described,
    Environ,
    Fetching,
    FetchTask,
    Hosting,
    LoadOptions,
    Trained,
)
from jupyter_ext.engine.models.record import Record, Records
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.workers.exit import rfc3339
from jupyter_ext.errors import DownloadCanceled, InvalidInput, JupyterExtError, UnknownId
from jupyter_ext.protocol.local_models import LocalModel, ModelHost, ModelPage, ModelUser, Transfer
from jupyter_ext.protocol.model_refs import full_id
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)

TOPIC = "models"
"""The hub's topic; its items are ids of models that have changed."""

_KEPT_VARIABLES = ("HF_ENDPOINT", "HF_HOME", "HF_HUB_CACHE")


class ModelService:
    """All local models of this engine.

    Args:
        records: Their files.
        fetching: Fetches files.
        hosting: Holds models in memory.
        trained: Knows what trainings have left.
        hub: Where changes are published.
        environ: The engine's own `HF_*` variables, for whoever brings none.
    """

    def __init__(
        self,
        records: Records,
        fetching: Fetching,
        hosting: Hosting,
        trained: Trained,
        hub: Hub[str],
        environ: Environ,
    ) -> None:
        self._files = records
        self._fetching = fetching
        self._hosting = hosting
        self._trained = trained
        self._hub = hub
        self._environ = dict(environ)
        self._records: dict[str, Record] = {}
        self._environs: dict[str, Environ] = {}
        self._fetches: dict[str, asyncio.Task[None]] = {}
        self._running: dict[str, FetchTask] = {}
        self._loads: dict[str, asyncio.Task[None]] = {}
        self._unloads: dict[str, asyncio.Task[None]] = {}
        self._closing = False

    # -- life -----------------------------------------------------------------------------------------------------

    async def open(self) -> None:
        """Read the records, find what is in the cache, adopt hosts, and go on with downloads that were cut."""
        for record in await asyncio.to_thread(self._files.open):
            self._records[record.id] = record
        for ref in await self._fetching.all_local(self._environ):
            if str(ref) not in self._records:
                self._records[str(ref)] = _new_record(ref)
        for record in self._records.values():
            await self._look_at_disk(record)
        for model_id, host in (await self._hosting.adopt()).items():
            record = self._records.get(model_id) or self._add(parse_ref(model_id))
            record.host = host
            record.move_memory("loaded")
        for record in list(self._records.values()):
            if record.fetching and record.disk in ("absent", "partial", "downloaded"):
                log.info("going on with the download of %s", record.id)
                self._begin_fetch(record, updating=record.disk == "downloaded")

    async def close(self) -> None:
        """Stop what runs here; what has come of a download is kept, and hosts go on."""
        self._closing = True
        for running in self._running.values():
            running.cancel()
        tasks = [*self._fetches.values(), *self._loads.values(), *self._unloads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._fetching.close()
        await self._hosting.close()

    @property
    def num_busy(self) -> int:
        """Count the models that are on their way or in memory."""
        return sum(
            record.memory != "free" or record.disk in ("downloading", "updating")
            for record in self._records.values()
        )

    # -- looking --------------------------------------------------------------------------------------------------

    async def page(self) -> ModelPage:
        """Give all models, those that trainings left included, the latest used first."""
        await self._find_trained()
        models = [record.resource() for record in self._records.values()]
        models.sort(key=lambda model: (model.used_at or model.created_at, model.id), reverse=True)
        disk_free, disk_total = self._fetching.disk_bytes(self._environ)
        return ModelPage(
            models=models,
            disk_free_bytes=disk_free,
            disk_total_bytes=disk_total,
            memory_available_bytes=memory.available_bytes(),
            memory_total_bytes=memory.total_bytes(),
        )

    async def get(self, model_id: str) -> LocalModel:
        """Give a model.

        Raises:
            Problem: There is none of this id.
        """
        return (await self._record(model_id)).resource()

    def known(self, model_id: str) -> LocalModel | None:
        """Give a model as it is now, or `None`."""
        record = self._records.get(model_id)
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
        record = self._records.get(str(ref))
        described = (
            await self._look(ref, environ) if look and (record is None or record.bytes is None) else None
        )
        if record is None:
            record = self._records.get(str(ref)) or await self._make(ref)
        self._take_environ(record, environ)
        if described is not None and record.disk in ("absent", "partial"):
            # a revision is written down with the files that have it
            record.describe(replace(described, revision=record.revision))
        changes = {"name": name, "description": description}
        for field, value in changes.items():
            if value is not None:
                setattr(record, field, value)
        record.custom = record.custom or custom
        self._save(record)
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
        record = await self._record(model_id, add=True)
        self._take_environ(record, environ)
        if weights is not None and record.id not in self._fetches:
            record.weights = list(weights)
        if state.answer("download", record.state) == "begin":
            self._check_fetchable(record)
            self._begin_fetch(record)
        return record.resource()

    async def cancel(self, model_id: str) -> LocalModel:
        """Stop a download; what has come is kept for the next one. Where none runs, nothing happens."""
        record = await self._record(model_id)
        await self._cancel_fetch(record)
        return record.resource()

    async def update(
        self, model_id: str, environ: Environ | None = None, *, check_only: bool = False
    ) -> LocalModel:
        """Look for a newer revision and begin to fetch it beside the one that is here.

        The new one takes the old one's place when it is whole; a loaded model keeps what it has until it is unloaded.

        Raises:
            Problem: The hub cannot be asked.
        """
        record = await self._record(model_id)
        self._take_environ(record, environ)
        if state.answer("update", record.state) == "join" or record.disk == "updating":
            return record.resource()
        self._check_fetchable(record)
        if record.disk in ("absent", "partial") and not check_only:
            self._begin_fetch(record)
            return record.resource()
        try:
            record.newer_revision = await self._fetching.newer(record.ref, self._environ_of(record))
        except JupyterExtError as error:
            raise Problem(502, "The hub cannot be asked", str(error)) from error
        self._save(record)
        if record.newer_revision and not check_only:
            self._begin_fetch(record, updating=True)
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
        record = await self._record(model_id, add=fetch)
        self._take_environ(record, options.hub_environ)
        if record.disk in ("absent", "partial") and record.memory == "free":
            if not fetch:
                raise Problem(
                    409, "Not downloaded", f"{record.id} is not here; download it first, then load it."
                )
            self._check_fetchable(record)
        if record.memory == "loaded" and self._has_other_code(record, options):
            await self.unload(record.id)
        if record.memory == "loaded":
            _check_same(record, options)
            if options.user is not None:
                self._hosting.add_user(record.id, options.user)
            self._hosting.change(record.id, pinned=options.pin or None, keep_alive_s=options.keep_alive_s)
            self._touch(record)
            return record.resource()
        task = self._loads.get(record.id)
        if task is None:
            task = self._spawn(self._loads, record.id, self._load(record, options))
        if wait:
            await self._outcome(task)
            if record.state != "loaded":
                text = record.error or f"{record.id} was unloaded while it was being loaded."
                raise Problem(409, "Not loaded", text)
        return record.resource()

    def _has_other_code(self, record: Record, options: LoadOptions) -> bool:
        """Tell whether a loaded model is asked for with another factory by its only user, who has changed the class.

        Raises:
            Problem: Others use it as it is.
        """
        host, code = record.host, self._hosting.code_of(options)
        if host is None or code is None or code == host.code:
            return False
        asker = options.user
        others = [user.name for user in host.users if asker is None or asker.pid != user.pid]
        if others:
            raise Problem(
                409,
                "Loaded otherwise",
                f"{record.id} is loaded with another factory and used by {', '.join(others)}; unload it first.",
            )
        return True

    async def unload(self, model_id: str, *, wait: bool = True) -> LocalModel:
        """End a model's process, also while it loads. Where it is not loaded, nothing happens."""
        record = await self._record(model_id)
        if state.answer("unload", record.state) == "nothing" and record.id not in self._loads:
            return record.resource()
        task = self._unloads.get(record.id)
        if task is None:
            task = self._spawn(self._unloads, record.id, self._unload(record))
        if wait:
            await self._outcome(task)
        return record.resource()

    async def unload_all(self) -> None:
        """Unload every model that nobody has pinned."""
        loaded = [
            record.id
            for record in self._records.values()
            if record.memory != "free" and not (record.host is not None and record.host.pinned)
        ]
        await asyncio.gather(*(self.unload(model_id) for model_id in loaded))

    async def keep(
        self, model_id: str, *, pinned: bool | None = None, keep_alive_s: float | None = None
    ) -> LocalModel:
        """Change how long a loaded model stays.

        Raises:
            Problem: It is not loaded.
        """
        record = await self._loaded(model_id)
        self._hosting.change(record.id, pinned=pinned, keep_alive_s=keep_alive_s)
        self.host_changed(record.id)
        return record.resource()

    async def attach(self, model_id: str, user: ModelUser) -> LocalModel:
        """Note that somebody uses a loaded model."""
        record = await self._loaded(model_id)
        self._hosting.add_user(record.id, user)
        self._touch(record)
        self.host_changed(record.id)
        return record.resource()

    async def detach(self, model_id: str, user_id: str) -> LocalModel:
        """Forget that somebody used a model."""
        record = await self._record(model_id)
        if record.memory == "loaded":
            self._hosting.remove_user(record.id, user_id)
            self.host_changed(record.id)
        return record.resource()

    def host_changed(self, model_id: str) -> None:
        """Look at a model's host anew: its memory, its users, or that it has ended by itself."""
        record = self._records.get(model_id)
        if record is None:
            return
        host = self._hosting.host(model_id)
        if host is None and record.memory == "loaded":
            record.move_memory("free")
            if (why := self._hosting.why_ended(model_id)) is not None:
                record.notices = [*record.notices, why][-3:]
        record.host = host
        self._changed(record)

    # -- describing and forgetting --------------------------------------------------------------------------------

    async def change(
        self,
        model_id: str,
        *,
        name: str | None = None,
        description: str | None = None,
        meta: Mapping[str, Any] | None = None,
    ) -> LocalModel:
        """Change what is said of a model; what is not given stays."""
        record = await self._record(model_id)
        record.name = name if name is not None else record.name
        record.description = description if description is not None else record.description
        record.meta = {**record.meta, **(meta or {})}
        self._save(record)
        return record.resource()

    async def delete(self, model_id: str, *, force: bool = False) -> None:
        """Forget a model and delete its files; those of a `file:` model, or of a training, stay.

        Raises:
            Problem: It is in memory, and `force`, which unloads it first, is false.
        """
        record = await self._record(model_id)
        await self._free(record, force=force)
        await self._remove_files(record)
        self._records.pop(record.id, None)
        self._environs.pop(record.id, None)
        await asyncio.to_thread(self._files.delete, record)
        self._hub.publish(TOPIC, record.id)

    async def delete_cache(self, model_id: str, *, force: bool = False) -> LocalModel:
        """Delete a model's files, and what is kept of a cut download; the model stays known.

        Raises:
            Problem: It is in memory and `force` is false, or its files are not ours to delete.
        """
        record = await self._record(model_id)
        if record.ref.source in ("file", "training"):
            owner = "you" if record.ref.source == "file" else "its training"
            raise Problem(
                409, "Not ours", f"The files of {record.id} belong to {owner}; they are not deleted here."
            )
        await self._free(record, force=force)
        await self._remove_files(record)
        self._save(record)
        return record.resource()

    # -- inside ---------------------------------------------------------------------------------------------------

    async def _record(self, model_id: str, *, add: bool = False) -> Record:
        record = self._records.get(model_id)
        if record is not None:
            return record
        try:
            ref = parse_ref(full_id(model_id))
        except InvalidInput as error:
            raise Problem(404, "Not found", str(error)) from error
        record = self._records.get(str(ref))
        if record is None and (add or ref.source == "training"):
            record = await self._make(ref)
        if record is None:
            raise Problem(
                404, "Not found", f"There is no model {str(ref)!r}; `%models` lists those there are."
            )
        return record

    async def _look(self, ref: ModelRef, environ: Environ | None) -> Described | None:
        """Ask what there is to fetch of a model that is not here."""
        if ref.source not in ("hub", "url"):
            return None
        asked = self._environ if environ is None else environ
        if await self._fetching.local(ref, asked) is not None:
            return None
        try:
            return (await self._fetching.resolve(ref, asked))[0]
        except InvalidInput:
            raise
        except JupyterExtError as error:
            raise Problem(502, "Not found on the hub", str(error)) from error

    async def _loaded(self, model_id: str) -> Record:
        record = await self._record(model_id)
        if record.memory != "loaded":
            raise Problem(409, "Not loaded", f"{record.id} is {record.state}; load it first.")
        return record

    async def _make(self, ref: ModelRef) -> Record:
        if ref.source == "file":
            try:
                await self._fetching.describe(ref, Path(ref.name))
            except UnknownId as error:
                raise InvalidInput(str(error)) from error
        record = _new_record(ref)
        if ref.source == "training":
            found = await self._trained.find(ref.name)
            if found is None:
                raise Problem(
                    404,
                    "Not found",
                    f"No training {ref.name!r} has left weights; `%trainings` lists those there are.",
                )
            record.name, record.path, record.created_at = found.name, str(found.path), found.created_at
        known = self._records.get(str(ref))  # somebody may have made it while we looked
        if known is not None:
            return known
        self._records[str(ref)] = record
        await self._look_at_disk(record)
        self._save(record)
        return record

    def _add(self, ref: ModelRef) -> Record:
        record = _new_record(ref)
        self._records[str(ref)] = record
        return record

    async def _find_trained(self) -> None:
        for record in [record for record in self._records.values() if record.ref.source == "training"]:
            if record.memory == "free" and not await asyncio.to_thread(os.path.exists, record.path or ""):
                self._records.pop(record.id, None)
                self._files.delete(record)
        for weights in await self._trained.all():
            if f"training:{weights.training_id}" not in self._records:
                await self._make(ModelRef("training", weights.training_id))

    async def _look_at_disk(self, record: Record) -> None:
        """Set the disk's state from what is there."""
        ref = record.ref
        found: Described | None
        if ref.source in ("file", "training"):
            found = await self._describe(record)
        elif ref.source == "custom":
            found = None
        else:
            found = await self._fetching.local(ref, self._environ_of(record))
        if found is not None:
            record.describe(found)
            if record.disk != "downloaded":
                record.move_disk("downloaded")
            return
        record.path = None if ref.source not in ("file", "training") else record.path
        if ref.source in ("hub", "url") and await self._fetching.kept_bytes(ref, self._environ_of(record)):
            record.move_disk("partial")
        else:
            record.disk = "absent"

    async def _describe(self, record: Record) -> Described | None:
        """Look at files that are the user's own, or a training's."""
        try:
            found = await self._fetching.describe(record.ref, Path(record.path or record.ref.name))
        except JupyterExtError as error:
            record.error = _line(error)
            return None
        record.error = None
        return found

    def _begin_fetch(self, record: Record, *, updating: bool = False) -> None:
        if record.id in self._fetches or self._closing:
            return
        record.error = None
        record.transfer = Transfer(status="running", phase="queued", started_at=rfc3339(time.time()))
        record.move_disk("updating" if updating else "downloading")
        record.fetching = True
        self._save(record)
        self._spawn(self._fetches, record.id, self._fetch(record))

    async def _fetch(self, record: Record) -> None:
        assert record.transfer is not None
        environ = self._environ_of(record)
        try:
            record.transfer = record.transfer.model_copy(update={"phase": "resolve"})
            self._changed(record)
            described, plan = await self._fetching.resolve(record.ref, environ, record.weights)
            record.describe(replace(described, revision=record.revision or described.revision))
            self._changed(record)

            def progressed(transfer: Transfer) -> None:
                record.transfer = transfer
                self._changed(record)

            task = self._running[record.id] = self._fetching.start(plan, progressed)
            path = await task.wait()
            record.transfer = task.transfer
            self._end_transfer(record, "completed")
            replaced = record.revision
            record.describe(replace(described, path=path))
            record.newer_revision = None
            record.move_disk("downloaded")
            if replaced not in (None, record.revision):
                record.stale.append(replaced)
            await self._tidy(record)
        except (asyncio.CancelledError, DownloadCanceled):
            self._end_transfer(record, "canceled")
            await self._after_cut(record)
            if self._closing:
                raise
        except (JupyterExtError, Problem, OSError) as error:
            self._end_transfer(record, "failed", _line(error))
            await self._after_cut(record)
        except Exception as error:
            log.exception("the download of %s failed", record.id)
            self._end_transfer(record, "failed", f"{type(error).__name__}: {_line(error)}")
            await self._after_cut(record)
        finally:
            self._running.pop(record.id, None)
            record.fetching = self._closing and record.transfer.status == "canceled"
            self._save(record)

    async def _tidy(self, record: Record) -> None:
        """Delete revisions that an update has replaced, once nobody has them loaded."""
        if record.memory != "free" or not record.stale:
            return
        for revision in record.stale:
            try:
                await self._fetching.remove_revision(record.ref, revision, self._environ_of(record))
            except (JupyterExtError, OSError) as error:
                log.warning("revision %s of %s stays: %s", revision, record.id, error)
        record.stale = []
        self._save(record)

    async def _after_cut(self, record: Record) -> None:
        """Set the disk's state after a download that did not come to its end."""
        if record.disk == "updating":
            record.move_disk("downloaded")
            return
        kept = await self._fetching.kept_bytes(record.ref, self._environ_of(record))
        record.move_disk("partial" if kept else "absent")

    def _end_transfer(self, record: Record, status: str, error: str | None = None) -> None:
        now = record.transfer or Transfer(status="running", phase="queued", started_at=rfc3339(time.time()))
        record.transfer = now.model_copy(
            update={
                "status": status,
                "error": error,
                "ended_at": now.ended_at or rfc3339(time.time()),
                "eta_s": None,
            }
        )
        record.error = error

    async def _cancel_fetch(self, record: Record) -> None:
        task = self._fetches.get(record.id)
        if task is None:
            return
        running = self._running.get(record.id)
        if running is not None:
            running.cancel()
        else:
            task.cancel()
        await self._outcome(task)
        if record.disk in ("downloading", "updating"):  # canceled before its first step
            self._end_transfer(record, "canceled")
            await self._after_cut(record)
            record.fetching = False
            self._save(record)

    async def _load(self, record: Record, options: LoadOptions) -> None:
        try:
            if (unloading := self._unloads.get(record.id)) is not None:
                await self._outcome(unloading)
            if record.disk in ("absent", "partial"):
                self._begin_fetch(record)
            if (fetching := self._fetches.get(record.id)) is not None and record.disk == "downloading":
                await self._outcome(fetching)
            if record.disk not in ("downloaded", "updating") or record.path is None:
                raise Problem(409, "Not downloaded", record.error or f"{record.id} was not downloaded.")
            record.error = record.unloaded = None
            record.move_memory("loading")
            self._changed(record)
            host = await self._hosting.load(record.id, Path(record.path), _with_weights(record, options))
        except asyncio.CancelledError:
            if record.memory == "loading":
                record.move_memory("free")
            record.host = None
            self._changed(record)
            raise
        except Exception as error:
            if not isinstance(error, JupyterExtError | Problem | OSError):
                log.exception("loading %s failed", record.id)
            record.error = _line(error)
            if record.memory == "loading":
                record.move_memory("free")
            record.host = None
            self._changed(record)
            return
        if record.memory == "loading":
            record.host = host
            record.move_memory("loaded")
            self._touch(record)

    async def _unload(self, record: Record) -> None:
        loading = self._loads.get(record.id)
        if record.memory != "free":
            record.move_memory("unloading")
            self._changed(record)
        try:
            if loading is not None:
                loading.cancel()
                await asyncio.wait([loading])
            if self._hosting.host(record.id) is not None:
                record.unloaded = await self._hosting.unload(record.id)
        except JupyterExtError as error:
            record.error = _line(error)
        finally:
            record.host = self._hosting.host(record.id)
            if record.memory == "unloading":
                record.move_memory("free")
            self._changed(record)
            await self._tidy(record)

    async def _free(self, record: Record, *, force: bool) -> None:
        """See to it that a model is neither in memory nor on its way."""
        await self._cancel_fetch(record)
        if state.answer("delete", record.state) == "refuse" or record.id in self._loads:
            if not force:
                users = ", ".join(user.name for user in record.host.users) if record.host else ""
                raise Problem(
                    409,
                    "In memory",
                    f"{record.id} is {record.state}{f', used by {users}' if users else ''}; unload it first.",
                )
            await self.unload(record.id)

    async def _remove_files(self, record: Record) -> None:
        if record.ref.source not in ("hub", "url"):
            return
        try:
            await self._fetching.remove(record.ref, self._environ_of(record))
        except OSError as error:
            raise Problem(
                409, "Not deleted", f"The files of {record.id} cannot be deleted: {error}."
            ) from error
        record.disk = "absent"
        record.path = record.revision = record.newer_revision = record.transfer = record.error = None
        record.stale = []

    def _check_fetchable(self, record: Record) -> None:
        if record.ref.source not in ("hub", "url"):
            where = record.path or record.ref.name
            hint = {
                "file": f"it is read from {where}, which is not there",
                "training": "its training's files are gone",
            }.get(record.ref.source, "it was described without saying where its files are (`unique`)")
            raise Problem(409, "Nothing to fetch", f"{record.id} cannot be downloaded: {hint}.")

    def _environ_of(self, record: Record) -> Environ:
        return self._environs.get(record.id) or {**self._environ, **record.hub}

    def _take_environ(self, record: Record, environ: Environ | None) -> None:
        if environ and record.id not in self._fetches:
            self._environs[record.id] = given = dict(environ)
            record.hub = {k: given[k] for k in _KEPT_VARIABLES if k in given and "@" not in given[k]}

    def _spawn(
        self, tasks: dict[str, asyncio.Task[None]], model_id: str, work: Coroutine[Any, Any, None]
    ) -> asyncio.Task[None]:
        """Begin work that is found under the model's id until its last step, and not a step longer."""

        async def run() -> None:
            try:
                await work
            finally:
                tasks.pop(model_id, None)

        def forget(done: asyncio.Task[None]) -> None:
            if tasks.get(model_id) is done:  # canceled before its first step
                del tasks[model_id]
                work.close()

        task = tasks[model_id] = asyncio.create_task(run(), name=f"model {model_id}")
        task.add_done_callback(forget)
        return task

    async def _outcome(self, task: asyncio.Task[None]) -> None:
        """Wait for work of the service's; whoever waits may go away without ending it."""
        await asyncio.wait([task])

    def _touch(self, record: Record) -> None:
        record.used_at = rfc3339(time.time())
        self._save(record)

    def _save(self, record: Record) -> None:
        try:
            self._files.put(record)
        except OSError as error:
            log.warning("the record of %s cannot be written: %s", record.id, error)
            record.notices = [*record.notices, f"Its record cannot be written: {error}."][-3:]
        self._changed(record)

    def _changed(self, record: Record) -> None:
        self._hub.publish(TOPIC, record.id)


def _new_record(ref: ModelRef) -> Record:
    return Record(
        str(ref),
        os.path.basename(ref.name.rstrip("/")) if ref.source in ("file", "url") else ref.name,
        rfc3339(time.time()),
        custom=ref.source in ("file", "custom", "training"),
    )


def _check_same(record: Record, options: LoadOptions) -> None:
    host: ModelHost | None = record.host
    for what in ("device", "dtype"):
        asked, has = getattr(options, what), getattr(host, what, None)
        if asked is not None and has is not None and asked not in (has, "auto"):
            raise Problem(
                409,
                "Loaded otherwise",
                f"{record.id} is loaded with {what}={has}, not {asked}; unload it first to load it anew.",
            )


def _with_weights(record: Record, options: LoadOptions) -> LoadOptions:
    """Name the file of weights where the user has: only a name lets in what is no safetensors."""
    path = record.path or ""
    named = record.weights[0] if len(record.weights) == 1 else None
    if record.ref.source == "file" and os.path.isfile(path):
        named = os.path.basename(path)
    if named is None or "weights" in options.extra:
        return options
    return replace(options, extra={**options.extra, "weights": named})


def _line(error: BaseException) -> str:
    text = error.detail if isinstance(error, Problem) else str(error)
    return " ".join(text.split())[:500] or type(error).__name__
