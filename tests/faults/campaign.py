"""Strike at random moments while things are made, logged, saved, loaded, called and told; then hold everything to account.

A round is made of its seed and number alone, so that `SEED=… ROUND=…` plays it again; what the machine's timing makes of it is new
each time. What a scene does and what must be true after it is in `tests/faults/scenes`; what holds after each is here:
nothing is left behind, and one engine at most is there.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Sequence

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import JupyterExtError
from tests.faults.scenes.scene import Scene
from tests.faults.victims import Strikes
from tests.faults.world import World

ROUND_TIMEOUT_S = 120.0
SETTLE_S = 20.0
"""So long what is ending may take to be gone."""


class Campaign:
    """Rounds in one world.

    Args:
        world: An engine is started there as needed.
        seed: Of everything that is random.
        scenes: What is played; each as often as its weight says.
    """

    def __init__(self, world: World, seed: int, scenes: Sequence[Scene]) -> None:
        self.world = world
        self.seed = seed
        self._scenes = scenes

    def scene_of(self, chance: random.Random) -> Scene:
        """Draw what is played next."""
        return chance.choices(self._scenes, [scene.weight for scene in self._scenes])[0]

    async def round(self, number: int) -> None:
        """Play one round and check what it left."""
        chance = random.Random(f"{self.seed}:{number}")
        await self.play(self.scene_of(chance), chance, number)

    async def play(self, scene: Scene, chance: random.Random, number: int) -> None:
        """Play a scene and check what it left."""
        report, num_before = self.world.report, len(self.world.report.violations)
        strikes = Strikes(self.world, chance)
        where = f"round {number}, {scene.name}"
        began = time.monotonic()
        try:
            async with asyncio.timeout(ROUND_TIMEOUT_S), AsyncClient(self.world.engine.where) as client:
                await scene.play(self.world, client, strikes, chance)
        except (TimeoutError, JupyterExtError, AssertionError, OSError) as error:
            report.violations.append(
                f"{type(error).__name__} after {time.monotonic() - began:.0f} s: {error}"
            )
        await self._check_nothing_left()
        report.rounds[scene.name] += 1
        did = ", ".join(strikes.did) or "nothing"
        for place in range(num_before, len(report.violations)):
            report.violations[place] = f"{where}: {report.violations[place]} (struck: {did})"

    async def _check_nothing_left(self) -> None:
        deadline = time.monotonic() + SETTLE_S
        while (left := await asyncio.to_thread(self.world.left)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self.world.report.violations += [f"left behind: {what}" for what in left]
