"""Work that belongs to the service and not to the request that began it: one task for each model and kind of work."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class BackgroundTasks:
    """Tasks by model id. A task is found here until its last step, and not a step longer."""

    def __init__(self) -> None:
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __contains__(self, model_id: object) -> bool:
        """Tell whether something is being done for a model."""
        return model_id in self._tasks

    def __len__(self) -> int:
        """Count what is being done."""
        return len(self._tasks)

    def get(self, model_id: str) -> asyncio.Task[None] | None:
        """Return what is being done for a model."""
        return self._tasks.get(model_id)

    def begin(self, model_id: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """Begin some work."""

        async def run() -> None:
            try:
                await work
            finally:
                self._tasks.pop(model_id, None)

        def forget(done: asyncio.Task[None]) -> None:
            if self._tasks.get(model_id) is done:  # canceled before its first step
                del self._tasks[model_id]
                work.close()

        task = self._tasks[model_id] = asyncio.create_task(run(), name=f"model {model_id}")
        task.add_done_callback(forget)
        return task

    async def wait(self, model_id: str) -> None:
        """Wait until nothing is being done for a model; whoever waits may go away without ending it."""
        task = self._tasks.get(model_id)
        if task is not None:
            await asyncio.wait([task])

    async def cancel_all(self) -> None:
        """Cancel everything and wait for it."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
