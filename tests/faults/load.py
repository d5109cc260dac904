"""Many runs, keys, viewers, stored runs and a large log at once: how long anybody waits for the engine, and that nothing is lost.

All of it grows with one number; 1 is what the product is meant to bear, on a machine with cores for a hundred trainings.
"""

from __future__ import annotations

import asyncio
import json
import re
import sqlite3
import sys
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from statistics import quantiles

import psutil
import websockets
from integration_tools import EngineUnderTest, start

from benchmarks.many_runs import put
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.protocol.trainings import Training
from tests.faults.probe import Wait

LONGEST_WAIT_S = 0.25
_ID = re.compile(r"/[0-9a-z]{26}")
KEYS_PER_CALL = 10
STREAMS = """
import time
from jupyter_ext import log
def train(seconds: float, points_per_s: int, keys: int):
    begin, calls = time.monotonic(), 0
    while (passed := time.monotonic() - begin) < seconds:
        while calls < passed * points_per_s / keys:
            log({f"k{key}": float(calls) for key in range(keys)}, step=calls)
            calls += 1
        time.sleep(0.01)
    return calls
"""
PRINTS = """
import os, time
def train(seconds: float, size: int):
    begin = time.monotonic()
    block = b"a line of a log that is long enough to be one of many\\n" * 20_000
    for written in range(0, size, len(block)):
        os.write(1, block)
        time.sleep(max(0.0, begin + seconds * written / size - time.monotonic()))
    return size
"""


@dataclass(frozen=True)
class Size:
    """How much of everything."""

    runs: int
    points_per_s: int
    viewers: int
    silent: int
    """Of the viewers: those that never read."""
    stored: int
    log_bytes: int
    keys: int

    @classmethod
    def scaled(cls, share: float) -> Size:
        """Return so much of what the product is meant to bear."""
        many = (round(share * number) or 1 for number in (100, 100, 20, 10_000, 10**9, 20_000))
        runs, viewers, silent, stored, log_bytes, keys = many
        return cls(runs, 1000, viewers, silent, stored, log_bytes, keys)


async def load(engine: EngineUnderTest, size: Size, seconds: float) -> tuple[list[str], list[str]]:
    """Put it under load for so long; returns the report and what was violated."""
    _store(engine, size.stored)
    async with AsyncClient(engine.where) as client:
        await client.warm()
        streams = [
            await start(client, STREAMS, seconds=seconds, points_per_s=size.points_per_s, keys=KEYS_PER_CALL)
            for _ in range(size.runs)
        ]
        many_keys = await start(client, STREAMS, seconds=seconds, points_per_s=size.keys, keys=size.keys)
        prints = await start(client, PRINTS, seconds=seconds, size=size.log_bytes)
        viewers = _Viewers(await client.transport.ensure_socket())
        viewers.open(streams, size)
        process = psutil.Process(engine.pid())
        used, memory = sum(process.cpu_times()[:2]), 0.0
        probing = asyncio.create_task(_probe(engine, [*streams[:1], many_keys, prints], seconds))
        while not probing.done():
            memory = max(memory, process.memory_info().rss / 2**20)
            await asyncio.wait([probing], timeout=0.5)
        used = sum(process.cpu_times()[:2]) - used
        ended = [await client.wait(one.id, 300) for one in (*streams, many_keys, prints)]
        lost = [text for one in ended if (text := await _what_is_lost(client, one))]
        await viewers.close()
    lines, violations = judge(probing.result())
    lines[:0] = [
        f"load                 {size}",
        f"engine               {100 * used / seconds:.0f} % of a core, at most {memory:.0f} MiB",
        f"viewers              {viewers.num_bytes:,} bytes read; closed by the engine: {viewers.closed}",
    ]
    violations += lost
    return [
        *lines,
        f"violations           {len(violations)}",
        *(f"  {text}" for text in violations),
    ], violations


