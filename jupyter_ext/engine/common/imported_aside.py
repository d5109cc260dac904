"""A late module that is imported in a thread, while the engine goes on answering.

Rule: what is late (see `ipc.late_import`) and takes long is imported so before it is first used on the loop, which it would stop.
"""

from __future__ import annotations

import asyncio
import importlib
import logging

log = logging.getLogger(__name__)


class ImportedAside:
    """One module, imported once.

    Args:
        name: The module's name.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._task: asyncio.Task[None] | None = None

    def begin(self) -> None:
        """Begin to import it, unless that was begun."""
        if self._task is None:
            self._task = asyncio.create_task(self._import(), name=f"import {self._name}")

    async def ready(self) -> None:
        """Wait until it is imported, or cannot be: whoever uses it then hears why."""
        self.begin()
        assert self._task is not None
        await asyncio.shield(self._task)

    async def _import(self) -> None:
        try:
            await asyncio.to_thread(importlib.import_module, self._name)
        except ImportError as error:
            log.error("%s cannot be imported: %s", self._name, error)
