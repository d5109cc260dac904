"""Twenty trainings that log 500 times a second each, looked at by 25 viewers: what the engine takes, and how soon it answers.

Five viewers follow the events of a training, twenty ask for a page of the list once a second. Beside the figures are those of the
same engine before the trainings began, which is the least that can be.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import psutil

from benchmarks.support.own_engine import own_engine, warm
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient

NUM_RUNS = scaled(20, 2)
CALLS_PER_S = 500
NUM_LIVE, NUM_POLLING = scaled(5, 1), scaled(20, 1)
MEASURED_S = scaled(20.0, 1.0)
AFTER_S = scaled(15.0, 0.5)
"""What a burst took is given back by then."""

CODE = f"""
import time
from jupyter_ext import log, should_stop

def train():
    began, step = time.perf_counter(), 0
    while not should_stop():
        log(loss=1 / (1 + step), step=step)
        step += 1
        time.sleep(max(0.0, began + step / {CALLS_PER_S} - time.perf_counter()))
    return step
"""


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            engine = psutil.Process((await client.engine()).pid)
            before = _mib(engine)
            alone = [await _status(client) for _ in range(100)]
            made = [await client.create(capture_cell(CODE, {}, f"busy{n}"), {}) for n in range(NUM_RUNS)]
            for one in made:
                while (await client.get(one.id)).status == "starting":
                    await asyncio.sleep(0.05)
            viewers = [asyncio.create_task(_follow(client, one.id)) for one in made[:NUM_LIVE]]
            viewers += [asyncio.create_task(_poll(client)) for _ in range(NUM_POLLING)]
            try:
                async for row in _while_busy(client, engine, alone):
                    yield row
            finally:
                for viewer in viewers:
                    viewer.cancel()
                await asyncio.gather(*viewers, return_exceptions=True)
            for one in made:
                await client.cancel(one.id)
            for one in made:
                await client.wait(one.id, 60)
            await asyncio.sleep(AFTER_S)
            yield Row("engine afterwards, resident", _mib(engine), "MiB", "before", before, at_most(1.5))


async def _while_busy(client: AsyncClient, engine: psutil.Process, alone: list[float]) -> AsyncIterator[Row]:
    label = f"{NUM_RUNS} runs of {CALLS_PER_S} calls/s, {NUM_LIVE + NUM_POLLING} viewers"
    answers: list[float] = []
    began, used = time.perf_counter(), _cpu_s(engine)
    while time.perf_counter() - began < MEASURED_S:
        answers.append(await _status(client))
        await asyncio.sleep(0.05)
    share = 100 * (_cpu_s(engine) - used) / (time.perf_counter() - began)
    yield Row(f"{label}: engine", share, "% of a core", goal=at_most(30, "% of a core"))
    yield Row(f"{label}: engine, resident", _mib(engine), "MiB", goal=at_most(120, "MiB"))
    for part in (0.5, 0.99):
        peer = percentile(alone, part)
        yield Row(f"{label}: a status, p{100 * part:g}", percentile(answers, part), "ms", "with no run", peer)
    yield Row(f"{label}: a status, middle of the worst ten", median(sorted(answers)[-10:]), "ms")


async def _status(client: AsyncClient) -> float:
    """Return the milliseconds of a small answer."""
    began = time.perf_counter()
    await client.engine()
    return 1000 * (time.perf_counter() - began)


async def _follow(client: AsyncClient, training_id: str) -> None:
    async for _ in client.follow(training_id, after_seq=0):
        pass


async def _poll(client: AsyncClient) -> None:
    while True:
        await client.list(limit=50)
        await asyncio.sleep(1)


def _cpu_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _mib(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / 2**20
