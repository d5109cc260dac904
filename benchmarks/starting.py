"""From running a cell to its first line and first metric, against a fresh process and a fresh kernel; and memory.

Everything is real: a kernel with the extension loaded, the engine, a subscriber in this process.
"""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator

import psutil

from benchmarks.support.own_engine import own_engine, stop, warm
from benchmarks.support.peers import Kernel, fresh_kernel, fresh_process, resident_after
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations

ROUNDS = scaled(7, 1)
COLD_ROUNDS = scaled(3, 1)
TOLD = "print(time.perf_counter() - began)"
CELL = """%%train first --as run
import time
FIRST = time.time()
from jupyter_ext import log
import torch
def train():
    model = torch.nn.Linear(8, 1)
    optimizer = torch.optim.Adam(model.parameters())
    loss = model(torch.randn(16, 8)).pow(2).mean()
    loss.backward()
    optimizer.step()
    log(loss=loss.item())
    time.sleep(0.3)
    return FIRST
"""


async def first_metric(client: AsyncClient, training_id: str) -> float:
    """Return the Unix time at which the first metric of the user is seen here."""
    async for event in client.follow(training_id, after_seq=0):
        if any(points.key == "loss" for points in event.points):
            return time.time()
    raise RuntimeError("no metric came")


async def newest(client: AsyncClient, known: set[str]) -> str:
    """Wait for a training that is not known yet; return its id."""
    while True:
        for training in await client.list(limit=1):
            if training.id not in known:
                known.add(training.id)
                return training.id
        await asyncio.sleep(0.002)


def import_times(code: str, peer: str) -> tuple[float, float]:
    """Return the median milliseconds of two pieces of code, each in fresh interpreters, in turns."""
    took: tuple[list[float], list[float]] = ([], [])
    for _ in range(ROUNDS):
        for times, program in zip(took, (code, peer), strict=True):
            text = program.format(began="import time; began = time.perf_counter()", told=TOLD)
            done = subprocess.run([sys.executable, "-c", text], check=True, capture_output=True, text=True)
            times.append(1000 * float(done.stdout.split()[-1]))
    return median(took[0]), median(took[1])


COLD = "from jupyter_ext import log\ndef train():\n    import torch\n    log(loss=float(torch.ones(1)))"


async def cold() -> AsyncIterator[Row]:
    """Measure the first training with nothing running, beside a new process that imports torch."""
    created, seen, processes = [], [], []
    for _ in range(COLD_ROUNDS):
        stop()
        began = time.time()
        async with AsyncClient() as client:
            made = await client.create(capture_cell(COLD, {}, "cold"), {})
            created.append(1000 * (time.time() - began))
            seen.append(1000 * (await first_metric(client, made.id) - began))
            await client.wait(made.id, 60)
            await warm(client)  # else the next round would find its zygote half way
        processes.append(await asyncio.to_thread(fresh_process))
    process, peer = median(processes), "fresh process, import torch"
    yield Row("nothing running: create returns", median(created), "ms", peer, process, at_most(0.25))
    yield Row("nothing running: first metric seen", median(seen), "ms", peer, process, at_most(1.2))


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine():
        async for row in cold():
            yield row
        stop()
        kernel = Kernel()
        try:
            kernel.run("%load_ext jupyter_ext")
            async with AsyncClient() as client:
                await warm(client)
                for part in (idle(client), cells(client, kernel), latencies(client, kernel), memory(client)):
                    async for row in part:
                        yield row
        finally:
            kernel.close()
    imported, peer = import_times("{began}; import jupyter_ext; {told}", "{began}; import numpy; {told}")
    yield Row("import jupyter_ext", imported, "ms", "import numpy", peer, at_most(0.5))
    shell = "from IPython.testing.globalipapp import start_ipython as start; {began}; shell = start(); "
    loaded, peer = import_times(
        shell + "{began}; shell.run_line_magic('load_ext', 'jupyter_ext'); {told}", shell + "{told}"
    )
    yield Row("%load_ext jupyter_ext", loaded, "ms", "starting IPython", peer, at_most(0.5))


