"""Trainings that have ended, struck while they are sealed: all of them end sealed, and every record is there before and after."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from pathlib import Path

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import EngineError
from jupyter_ext.ipc.journal_format import parse_journal_name
from tests.faults.scenes.records import check_records
from tests.faults.scenes.trainings import start_run
from tests.faults.victims import Find, Strikes, of_engine
from tests.faults.world import World

_SEALED_WITHIN_S = 60.0


class Sealing:
    """One to four trainings, and one or two strikes at whoever seals them."""

    name, weight = "sealing", 1.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Train, wait for the sealer, strike it at work, and look for what it has made of the records."""
        runs = [await start_run(world, client) for _ in range(chance.randint(1, 4))]
        for run in runs:
            run.training = await client.wait(run.training.id)
        run_dirs = [world.engine.run_dir(run.training) for run in runs]
        victims = {name: of_engine(world.engine.where)[name] for name in ("sealer", "engine")}
        for _ in range(chance.randint(1, 2)):
            if not await _until_at_work(victims["sealer"], run_dirs, chance.random() < 0.7):
                break
            await asyncio.sleep(chance.uniform(0.0, 0.15))
            await self._strike(strikes, victims, chance)
            with suppress(EngineError):  # it was struck too; the next request finds another
                await client.engine()
        began = time.monotonic()
        while left := [path.name for path in run_dirs if _is_unsealed(path)]:
            if time.monotonic() - began > _SEALED_WITHIN_S:
                world.report.violations.append(f"{left} are not sealed after {_SEALED_WITHIN_S:.0f} s")
                break
            with suppress(EngineError):
                await client.engine()
            await asyncio.sleep(0.05)
        world.report.recovered(time.monotonic() - began, self.name)
        for run in runs:
            await check_records(client, world.report, run)

    async def _strike(self, strikes: Strikes, victims: dict[str, Find], chance: random.Random) -> None:
        """Strike the sealer most of the time: the engine alone is struck by other scenes."""
        only = {"sealer": victims["sealer"]}
        await strikes.strike(victims if chance.random() < 0.3 else only, "kill")


async def _until_at_work(sealer: Find, run_dirs: list[Path], writes: bool) -> bool:
    """Wait for a sealer that is there, or that writes; tell whether there is something left for it."""
    while any(_is_unsealed(path) for path in run_dirs):
        pid = await asyncio.to_thread(sealer)
        if pid is not None and (not writes or any((path / "segments").exists() for path in run_dirs)):
            return True
        await asyncio.sleep(0.005)
    return False


def _is_unsealed(run_dir: Path) -> bool:
    journals = any(parse_journal_name(path.name) is not None for path in run_dir.glob("*.jnl"))
    return journals or any((run_dir / "segments").glob("metrics-*.parquet"))
