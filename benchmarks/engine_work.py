"""What the engine costs around a training: from a create to `processing`, webhooks, memory with many runs, system metrics.

Peers: a new Python that does nothing; the same training without a webhook; a bare read of /proc.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import psutil

from benchmarks.many_runs import NUM_RUNS, fill
from benchmarks.support.own_engine import own_engine, stop, warm
from benchmarks.support.peers import new_python
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from benchmarks.support.timing import unix
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine.trainings.monitoring.system_metrics import SystemSampler
from jupyter_ext.engine_process import discovery

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from receiver import Receiver

NUM_CREATES = scaled(30, 1)
NUM_RUNNING = scaled(20, 1)
WEBHOOK_ROUNDS = scaled(7, 2)
SAMPLES = scaled(200, 2)

EMPTY = "def train():\n    pass"
SLEEPS = "import time\ndef train():\n    time.sleep(600)"
FIXED = """
import time
from jupyter_ext import log

def train(rounds: int = 400):
    began = time.perf_counter()
    for step in range(rounds):
        total = 0
        for number in range(30_000):
            total += number * number
        log(loss=1 / (step + 1), step=step)
        print("step", step, flush=True)
    return time.perf_counter() - began
"""


async def creates(client: AsyncClient) -> list[float]:
    """Return the milliseconds from each create, sent one after the other, to `processing`, by the engine's clock."""
    took = []
    for _ in range(NUM_CREATES):
        asked_at = time.time()
        made = await client.create(capture_cell(EMPTY, {}, "empty"), {})
        ended = await client.wait(made.id, 60)
        took.append(1000 * (unix(ended.started_at) - asked_at))
    return took


async def fixed(client: AsyncClient, webhook: str | None) -> float:
    """Return the seconds that a fixed training takes, by its own clock."""
    version = await client.transport.ask(
        "POST", "/native/versions", content=capture_cell(FIXED, {}, "fixed").data, timeout=60
    )
    body: dict[str, Any] = {"input": {}, "jupyter_ext": {"python": sys.executable, "cwd": os.getcwd()}}
    if webhook:
        body["webhook"] = webhook
    path = f"/v1/models/{version['model']}/versions/{version['id']}/trainings"
    made = await client.transport.ask("POST", path, json=body)
    return float((await client.wait(made["id"], 120)).output)


async def webhooks(client: AsyncClient) -> AsyncIterator[Row]:
    """Measure a training with a receiver that hears of every line, and the same without, in turns."""
    receiver = Receiver()
    with_it, without = [], []
    for _ in range(WEBHOOK_ROUNDS):
        without.append(await fixed(client, None))
        with_it.append(await fixed(client, receiver.url))
    told = len(receiver.messages) / WEBHOOK_ROUNDS
    receiver.close()
    label = "fixed training with a webhook"
    yield Row(label, median(with_it), "s", "without", median(without), at_most(1.05))
    spread = median(without) + statistics.stdev(without)
    yield Row("the same without, one standard deviation up", spread, "s", "its median", median(without))
    yield Row("messages of one such training", told, "")


async def memory(client: AsyncClient, pid: int) -> Row:
    """Measure the engine with many stored runs and some that run."""
    made = [await client.create(capture_cell(SLEEPS, {}, "sleeps"), {}) for _ in range(NUM_RUNNING)]
    for training in made:
        while (await client.get(training.id)).status == "starting":
            await asyncio.sleep(0.05)
    await asyncio.sleep(5)  # a few rounds of system metrics
    rss = psutil.Process(pid).memory_info().rss / 2**20
    for training in made:
        await client.cancel(training.id)
    for training in made:
        await client.wait(training.id, 60)
    label = f"engine with {NUM_RUNS:,} runs stored and {NUM_RUNNING} running, resident"
    return Row(label, rss, "MiB", goal=at_most(120, "MiB"))


def sampling(directory: Path) -> Iterator[Row]:
    """Measure one sample of a process's system metrics, beside reading its smaps_rollup, which most of it is."""
    import torch

    assert torch.__version__
    sampler = SystemSampler(directory, os.getpid())
    ours, peer, disk = [], [], []
    for _ in range(SAMPLES):
        began = time.perf_counter()
        sampler.sample()
        ours.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        Path("/proc/self/smaps_rollup").read_bytes()
        peer.append(1000 * (time.perf_counter() - began))
        began = time.perf_counter()
        os.statvfs(directory)
        psutil.Process().io_counters()
        disk.append(1000 * (time.perf_counter() - began))
    sampler.close()
    label, all_, reading = "system metrics of one process with torch", median(ours), median(peer)
    yield Row(f"{label}, p50", all_, "ms", "reading smaps_rollup", reading, at_most(2))
    yield Row(f"{label}, p99", percentile(ours, 0.99), "ms", "reading smaps_rollup", reading)
    yield Row("of that, for the disk, p50", median(disk), "ms", "all of it", all_, at_most(0.1))


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine() as directory:
        discovery.ensure()
        stop()
        fill(locations().catalog)
        pid = int(discovery.ensure().info["pid"])
        async with AsyncClient() as client:
            await warm(client)
            took = await creates(client)
            python = median([new_python() for _ in range(10)])
            for share, bound in ((0.5, 4), (0.95, 8)):
                label = f"create to `processing`, p{100 * share:g}"
                yield Row(label, percentile(took, share), "ms", "python -c pass", python, at_most(bound))
            async for row in webhooks(client):
                yield row
            yield await memory(client, pid)
        for row in sampling(directory):
            yield row
