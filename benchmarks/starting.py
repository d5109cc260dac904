"""From running a cell to its first line and first metric, against a fresh process and a fresh kernel; and memory.

Everything is real: a kernel with the extension loaded, the engine, a subscriber in this process.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time

import psutil
from jupyter_client.manager import KernelManager

from benchmarks.own_engine import own_engine
from benchmarks.rows import Row, median, percentile
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations

ROUNDS = 7
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


class Kernel:
    """A kernel to run cells in."""

    def __init__(self) -> None:
        self.manager = KernelManager(kernel_name="python3")
        self.manager.start_kernel()
        self.client = self.manager.blocking_client()
        self.client.start_channels()
        self.client.wait_for_ready(timeout=60)

    def run(self, code: str) -> str:
        """Run a cell; give its text."""
        parts: list[str] = []

        def on_output(message: dict) -> None:  # type: ignore[type-arg]
            content = message["content"]
            if message["msg_type"] == "error":
                raise RuntimeError("\n".join(content["traceback"]))
            parts.append(content.get("text") or content.get("data", {}).get("text/plain", ""))

        self.client.execute_interactive(code, timeout=60, output_hook=on_output)
        return "".join(parts)

    def close(self) -> None:
        """End the kernel."""
        self.client.stop_channels()
        self.manager.shutdown_kernel(now=True)


async def first_metric(client: AsyncClient, training_id: str) -> float:
    """Give the Unix time at which the first metric of the user is seen here."""
    async for event in client.follow(training_id, after_seq=0):
        if any(points.key == "loss" for points in event.points):
            return time.time()
    raise RuntimeError("no metric came")


async def newest(client: AsyncClient, known: set[str]) -> str:
    """Wait for a training that is not known yet; give its id."""
    while True:
        for training in await client.list(limit=1):
            if training.id not in known:
                known.add(training.id)
                return training.id
        await asyncio.sleep(0.002)


def fresh_process() -> float:
    """Give the seconds from starting a process to the line after `import torch`."""
    began = time.time()
    code = "import torch, time; print(time.time())"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return float(told) - began


def fresh_kernel() -> float:
    """Give the seconds from starting a kernel to the line after `import torch`."""
    began = time.time()
    kernel = Kernel()
    try:
        return float(kernel.run("import torch, time; print(time.time())")) - began
    finally:
        kernel.close()


def bare_import(code: str) -> float:
    """Give the milliseconds that some code takes in a fresh interpreter, over an empty one."""
    took = []
    for program in (code, "pass"):
        runs = []
        for _ in range(5):
            began = time.perf_counter()
            subprocess.run([sys.executable, "-c", program], check=True, capture_output=True)
            runs.append(time.perf_counter() - began)
        took.append(median(runs))
    return 1000 * (took[0] - took[1])


async def measure() -> list[Row]:
    """Measure everything."""
    lines, metrics, processes, kernels = [], [], [], []
    kernel = Kernel()
    try:
        kernel.run("%load_ext jupyter_ext")
        async with AsyncClient() as client:
            while not any(item.state == "warm" for item in (await client.engine()).environments):
                await asyncio.sleep(0.05)
            kernel.run(CELL)
            known = {training.id for training in await client.list(limit=1)}
            for _ in range(ROUNDS):
                began = time.time()
                running = asyncio.create_task(asyncio.to_thread(kernel.run, CELL))
                training_id = await newest(client, known)
                metrics.append(await first_metric(client, training_id) - began)
                await running
                lines.append(float((await client.wait(training_id, 30)).output) - began)
                processes.append(await asyncio.to_thread(fresh_process))
                kernels.append(await asyncio.to_thread(fresh_kernel))
            latencies = await subscriber_latency(client)
            rows = await memory(client)
    finally:
        kernel.close()
    load = (
        "from IPython.testing.globalipapp import start_ipython as s; s().run_line_magic('load_ext', 'jupyter_ext')",
        "from IPython.testing.globalipapp import start_ipython as s; s()",
    )
    imported, loaded = bare_import("import jupyter_ext"), bare_import(load[0]) - bare_import(load[1])
    line, metric = 1000 * median(lines), 1000 * median(metrics)
    return [
        Row("cell to first user line", line, "ms", "fresh process, import torch", 1000 * median(processes),
            "<= 100 ms", line <= 100),
        Row("cell to first user line", line, "ms", "fresh kernel, import torch", 1000 * median(kernels), "", None),
        Row("cell to first metric seen", metric, "ms", "fresh process, import torch", 1000 * median(processes),
            "<= 200 ms", metric <= 200),
        Row("log() to subscriber, p50", percentile(latencies, 0.5), "ms", "", None, "", None),
        Row("log() to subscriber, p95", percentile(latencies, 0.95), "ms", "", None, "<= 50 ms",
            percentile(latencies, 0.95) <= 50),
        *rows,
        Row("import jupyter_ext", imported, "ms", "", None, "<= 50 ms", imported <= 50),
        Row("%load_ext jupyter_ext", loaded, "ms", "", None, "<= 150 ms", loaded <= 150),
    ]  # fmt: skip


async def subscriber_latency(client: AsyncClient) -> list[float]:
    """Give the milliseconds from `log()` to a subscriber in this process, for 300 points 5 ms apart."""
    from jupyter_ext.client.capture.capture import capture_cell

    text = "import time\nfrom jupyter_ext import log\ndef train():\n    for i in range(300):\n"
    text += "        log(t=time.time())\n        time.sleep(0.005)"
    training = await client.create(capture_cell(text, {}, "latency"), {})
    took = []
    async for event in client.follow(training.id, after_seq=0):
        now = time.time()
        took += [
            1000 * (now - value) for points in event.points if points.key == "t" for value in points.values
        ]
    return took


async def memory(client: AsyncClient) -> list[Row]:
    """Measure engine, zygote and an idle worker."""
    from jupyter_ext.client.capture.capture import capture_cell

    training = await client.create(
        capture_cell("import time\ndef train():\n    time.sleep(3)", {}, "idle"), {}
    )
    start = locations().runs_dir / training.id / "start.json"
    while not start.exists():
        await asyncio.sleep(0.01)
    await asyncio.sleep(1)
    import json

    pids = json.loads(start.read_text())
    info = await client.engine()
    engine = psutil.Process(info.pid).memory_info().rss / 2**20
    warm = next(item for item in info.environments if item.pid)
    worker = psutil.Process(pids["worker"]["pid"]).memory_full_info().uss / 2**20
    shim = psutil.Process(pids["shim"]["pid"]).memory_full_info().uss / 2**20
    await client.cancel(training.id)
    await client.wait(training.id, 20)
    return [
        Row("engine, resident", engine, "MiB", "", None, "<= 60 MiB", engine <= 60),
        Row("zygote, resident", warm.memory_mib or 0, "MiB", "", None, "", None),
        Row("worker before work, private", worker, "MiB", "", None, "<= 25 MiB", worker <= 25),
        Row("shim, private", shim, "MiB", "", None, "", None),
    ]


def run() -> list[Row]:
    """Measure in directories of its own."""
    with own_engine():
        return asyncio.run(measure())
