"""How soon the end of a training is known, and what a training costs that does nothing.

Peers: `wait()` on a plain child process, and a new Python that does nothing, with torch and without.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator

from benchmarks.support.own_engine import own_engine, warm
from benchmarks.support.peers import new_python
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from benchmarks.support.timing import unix
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import locations

ROUNDS = scaled(40, 1)
TORCH_ROUNDS = scaled(5, 1)
TORCH = scaled("import torch", "pass")

SLEEPS = "import time\ndef train():\n    time.sleep(0.2)"
EMPTY = "def train():\n    pass"
CHILD = "import os, time; time.sleep(0.2); os.write(1, str(time.time()).encode()); os._exit(0)"


async def run() -> AsyncIterator[Row]:
    """Measure in directories of its own."""
    with own_engine():
        async with AsyncClient() as client:
            await warm(client)
            await end_known(client)
            async for row in ends(client):
                yield row
            async for row in nothing(client):
                yield row


async def ends(client: AsyncClient) -> AsyncIterator[Row]:
    """Measure from the end of a run, as `exit.json` tells it, to the return of `wait()`."""
    ours, peer = [], []
    for _ in range(ROUNDS):
        ours.append(await end_known(client))
        peer.append(child_end_known())
    for share in (0.5, 0.95):
        name, child = f"end to wait() returning, p{100 * share:g}", f"a child process, p{100 * share:g}"
        yield Row(name, percentile(ours, share), "ms", child, percentile(peer, share))


async def end_known(client: AsyncClient) -> float:
    """Return the milliseconds after which the end of a training is known to a client that waits for it."""
    made = await client.create(capture_cell(SLEEPS, {}, "sleeps"), {})
    await client.wait(made.id, 60)
    now = time.time()
    ended_at = float(json.loads((locations().runs_dir / made.id / "exit.json").read_text())["ended_at"])
    return 1000 * (now - ended_at)


def child_end_known() -> float:
    """Return the milliseconds after which the end of a plain child process is known."""
    child = subprocess.Popen([sys.executable, "-c", CHILD], stdout=subprocess.PIPE)
    child.wait()
    now = time.time()
    assert child.stdout is not None
    with child.stdout as told:
        return 1000 * (now - float(told.read()))


async def nothing(client: AsyncClient) -> AsyncIterator[Row]:
    """Measure a training that does nothing, from before its create to the return of `wait()`."""
    ours, begun, python = [], [], []
    for _ in range(ROUNDS):
        began = time.time()
        made = await client.create(capture_cell(EMPTY, {}, "empty"), {})
        ended = await client.wait(made.id, 60)
        ours.append(1000 * (time.time() - began))
        begun.append(1000 * (unix(ended.started_at) - began))
        python.append(new_python())
    torch = median([new_python(TORCH) for _ in range(TORCH_ROUNDS)])
    name = "a training of nothing, create to wait()"
    p50 = median(ours)
    yield Row(f"{name}, p50", p50, "ms", "its create to `processing`", median(begun), at_most(2))
    yield Row(f"{name}, p50", p50, "ms", "python -c pass", median(python))
    yield Row(f"{name}, p50", p50, "ms", "python -c 'import torch'", torch, at_most(0.1))
    p95 = percentile(ours, 0.95)
    yield Row(f"{name}, p95", p95, "ms", "python -c pass, p95", percentile(python, 0.95))
