"""What the engine costs around a training: from a create to `processing`, webhooks, memory with many runs, system metrics.

Peers: a new Python that does nothing; the same training without a webhook; a bare read of /proc.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

from benchmarks.many_runs import NUM_RUNS, fill
from benchmarks.own_engine import own_engine, stop
from benchmarks.rows import Row, median, percentile
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine.trainings.monitoring.system_metrics import SystemSampler
from jupyter_ext.engine_process import discovery

sys.path.append(str(Path(__file__).parents[1] / "tests" / "support"))
from receiver import Receiver

NUM_CREATES = 30
NUM_RUNNING = 20
WEBHOOK_ROUNDS = 7
SAMPLES = 200

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


def unix(text: str | None) -> float:
    """Give the Unix time of a timestamp."""
    assert text is not None
    return datetime.fromisoformat(text).timestamp()


async def creates(client: AsyncClient) -> list[float]:
    """Give the milliseconds from each create, sent one after the other, to `processing`, by the engine's clock."""
    took = []
    for _ in range(NUM_CREATES):
        asked_at = time.time()
        made = await client.create(capture_cell(EMPTY, {}, "empty"), {})
        ended = await client.wait(made.id, 60)
        took.append(1000 * (unix(ended.started_at) - asked_at))
    return took


def new_python() -> list[float]:
    """Give the milliseconds that a new Python takes to do nothing."""
    took = []
    for _ in range(10):
        began = time.perf_counter()
        subprocess.run([sys.executable, "-c", "pass"], check=True)
        took.append(1000 * (time.perf_counter() - began))
    return took


async def fixed(client: AsyncClient, webhook: str | None) -> float:
    """Give the seconds that a fixed training takes, by its own clock."""
    version = await client.transport.ask(
        "POST", "/native/versions", content=capture_cell(FIXED, {}, "fixed").data, timeout=60
    )
    body: dict[str, Any] = {"input": {}, "jupyter_ext": {"python": sys.executable, "cwd": os.getcwd()}}
    if webhook:
        body["webhook"] = webhook
    path = f"/v1/models/{version['model']}/versions/{version['id']}/trainings"
    made = await client.transport.ask("POST", path, json=body)
    return float((await client.wait(made["id"], 120)).output)


async def webhooks(client: AsyncClient) -> list[Row]:
    """Measure a training with a receiver that hears of every line, and the same without, in turns."""
    receiver = Receiver()
    with_it, without = [], []
    for _ in range(WEBHOOK_ROUNDS):
        without.append(await fixed(client, None))
        with_it.append(await fixed(client, receiver.url))
    told = len(receiver.messages) / WEBHOOK_ROUNDS
    receiver.close()
    ratio = median(with_it) / median(without)
    return [
        Row("fixed training with a webhook", median(with_it), "s", "without", median(without), "<= 1.05x", ratio <= 1.05),
        Row("the same, spread of the rounds without", statistics.stdev(without), "s", "", None, "", None),
        Row("messages of one such training", told, "", "", None, "", None),
    ]  # fmt: skip


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
    return Row(
        f"engine with {NUM_RUNS:,} runs stored and {NUM_RUNNING} running, resident", rss, "MiB", "", None, "<= 120 MiB", rss <= 120
    )  # fmt: skip


def sampling(directory: Path) -> list[Row]:
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
    return [
        Row("system metrics of one process with torch, p50", median(ours), "ms", "reading smaps_rollup", median(peer), "<= 2x", median(ours) <= 2 * median(peer)),
        Row("of that, for the disk, p50", median(disk), "ms", "", None, "<= 0.1x of all", median(disk) <= 0.1 * median(ours)),
        Row("system metrics of one process with torch, p99", percentile(ours, 0.99), "ms", "", None, "", None),
    ]  # fmt: skip


async def measure(directory: Path) -> list[Row]:
    """Measure everything."""
    discovery.ensure()
    stop()
    fill(locations().catalog)
    pid = int(discovery.ensure().info["pid"])
    async with AsyncClient() as client:
        await client.warm()
        while not any(found.state == "warm" for found in (await client.engine()).environments):
            await asyncio.sleep(0.1)
        took, peer = await creates(client), median(new_python())
        p50, p95 = median(took), percentile(took, 0.95)
        rows = [
            Row("create to `processing`, p50", p50, "ms", "python -c pass", peer, "<= 4x", p50 <= 4 * peer),
            Row("create to `processing`, p95", p95, "ms", "python -c pass", peer, "<= 8x", p95 <= 8 * peer),
            *(await webhooks(client)),
            await memory(client, pid),
        ]
    return [*rows, *sampling(directory)]


def run() -> list[Row]:
    """Measure in directories of its own."""
    with own_engine() as directory:
        return asyncio.run(measure(directory))
