"""Models in memory: loaded once for everybody, unloaded for everybody, also while they load.

Rule: a load waits for the download that runs and for the unload that runs; an unload ends the load that runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from dataclasses import replace
from pathlib import Path

from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.interfaces import LoadKilled, LoadOptions, ModelHosts
from jupyter_ext.engine.models.service.background_tasks import BackgroundTasks
from jupyter_ext.engine.models.service.download_jobs import DownloadJobs
from jupyter_ext.engine.models.service.record import Record
from jupyter_ext.engine.models.service.registry import ModelRegistry, one_line
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.models import ModelHost, ModelUser
from jupyter_ext.protocol.problems import Problem

log = logging.getLogger(__name__)


WAITS = "It is loaded when its download is whole."
"""What is said of a model that somebody wants to load and that is still on its way."""


class LoadJobs:
    """What is in memory.

    Args:
        registry: The records.
        downloads: What is on its way.
        hosts: Holds models in memory.

    Attributes:
        patience_s: A load waits for a download of which nothing comes no longer than this.
    """

    patience_s = 300.0

    def __init__(self, registry: ModelRegistry, downloads: DownloadJobs, hosts: ModelHosts) -> None:
        self._registry = registry
        self._downloads = downloads
        self._hosts = hosts
        self._asked: dict[str, LoadOptions] = {}
        self._loading = BackgroundTasks()
        self._unloading = BackgroundTasks()

    async def adopt(self) -> dict[str, ModelHost]:
        """Find what an earlier engine has loaded, by model id."""
        return await self._hosts.adopt()

    async def close(self) -> None:
        """Let go of the hosts; they go on."""
        await self._loading.cancel_all()
        await self._unloading.cancel_all()
        await self._hosts.close()

    def is_loading(self, record: Record) -> bool:
        """Tell whether a model is being loaded, or waits for its files to be."""
        return record.id in self._loading

    async def load(self, record: Record, options: LoadOptions, *, wait: bool) -> None:
        """Load a model, or join whoever does or did.

        Raises:
            Problem: It is loaded otherwise; or, where one waits, it could not be loaded.
        """
        if record.memory == "loaded" and self._has_other_code(record, options):
            await self.unload(record, wait=True)
        if record.memory == "loaded":
            _check_same(record, options)
            if options.user is not None:
                self._hosts.add_user(record.id, options.user)
            self.keep(record, pinned=options.pin or None, keep_alive_s=options.keep_alive_s)
            self._registry.touch(record)
            return
        if record.id not in self._loading:
            options = self._asked[record.id] = self._as_before(record, options)
            self._loading.begin(record.id, self._load(record, options))
        if wait:
            await self._loading.wait(record.id)
            if record.state != "loaded":
                text = record.error or f"{record.id} was unloaded while it was being loaded."
                raise Problem(409, "Not loaded", text)
            _check_same(record, options)  # who joined a load may have asked for something else

    async def unload(self, record: Record, *, wait: bool) -> None:
        """Unload a model, or join whoever does; where it is neither loaded nor loading, nothing happens."""
        if record.memory == "free" and record.id not in self._loading:
            return
        self._asked.pop(record.id, None)
        if record.id not in self._unloading:
            self._unloading.begin(record.id, self._unload(record))
        if wait:
            await self._unloading.wait(record.id)

    def forget(self, record: Record) -> None:
        """Forget how a model was loaded that is deleted."""
        self._asked.pop(record.id, None)

    def keep(self, record: Record, *, pinned: bool | None, keep_alive_s: float | None) -> None:
        """Change how long a loaded model stays."""
        self._hosts.change(record.id, pinned=pinned, keep_alive_s=keep_alive_s)
        self.look(record)

    def attach(self, record: Record, user: ModelUser) -> None:
        """Note that somebody uses a loaded model."""
        self._hosts.add_user(record.id, user)
        self._registry.touch(record)
        self.look(record)

    def detach(self, record: Record, user_id: str) -> None:
        """Forget that somebody used a model."""
        if record.memory == "loaded":
            self._hosts.remove_user(record.id, user_id)
            self.look(record)

    def look(self, record: Record) -> None:
        """Look at a model's host anew: its memory, its users, or that it has ended by itself."""
        host = self._hosts.host(record.id)
        if host is None and record.memory == "loaded":
            record.move_memory("free")
            if (why := self._hosts.why_ended(record.id)) is not None:
                self._registry.notice(record, why)
        record.host = host
        self._registry.changed(record)

    def _as_before(self, record: Record, options: LoadOptions) -> LoadOptions:
        """Return what a model is loaded with that ended by itself: what built it then builds it again."""
        before = self._asked.get(record.id)
        if before is None or options.extra:
            return options
        keep_alive_s = before.keep_alive_s if options.keep_alive_s is None else options.keep_alive_s
        return replace(
            before,
            device=options.device or before.device,
            dtype=options.dtype or before.dtype,
            keep_alive_s=keep_alive_s,
            pin=options.pin or before.pin,
            force=options.force,
            hub_environ=options.hub_environ,
            user=options.user,
        )

    async def _load(self, record: Record, options: LoadOptions) -> None:
        try:
            await self._unloading.wait(record.id)
            await self._fetch_first(record)
            record.error = record.unloaded = None
            record.move_memory("loading")
            self._registry.changed(record)
            path = Path(record.path or "")
            host = await self._hosts.load(record.id, path, _with_weights(record, options))
        except asyncio.CancelledError:
            self._not_loaded(record)
            raise
        except Exception as error:
            if not isinstance(error, JupyterExtError | Problem | OSError):
                log.exception("loading %s failed", record.id)
            if not isinstance(error, LoadKilled):
                self._asked.pop(record.id, None)
            record.error = one_line(error)
            self._not_loaded(record)
            return
        if record.memory == "loading":
            record.host = host
            record.move_memory("loaded")
            self._registry.touch(record)

    async def _fetch_first(self, record: Record) -> None:
        """Ensure that the files are here.

        Raises:
            Problem: They cannot be had.
        """
        if record.disk == "downloaded" and not await asyncio.to_thread(os.path.exists, record.path or ""):
            await self._downloads.look(record)  # somebody has deleted them
        if record.disk in ("absent", "partial"):
            self._downloads.check_fetchable(record)
            self._downloads.begin(record)
        if record.disk == "downloading":
            await self._wait_for_download(record)
        if record.disk not in ("downloaded", "updating"):
            raise Problem(409, "Not downloaded", record.error or f"{record.id} was not downloaded.")

    async def _wait_for_download(self, record: Record) -> None:
        """Wait for a running download for as long as it goes on, and say so.

        Raises:
            Problem: Nothing came for a while; the download itself is not ended.
        """
        self._registry.notice(record, WAITS)
        self._registry.changed(record)
        before: object = None
        try:
            while self._downloads.is_running(record):
                now = record.transfer and (record.transfer.phase, record.transfer.bytes_done)
                if before is not None and now == before:
                    minutes = self.patience_s / 60
                    detail = (
                        f"{record.id} is not loaded: nothing came of its download for {minutes:g} minutes. "
                        "The download goes on; load it again when it is here."
                    )
                    raise Problem(409, "Not downloaded", detail)
                before = now
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.patience_s):
                        await self._downloads.wait(record)
        finally:
            self._registry.drop_notice(record, WAITS)

    def _not_loaded(self, record: Record) -> None:
        if record.memory == "loading":
            record.move_memory("free")
        record.host = None
        self._registry.changed(record)

    async def _unload(self, record: Record) -> None:
        if record.memory != "free":
            record.move_memory("unloading")
            self._registry.changed(record)
        try:
            if (loading := self._loading.get(record.id)) is not None:
                loading.cancel()
                await asyncio.wait([loading])
            if self._hosts.host(record.id) is not None:
                record.unloaded = await self._hosts.unload(record.id)
        except JupyterExtError as error:
            record.error = one_line(error)
        finally:
            record.host = self._hosts.host(record.id)
            if record.memory == "unloading":
                record.move_memory("free")
            self._registry.changed(record)
        await self._downloads.tidy(record)

    def _has_other_code(self, record: Record, options: LoadOptions) -> bool:
        """Tell whether a loaded model is asked for with another factory by its only user, who has changed the class.

        Raises:
            Problem: Others use it as it is.
        """
        host, code = record.host, self._hosts.code_of(options)
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


def _check_same(record: Record, options: LoadOptions) -> None:
    host: ModelHost | None = record.host
    asked_for = {"device": options.device, "dtype": memory.dtype_name(options.dtype)}
    for what, asked in asked_for.items():
        has = getattr(host, what, None)
        if asked is not None and has is not None and asked not in (has, has.partition(":")[0]):
            raise Problem(
                409,
                "Loaded otherwise",
                f"{record.id} is loaded with {what}={has}, not {asked}; unload it first to load it anew.",
            )


def _with_weights(record: Record, options: LoadOptions) -> LoadOptions:
    """Name the file of weights where the user has: only a name lets in what is no safetensors."""
    path = record.path or ""
    named = record.weights[0] if len(record.weights) == 1 else None
    if record.ref.source in ("file", "training") and os.path.isfile(path):
        named = os.path.basename(path)
    if named is None or "weights" in options.extra:
        return options
    return replace(options, extra={**options.extra, "weights": named})
