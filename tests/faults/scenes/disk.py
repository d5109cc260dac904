"""A disk that fills up, and one that takes nothing any more; both real, on a small file system of their own."""

from __future__ import annotations

import asyncio
import errno
import os
import random
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path

from integration_tools import EngineUnderTest, start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.errors import JupyterExtError
from tests.faults.victims import Strikes, processes_of
from tests.faults.world import World

_numbers = count()
_NUM_STEPS = 300
_CALLS = """
import os, time
from jupyter_ext import log
def train(acks: str, n: int):
    told = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for i in range(n):
        log({"x": 3 * i + 1}, step=i)
        os.write(told, b"%d\\n" % i)
        time.sleep(0.005)
    return n
"""


class NoMount(Exception):
    """Only root may mount."""


class FullDisk:
    """One training whose disk is full for a while."""

    name, weight = "full disk", 1.0

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Fill the disk, perhaps kill the engine, free it: what is kept and what is said to be lost make up all that was logged."""
        try:
            with _disk(world, "24m") as engine:
                async with AsyncClient(engine.where) as own:
                    await self._play(world, engine, own, strikes, chance)
        except NoMount:
            world.report.missed["mount"] += 1

    async def _play(
        self,
        world: World,
        engine: EngineUnderTest,
        client: AsyncClient,
        strikes: Strikes,
        chance: random.Random,
    ) -> None:
        acks = world.folder / f"disk-acks-{next(_numbers)}"
        training = await start(client, _CALLS, acks=str(acks), n=_NUM_STEPS)
        while not acks.exists():
            await asyncio.sleep(0.01)
        await asyncio.sleep(chance.uniform(0.0, 0.4))
        ballast = engine.where.data_dir / "ballast"
        await asyncio.to_thread(_fill, ballast)
        strikes.did.append("disk full")
        world.report.strikes["disk full"] += 1
        is_killed = chance.random() < 0.5
        if is_killed:
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            await asyncio.to_thread(engine.kill)
            strikes.did.append("kill engine")
            await client.engine()  # it starts all the same
        if chance.random() < 0.5:  # else it stays full until the training has ended
            await asyncio.sleep(chance.uniform(0.1, 0.6))
            ballast.unlink()
        while _lines(acks) < _NUM_STEPS:
            await asyncio.sleep(0.02)
        while (engine.run_dir(training) / "start.json").exists() and not (
            engine.run_dir(training) / "exit.json"
        ).exists():
            await asyncio.sleep(0.02)
        ballast.unlink(missing_ok=True)
        began = time.monotonic()
        ended = await client.wait(training.id)
        world.report.recovered(time.monotonic() - began, self.name)
        columns = await client.metrics(ended.id, ["x"])
        steps = [int(step) for series in columns for step in series.steps.tolist()]
        world.report.trainings += 1
        world.report.states[ended.status] += 1
        world.report.acknowledged += _NUM_STEPS
        in_order = steps == sorted(set(steps)) and steps[:1] == [0]
        world.report.check(in_order, f"{ended.id}: points are doubled or out of order")
        said = [notice for notice in ended.notices if "log()" in str(notice) or "disk" in str(notice).lower()]
        world.report.check(
            len(steps) == _NUM_STEPS or bool(said),
            f"{ended.id}: {_NUM_STEPS - len(steps)} calls are lost without a notice: {ended.notices}",
        )
        world.report.check(
            (ended.status, ended.output) == ("succeeded", _NUM_STEPS),
            f"{ended.id} is {ended.status}: {ended.error}",
        )


class UnwritableDisk:
    """A data directory that can only be read."""

    name, weight = "read-only disk", 0.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Train, end everything, open it read-only: it can be looked at, a start is refused by name; then it is as before."""
        try:
            with _disk(world, "24m") as engine:
                async with AsyncClient(engine.where) as own:
                    acks = world.folder / f"disk-acks-{next(_numbers)}"
                    done = await own.wait((await start(own, _CALLS, acks=str(acks), n=10)).id)
                if chance.random() < 0.5:
                    await asyncio.to_thread(engine.kill)
                await asyncio.to_thread(engine.close)
                await asyncio.to_thread(_no_processes, engine)
                _mount("-o", "remount,ro", str(engine.where.data_dir))
                strikes.did.append("disk read-only")
                world.report.strikes["disk read-only"] += 1
                async with AsyncClient(engine.where) as own:
                    await self._look(world, own, done.id)
                await asyncio.to_thread(engine.close)
                _mount("-o", "remount,rw", str(engine.where.data_dir))
                async with AsyncClient(engine.where) as own:
                    again = await own.get(done.id)
                    world.report.check(again.status == "succeeded", f"{done.id} is {again.status} afterwards")
                    more = await own.wait((await start(own, _CALLS, acks=str(acks), n=10)).id)
                    world.report.check(more.status == "succeeded", f"{more.id}: {more.error}")
        except NoMount:
            world.report.missed["mount"] += 1

    async def _look(self, world: World, client: AsyncClient, training_id: str) -> None:
        known = await client.get(training_id)
        num = sum(len(series.steps) for series in await client.metrics(training_id, ["x"]))
        world.report.check(
            (known.status, num) == ("succeeded", 10), f"read-only {training_id} is {known.status}, {num}"
        )
        try:
            await start(client, _CALLS, acks="/tmp/none", n=1)
            world.report.violations.append("a training was started on a disk that takes nothing")
        except JupyterExtError as error:
            said = str(error).lower()
            world.report.check("read-only" in said or "disk" in said, f"a start is refused with: {error}")


@contextmanager
def _disk(world: World, size: str) -> Iterator[EngineUnderTest]:
    """Return an engine home whose data lie on a file system of that size."""
    root = world.folder / f"disk-{next(_numbers)}"
    where = Locations(root / "data", root / "run")
    for path in (where.data_dir, where.runtime_dir):
        path.mkdir(parents=True, mode=0o700)
    _mount("-t", "tmpfs", "-o", f"size={size},mode=0700", "tmpfs", str(where.data_dir))
    engine = EngineUnderTest(where)
    try:
        yield engine
    finally:
        with suppress(JupyterExtError):
            engine.close()
        _no_processes(engine)
        subprocess.run(["umount", "-l", str(where.data_dir)], check=False, capture_output=True)


def _mount(*arguments: str) -> None:
    if subprocess.run(["mount", *arguments], check=False, capture_output=True).returncode:
        raise NoMount


def _fill(path: Path) -> None:
    """Write until nothing fits any more."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    try:
        size = 1 << 20
        while size:
            try:
                os.write(descriptor, bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise
                size //= 16
    finally:
        os.close(descriptor)


def _lines(path: Path) -> int:
    return path.read_bytes().count(b"\n")


def _no_processes(engine: EngineUnderTest) -> None:
    deadline = time.monotonic() + 20
    while processes_of(engine.where.data_dir) and time.monotonic() < deadline:
        time.sleep(0.05)
