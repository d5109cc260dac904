"""A scene: something that people do, struck while they do it."""

from __future__ import annotations

import random
from typing import Protocol

from jupyter_ext.client.requests.async_client import AsyncClient
from tests.faults.victims import Strikes
from tests.faults.world import World


class Scene(Protocol):
    """One kind of round. `weight`: how often it is drawn, beside the others."""

    name: str
    weight: float

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Do it, strike, wait until all is told, and add to the report what is not as it must be."""
