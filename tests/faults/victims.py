"""Whom a round strikes, and how: killed with -9, stopped for a while, two at once, raced, the socket removed, the clock set."""

from __future__ import annotations

import asyncio
import os
import random
import signal
import subprocess
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psutil

from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineUnreachable
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import read_json

if TYPE_CHECKING:
    from tests.faults.world import World

Find = Callable[[], int | None]
"""Looks for a victim's pid."""

_STARTER = "from jupyter_ext.engine_process import discovery; discovery.ensure()"
_NUM_RACERS = 3


def living(start_file: Path, who: str) -> int | None:
    """Return the pid in a `start.json` if that very process still runs."""
    told = read_json(start_file)
    if not told:
        return None
    pid = int(told[who]["pid"])
    return pid if processes.is_alive(pid, told[who]["ticks"]) else None


def of_directory(directory: Path) -> dict[str, Find]:
    """Return how the worker and the shim of a run, session or host are found."""
    path = directory / "start.json"
    return {"worker": lambda: living(path, "worker"), "shim": lambda: living(path, "shim")}


def of_engine(where: Locations) -> dict[str, Find]:
    """Return how the engine and what it starts for itself are found."""

    def engine() -> int | None:
        found = _engine(where)
        return found and int(found["pid"])

    def zygote() -> int | None:
        found = _engine(where)
        return next((item["pid"] for item in found["environments"] if item["pid"]), None) if found else None

    def sealer() -> int | None:
        found = _engine(where)
        try:
            children = psutil.Process(found["pid"]).children() if found else []
            return next((child.pid for child in children if _is_sealer(child)), None)
        except psutil.NoSuchProcess:
            return None

    return {"engine": engine, "zygote": zygote, "sealer": sealer}


class Strikes:
    """The strikes of one round.

    Args:
        world: Where it strikes.
        chance: Decides.
    """

    def __init__(self, world: World, chance: random.Random) -> None:
        self._world = world
        self._chance = chance
        self.killed: set[str] = set()
        """Names of victims that were killed."""
        self.clock_stepped = False
        self.did: list[str] = []
        """What was done, for the text of a violation."""

    async def strike(self, victims: Mapping[str, Find], *ways: str) -> None:
        """Do one thing to one or two of them.

        Args:
            victims: Whom to choose from.
            ways: What else may be done: `race`, `socket`, `clock`.
        """
        way = self._chance.choice(("kill", "kill", "kill", "two", "freeze", *ways))
        names = sorted(victims)
        match way:
            case "two":
                await self._kill(victims, self._chance.sample(names, min(2, len(names))))
            case "freeze":
                await self._freeze(victims, self._chance.choice(names), self._chance.uniform(0.3, 2.5))
            case "race":
                await self._race(victims)
            case "socket":
                self._world.engine.where.socket.unlink(missing_ok=True)
                self._did("socket removed")
            case "clock":
                self.step_clock(self._chance.choice((-86_400.0, -3600.0, -5.0, 5.0, 3600.0, 86_400.0)))
            case _:
                await self._kill(victims, [self._chance.choice(names)])

    def step_clock(self, seconds: float) -> None:
        """Set the clock of engine and trainings."""
        self._world.clock.step(seconds)
        self.clock_stepped = True
        self._did("clock set back" if seconds < 0 else "clock set forward")

    async def _kill(self, victims: Mapping[str, Find], names: list[str]) -> None:
        pids = {name: await asyncio.to_thread(victims[name]) for name in names}
        for name, pid in pids.items():
            if pid is None:
                self._world.report.missed[name] += 1
                continue
            self.killed.add(name)  # before: somebody may notice at once
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            self._did(f"kill {name}")
        if len(names) > 1 and None not in pids.values():
            self._world.report.strikes["two at once"] += 1

    async def _freeze(self, victims: Mapping[str, Find], name: str, seconds: float) -> None:
        pid = await asyncio.to_thread(victims[name])
        if pid is None:
            self._world.report.missed[name] += 1
            return
        try:
            os.kill(pid, signal.SIGSTOP)
            self._did(f"stop {name}")
            await asyncio.sleep(seconds)
        except ProcessLookupError:
            self._world.report.missed[name] += 1
        finally:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)

    async def _race(self, victims: Mapping[str, Find]) -> None:
        """Kill the engine, and have several processes start one at once: one engine comes of it."""
        await self._kill(victims, ["engine"])
        environment = {**os.environ, **self._world.environment}
        racers = [
            await asyncio.create_subprocess_exec(
                sys.executable, "-c", _STARTER, env=environment, stderr=subprocess.PIPE
            )
            for _ in range(_NUM_RACERS)
        ]
        for racer in racers:
            _, errors = await racer.communicate()
            said = errors.decode(errors="replace")[-300:]
            self._world.report.check(racer.returncode == 0, f"a racing starter ended so: {said}")
        engines = await asyncio.to_thread(engines_of, self._world.engine.where)
        self._world.report.check(len(engines) == 1, f"the race left {len(engines)} engines")
        self._did("race")

    def _did(self, what: str) -> None:
        self._world.report.strikes[what] += 1
        self.did.append(what)


def engines_of(where: Locations) -> list[int]:
    """List the engines of a home that live."""
    return [
        pid for pid, line in processes_of(where.data_dir) if line.split()[1:3] == ["-m", "jupyter_ext.engine"]
    ]


def processes_of(data_dir: Path) -> list[tuple[int, str]]:
    """List the processes, but for this one, that were started with an engine home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get("JUPYTER_EXT_DATA_DIR") == str(data_dir):
                found.append((process.pid, " ".join(process.cmdline())[:120]))
        except psutil.Error:
            continue
    return found


def _engine(where: Locations) -> dict[str, Any] | None:
    try:
        found = discovery.find(where)
    except EngineUnreachable:  # it is stopped just now
        return None
    return found.info if found else None


def _is_sealer(process: psutil.Process) -> bool:
    try:
        return any("metrics.sealing" in part for part in process.cmdline())
    except psutil.Error:
        return False
