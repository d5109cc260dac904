"""Kill processes at random moments while trainings log, save, are canceled and resumed; then hold everything to account.

A round is made of its seed and number alone, so that `SEED=… ROUND=…` plays it again; what the machine's timing makes of it is new
each time. A record counts as acknowledged once `log()` has returned, which the training itself writes down, outside of our files.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
from integration_tools import EngineUnderTest, start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineError, JupyterExtError, RequestRefused
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.trainings import Training

VICTIMS = ("worker", "shim", "zygote", "engine", "sealer")
NUM_STEPS = 80
ROUND_TIMEOUT_S = 90.0
SETTLE_S = 15.0
"""So long what is ending may take to be gone."""

_TEMPORARY = re.compile(r"\.(tmp|part|partial)$|^\..+\.\d+$")
"""As atomic writes and downloads name what is not whole yet."""

LOOP = """
import os, time
from jupyter_ext import checkpoint, log
def train(acks: str, n: int = 80):
    import torch
    found = checkpoint.latest()
    first = found.step + 1 if found else 0
    told = os.open(acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    for i in range(first, n):
        log({"x": 3 * i + 1}, step=i)
        os.write(told, b"%d\\n" % i)
        if i % 10 == 9:
            checkpoint.save({"i": torch.tensor(i)}, step=i)
        time.sleep(0.005)
    return n
"""


@dataclass
class Run:
    """One training of a round, and what was done to it."""

    training: Training
    acks: Path
    killed: bool = False
    canceled: bool = False
    engine_killed: bool = False
    resumed: bool = False


@dataclass
class Report:
    """What a campaign has done and found."""

    rounds: int = 0
    kills: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Victims that were not there at the moment."""
    states: Counter[str] = field(default_factory=Counter)
    trainings: int = 0
    resumed: int = 0
    acknowledged: int = 0
    slowest_recovery_s: float = 0.0
    violations: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Return the report as text."""

        def counts(of: Counter[str]) -> str:
            return ", ".join(f"{name} {number}" for name, number in sorted(of.items())) or "none"

        return [
            f"rounds               {self.rounds}",
            f"trainings            {self.trainings} ({counts(self.states)}), {self.resumed} of them resumed",
            f"killed with -9       {counts(self.kills)}; not there: {counts(self.missed)}",
            f"acknowledged records {self.acknowledged}, each looked for once and in order",
            f"slowest recovery     {self.slowest_recovery_s:.1f} s from the last kill to all states told",
            f"violations           {len(self.violations)}",
            *(f"  {violation}" for violation in self.violations),
        ]


class Campaign:
    """Rounds against one engine home.

    Args:
        engine: The home; an engine is started there as needed.
        seed: Of everything that is random.
        folder: For what the trainings write down.
    """

    def __init__(self, engine: EngineUnderTest, seed: int, folder: Path) -> None:
        self.engine = engine
        self.seed = seed
        self.folder = folder
        self.report = Report()

    async def round(self, number: int) -> None:
        """Play one round and check what it left."""
        chance = random.Random(f"{self.seed}:{number}")
        where = f"round {number}"
        try:
            async with asyncio.timeout(ROUND_TIMEOUT_S), AsyncClient(self.engine.where) as client:
                runs = await self._play(client, chance, number)
                for run in runs:
                    await self._check(client, run, where)
        except (TimeoutError, JupyterExtError) as error:
            self.report.violations.append(f"{where}: {type(error).__name__}: {error}")
        await self._check_nothing_left(where)
        self.report.rounds += 1

    async def _play(self, client: AsyncClient, chance: random.Random, number: int) -> list[Run]:
        runs = []
        for k in range(chance.randint(1, 3)):
            acks = self.folder / f"{number}-{k}"
            runs.append(Run(await self._start(client, acks), acks))
        if chance.random() < 0.7:  # else it is struck while it starts
            await self._until_one_logs(client, runs)
        for _ in range(chance.randint(1, 3)):
            await asyncio.sleep(chance.uniform(0.0, 0.6))
            run, what = chance.choice(runs), chance.choice((*VICTIMS, "cancel"))
            for other in runs if what == "engine" else ():
                other.engine_killed = True
            await self._strike(client, run, what)
        began = time.monotonic()
        for run in runs:
            run.training = await client.wait(run.training.id)
        self.report.slowest_recovery_s = max(self.report.slowest_recovery_s, time.monotonic() - began)
        return runs + [again for run in runs if (again := await self._resume(client, run)) is not None]

    async def _until_one_logs(self, client: AsyncClient, runs: list[Run]) -> None:
        while not any(run.acks.exists() for run in runs):
            if (await client.get(runs[0].training.id)).status not in ("starting", "processing"):
                return
            await asyncio.sleep(0.01)

    async def _start(self, client: AsyncClient, acks: Path) -> Training:
        """Start a training; a kill of the engine before may be told once, and nothing was started then."""
        try:
            return await start(client, LOOP, acks=str(acks), n=NUM_STEPS)
        except EngineError:
            return await start(client, LOOP, acks=str(acks), n=NUM_STEPS)

    async def _strike(self, client: AsyncClient, run: Run, what: str) -> None:
        if what == "cancel":
            run.canceled = True
            await client.cancel(run.training.id)
            self.report.kills["cancel"] += 1
            return
        pid = await asyncio.to_thread(self._pid_of, run, what)
        if pid is None:
            self.report.missed[what] += 1
            return
        run.killed = run.killed or what in ("worker", "shim")
        try:
            os.kill(pid, signal.SIGKILL)
            self.report.kills[what] += 1
        except ProcessLookupError:
            self.report.missed[what] += 1

    def _pid_of(self, run: Run, what: str) -> int | None:
        if what in ("worker", "shim"):
            return _living(self.engine.run_dir(run.training) / "start.json", what)
        found = discovery.find(self.engine.where)
        if found is None:
            return None
        if what == "engine":
            return int(found.info["pid"])
        if what == "zygote":
            return next((item["pid"] for item in found.info["environments"] if item["pid"]), None)
        try:
            children = psutil.Process(found.info["pid"]).children()
            return next((child.pid for child in children if _is_sealer(child)), None)
        except psutil.NoSuchProcess:
            return None

    async def _resume(self, client: AsyncClient, run: Run) -> Run | None:
        """Go on with what was cut, where it has a checkpoint."""
        if run.training.status not in ("failed", "canceled"):
            return None
        acks = run.acks.with_name(f"{run.acks.name}-resumed")
        try:
            resumed = await client.resume(run.training.id, {"acks": str(acks)})
        except RequestRefused:  # it has no checkpoint
            return None
        self.report.resumed += 1
        return Run(await client.wait(resumed.id), acks, resumed=True)

    async def _check(self, client: AsyncClient, run: Run, where: str) -> None:
        """Hold a training's state and records against what happened to it."""
        report, known = self.report, await client.get(run.training.id)
        where = f"{where}, {known.id}"
        report.trainings += 1
        report.states[known.status] += 1
        told = [int(line) for line in run.acks.read_text().split()] if run.acks.exists() else []
        report.acknowledged += len(told)
        columns = await client.metrics(known.id, ["x"], chain=False)
        steps = [int(step) for series in columns for step in series.steps.tolist()]
        values = [value for series in columns for value in series.values.tolist()]
        if steps[: len(told)] != told or len(steps) > len(told) + 1:
            lost = sorted(set(told) - set(steps))[:5]
            report.violations.append(f"{where}: {len(told)} acknowledged, {len(steps)} kept; lost {lost}")
        if values != [3 * step + 1 for step in steps]:
            report.violations.append(f"{where}: values are not those that were logged")
        # One that goes on from a checkpoint of the last step has nothing left to log.
        is_whole = told[-1] == NUM_STEPS - 1 if told else run.resumed
        never_started = run.engine_killed and not told and "never started" in (known.error or "")
        truths = {
            "succeeded": is_whole and known.output == NUM_STEPS,
            "failed": (run.killed and known.error is not None) or never_started,
            "canceled": run.canceled,
        }
        if not truths.get(known.status, False):
            report.violations.append(
                f"{where}: is {known.status} ({known.error}) with output {known.output}, {len(told)} acknowledged, {run.killed=}, "
                f"{run.canceled=}, {run.engine_killed=}, {run.resumed=}"
            )

    async def _check_nothing_left(self, where: str) -> None:
        deadline = time.monotonic() + SETTLE_S
        while (left := await asyncio.to_thread(self._left)) and time.monotonic() < deadline:
            await asyncio.sleep(0.05)
        self.report.violations += [f"{where}: left behind: {what}" for what in left]

    def _left(self) -> list[str]:
        """List processes, sockets and temporary files that belong to no living engine or zygote."""
        where = self.engine.where
        left = [
            f"{who} {pid} of {path.parent.name}"
            for path in where.runs_dir.glob("*/start.json")
            for who in ("worker", "shim")
            if (pid := _living(path, who)) is not None
        ]
        left += [f"socket {path.name}" for path in where.socket_dir.glob("*.call")]
        left += [
            f"directory {path.name} without spec.json"
            for path in where.runs_dir.iterdir()
            if not (path / "spec.json").exists()
        ]
        for folder, _, names in os.walk(where.data_dir):  # passes over what goes away meanwhile
            left += [f"file {Path(folder, name)}" for name in names if _TEMPORARY.search(name)]
        found = discovery.find(where)
        kept = (
            {found.info["pid"], *(item["pid"] for item in found.info["environments"])}
            if found
            else set[Any]()
        )
        left += [f"process {pid} {line}" for pid, line in _processes_of(where.data_dir) if pid not in kept]
        return left


def _living(start_file: Path, who: str) -> int | None:
    """Return the pid in a `start.json` if that very process still runs."""
    told = read_json(start_file)
    if not told:
        return None
    pid = int(told[who]["pid"])
    return pid if processes.is_alive(pid, told[who]["ticks"]) else None


def _is_sealer(process: psutil.Process) -> bool:
    try:
        return any("metrics.sealing" in part for part in process.cmdline())
    except psutil.Error:
        return False


def _processes_of(data_dir: Path) -> list[tuple[int, str]]:
    """List the processes, but for this one, that were started with an engine home."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.pid == os.getpid() or process.status() == psutil.STATUS_ZOMBIE:
                continue
            if process.environ().get("JUPYTER_EXT_DATA_DIR") == str(data_dir):
                found.append((process.pid, " ".join(process.cmdline())[:80]))
        except psutil.Error:
            continue
    return found
