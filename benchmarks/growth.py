"""How cost grows: with running trainings, viewers, points, metrics and stored runs. Half an hour; not among those run by default.

Each amount of work is a row. At the end come the exponents over the last step, which should be 1 (linear) or less, and all curves
are drawn into a dated SVG in `benchmarks/results/`. The peer of each row is the smallest amount of the same.
"""

from __future__ import annotations

import asyncio
import itertools
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from datetime import datetime
from pathlib import Path

import httpx
import psutil

from benchmarks import many_runs
from benchmarks.support import curves
from benchmarks.support.curves import Curve
from benchmarks.support.own_engine import own_engine, stop, warm
from benchmarks.support.results import RESULTS
from benchmarks.support.rows import Row, at_most, median
from benchmarks.support.scale import IS_SMOKE, scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine_process import discovery
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

RUNS = scaled((1, 3, 10, 30, 100), (1, 2))
VIEWERS = scaled((1, 3, 10, 30, 100), (1, 2))
POINTS = scaled((10**3, 10**4, 10**5, 10**6, 10**7), (10**3, 10**4))
KEYS = scaled((10, 100, 1_000, 20_000), (10, 100))
STORED = scaled((10, 100, 1_000, 10_000, 100_000), (10, 100))
MEASURED_S = scaled(8.0, 0.5)
ASKED = scaled(40, 2)
KEYED_STEPS = 20
NOT_FASTER = at_most(1.15, "")
"""An exponent; the rest is noise."""

CODE = """
import time
from jupyter_ext import log, should_stop

def train():
    step = 0
    while not should_stop():
        log(loss=1 / (1 + step), step=step)
        step += 1
        time.sleep(0.02)
"""


async def run() -> AsyncIterator[Row]:
    """Measure each in directories of its own."""
    drawn: list[Curve] = []
    for part in (_running, _viewed):
        async for row in part(drawn):
            yield row
    for measure in (_points, _keys, _stored):
        for row in measure(drawn):
            yield row
    for curve in drawn:
        yield Row(f"exponent of {curve.name} in {curve.work}", curve.exponent, "", goal=NOT_FASTER)
    if not IS_SMOKE:
        RESULTS.mkdir(exist_ok=True)
        curves.write(
            RESULTS / f"{datetime.now():%Y-%m-%d-%H%M%S}-growth.svg", "Growth of cost with work", drawn
        )


def _row(curve: Curve, amount: float, figure: float, unit: str) -> Row:
    """Note a point, and return its row."""
    curve.points.append((amount, max(figure, 1e-6)))
    name = f"{curve.name.partition(',')[0]}, {amount:,.0f} {curve.work}"
    return Row(name, figure, unit, f"with {curve.points[0][0]:,.0f}", curve.points[0][1])


async def _running(drawn: list[Curve]) -> AsyncIterator[Row]:
    cpu = Curve("engine's CPU, % of a core", "running trainings")
    memory = Curve("engine resident, MiB", "running trainings")
    latency = Curve("a create, ms", "running trainings")
    drawn += [cpu, memory, latency]
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            engine = psutil.Process((await client.engine()).pid)
            made: list[str] = []
            for number in RUNS:
                took = []
                while len(made) < number:
                    began = time.perf_counter()
                    made.append((await client.create(capture_cell(CODE, {}, "runs"), {})).id)
                    took.append(1000 * (time.perf_counter() - began))
                    await _processing(client, made[-1])
                yield _row(latency, number, took[-1], "ms")
                yield _row(cpu, number, await _cpu_share(engine), "% of a core")
                yield _row(memory, number, engine.memory_info().rss / 2**20, "MiB")
            await _end(client, made)


async def _viewed(drawn: list[Curve]) -> AsyncIterator[Row]:
    curve = Curve("engine's CPU with one training, % of a core", "viewers of it")
    drawn.append(curve)
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            engine = psutil.Process((await client.engine()).pid)
            made = await client.create(capture_cell(CODE, {}, "viewed"), {})
            await _processing(client, made.id)
            viewers: list[asyncio.Task[None]] = []
            for number in VIEWERS:
                while len(viewers) < number:
                    viewers.append(asyncio.create_task(_follow(client, made.id)))
                await asyncio.sleep(min(1.0, MEASURED_S))
                yield _row(curve, number, await _cpu_share(engine), "% of a core")
            for viewer in viewers:
                viewer.cancel()
            await asyncio.gather(*viewers, return_exceptions=True)
            await _end(client, [made.id])


