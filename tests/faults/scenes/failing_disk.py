"""A disk that fails, is slow, whose quota is used up, or that takes a part of a record, while a training logs and is followed."""

from __future__ import annotations

import asyncio
import errno
import random
import time
from itertools import count
from pathlib import Path
from typing import TypedDict

from integration_tools import start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.trainings import Training
from tests.faults.victims import Strikes
from tests.faults.world import World

_numbers = count()
_CODE = """
import os, time
from jupyter_ext import log
def train(acks: str, go: str):
    told, i = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600), 0
    while not os.path.exists(go):
        log({"x": 3 * i + 1}, step=i)
        os.write(told, b"%d\\n" % i)
        i += 1
        time.sleep(0.005)
    return i
"""


class _Fault(TypedDict, total=False):
    code: int
    share: float
    seconds: float
    reads: bool
    writes: int


FAULTS: dict[str, _Fault] = {
    "reads fail": {"code": errno.EIO, "reads": True},
    "some reads fail": {"code": errno.EIO, "reads": True, "share": 0.2},
    "a stale handle": {"code": errno.ESTALE, "reads": True, "share": 0.5},
    "no descriptor left": {"code": errno.EMFILE, "reads": True, "share": 0.5},
    "slow": {"seconds": 0.05, "reads": True, "writes": 1, "share": 0.3},
    "quota used up": {"code": errno.EDQUOT, "writes": 1},
    "writes fail": {"code": errno.EIO, "writes": 1},
    "some writes fail": {"code": errno.EIO, "writes": 1, "share": 0.2},
    "writes are torn": {"writes": 2, "share": 0.5},
}
"""What a disk does, as `FaultyDisk.failing` takes it."""


class FailingDisk:
    """One training, and a disk that is as it should be before and after."""

    name, weight = "failing disk", 1.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Train, let the disk fail for a moment, perhaps kill the engine meanwhile: nothing is lost without a notice."""
        what = chance.choice(sorted(FAULTS))
        number = next(_numbers)
        acks, go = world.folder / f"failing-{number}", world.folder / f"go-{number}"
        try:
            training = await start(client, _CODE, acks=str(acks), go=str(go))
            while not acks.exists():
                await asyncio.sleep(0.01)
            await asyncio.sleep(chance.uniform(0.0, 0.3))
            with world.disk.failing(**FAULTS[what]):
                strikes.did.append(what)
                world.report.strikes[what] += 1
                await asyncio.sleep(chance.uniform(0.1, 0.8))
                if chance.random() < 0.3:
                    await asyncio.to_thread(world.engine.kill)
                    strikes.did.append("kill engine")
                await self._look(client, training.id)
            await self._until(acks, _lines(acks) + 20)
        finally:
            go.touch()
        began = time.monotonic()
        ended = await client.wait(training.id)
        world.report.recovered(time.monotonic() - began, self.name)
        await self._check(world, client, ended, _lines(acks))

    async def _look(self, client: AsyncClient, training_id: str) -> None:
        """Ask meanwhile: an answer or a reason, never a fault of ours."""
        for ask in (
            client.get(training_id),
            client.metrics(training_id, ["x"]),
            client.logs(training_id, 10),
        ):
            try:
                async with asyncio.timeout(20):
                    await ask
            except JupyterExtError as error:
                if "failed inside the engine" in str(error):
                    raise AssertionError(str(error)) from error
            except TimeoutError:
                raise AssertionError(f"{training_id} was not told of within 20 s") from None

    async def _until(self, acks: Path, num_lines: int) -> None:
        while _lines(acks) < num_lines:
            await asyncio.sleep(0.02)

    async def _check(self, world: World, client: AsyncClient, ended: Training, num: int) -> None:
        report = world.report
        report.trainings += 1
        report.states[ended.status] += 1
        report.acknowledged += num
        steps = [int(step) for one in await client.metrics(ended.id, ["x"]) for step in one.steps.tolist()]
        report.check(steps == sorted(set(steps)), f"{ended.id}: points are doubled or out of order")
        said = any("log()" in str(notice) or "disk" in str(notice).lower() for notice in ended.notices)
        lost = sorted(set(range(num)) - set(steps))
        report.check(
            not lost or said, f"{ended.id}: {lost[:5]}… of {num} are lost without a notice: {ended.notices}"
        )
        is_whole = (ended.status, ended.output) == ("succeeded", num)
        report.check(is_whole, f"{ended.id} is {ended.status}: {ended.error} with {ended.output} of {num}")


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")
