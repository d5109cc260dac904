"""Code that knows nothing of this library: its bars become progress, its writer's scalars become curves."""

from __future__ import annotations

import asyncio

from integration_tools import EngineUnderTest, finish, start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery

BARS = """
import time
from tqdm import tqdm
from jupyter_ext.integrations.tensorboard import SummaryWriter
def train(n: int = 40, hang: bool = False):
    with SummaryWriter() as writer:
        for i in tqdm(range(n), desc="Training", mininterval=0):
            writer.add_scalar("loss", 1 / (i + 1), i)
            while hang and i == 20: time.sleep(0.01)
        writer.add_mesh("x", None)
"""


async def test_a_bar_is_progress_and_a_writer_is_curves(client: AsyncClient) -> None:
    done = await finish(client, BARS)
    assert done.progress is not None
    assert (done.progress.current, done.progress.total, done.progress.fraction) == (40, 40, 1)
    assert done.last["loss"].step == 39
    assert done.notices == ["SummaryWriter.add_mesh() has no place in the panel; it was left out."]


async def test_progress_that_the_code_says_wins(client: AsyncClient) -> None:
    text = "from tqdm import tqdm\nfrom jupyter_ext import progress\ndef train():\n    progress(1, 7)\n"
    done = await finish(client, text + "    for i in tqdm(range(50), mininterval=0): pass")
    assert done.progress is not None
    assert (done.progress.current, done.progress.total) == (1, 7)


async def test_the_next_engine_finds_the_bar_again(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await start(client, BARS, hang=True)
    async with asyncio.timeout(30):
        while (shown := (await client.get(training.id)).progress) is None or shown.current < 20:
            await asyncio.sleep(0.02)
    engine.kill()
    discovery.ensure(where=engine.where)
    shown = (await client.get(training.id)).progress
    assert shown is not None
    assert (shown.current, shown.total) == (20, 40)
    assert shown.eta_s is not None
    await client.cancel(training.id)
    await client.wait(training.id, 20)
