"""A model that is loaded and called while its host, the host's guard, the zygote and the engine are struck."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress

import torch
from model_tools import ModelsUnderTest

from jupyter_ext.client.models.module_factory import host_options
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.models import LocalModel
from tests.faults.victims import Find, Strikes, of_directory, of_engine
from tests.faults.world import World


def adds() -> torch.nn.Module:
    """Make a module that adds its weights to what it is called with; it travels to the host by value."""
    import torch

    class Adds(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.w = torch.nn.Parameter(torch.zeros(2))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.w

    return Adds()


adds.__module__ = "__main__"


class Models:
    """One loaded model, two strikes with calls in between."""

    name, weight = "models", 1.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Load, strike, call: an answer is right, or an error with a name; the call after it is answered."""
        models = ModelsUnderTest(world.engine)
        options = {"options": host_options({"factory": adds})}
        model = await asyncio.to_thread(models.load, world.weights, **options)
        for _ in range(chance.randint(1, 2)):
            await asyncio.sleep(chance.uniform(0.0, 0.2))
            striking = asyncio.create_task(
                strikes.strike(self._victims(world, model), "race", "socket", "clock")
            )
            await asyncio.to_thread(self._call, world, models, model, options, lenient=True)
            await striking
        began = time.monotonic()
        await asyncio.to_thread(self._call, world, models, model, options, lenient=False)
        world.report.recovered(time.monotonic() - began, self.name)
        await asyncio.to_thread(models.unload, model.id)

    def _victims(self, world: World, model: LocalModel) -> dict[str, Find]:
        assert model.host is not None
        engine = of_engine(world.engine.where)
        host = of_directory(world.engine.where.hosts_dir / model.host.id)
        return {"engine": engine["engine"], "zygote": engine["zygote"], **host}

    def _call(
        self,
        world: World,
        models: ModelsUnderTest,
        model: LocalModel,
        options: dict[str, object],
        lenient: bool,
    ) -> None:
        x = torch.tensor([3.0, 4.0])
        with suppress(*([JupyterExtError, OSError] if lenient else [])):
            answer = models.calls(models.get(model.id), **options).call(x)
            right = torch.equal(answer, torch.tensor([4.0, 6.0]))
            world.report.check(right, f"a call was answered with {answer}")
