"""A training whose receiver is told of it while the engine is struck: the end is told, and nothing comes after it."""

from __future__ import annotations

import asyncio
import random
import time
from itertools import count

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.protocol.trainings import Training
from tests.faults.scenes.records import LOOP, Run, check_records
from tests.faults.victims import Strikes, of_directory, of_engine
from tests.faults.world import World

_numbers = count()
TOLD_WITHIN_S = 75.0
"""The last attempt at the terminal message begins about a minute after the end."""


class WebhooksTold:
    """One training with a webhook."""

    name, weight = "webhooks", 1.0

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Create over the API, strike, wait for the message of the end."""
        receiver, acks = world.receiver, world.folder / f"hook-{next(_numbers)}"
        run = Run(await self._create(world, client, str(acks)), acks)
        victims = {**of_directory(world.engine.run_dir(run.training)), **of_engine(world.engine.where)}
        for _ in range(chance.randint(1, 2)):
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            await strikes.strike(victims, "race", "socket", "clock")
        run.killed = not strikes.killed.isdisjoint({"worker", "shim"})
        run.engine_killed = "engine" in strikes.killed
        began = time.monotonic()
        run.training = await client.wait(run.training.id)
        world.report.recovered(time.monotonic() - began, self.name)
        known = await check_records(client, world.report, run)
        try:
            async with asyncio.timeout(TOLD_WITHIN_S):
                while not any(self._is_end(body, known.id) for body in receiver.bodies):
                    await client.get(known.id)  # an engine has to be there
                    await asyncio.sleep(0.05)
        except TimeoutError:
            world.report.violations.append(f"{known.id}: its receiver was never told the end")
        told = [body["status"] for body in receiver.bodies if body["id"] == known.id]
        world.report.check(
            told[-1:] == [known.status], f"{known.id} is {known.status}; its receiver heard {told}"
        )

    def _is_end(self, body: dict[str, object], training_id: str) -> bool:
        return body["id"] == training_id and body["status"] in ("succeeded", "failed", "canceled")

    async def _create(self, world: World, client: AsyncClient, acks: str) -> Training:
        bundle = capture_cell(LOOP, {}, "loop", {"acks": acks})
        version = await client.transport.ask("POST", "/native/versions", content=bundle.for_engine())
        body = {"input": {"acks": acks}, "webhook": world.receiver.url}
        path = f"/v1/models/{version['model']}/versions/{version['id']}/trainings"
        made = await client.transport.ask("POST", path, json=body)
        return Training.model_validate(await client.transport.ask("GET", f"/native/trainings/{made['id']}"))
