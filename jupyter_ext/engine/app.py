"""The composition root: builds every part of the engine, opens them in order and closes them in reverse."""

from __future__ import annotations

import asyncio
import logging
import os
import secrets
import socket
import sys
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil
import uvicorn
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from jupyter_ext import __version__
from jupyter_ext.config import PROTOCOL_VERSION, EngineSettings, Locations, RateLimits
from jupyter_ext.engine.api.auth import Aliases, LoopbackOnly, SameUserProtocol, TokenRequired
from jupyter_ext.engine.api.datasets import DatasetsAPI
from jupyter_ext.engine.api.debug_sessions import DebugSessionsAPI
from jupyter_ext.engine.api.decthings.routes import DecthingsAPI
from jupyter_ext.engine.api.decthings_remote import DecthingsRemoteAPI
from jupyter_ext.engine.api.downloads import DownloadsAPI
from jupyter_ext.engine.api.engine import EngineAPI
from jupyter_ext.engine.api.forwarded import Forwarded
from jupyter_ext.engine.api.listing import ListingAPI
from jupyter_ext.engine.api.local_models import LocalModelsAPI
from jupyter_ext.engine.api.model_calls import ModelCallsAPI
from jupyter_ext.engine.api.native import NativeAPI
from jupyter_ext.engine.api.pieces.models import OPEN_PORT, PiecesModelsAPI
from jupyter_ext.engine.api.pieces.neighbours import PiecesNeighboursAPI
from jupyter_ext.engine.api.problems import HANDLERS
from jupyter_ext.engine.api.rate_limits import RateLimited
from jupyter_ext.engine.api.raw_ids import RawIds
from jupyter_ext.engine.api.replicate.account import AccountAPI
from jupyter_ext.engine.api.replicate.duplicates import DuplicateGuard
from jupyter_ext.engine.api.replicate.events import EventsAPI
from jupyter_ext.engine.api.replicate.files import FilesAPI
from jupyter_ext.engine.api.replicate.models import ModelsAPI
from jupyter_ext.engine.api.replicate.predictions import PredictionsAPI
from jupyter_ext.engine.api.replicate.trainings import TrainingsAPI
from jupyter_ext.engine.backends.base import Backend
from jupyter_ext.engine.backends.local import LocalBackend
from jupyter_ext.engine.backends.replicate import ReplicateBackend
from jupyter_ext.engine.debug_sessions.datasets import Datasets
from jupyter_ext.engine.debug_sessions.service import DebugSessionService
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
from jupyter_ext.engine.store.models import ModelStore
from jupyter_ext.engine.store.run_store import Batch
from jupyter_ext.engine.store.secret_files import read_or_make
from jupyter_ext.engine.trained_weights import CatalogTrained
from jupyter_ext.engine.trainings.file_inputs import FileInputs
from jupyter_ext.engine.trainings.links import Links
from jupyter_ext.engine.trainings.listing import TrainingList
from jupyter_ext.engine.trainings.lives import LOCAL
from jupyter_ext.engine.trainings.models import Models
from jupyter_ext.engine.trainings.orders import Origin
from jupyter_ext.engine.trainings.presentation import Presenter
from jupyter_ext.engine.trainings.publishing import Publisher
from jupyter_ext.engine.trainings.sealer import Sealer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.engine.trainings.signatures import new_secret
from jupyter_ext.engine.trainings.versions import Versions
from jupyter_ext.engine.trainings.watch import Watcher
from jupyter_ext.engine.trainings.webhooks import MAX_LOG_BYTES, Webhooks
from jupyter_ext.engine.trainings.weights import WeightFiles
from jupyter_ext.engine.workers.environments import Environments
from jupyter_ext.engine.workers.exit import rfc3339
from jupyter_ext.protocol.resources import EngineInfo
from jupyter_ext.worker.files import write_json

log = logging.getLogger(__name__)

