"""Builds what debug sessions take: the sessions, their datasets, our API and Decthings'."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Any

from jupyter_ext.config import Locations
from jupyter_ext.engine.api.decthings.routes import DecthingsAPI
from jupyter_ext.engine.api.native.datasets import DatasetsAPI
from jupyter_ext.engine.api.native.decthings_proxy import DecthingsRemoteAPI
from jupyter_ext.engine.api.native.sessions import DebugSessionsAPI
from jupyter_ext.engine.assembly.part import API, Work
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.common.pubsub import PubSub, Watch
from jupyter_ext.engine.datasets.service import Datasets
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.sessions.service import DebugSessionService


class SessionsPart:
    """Debug sessions and datasets; see `part.Part`.

    Args:
        where: The engine's directories.
        environments: The warm interpreters, which sessions are forked from.
        pages: Where JupyterLab is.
    """

    def __init__(self, where: Locations, environments: Environments, pages: LabPages) -> None:
        self._pubsub: PubSub[Any] = PubSub()
        self.sessions = DebugSessionService(where, environments, self._pubsub)
        self._datasets = Datasets(where.datasets_dir)
        self._decthings = DecthingsAPI(where, self.sessions, self._datasets)
        self._decthings_remote = DecthingsRemoteAPI()
        self.apis: Sequence[API] = (
            self._decthings,
            DatasetsAPI(self._datasets),
            self._decthings_remote,
            DebugSessionsAPI(self.sessions, sys.executable, pages),
        )

    def watch(self, wake: asyncio.Event) -> AbstractContextManager[Watch]:
        """Hear which sessions have news."""
        return self._pubsub.watch(wake)

    @property
    def work(self) -> Work:
        """Count the sessions and who looks on."""
        return Work(sessions=self.sessions.num_active, viewers=self._pubsub.num_subscribers)

    async def open(self) -> None:
        """Open the stores, adopt the sessions that run, and end what an engine before this one left half done."""
        await asyncio.to_thread(self._datasets.open)
        await asyncio.to_thread(self._decthings.open)
        await self.sessions.open()
        await self._decthings.take_over()

    async def close(self) -> None:
        """End the runs of Decthings' models; sessions go on."""
        await self._decthings.close()
        await self._decthings_remote.close()
        await self.sessions.close()
