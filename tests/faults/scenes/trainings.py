"""Trainings that log, save, are canceled, sealed and resumed."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial
from itertools import count

from integration_tools import start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import EngineError, RequestRefused
from tests.faults.scenes.records import LOOP, NUM_STEPS, Run, check_records
from tests.faults.victims import Strikes, of_directory, of_engine
from tests.faults.world import World

_numbers = count()


class Trainings:
    """One to three trainings, one to three strikes."""

    name, weight = "trainings", 6.0

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Start, strike or cancel, wait, resume what can be, and check all of it."""
        runs = [await start_run(world, client) for _ in range(chance.randint(1, 3))]
        if chance.random() < 0.7:  # else it is struck while it starts
            await until_one_logs(client, runs)
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            await self._strike(world, client, strikes, runs, chance)
        began = time.monotonic()
        for run in runs:
            run.training = await client.wait(run.training.id)
        world.report.recovered(time.monotonic() - began, self.name)
        again = [await self._resume(world, client, run) for run in runs]
        for run in [*runs, *filter(None, again)]:
            await check_records(client, world.report, run)

    async def _strike(
        self, world: World, client: AsyncClient, strikes: Strikes, runs: list[Run], chance: random.Random
    ) -> None:
        run = chance.choice(runs)
        if chance.random() < 0.15:
            run.canceled = True
            world.report.strikes["cancel"] += 1
            strikes.did.append("cancel")
            await client.cancel(run.training.id)
            return
        before = set(strikes.killed)
        strikes.killed.clear()
        victims = {**of_directory(world.engine.run_dir(run.training)), **of_engine(world.engine.where)}
        try:
            await strikes.strike(victims, "race", "socket", "clock")
        finally:
            run.killed = run.killed or not strikes.killed.isdisjoint({"worker", "shim"})
            for other in runs:
                other.engine_killed = other.engine_killed or "engine" in strikes.killed
            strikes.killed |= before

    async def _resume(self, world: World, client: AsyncClient, run: Run) -> Run | None:
        """Go on with what was cut, where it has a checkpoint."""
        if run.training.status not in ("failed", "canceled"):
            return None
        acks = run.acks.with_name(f"{run.acks.name}-resumed")
        try:
            resumed = await client.resume(run.training.id, {"acks": str(acks)})
        except RequestRefused:  # it has no checkpoint
            return None
        world.report.resumed += 1
        return Run(await client.wait(resumed.id), acks, resumed=True)


async def start_run(world: World, client: AsyncClient) -> Run:
    """Start a training; a kill of the engine before may be told once, and nothing was started then."""
    acks = world.folder / f"acks-{next(_numbers)}"
    begin = partial(start, client, LOOP, acks=str(acks), n=NUM_STEPS)
    try:
        return Run(await begin(), acks)
    except EngineError:
        return Run(await begin(), acks)


async def until_one_logs(client: AsyncClient, runs: list[Run]) -> None:
    """Wait until one of them has logged, or has ended."""
    while not any(run.acks.exists() for run in runs):
        if (await client.get(runs[0].training.id)).status not in ("starting", "processing"):
            return
        await asyncio.sleep(0.01)
