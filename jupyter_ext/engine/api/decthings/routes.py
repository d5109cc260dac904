"""Everything under `/v0` in one piece."""

from __future__ import annotations

from starlette.routing import BaseRoute

from jupyter_ext.engine.api.decthings.datasets import DatasetRpc
from jupyter_ext.engine.api.decthings.http import HttpAPI
from jupyter_ext.engine.api.decthings.rpc import Rpc
from jupyter_ext.engine.api.decthings.websocket import WebSocketAPI
from jupyter_ext.engine.debug_sessions.datasets import Datasets


class DecthingsAPI:
    """Routes of Decthings' API."""

    def __init__(self, datasets: Datasets) -> None:
        self._rpc = Rpc({"Dataset": DatasetRpc(datasets).methods()})

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [*HttpAPI(self._rpc).routes(), *WebSocketAPI(self._rpc).routes()]
