"""A hundred trainings that are created at the same moment: how long each waits for its 201, and all for their end.

Peers: one create alone, as many requests at once that do nothing, and as many new Pythons, one per core at a time.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.support.own_engine import own_engine, warm
from benchmarks.support.peers import new_python
from benchmarks.support.rows import Row, median, percentile
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient

NUM_CREATES = scaled(100, 3)
ALONE = scaled(20, 1)
ROUNDS = scaled(3, 1)
EMPTY = "def train():\n    pass"


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            ask = client.transport.ask
            data = capture_cell(EMPTY, {}, "empty").data
            version = await ask("POST", "/native/versions", content=data, timeout=60)
            path = f"/v1/models/{version['model']}/versions/{version['id']}/trainings"
            body = {"input": {}, "jupyter_ext": {"python": sys.executable, "cwd": os.getcwd()}}

            async def create() -> Any:
                return await ask("POST", path, json=body, timeout=60)

            async def plain() -> Any:
                return await ask("GET", "/native/engine", timeout=60)

            alone = []
            for _ in range(ALONE):
                took, made = await timed(create)
                alone.append(took)
                await client.wait(made["id"], 60)
            creates, gets, ends, pythons = [], [], [], []
            for _ in range(ROUNDS):
                began = time.perf_counter()
                answers = await at_once(create)
                creates += [took for took, _ in answers]
                await asyncio.gather(*(client.wait(made["id"], 300) for _, made in answers))
                ends.append(time.perf_counter() - began)
                gets += [took for took, _ in await at_once(plain)]
                pythons.append(await asyncio.to_thread(new_pythons))
        label = f"{NUM_CREATES} creates at once"
        p95 = percentile(creates, 0.95)
        yield Row(f"{label}, to the 201, p50", median(creates), "ms", "one create alone, p50", median(alone))
        yield Row(f"{label}, to the 201, p95", p95, "ms", "one create alone, p95", percentile(alone, 0.95))
        yield Row(f"{label}, to the 201, p95", p95, "ms", "as many plain GETs, p95", percentile(gets, 0.95))
        yield Row(
            f"{label}, until all are over", median(ends), "s", "as many python -c pass", median(pythons)
        )


async def timed(request: Callable[[], Awaitable[Any]]) -> tuple[float, Any]:
    """Return the milliseconds until the answer, and the answer."""
    began = time.perf_counter()
    answer = await request()
    return 1000 * (time.perf_counter() - began), answer


async def at_once(request: Callable[[], Awaitable[Any]]) -> list[tuple[float, Any]]:
    """Make a request many times at the same moment."""
    return await asyncio.gather(*(timed(request) for _ in range(NUM_CREATES)))


def new_pythons() -> float:
    """Return the seconds that as many new Pythons take, one per core at a time."""
    began = time.perf_counter()
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        list(pool.map(lambda _: new_python(), range(NUM_CREATES)))
    return time.perf_counter() - began