_IDLE_CHECK_S = 5.0
PIECES_PORTS = range(39300, 39334)
"""Where Pieces' wrapper looks for its service."""
_SEAL_WAIT_S = 10.0
_CLOSE_TIMEOUT_S = 2
_MAX_FRAME_BYTES = 1 << 28
"""A call of Decthings' may bring its tensors over the WebSocket."""


class _Server(uvicorn.Server):
    """A server that leaves signals to the engine."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Capture none."""
        yield


class Engine:
    """One engine, from opening to closing."""

    def __init__(self, where: Locations, settings: EngineSettings) -> None:
        self._where = where
        self._settings = settings
        self._started_at = time.time()
        self._asked_at = time.monotonic()
        self._over = asyncio.Event()
        self._servers: list[tuple[uvicorn.Server, asyncio.Task[None]]] = []
        self._listening: tuple[str, str] | None = None
        self._listening_as_pieces: str | None = None
        self._process = psutil.Process()
        self._hub: Hub[Batch] = Hub()
        self._watcher = Watcher()
        self._sealer = Sealer()
        self._catalog = Catalog(where.catalog)
        self._files = FileStore(where.files_dir)
        self._models = ModelStore(where.models_dir)
        self._links = Links(bytes.fromhex(read_or_make(where.link_secret, lambda: secrets.token_hex(32))))
        self.environments = Environments(settings.preload)
        services, file_inputs = ReplicateBackend(), FileInputs(self._files)
        self._backends: dict[str, Backend] = {
            LOCAL: LocalBackend(self.environments, where.socket_dir),
            "replicate": services,
        }
        self._weights = WeightFiles(where.runs_dir, file_inputs, services.find_token)
        self._presenter = Presenter(self._links, self._files)
        self._webhooks = Webhooks(where.webhooks_dir, self._webhook_secret, self._webhook_payload)
        versions = Versions(where.versions_dir)
        self._trainings = TrainingService(
            where.runs_dir,
            self._catalog,
            versions,
            self._backends,
            self._hub,
            self._watcher,
            self._sealer,
            Publisher(versions, self._files, self._catalog),
            file_inputs,
            self._webhooks,
        )
        self._list = TrainingList(where.runs_dir, self._trainings, self._catalog, versions, self._sealer)
        self._model_hub: Hub[str] = Hub()
        self._hosts = Hosts(
            self.environments,
            where,
            lambda model_id: self._local_models.host_changed(model_id),
            settings.models_bytes,
        )
        self._downloads = Downloads(where.local_models_dir)
        self._local_models = ModelService(
            Records(where.local_models_dir / "records"),
            HubFetching(self._downloads),
            self._hosts,
            CatalogTrained(self._catalog, self._files, where.local_models_dir / "trained"),
            self._model_hub,
            os.environ,
        )
        self._remote_models = RemoteModels(self._model_hub, self._own_urls)
        self._pieces = (
            PiecesModelsAPI(self._local_models, self._model_hub),
            PiecesNeighboursAPI(lambda: read_or_make(where.pieces_id, lambda: str(uuid.uuid4()))),
        )
        self._session_hub: Hub[Any] = Hub()
        self._sessions = DebugSessionService(where, self.environments, self._session_hub)
        self._datasets = Datasets(where.datasets_dir)
        self._decthings = DecthingsAPI(where, self._sessions, self._datasets)
        self._decthings_remote = DecthingsRemoteAPI()
        self._app = RawIds(Aliases(Forwarded(self._build_app(versions), settings.forwarded_hosts)))

    def _build_app(self, versions: Versions) -> Starlette:
        presenter, guard = self._presenter, DuplicateGuard()
        models = Models(self._models, versions, self._files, self._catalog)
        all_models = ModelDoors(self._local_models, self._remote_models)
        origin = Origin(sys.executable)
        apis = (
            TrainingsAPI(self._trainings, models, presenter, guard, origin),
            PredictionsAPI(self._trainings, models, presenter, guard),
            EventsAPI(self._trainings, self._hub, presenter),
            ModelsAPI(models),
            FilesAPI(self._files, self._links),
            AccountAPI(self._webhook_secret),
            NativeAPI(self._trainings, self._hub, presenter, self._weights),
            ListingAPI(self._list, presenter),
            LocalModelsAPI(all_models, self._model_hub),
            DownloadsAPI(self._downloads),
            ModelCallsAPI(all_models),
            self._decthings,
            DatasetsAPI(self._datasets),
            self._decthings_remote,
            DebugSessionsAPI(self._sessions, sys.executable),
            EngineAPI(self),
            *self._pieces,
        )
        return Starlette(
            routes=[route for api in apis for route in api.routes()],
            exception_handlers=HANDLERS,
        )

    def _webhook_secret(self) -> str:
        return read_or_make(self._where.webhook_secret, new_secret)

    async def _webhook_payload(self, run_id: str, base_url: str) -> dict[str, Any]:
        run, store = await self._trainings.get(run_id), await self._trainings.store(run_id)
        shown = self._presenter.with_logs(run, base_url, store, MAX_LOG_BYTES)
        return self._presenter.replicate(shown) if run.kind == "training" else shown

    @property
    def num_active(self) -> int:
        """Count the trainings and debug sessions that are starting or running."""
        return self._trainings.num_active + self._sessions.num_active

    @property
    def num_fetching(self) -> int:
        """Count the models that are on their way."""
        return self._local_models.num_fetching

    @property
    def _num_models_busy(self) -> int:
        return self._local_models.num_busy + self._remote_models.num_busy

    @property
    def token_file(self) -> str:
        """Where the loopback port's token is kept while it is open."""
        return str(self._where.token_file)

    def info(self) -> EngineInfo:
        """Describe this engine."""
        return EngineInfo(
            protocol=PROTOCOL_VERSION,
            version=__version__,
            pid=os.getpid(),
            started_at=rfc3339(self._started_at),
            python=sys.executable,
            data_dir=str(self._where.data_dir),
            socket=str(self._where.socket),
            memory_mib=self._process.memory_info().rss / 2**20,
            active=self.num_active,
            viewers=self._hub.num_subscribers
            + self._model_hub.num_subscribers
            + self._session_hub.num_subscribers,
            idle_s=self._settings.idle_s,
            listening=self._listening[0] if self._listening else None,
            listening_as_pieces=self._listening_as_pieces,
            models_loaded=self._local_models.num_loaded,
            models_fetching=self.num_fetching,
            environments=self.environments.describe(),
        )

    def end(self, reason: str) -> None:
        """Begin to end; trainings go on."""
        log.info("ending: %s", reason)
        self._over.set()

    async def run(self, listener: socket.socket, on_ready: Callable[[], None]) -> None:
        """Serve on a bound Unix socket until it is time to end.

        Args:
            listener: The socket, already listening.
            on_ready: Called without arguments once requests are answered.
        """
        self._watcher.start()
        self._sealer.start()
        await self._catalog.open()
        await asyncio.to_thread(self._files.open)
        await asyncio.to_thread(self._models.open)
        await asyncio.to_thread(self._datasets.open)
        await asyncio.to_thread(self._decthings.open)
        await self._trainings.open()
        await self._list.open()
        await self._local_models.open()
        await self._sessions.open()
        await self._decthings.take_over()
        await self._serve(listener, _limited(self._app, self._settings.socket_limits), SameUserProtocol)
        write_json(self._where.engine_file, self.info().model_dump(mode="json"))
        on_ready()
        self.environments.get(sys.executable)
        if self._settings.pieces:
            try:
                await self.listen_as_pieces()
            except OSError as error:
                log.warning("not listening as Pieces: %s", error)
        log.info("engine %s ready on %s", __version__, self._where.socket)
        watch = asyncio.create_task(self._end_when_idle(), name="idle check")
        await self._over.wait()
        watch.cancel()
        await self._close()

    async def listen(self, port: int) -> tuple[str, str]:
        """Open a loopback port, or give the one that is open.

        Returns:
            Its URL and bearer token.

        Raises:
            OSError: The port is taken or not allowed.
        """
        if self._listening is None:
            listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind(("127.0.0.1", port))
            except OSError:
                listener.close()
                raise
            token = secrets.token_urlsafe(32)
            _write_secret(self._where.token_file, token)
            app = _limited(self._app, self._settings.port_limits)
            await self._serve(listener, TokenRequired(app, token, self._links), None)
            self._listening = (f"http://127.0.0.1:{listener.getsockname()[1]}", token)
        return self._listening

    def _own_urls(self) -> frozenset[str]:
        return frozenset({self._listening_as_pieces} if self._listening_as_pieces else ())

    async def listen_as_pieces(self) -> str:
        """Open a port in Pieces' range, without a token, for Pieces' routes alone, or give the one that is open.

        Returns:
            Its URL.

        Raises:
            OSError: All of the range is taken.
        """
        if self._listening_as_pieces is None:
            listener, port = _bind_in_range(PIECES_PORTS)
            routes = [route for api in self._pieces for route in api.routes()]
            app = RawIds(Starlette(routes=routes, exception_handlers=HANDLERS))
            await self._serve(listener, LoopbackOnly(app, OPEN_PORT), None)
            self._listening_as_pieces = f"http://127.0.0.1:{port}"
        return self._listening_as_pieces

    async def _serve(self, listener: socket.socket, app: ASGIApp, protocol: type | None) -> None:
        config = uvicorn.Config(
            self._count(app),
            http=protocol or "h11",
            ws="websockets-sansio",
            ws_max_size=_MAX_FRAME_BYTES,
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            proxy_headers=False,  # `Forwarded` believes some of them
            timeout_graceful_shutdown=_CLOSE_TIMEOUT_S,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]), name="http")
        while not server.started and not task.done():
            await asyncio.sleep(0.001)
        if task.done():
            task.result()
        self._servers.append((server, task))

    def _count(self, app: ASGIApp) -> ASGIApp:
        async def counted(scope: Scope, receive: Receive, send: Send) -> None:
            self._asked_at = time.monotonic()
            await app(scope, receive, send)

        return counted

    async def _end_when_idle(self) -> None:
        while True:
            await asyncio.sleep(min(_IDLE_CHECK_S, self._settings.idle_s / 4))
            await self.environments.close_unused(sys.executable, self._settings.idle_s)
            viewers = (
                self._hub.num_subscribers
                + self._model_hub.num_subscribers
                + self._session_hub.num_subscribers
            )
            busy = self.num_active or viewers or self._webhooks.num_pending or self._num_models_busy
            if busy:
                self._asked_at = time.monotonic()
            elif time.monotonic() - self._asked_at > self._settings.idle_s:
                self.end(f"idle for {self._settings.idle_s:.0f} s")
                return

    async def _close(self) -> None:
        for server, _ in self._servers:
            server.should_exit = True
        await asyncio.gather(*(task for _, task in self._servers), return_exceptions=True)
        await self._weights.close()
        await self._trainings.close()
        await self._remote_models.close()
        await self._local_models.close()
        await self._decthings.close()
        await self._decthings_remote.close()
        await self._sessions.close()
        await self._sealer.wait_idle(_SEAL_WAIT_S)
        await self._sealer.close()
        self._watcher.close()
        for backend in self._backends.values():
            await backend.close()
        await self._catalog.close()
        self._where.engine_file.unlink(missing_ok=True)
        self._where.token_file.unlink(missing_ok=True)
        log.info("engine ended")


def _limited(app: ASGIApp, limits: RateLimits | None) -> ASGIApp:
    return app if limits is None else RateLimited(app, limits)


def _bind_in_range(ports: range) -> tuple[socket.socket, int]:
    """Take the first free loopback port of a range.

    Raises:
        OSError: There is none.
    """
    for port in ports:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind(("127.0.0.1", port))
        except OSError:
            listener.close()
            continue
        return listener, port
    raise OSError(f"No port from {ports.start} to {ports.stop - 1} is free.")


def _write_secret(path: Path, text: str) -> None:
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with open(descriptor, "w") as file:
        file.write(text)
