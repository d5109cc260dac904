"""A debug session: launch, round trips of calls, tensors each way, what a metric costs, and whether an interrupt keeps the model.

Everything is real: the engine, a session with torch, and beside it a Jupyter kernel and plain HTTP with the same work.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from typing import Any

import torch

from benchmarks.support.own_engine import own_engine, warm
from benchmarks.support.peers import fresh_kernel, fresh_process, kernel_execute, plain_http
from benchmarks.support.rows import Row, at_least, at_most, median, percentile
from benchmarks.support.scale import scaled
from benchmarks.support.timing import in_turns, timed
from jupyter_ext.client.capture.capture import capture_cell, capture_model
from jupyter_ext.client.debugging import launch
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.errors import SessionCallInterrupted

CODE = """
import time
import torch
from jupyter_ext import log

class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = torch.nn.Linear(4, 2)
        self.big = torch.arange(26_214_400, dtype=torch.float32)

    def evaluate(self, x):
        with torch.no_grad():
            return self.layer(x)

    def take(self, x):
        return float(x[0] + x[-1] + x[::1024].sum())

    def give(self):
        return self.big

    def fit(self, n):
        began = time.perf_counter()
        for i in range(n):
            log(loss=0.5)
        self.took_s = (time.perf_counter() - began) / n

    def cost(self):
        return self.took_s

    def forever(self):
        while True:
            torch.ones(8) @ torch.ones(8)
"""
TRAINING = """
import time
from jupyter_ext import log

def train(n: int = 20_000):
    began = time.perf_counter()
    for i in range(n):
        log(loss=0.5)
    return (time.perf_counter() - began) / n
"""
ROUNDS = scaled(2000, 5)
METRICS = scaled(20_000, 100)
METRIC_ROUNDS = scaled(3, 1)
BIG_ROUNDS = scaled(15, 1)
INTERRUPTS = scaled(100, 1)
BIG_BYTES = 104_857_600


def copy_of(source: Any) -> Any:
    """Copy 100 MB into fresh memory, which is what a receiver costs at least."""
    return source.numpy().copy()


def launches(rounds: int) -> list[float]:
    """Return the milliseconds from asking for a session to its first answer, warm."""
    took = []
    for number in range(rounds + 1):
        bundle = capture_model(CODE, {}, f"bench{number}")
        began = time.perf_counter()
        session = launch(f"bench{number}", bundle)
        session.channel.call("status")
        took.append(1000 * (time.perf_counter() - began))
        session.terminate()
    return took[1:]  # the first waits for torch in the zygote


def interrupts(session: Any, model: Any) -> int:
    """Interrupt a call a hundred times; return how often the model was there and the same afterwards."""
    x = torch.ones(1, 4)
    before = model.evaluate(x=x)
    kept = 0
    for _ in range(INTERRUPTS):
        told: list[bool] = []

        def call() -> None:
            try:
                model.call("forever")
            except SessionCallInterrupted:
                told.append(True)  # noqa: B023

        caller = threading.Thread(target=call)
        caller.start()
        while session.channel.call("status")["busy"] is None:
            time.sleep(0.001)
        session.interrupt()
        caller.join(30)
        kept += bool(told) and bool((model.evaluate(x=x) == before).all())
    return kept


async def logged() -> float:
    """Return the seconds that each `log()` of a training takes, by its own clock."""
    async with AsyncClient() as client:
        await warm(client)
        made = await client.create(capture_cell(TRAINING, {}, "logs"), {"n": METRICS})
        return float((await client.wait(made.id, 120)).output)


def metrics(model: Any) -> tuple[float, float]:
    """Return the median microseconds of a metric in the session's training, and in a training, in turns."""
    ours, peer = [], []
    for _ in range(METRIC_ROUNDS):
        model.train(n=METRICS).wait()
        ours.append(1e6 * model.call("cost"))
        peer.append(1e6 * asyncio.run(logged()))
    return median(ours), median(peer)


def run() -> Iterator[Row]:
    """Measure in directories of its own."""
    with own_engine():
        yield from launching()
        session = launch("bench", capture_model(CODE, {}, "bench"))
        model = session.instantiate()
        yield from small_calls(model)
        yield from large_calls(model)
        metric, log = metrics(model)
        yield Row("a metric of a debug training", metric, "us", "log() in a training", log, at_most(10))
        kept = interrupts(session, model)
        yield Row("interrupts that kept the model", kept, f"of {INTERRUPTS}", goal=at_least(INTERRUPTS, ""))
        session.terminate()


def launching() -> Iterator[Row]:
    """Measure from asking for a session to its first answer."""
    ready = median(launches(7))
    processes = median([fresh_process() for _ in range(3)])
    kernels = median([fresh_kernel() for _ in range(3)])
    name = "session, launch to ready"
    yield Row(name, ready, "ms", "fresh process, import torch", processes, at_most(0.45))
    yield Row(name, ready, "ms", "fresh kernel, import torch", kernels)


def small_calls(model: Any) -> Iterator[Row]:
    """Measure the round trip of a call with next to nothing in it."""
    tiny = torch.ones(1, 4)
    layer = torch.nn.Linear(4, 2)
    model.evaluate(x=tiny)
    calls = timed(lambda: model.evaluate(x=tiny), ROUNDS)
    execute, http = kernel_execute(100), plain_http("/", bytes(16), 300)
    direct = timed(lambda: layer(tiny), 200)
    name, p50 = "evaluate, tiny tensor", percentile(calls, 0.5)
    yield Row(f"{name}, p50", p50, "ms", "Jupyter execute", execute, at_most(0.2))
    yield Row(f"{name}, p50", p50, "ms", "plain HTTP POST", http)
    yield Row(
        f"{name}, p99", percentile(calls, 0.99), "ms", "the layer itself, p99", percentile(direct, 0.99)
    )


def large_calls(model: Any) -> Iterator[Row]:
    """Measure 100 MB each way."""
    big = torch.arange(BIG_BYTES // 4, dtype=torch.float32)
    floor, there, back = in_turns(
        lambda: copy_of(big),
        lambda: model.call("take", x=big),
        lambda: model.call("give")[::1024].sum(),
        rounds=BIG_ROUNDS,
    )
    http_there = plain_http("/", bytes(BIG_BYTES), 5)
    http_back = plain_http("/give", b"", 5, num_given=BIG_BYTES)
    for name, took, http in (("100 MB there", there, http_there), ("100 MB back", back, http_back)):
        yield Row(name, took, "ms", "memcpy", floor, at_most(2.5))
        yield Row(name, took, "ms", "plain HTTP", http)
