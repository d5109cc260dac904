"""A data directory of the tree before, opened by engines that are killed while they take it over, and by the old tree again."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
import tarfile
import time
from contextlib import suppress
from io import BytesIO
from itertools import count
from pathlib import Path

import old_data
from integration_tools import EngineUnderTest

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineError, EngineUnreachable
from tests.faults.victims import Strikes, engines_of, processes_of
from tests.faults.world import World

OLD_TREE = "c5d4f18"
_numbers = count()
_ROOT = Path(__file__).parents[3]


class Upgrade:
    """One data directory of a year ago."""

    name, weight = "upgrade", 0.7

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Start and kill engines on it, then compare what is told with what was there; perhaps go back and forth."""
        root = world.folder / f"old-{next(_numbers)}"
        await asyncio.to_thread(old_data.unpack, root)
        if chance.random() < 0.5:
            old_data.lose_catalog(root)
        engine = EngineUnderTest(Locations(root / "data", root / "run"))
        expected = {one["id"]: one["status"] for one in old_data.expected()["trainings"]}
        try:
            for _ in range(chance.randint(1, 3)):
                await asyncio.to_thread(_start_and_kill, engine, chance.uniform(0.15, 0.9))
                strikes.did.append("kill engine at its start")
                world.report.strikes["kill engine at its start"] += 1
            began = time.monotonic()
            await self._compare(world, engine, expected, "after the upgrade")
            world.report.recovered(time.monotonic() - began, self.name)
            if chance.random() < 0.5 and (old := await asyncio.to_thread(_old_tree, world)) is not None:
                world.report.strikes["downgrade"] += 1
                await asyncio.to_thread(engine.close)
                told = await _look_with(old, engine.where)
                world.report.check(told == expected, f"the tree before tells {told} of {expected}")
                await self._compare(world, engine, expected, "after there and back")
        finally:
            await asyncio.to_thread(engine.close)
        deadline = time.monotonic() + 10
        while (
            left := await asyncio.to_thread(processes_of, engine.where.data_dir)
        ) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        world.report.check(not left, f"left behind by the upgraded engine: {left}")

    async def _compare(
        self, world: World, engine: EngineUnderTest, expected: dict[str, str], when: str
    ) -> None:
        async with AsyncClient(engine.where) as client:
            told = {one.id: one.status for one in await client.list(limit=1000)}
        world.report.check(told == expected, f"{when} {told} is told; {expected} was there")


def _start_and_kill(engine: EngineUnderTest, seconds: float) -> None:
    starter = "from jupyter_ext.engine_process import discovery; discovery.ensure()"
    environment = {
        **os.environ,
        "JUPYTER_EXT_DATA_DIR": str(engine.where.data_dir),
        "JUPYTER_EXT_RUNTIME_DIR": str(engine.where.runtime_dir),
    }
    child = subprocess.Popen([sys.executable, "-c", starter], env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 20
    while not (pids := engines_of(engine.where)) and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(seconds)
    child.kill()
    child.wait()
    for pid in {*pids, *engines_of(engine.where)}:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    while discovery.is_running(engine.where):
        time.sleep(0.01)


def _old_tree(world: World) -> Path | None:
    """Lay the tree from before out once; `None` where the repository does not have it."""
    site = world.folder / "old-tree"
    if not site.exists():
        found = subprocess.run(
            ["git", "archive", OLD_TREE, "jupyter_ext"], cwd=_ROOT, capture_output=True, check=False
        )
        if found.returncode:
            return None
        with tarfile.open(fileobj=BytesIO(found.stdout)) as archive:
            archive.extractall(site, filter="data")
    return site


async def _look_with(site: Path, where: Locations) -> dict[str, str]:
    """Tell what an engine of another tree tells."""
    environment = {
        **os.environ,
        "PYTHONPATH": str(site),
        "JUPYTER_EXT_DATA_DIR": str(where.data_dir),
        "JUPYTER_EXT_RUNTIME_DIR": str(where.runtime_dir),
    }
    command = [sys.executable, "-m", "jupyter_ext.engine"]
    old = await asyncio.create_subprocess_exec(*command, env=environment, cwd="/", stderr=subprocess.DEVNULL)
    try:
        while not await asyncio.to_thread(_answers, where):
            if old.returncode is not None:
                raise EngineError(f"the tree before does not start: {where.engine_log.read_text()[-400:]}")
            await asyncio.sleep(0.02)
        async with AsyncClient(where) as client:
            told = {one.id: one.status for one in await client.list(limit=1000)}
        if old.returncode is not None:
            raise EngineError("this client has ended the engine of the tree before")
        return told
    finally:
        if old.returncode is None:
            old.terminate()
        await old.wait()


def _answers(where: Locations) -> bool:
    try:
        return discovery.find(where) is not None
    except EngineUnreachable:  # it reads the directory
        return False