def judge(waits: Sequence[Wait]) -> tuple[list[str], list[str]]:
    """Sum up how long was waited for what, and say what was too long, or refused without a reason."""
    lines, violations = [], []
    for path in dict.fromkeys(wait.path for wait in waits):
        all_s = sorted(wait.seconds for wait in waits if wait.path == path)
        own_s = sorted(wait.own_s for wait in waits if wait.path == path)
        what = _ID.sub("/…", path)
        lines.append(
            f"{what:46} {len(all_s):5} asked: p50 {_ms(_share(all_s, 50))}, p99 {_ms(_share(all_s, 99))}, longest "
            f"{_ms(all_s[-1])}; without waiting for a core {_ms(_share(own_s, 99))}, {_ms(own_s[-1])}"
        )
        if own_s[-1] > LONGEST_WAIT_S:
            num = sum(seconds > LONGEST_WAIT_S for seconds in own_s)
            violations.append(f"{what}: {num} of {len(own_s)} answers took longer than {_ms(LONGEST_WAIT_S)}")
    refused = Counter((wait.status, wait.said) for wait in waits if wait.status >= 400)
    for (status, said), num in refused.items():
        lines.append(f"refused              {num} times with {status}: {said}")
        if status not in (429, 503) or '"detail"' not in said:
            violations.append(f"{num} requests were answered with {status}: {said}")
    return lines, violations


def _ms(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms"


def _share(ordered: Sequence[float], percent: int) -> float:
    return quantiles(ordered, n=100, method="inclusive")[percent - 1] if len(ordered) > 1 else ordered[0]


def _store(engine: EngineUnderTest, number: int) -> None:
    """Have a catalog with so many runs that ended long ago."""
    engine.pid()
    engine.close()
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with sqlite3.connect(engine.where.catalog) as db:
        for one in range(number):
            put(db, one, begin + timedelta(minutes=one))
    db.close()


async def _probe(engine: EngineUnderTest, trainings: Iterable[Training], seconds: float) -> list[Wait]:
    found = discovery.ensure(where=engine.where)
    paths = [
        "/native/engine",
        "/native/trainings?limit=50",
        "/native/trainings?limit=50&q=run-7&sort=min:train/loss",
    ]
    for one in trainings:
        paths += [f"/native/trainings/{one.id}", f"/native/trainings/{one.id}/logs?tail=400"]
        paths.append(f"/native/trainings/{one.id}/metrics?keys=k0&buckets=1000")
    child = await asyncio.create_subprocess_exec(
        *(
            sys.executable,
            "-m",
            "tests.faults.probe",
            found.socket_path,
            str(found.info["pid"]),
            str(seconds),
        ),
        *paths,
        stdout=asyncio.subprocess.PIPE,
    )
    said, _ = await child.communicate()
    assert child.returncode == 0
    return [Wait(**json.loads(line)) for line in said.splitlines()]


async def _what_is_lost(client: AsyncClient, training: Training) -> str | None:
    if training.status != "succeeded":
        return f"{training.id} is {training.status}: {training.error}"
    if training.name != "cell" or "size" in training.input:
        return None
    columns = await client.metrics(training.id, ["k0"])
    kept = sum(len(series.steps) for series in columns)
    return None if kept == training.output else f"{training.id}: {training.output} calls, {kept} kept"


class _Viewers:
    """Those who look on, some of whom open a stream and never read it."""

    def __init__(self, socket_path: str) -> None:
        self._socket_path = socket_path
        self._tasks: list[asyncio.Task[None]] = []
        self.num_bytes = 0
        self.closed: Counter[str] = Counter()

    def open(self, trainings: Sequence[Training], size: Size) -> None:
        for number in range(size.viewers):
            path = f"/native/trainings/{trainings[number % len(trainings)].id}/stream?after_seq=0"
            viewer = self._never_read(path) if number < size.silent else self._read(path)
            self._tasks.append(asyncio.create_task(viewer))

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _read(self, path: str) -> None:
        uri = f"ws://localhost{path}"
        async with websockets.unix_connect(self._socket_path, uri, max_size=None, compression=None) as socket:
            with suppress(websockets.ConnectionClosed):
                while True:
                    self.num_bytes += len(await socket.recv(decode=False))
            self.closed[f"{socket.close_code} {socket.close_reason}".strip()] += 1

    async def _never_read(self, path: str) -> None:
        _, writer = await asyncio.open_unix_connection(self._socket_path)
        head = "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n{head}\r\n{key}\r\n\r\n".encode())
        writer.transport.pause_reading()
        try:
            await asyncio.Event().wait()
        finally:
            writer.close()
