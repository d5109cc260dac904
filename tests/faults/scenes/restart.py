"""The container or the host is started again: every process is gone, and their pids belong to others."""

from __future__ import annotations

import asyncio
import random
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import psutil

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import read_json, write_json
from tests.faults.scenes.records import check_records
from tests.faults.scenes.trainings import start_run, until_one_logs
from tests.faults.victims import Strikes, processes_of
from tests.faults.world import World


class Restart:
    """One or two trainings, all killed with everything that would have told of it."""

    name, weight = "restart", 1.0

    async def play(self, world: World, client: AsyncClient, strikes: Strikes, chance: random.Random) -> None:
        """Kill everything, give the pids to a bystander, start again: the bystander lives, the trainings are told as lost."""
        runs = [await start_run(world, client) for _ in range(chance.randint(1, 2))]
        if chance.random() < 0.8:
            await until_one_logs(client, runs)
        await asyncio.sleep(chance.uniform(0.0, 0.3))
        what = chance.choice(("container", "host"))
        await asyncio.to_thread(_kill_all, world)
        strikes.did.append(f"{what} restarted")
        world.report.strikes[f"{what} restarted"] += 1
        bystander = subprocess.Popen(["sleep", "600"])
        try:
            for run in runs:
                run.restarted = run.engine_killed = True
                _as_of_before(world.engine.run_dir(run.training), what, bystander.pid)
            if chance.random() < 0.3:
                strikes.step_clock(-3600.0)
            began = time.monotonic()
            for run in runs:
                run.training = await client.wait(run.training.id)
                await check_records(client, world.report, run)
            world.report.recovered(time.monotonic() - began, self.name)
            world.report.check(
                bystander.poll() is None, "a process that has the pid of a lost one was killed"
            )
        finally:
            bystander.kill()
            bystander.wait()


def _kill_all(world: World) -> None:
    found = []
    for pid, _ in processes_of(world.engine.where.data_dir):
        with suppress(psutil.NoSuchProcess):
            found.append(psutil.Process(pid))
    for process in found:  # the guards first stand still, so that none sees how the others end
        with suppress(psutil.NoSuchProcess):
            process.send_signal(signal.SIGSTOP)
    for process in found:
        with suppress(psutil.NoSuchProcess):
            process.kill()
    psutil.wait_procs(found, timeout=10)


def _as_of_before(run_dir: Path, what: str, pid: int) -> None:
    """Write the run's files as if they came from before the restart, with a pid that is now a stranger's."""
    stranger = {"pid": pid, "ticks": processes.start_ticks(pid)}
    for name in ("claim.json", "start.json", "streams.json"):
        told = read_json(run_dir / name)
        if not isinstance(told, dict):
            continue
        for who in ("shim", "worker"):
            if who in told:
                told[who] = stranger
        if what == "host" and "boot_id" in told:
            told["boot_id"] = "00000000-0000-4000-8000-000000000000"
        elif what == "container" and "pid_namespace" in told:
            told["pid_namespace"] = 1
        if name == "claim.json":  # it is locked by its inode; nobody holds that now
            (run_dir / name).unlink()
        write_json(run_dir / name, told)
