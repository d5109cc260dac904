"""Runs of stored models end, whenever the cancel comes."""

from __future__ import annotations

import asyncio
from typing import Any

from jupyter_ext.engine.decthings.model_runs import ModelRuns
from jupyter_ext.engine.decthings.run import Run, RunFailed


class SlowToEnd:
    """A service whose sessions take their time to end."""

    def __init__(self) -> None:
        self.ending = asyncio.Event()
        self.let_end = asyncio.Event()
        self.ended: list[str] = []

    async def terminate(self, session_id: str) -> None:
        self.ending.set()
        await self.let_end.wait()
        self.ended.append(session_id)


async def test_a_cancel_while_its_session_ends_leaves_the_run_over() -> None:
    service: Any = SlowToEnd()
    runs, run = ModelRuns(service, lambda pids: {}), Run("m", {}, session_id="s")

    async def work() -> None:
        raise RunFailed("cancelled")

    run.task = asyncio.create_task(runs._carry_out(run, work))
    await service.ending.wait()
    canceling = asyncio.create_task(runs.cancel(run))
    await asyncio.wait({run.task})
    await canceling
    assert (run.state, run.error) == ("failed", {"code": "cancelled"})
    service.let_end.set()
    while service.ended != ["s"]:
        await asyncio.sleep(0)
