"""Work without faults for minutes, and watch the engine: memory, descriptors and threads stay flat."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from statistics import median

import psutil
from integration_tools import EngineUnderTest, start

from jupyter_ext.client.requests.async_client import AsyncClient

WORK = """
import time
from jupyter_ext import log
def train(n: int = 200):
    for i in range(n):
        log({"a": i, "b/c": i / 7}, step=i)
        print("line", i)
        time.sleep(0.005)
"""
NUM_AT_ONCE = 3
MAX_GROWTH_MIB, MAX_MORE_DESCRIPTORS, MAX_MORE_THREADS = 48.0, 8, 4


@dataclass(frozen=True)
class Sample:
    """What the engine takes."""

    memory_mib: float
    descriptors: int
    threads: int


async def soak(engine: EngineUnderTest, minutes: float) -> tuple[list[str], list[str]]:
    """Train, follow and leave streams for so long; returns the report and what was violated."""
    until, samples, num_done = time.monotonic() + 60 * minutes, [], 0
    process = psutil.Process(engine.pid())
    while time.monotonic() < until or len(samples) < 4:
        async with AsyncClient(engine.where) as client:
            trainings = [await start(client, WORK) for _ in range(NUM_AT_ONCE)]
            viewers = [asyncio.create_task(_view(client, training.id)) for training in trainings]
            ended = [await client.wait(training.id) for training in trainings]
            for viewer in viewers:
                viewer.cancel()
                with suppress(asyncio.CancelledError):
                    await viewer
            assert [training.status for training in ended] == ["succeeded"] * NUM_AT_ONCE
        num_done += NUM_AT_ONCE
        with process.oneshot():
            samples.append(
                Sample(process.memory_info().rss / 2**20, process.num_fds(), process.num_threads())
            )
    return judge(samples, num_done)


async def _view(client: AsyncClient, training_id: str) -> None:
    async with contextlib.aclosing(client.follow(training_id)) as stream:
        async for event in stream:
            if event.kind == "end":
                return


def judge(samples: Sequence[Sample], num_done: int) -> tuple[list[str], list[str]]:
    """Compare the second quarter, when everything is warm, with the last."""
    quarter = max(1, len(samples) // 4)
    early, late = samples[quarter : 2 * quarter], samples[-quarter:]
    limits = {"memory_mib": MAX_GROWTH_MIB, "descriptors": MAX_MORE_DESCRIPTORS, "threads": MAX_MORE_THREADS}
    lines, violations = [f"trainings            {num_done}"], []
    for name, limit in limits.items():
        before, after = (median(getattr(sample, name) for sample in part) for part in (early, late))
        lines.append(f"{name:20} {before:.0f} early, {after:.0f} late; may grow by {limit:.0f}")
        if after - before > limit:
            violations.append(f"{name} grew from {before:.0f} to {after:.0f}")
    return [
        *lines,
        f"violations           {len(violations)}",
        *(f"  {text}" for text in violations),
    ], violations
