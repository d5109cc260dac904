"""Everything under `/v0` in one piece."""

from __future__ import annotations

from starlette.routing import BaseRoute

from jupyter_ext.config import Locations as Places
from jupyter_ext.engine.api.decthings.datasets import DatasetRpc
from jupyter_ext.engine.api.decthings.debug import DebugRpc
from jupyter_ext.engine.api.decthings.events import SessionSubscriptions
from jupyter_ext.engine.api.decthings.launchers import LauncherRpc, usage_of
from jupyter_ext.engine.api.decthings.locations import Locations
from jupyter_ext.engine.api.decthings.models import ModelRpc
from jupyter_ext.engine.api.decthings.rpc.dispatch import Rpc
from jupyter_ext.engine.api.decthings.rpc.http import HttpAPI
from jupyter_ext.engine.api.decthings.rpc.websocket import WebSocketAPI
from jupyter_ext.engine.api.decthings.sessions import SessionCalls
from jupyter_ext.engine.api.decthings.users import UserRpc
from jupyter_ext.engine.datasets.service import Datasets
from jupyter_ext.engine.decthings.launchers import Launchers
from jupyter_ext.engine.decthings.model_runs import ModelRuns
from jupyter_ext.engine.decthings.model_store import ModelStore
from jupyter_ext.engine.sessions.service import DebugSessionService


class DecthingsAPI:
    """Routes of Decthings' API, and the models and launchers that only it knows.

    Args:
        where: The directories.
        sessions: All debug sessions.
        datasets: All datasets.
    """

    def __init__(self, where: Places, sessions: DebugSessionService, datasets: Datasets) -> None:
        self._models = ModelStore(where.debug_models_dir)
        self._launchers = Launchers(where.debug_models_dir / "launchers.json")
        self._runs = ModelRuns(sessions, usage_of)
        calls, locations = SessionCalls(sessions, datasets), Locations(self._launchers)
        debug = DebugRpc(calls, self._models, locations, SessionSubscriptions(sessions))
        self._rpc = Rpc(
            {
                "Dataset": DatasetRpc(datasets).methods(),
                "Debug": debug.methods(),
                "Model": ModelRpc(self._models, self._runs, calls, locations).methods(),
                "PersistentLauncher": LauncherRpc(self._launchers, sessions).methods(),
                "User": UserRpc().methods(),
            }
        )

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [*HttpAPI(self._rpc).routes(), *WebSocketAPI(self._rpc).routes()]

    def open(self) -> None:
        """Read what is there."""
        self._models.open()
        self._launchers.open()

    async def take_over(self) -> None:
        """End what an engine before this one left half done; the sessions are open by now."""
        await self._runs.open()

    async def close(self) -> None:
        """End the runs of models."""
        await self._runs.close()
