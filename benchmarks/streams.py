"""How the engine's load grows with the runs that stream: 100 viewers, and as many runs as RUNS says (default: 100).

RUNS="100 1000 10000" on a machine with cores to spare: the runs are one process that writes the journals of all of them, at the rate of
real ones, and takes a core of its own. Where an engine cannot keep up, RATE=0.1 slows every run down to a call in ten seconds: two rates tell what a
run costs that is merely there, and what each of its calls does. docs/architecture/14-performance.md names what gives first.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import psutil

from benchmarks.support.own_engine import own_engine
from benchmarks.support.rows import Row, percentile
from benchmarks.support.scale import scaled
from benchmarks.support.simulated_runs import CALLS_PER_S
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine_process import discovery

NUM_VIEWERS = int(os.environ.get("VIEWERS", scaled("100", "3")))
RATE = float(os.environ.get("RATE", CALLS_PER_S))
TAKEN_OVER_WITHIN_S, CURRENT_S, MEASURED_S = 300.0, 2.0, scaled(10.0, 1.0)


async def view(client: AsyncClient, id: str, delays: list[float], latest: dict[str, float]) -> None:
    """Follow a run, and note how late each of its points is, the latest one by its run."""
    async with contextlib.aclosing(client.follow(id, 0)) as events:
        async for event in events:
            now = time.time()
            for points in event.points:
                if points.key == "sent_at":
                    delays.extend(now - sent for sent in points.values)
                    latest[id] = delays[-1]


async def measure(num_runs: int) -> AsyncIterator[Row]:
    """Measure an engine with so many runs."""
    with own_engine():
        runs_dir = locations().runs_dir
        command = [sys.executable, "-m", "benchmarks.support.simulated_runs", str(runs_dir)]
        command += [str(num_runs), str(RATE)]
        runs = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert runs.stdin is not None
        assert runs.stdout is not None
        ids = (await asyncio.to_thread(runs.stdout.readline)).split()[1:]
        num_viewed = min(len(ids), NUM_VIEWERS)
        engine = psutil.Process(int(discovery.ensure().info["pid"]))
        try:
            runs.stdin.write("go\n")
            runs.stdin.flush()
            delays: list[float] = []
            latest: dict[str, float] = {}
            streams_since = time.monotonic()
            async with AsyncClient() as client:
                viewers = [
                    asyncio.create_task(view(client, ids[number % len(ids)], delays, latest))
                    for number in range(NUM_VIEWERS)
                ]
                async with asyncio.timeout(TAKEN_OVER_WITHIN_S):
                    while len(latest) < num_viewed or max(latest.values()) > CURRENT_S:
                        await asyncio.sleep(0.1)
                taken_over = time.monotonic() - streams_since
                delays.clear()
                before, began = sum(engine.cpu_times()[:2]), time.monotonic()
                await asyncio.sleep(MEASURED_S)
                took = time.monotonic() - began
                cpu = (sum(engine.cpu_times()[:2]) - before) / took
                for task in viewers:
                    task.cancel()
                await asyncio.gather(*viewers, return_exceptions=True)
            rss = engine.memory_info().rss / 2**20
            slowed = "" if RATE == CALLS_PER_S else f" at {RATE:g} calls a second"
            label = f"{num_runs:,} runs{slowed}, {NUM_VIEWERS} viewers"
            yield Row(f"{label}: until an engine that finds them shows all of it", taken_over, "s")
            yield Row(f"{label}: engine's CPU", 100 * cpu, "% of a core")
            yield Row(f"{label}: engine's CPU, of each run and second", 1000 * cpu / num_runs, "ms")
            yield Row(f"{label}: engine, resident", rss, "MiB")
            expected = took * RATE * NUM_VIEWERS
            yield Row(f"{label}: points seen, of those sent to viewers", 100 * len(delays) / expected, "%")
            if delays:
                yield Row(f"{label}: log() to a viewer, p95", 1000 * percentile(delays, 0.95), "ms")
        finally:
            runs.kill()
            runs.wait()
            runs.stdin.close()
            runs.stdout.close()
            engine.kill()  # one that is behind would not answer soon
            engine.wait(20)


async def run() -> AsyncIterator[Row]:
    """Measure with more and more runs."""
    for text in os.environ.get("RUNS", scaled("100", "3")).split():
        async for row in measure(int(text)):
            yield row
