"""A debug session whose training logs while its process, its guard and the engine are struck."""

from __future__ import annotations

import asyncio
import random
import time
from contextlib import suppress
from functools import partial
from pathlib import Path

from session_tools import SessionUnderTest, launch, request

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.protocol.sessions import DebugSession
from tests.faults.victims import Strikes, of_directory, of_engine
from tests.faults.world import World

CODE = """
import os, time
from jupyter_ext import log

class Logs:
    def train(self, acks: str):
        told = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        for step in range(10**9):
            log({"x": 3 * step + 1})
            os.write(told, b"%d\\n" % step)
            time.sleep(0.005)
"""


class Sessions:
    """One session with one training."""

    name, weight = "sessions", 1.5

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Launch, train, strike; what was acknowledged can be read, and the state is that of the process."""
        where = world.engine.where
        acks = world.folder / f"session-{chance.getrandbits(60):x}"
        session = await asyncio.to_thread(launch, where, CODE, "logs")
        model = (await asyncio.to_thread(session.call, "instantiate"))["model_id"]
        begin = partial(session.call, "train", {"acks": str(acks)}, model_id=model)
        training = str((await asyncio.to_thread(begin))["training_id"])
        while not acks.exists():
            await asyncio.sleep(0.01)
        victims = {**of_directory(where.sessions_dir / session.id), **of_engine(where)}
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, 0.4))
            await strikes.strike(victims, "race", "socket", "clock")
        is_killed = not strikes.killed.isdisjoint({"worker", "shim"})
        began = time.monotonic()
        found = await self._settled(session, ended=is_killed)
        world.report.recovered(time.monotonic() - began, self.name)
        world.report.check(
            (found.status == "ended") == is_killed, f"session {session.id} is {found.status}, {found.exit}"
        )
        await asyncio.to_thread(self._check_points, world, session, training, acks)
        session.channel.close()
        if not is_killed:
            with suppress(JupyterExtError):
                await asyncio.to_thread(session.terminate)
            await self._settled(session, ended=True)

    async def _settled(self, session: SessionUnderTest, *, ended: bool) -> DebugSession:
        while True:
            answer = await asyncio.to_thread(request, session.where, "GET", f"/native/sessions/{session.id}")
            found = DebugSession.model_validate(answer)
            if not ended or found.exit is not None:
                return found
            await asyncio.sleep(0.05)

    def _check_points(self, world: World, session: SessionUnderTest, training: str, acks: Path) -> None:
        num = len(acks.read_text().split())
        world.report.acknowledged += num
        body = {"op": "training_status", "params": {"training_id": training}}
        status = request(session.where, "POST", f"/native/sessions/{session.id}/call", body)["result"]
        amount = status["metrics"][0]["amount"] if status["metrics"] else 0
        world.report.check(amount >= num, f"session {session.id}: {num} acknowledged, {amount} kept")
