"""What our reporting adds to a step of two DDP ranks (gloo), as a group that the engine runs and reads.

The peer is the same step without `log()`, in the same processes: steps with and without it take turns, each pair gives a
ratio, and their median counts. The engine reads the journals beside both, so what that takes has a row of its own.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from typing import cast

import psutil

from benchmarks.support.own_engine import own_engine
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.place import Place

NUM_RANKS = 2
PAIRS = scaled(2000, 2)
WITHIN_S = 300.0
CODE = """
import time
import torch
import torch.distributed as dist
from jupyter_ext import log

def train(pairs: int):
    torch.set_num_threads(1)
    dist.init_process_group("gloo")
    torch.manual_seed(0)
    layers = [torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 256), torch.nn.ReLU(), torch.nn.Linear(256, 1)]
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Sequential(*layers))
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3)
    x = torch.randn(256, 256)
    y = x.sum(1, keepdim=True)

    def timed(step, logs):
        began = time.perf_counter()
        loss = torch.nn.functional.mse_loss(model(x), y)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        value = loss.item()  # whoever looks at a loss reads it
        if logs:
            log({"loss": value, "lr": 1e-3}, step=step)
        dist.barrier()  # what one rank's call takes is not seen in the next step of the other
        return time.perf_counter() - began

    for step in range(20):
        timed(step, True)
    bare, logged = [], []
    for step in range(20, 20 + 2 * pairs, 2):
        for at, logs in enumerate(((False, True), (True, False))[step // 2 % 2]):
            (logged if logs else bare).append(timed(step + at, logs))
    dist.destroy_process_group()
    return {"bare": bare, "logged": logged}
"""


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine(smoke_preload="torch"):
        async with AsyncClient() as client:
            given = {"pairs": PAIRS}
            engine = psutil.Process((await client.engine()).pid)
            before, began = sum(engine.cpu_times()[:2]), time.monotonic()
            made = await client.create(
                capture_cell(CODE, {}, "ddp", given), given, place=Place(workers=NUM_RANKS)
            )
            ended = await client.wait(made.id, WITHIN_S)
            cpu = (sum(engine.cpu_times()[:2]) - before) / (time.monotonic() - began)
            if ended.status != "succeeded":
                raise RuntimeError(f"the group {ended.status}: {ended.error}\n{await client.logs(made.id)}")
    told = cast("dict[str, list[float]]", ended.output)
    bare, logged = told["bare"], told["logged"]
    added = [100 * (with_log / without - 1) for with_log, without in zip(logged, bare, strict=True)]
    name = f"a DDP step of {NUM_RANKS} ranks that logs 2 scalars"
    yield Row(name, 1000 * median(logged), "ms", "the same without", 1000 * median(bare))
    yield Row(f"{name}: what that adds, median of the pairs", median(added), "%", goal=at_most(1, "%"))
    low, high = percentile(added, 0.25), percentile(added, 0.75)
    yield Row(f"{name}: what that adds, middle half of the pairs, from", low, "%")
    yield Row(f"{name}: what that adds, middle half of the pairs, to", high, "%")
    yield Row("the engine's CPU meanwhile, start and end of the group included", 100 * cpu, "% of a core")
