"""A training on a machine that others use: alone, and beside one busy process per core.

Peers: the same code in a plain process, with torch's default threads, with OpenMP's waiting cut short
(`GOMP_SPINCOUNT=1000`), and with one thread. All report their own time, without imports; rounds are interleaved.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

from benchmarks.support.own_engine import own_engine, warm
from benchmarks.support.rows import Row, at_most, median
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient

ROUNDS = scaled(3, 1)
PLAIN: dict[str, dict[str, str]] = {
    "plain process": {},
    "plain, GOMP_SPINCOUNT=1000": {"GOMP_SPINCOUNT": "1000"},
    "plain, one thread": {"OMP_NUM_THREADS": "1"},
}
OURS = "ours"
THREADING = ("GOMP_SPINCOUNT", "MKL_NUM_THREADS", "OMP_NUM_THREADS", "OMP_WAIT_POLICY")

CODE = """
import time
import torch

def train(steps: int = STEPS):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256),
                                torch.nn.ReLU(), torch.nn.Linear(256, 1))
    optimizer = torch.optim.Adam(model.parameters())
    x = torch.randn(512, 64)
    began = None
    for step in range(steps + 10):
        if step == 10:
            began = time.perf_counter()
        optimizer.zero_grad()
        loss = (model(x) - x.sum(1, keepdim=True)).pow(2).mean()
        loss.backward()
        optimizer.step()
    return time.perf_counter() - began
""".replace("STEPS", str(scaled(50, 1)))


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    for name in THREADING:
        os.environ.pop(name, None)  # the defaults are compared, whatever the caller prefers
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            num_busy = len(os.sched_getaffinity(0))
            for where, number in (("alone", 0), (f"beside {num_busy} busy processes, one a core", num_busy)):
                took: dict[str, list[float]] = {name: [] for name in (OURS, *PLAIN)}
                for _ in range(ROUNDS):
                    with busy(number):
                        await measure(client, took)
                ours = median(took[OURS])
                for name in PLAIN:
                    goal = at_most(1.1) if name == "plain process" else None
                    yield Row(f"training {where}", ours, "s", name, median(took[name]), goal)


async def measure(client: AsyncClient, took: dict[str, list[float]]) -> None:
    """Run all once, one after another."""
    made = await client.create(capture_cell(CODE, {}, "fixed"), {})
    took[OURS].append(float((await client.wait(made.id, 300)).output))
    for name, environment in PLAIN.items():
        command = [sys.executable, "-c", f"{CODE}\nprint(train())"]
        done = subprocess.run(
            command, env=os.environ | environment, capture_output=True, text=True, check=True
        )
        took[name].append(float(done.stdout))


@contextmanager
def busy(number: int) -> Iterator[None]:
    """Have processes that want a core each."""
    processes = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()