async def _processing(client: AsyncClient, training_id: str) -> None:
    while (await client.get(training_id)).status == "starting":
        await asyncio.sleep(0.02)


async def _follow(client: AsyncClient, training_id: str) -> None:
    async for _ in client.follow(training_id, after_seq=0):
        pass


async def _cpu_share(process: psutil.Process) -> float:
    """Return the part of a core that a process takes, percent."""
    before, began = process.cpu_times(), time.perf_counter()
    await asyncio.sleep(MEASURED_S)
    after = process.cpu_times()
    used = after.user + after.system - before.user - before.system
    return 100 * float(used) / (time.perf_counter() - began)


async def _end(client: AsyncClient, ids: list[str]) -> None:
    for training_id in ids:
        await client.cancel(training_id)
    for training_id in ids:
        await client.wait(training_id, 60)


def _points(drawn: list[Curve]) -> Iterator[Row]:
    taken_in = Curve("points taken in, ms", "points")
    overview = Curve("an overview of 1,000 buckets, ms", "points")
    zoom = Curve("a zoom into a tenth, ms", "points")
    drawn += [taken_in, overview, zoom]
    for number in POINTS:
        with tempfile.TemporaryDirectory() as directory:
            writer = JournalWriter(Path(directory), "0", rotate_bytes=16 << 20)
            for first in range(0, number, 100_000):
                steps = [float(step) for step in range(first, min(number, first + 100_000))]
                writer.many("loss", steps, [1 / (1 + step) for step in steps])
            writer.close()
            store = RunStore(Path(directory))
            yield _row(taken_in, number, _ms(lambda store=store: _take_in(store)), "ms")
            yield _row(overview, number, _ms(lambda store=store: store.columns(buckets=1000)), "ms")
            lo, hi = 0.4 * number, 0.5 * number
            took = median(
                [
                    _ms(lambda store=store, lo=lo, hi=hi: store.columns(buckets=1000, lo=lo, hi=hi))
                    for _ in range(5)
                ]
            )
            yield _row(zoom, number, took, "ms")
            store.close()


def _keys(drawn: list[Curve]) -> Iterator[Row]:
    curve = Curve(f"{KEYED_STEPS} calls taken in, ms", "metrics in each")
    drawn.append(curve)
    for number in KEYS:
        with tempfile.TemporaryDirectory() as directory:
            writer = JournalWriter(Path(directory), "0")
            values = {f"layer{place}": float(place) for place in range(number)}
            for step in range(KEYED_STEPS):
                writer.points(values, step)
            writer.close()
            store = RunStore(Path(directory))
            yield _row(curve, number, _ms(lambda store=store: _take_in(store)), "ms")
            store.close()


def _take_in(store: RunStore) -> None:
    store.open()
    while store.ingest() is not None:
        pass


def _stored(drawn: list[Curve]) -> Iterator[Row]:
    start = Curve("engine's start, s", "stored runs")
    newest = Curve("the newest 50, ms", "stored runs")
    sorted_ = Curve("50 by best loss, ms", "stored runs")
    drawn += [start, newest, sorted_]
    for number in STORED:
        with own_engine():
            discovery.ensure()
            stop()
            many_runs.fill(locations().catalog, number)
            began = time.perf_counter()
            found = discovery.ensure()
            yield _row(start, number, time.perf_counter() - began, "s")
            transport = httpx.HTTPTransport(uds=found.socket_path)
            with httpx.Client(transport=transport, base_url="http://engine", timeout=60) as client:
                for curve, query in ((newest, ""), (sorted_, "&sort=min:train/loss")):
                    path = f"/native/trainings?limit=50{query}"
                    client.get(path).raise_for_status()
                    took = [_ms(lambda client=client, path=path: client.get(path)) for _ in range(ASKED)]
                    yield _row(curve, number, median(took), "ms")


def _ms(work) -> float:  # type: ignore[no-untyped-def]
    began = time.perf_counter()
    work()
    return 1000 * (time.perf_counter() - began)


assert all(
    more > fewer
    for amounts in (RUNS, VIEWERS, POINTS, KEYS, STORED)
    for fewer, more in itertools.pairwise(amounts)
)