async def idle(client: AsyncClient) -> AsyncIterator[Row]:
    """Measure the engine before anything has run."""
    engine = psutil.Process((await client.engine()).pid).memory_info().rss / 2**20
    bare = resident_after("import uvicorn, starlette")
    yield Row("engine, resident, idle", engine, "MiB", "python, uvicorn and starlette", bare, at_most(1.6))


async def cells(client: AsyncClient, kernel: Kernel) -> AsyncIterator[Row]:
    """Measure from running a cell to its first line and its first metric seen here."""
    lines, metrics, processes, kernels = [], [], [], []
    kernel.run(CELL)
    known = {training.id for training in await client.list(limit=1)}
    for _ in range(ROUNDS):
        began = time.time()
        running = asyncio.create_task(asyncio.to_thread(kernel.run, CELL))
        training_id = await newest(client, known)
        metrics.append(1000 * (await first_metric(client, training_id) - began))
        await running
        lines.append(1000 * (float((await client.wait(training_id, 30)).output) - began))
        processes.append(await asyncio.to_thread(fresh_process))
        kernels.append(await asyncio.to_thread(fresh_kernel))
    line, metric, process = median(lines), median(metrics), median(processes)
    peer = "fresh process, import torch"
    yield Row("cell to first user line", line, "ms", peer, process, at_most(0.05))
    yield Row("cell to first user line", line, "ms", "fresh kernel, import torch", median(kernels))
    yield Row("cell to first metric seen", metric, "ms", peer, process, at_most(0.1))


async def latencies(client: AsyncClient, kernel: Kernel) -> AsyncIterator[Row]:
    """Measure from `log()` to a subscriber in this process, beside a kernel's print() to its client."""
    body = "    for i in range(300):\n        {0}\n        time.sleep(0.005)"
    text = f"import time\nfrom jupyter_ext import log\ndef train():\n{body.format('log(t=time.time())')}"
    training = await client.create(capture_cell(text, {}, "latency"), {})
    took = []
    async for event in client.follow(training.id, after_seq=0):
        now = time.time()
        took += [
            1000 * (now - value) for points in event.points if points.key == "t" for value in points.values
        ]
    printing = f"import time\nif True:\n{body.format('print(time.time(), flush=True)')}"
    seen = await asyncio.to_thread(kernel.printed_at, printing)
    printed = [1000 * (now - then) for then, now in seen]
    for share, goal in ((0.5, None), (0.95, at_most(10))):
        name = f"log() to subscriber, p{100 * share:g}"
        beside = f"a kernel's print(), p{100 * share:g}"
        yield Row(name, percentile(took, share), "ms", beside, percentile(printed, share), goal)


async def memory(client: AsyncClient) -> AsyncIterator[Row]:
    """Measure engine, zygote and an idle worker."""
    training = await client.create(
        capture_cell("import time\ndef train():\n    time.sleep(3)", {}, "idle"), {}
    )
    start = locations().runs_dir / training.id / "start.json"
    while not start.exists():
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    pids = json.loads(start.read_text())
    info = await client.engine()
    engine = psutil.Process(info.pid).memory_info().rss / 2**20
    zygote = next(item for item in info.environments if item.pid)
    worker = psutil.Process(pids["worker"]["pid"]).memory_full_info().uss / 2**20
    shim = psutil.Process(pids["shim"]["pid"]).memory_full_info().uss / 2**20
    await client.cancel(training.id)
    await client.wait(training.id, 20)
    yield Row("engine, resident, one run", engine, "MiB", goal=at_most(80, "MiB"))
    yield Row("zygote, resident", zygote.memory_mib or 0, "MiB")
    yield Row("worker before work, private", worker, "MiB", goal=at_most(25, "MiB"))
    yield Row("shim, private", shim, "MiB")
