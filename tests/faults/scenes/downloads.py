"""A model that comes from a hub while the engine is struck: it ends whole, and what had come is not asked for again for nothing."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import count
from pathlib import Path

from jupyter_ext.client.requests.async_client import AsyncClient
from tests.faults.victims import Strikes, of_engine
from tests.faults.world import World

_numbers = count()


class Downloads:
    """One download, one to three strikes at the engine."""

    name, weight = "downloads", 1.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Download, strike, wait for the end, compare bytes."""
        name = f"tiny{next(_numbers)}"
        source = await asyncio.to_thread(world.published, name)
        model = await client.models.add(f"hub:acme/{name}")
        await client.models.download(model.id)
        engine = {"engine": of_engine(world.engine.where)["engine"]}
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, 0.8))
            await strikes.strike(engine, "race", "socket", "clock")
        began = time.monotonic()
        done = await client.models.downloaded(model.id)
        world.report.recovered(time.monotonic() - began, self.name)
        world.report.check(
            done.state == "downloaded" and done.path is not None, f"{model.id} is {done.state}: {done.error}"
        )
        if done.path is not None:
            await asyncio.to_thread(self._compare, world, source, Path(done.path))
        await client.models.delete(model.id, force=True)

    def _compare(self, world: World, source: Path, kept: Path) -> None:
        for path in source.iterdir():
            found = kept / path.name if kept.is_dir() else kept.parent / path.name
            same = found.exists() and found.read_bytes() == path.read_bytes()
            world.report.check(same, f"{path.name} is not what the hub has")
