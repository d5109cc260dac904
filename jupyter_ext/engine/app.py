"""The composition root: builds the engine's parts, opens them in order and closes them in reverse."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import sys
import time
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path

import psutil

from jupyter_ext import __version__
from jupyter_ext.config import PROTOCOL_VERSION, EngineSettings, Locations
from jupyter_ext.engine.api.http.openapi import OpenAPI
from jupyter_ext.engine.api.native.engine import EngineAPI
from jupyter_ext.engine.api.native.lists import ListsAPI, Watching
from jupyter_ext.engine.assembly.models import ModelsPart
from jupyter_ext.engine.assembly.part import API, Part, Work
from jupyter_ext.engine.assembly.ports import Ports
from jupyter_ext.engine.assembly.sessions import SessionsPart
from jupyter_ext.engine.assembly.trainings import TrainingsPart
from jupyter_ext.engine.common import disk, health
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.heap import Trimmer
from jupyter_ext.engine.common.idle_time import IdleTime
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.processes.zygote_process import ZygoteProcess
from jupyter_ext.ipc import private_sockets
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.lists import EngineSummary, ListName
from jupyter_ext.protocol.trainings import EngineInfo

log = logging.getLogger(__name__)

_IDLE_CHECK_S = 5.0
_SOCKET_CHECK_S = 1.0


def _identity(path: Path) -> tuple[int, int] | None:
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


class Engine:
    """One engine, from opening to closing."""

    def __init__(
        self, where: Locations, settings: EngineSettings, zygote: ZygoteProcess | None = None
    ) -> None:
        self._where = where
        disk.assume(where.data_dir)
        self._settings = settings
        self.idle = IdleTime(where.engine_settings, settings.idle_s)
        self._started_at = time.time()
        self._over = asyncio.Event()
        self._process = psutil.Process()
        self.environments = Environments(settings.preload, started=zygote)
        self.pages = LabPages()
        trainings = TrainingsPart(where, self.environments, self.pages)
        models = ModelsPart(
            where,
            self.environments,
            settings.models_bytes,
            trainings.catalog,
            trainings.files,
            self._own_urls,
            self.pages,
        )
        sessions = SessionsPart(where, self.environments, self.pages)
        self._trainings, self._models = trainings, models
        self._parts: tuple[Part, ...] = (trainings, models, sessions)
        watches: dict[ListName, Watching] = {
            "trainings": trainings.watch,
            "sessions": sessions.watch,
            "models": models.watch,
        }
        self._lists = lists = ListsAPI(
            trainings.list, sessions.sessions, models.router, watches, self._summary, self.pages
        )
        parts: list[API] = [api for part in self._parts for api in part.apis]
        self.apis: tuple[API, ...] = (*parts, lists, EngineAPI(self))
        openapi = OpenAPI(list(self.apis))
        self.ports = Ports(settings, where.token_file, trainings.links, [*self.apis, openapi], models.pieces)

    @property
    def work(self) -> Work:
        """What there is to do now; while there is any, the engine does not end by itself."""
        return sum((part.work for part in self._parts), Work(viewers=self._lists.num_viewers))

    def info(self) -> EngineInfo:
        """Describe this engine."""
        work = self.work
        return EngineInfo(
            protocol=PROTOCOL_VERSION,
            version=__version__,
            pid=os.getpid(),
            started_at=rfc3339(self._started_at),
            python=sys.executable,
            data_dir=str(self._where.data_dir),
            socket=str(self._where.socket),
            memory_mib=self._process.memory_info().rss / 2**20,
            active=work.trainings,
            sessions=work.sessions,
            viewers=work.viewers,
            idle_s=self.idle.seconds,
            listening=self.ports.url,
            listening_as_pieces=self.ports.pieces_url,
            models_loaded=work.loaded,
            models_fetching=work.fetching,
            problems=health.lines(),
            environments=self.environments.describe(),
        )

    def _summary(self) -> EngineSummary:
        return EngineSummary(
            version=__version__,
            memory_mib=round(self._process.memory_info().rss / 2**20),
            trainings_mib=round(self._trainings.memory_mib),
            models_mib=round(self._models.memory_mib),
            problems=health.lines(),
            idle_set_s=self.idle.set_s,
        )

    def end(self, reason: str) -> None:
        """Begin to end; trainings go on."""
        log.info("ending: %s", reason)
        self._over.set()

    def warm(self, python: str) -> None:
        """Begin to warm an interpreter."""
        self.environments.get(python)

    async def run(self, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        """Serve on a bound Unix socket until it is time to end.

        Args:
            listener: The socket, already listening.
            on_ready: Called without arguments once requests are answered.
        """
        async with AsyncExitStack() as opened:
            opened.callback(self._where.engine_file.unlink, missing_ok=True)
            self.idle.read()
            for part in self._parts:
                await part.open()
                opened.push_async_callback(part.close)
            opened.push_async_callback(self.ports.close)
            await self.ports.open_socket(listener)
            try:
                write_json(self._where.engine_file, self.info().model_dump(mode="json"))
            except OSError as error:  # for people and tests; nobody needs it to reach us
                disk.report_disk(error, self._where.engine_file)
            on_ready()
            self.environments.get(sys.executable)
            gc.freeze()  # what an engine is made of stays: no collection need look through its 60,000 objects again
            if self._settings.pieces:
                try:
                    await self.ports.listen_as_pieces()
                except OSError as error:
                    log.warning("not listening as Pieces: %s", error)
            log.info("engine %s ready on %s", __version__, self._where.socket)
            watches = [
                asyncio.create_task(self._end_when_idle(), name="idle check"),
                asyncio.create_task(self._keep_socket(), name="socket check"),
            ]
            await self._over.wait()
            for watch in watches:
                watch.cancel()
        log.info("engine ended")

    async def _end_when_idle(self) -> None:
        busy_at = time.monotonic()
        heap = Trimmer(lambda: self._process.memory_info().rss)
        while True:
            await asyncio.sleep(min(_IDLE_CHECK_S, self.idle.seconds / 4))
            heap.look()
            await self.environments.close_unused(sys.executable, self.idle.seconds)
            if self.work or self.ports.is_open:
                busy_at = time.monotonic()
            elif time.monotonic() - max(busy_at, self.ports.asked_at) > self.idle.seconds:
                self.end(f"idle for {self.idle.seconds:.0f} s")
                return

    async def _keep_socket(self) -> None:
        """Bind the Unix socket again where somebody has removed it: no client could ever ask this engine again."""
        path, bound = self._where.socket, _identity(self._where.socket)
        while True:
            await asyncio.sleep(_SOCKET_CHECK_S)
            if _identity(path) == bound is not None:
                continue
            if not self._where.engine_lock.exists():  # whoever asks next starts another
                self.end(f"{self._where.runtime_dir} was removed")
                return
            try:
                private_sockets.make_directory(path.parent)
                await self.ports.open_socket(private_sockets.listen(path))
            except OSError as error:
                log.warning("the socket %s is gone and cannot be bound again: %s", path, error)
                continue
            bound = _identity(path)
            log.warning("the socket %s was gone; it was bound again", path)

    def _own_urls(self) -> frozenset[str]:
        return frozenset({self.ports.pieces_url} if self.ports.pieces_url else ())
