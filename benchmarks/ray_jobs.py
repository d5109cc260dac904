"""A training on a Ray cluster of this machine, from its submission to its first line. Left out where Ray is not installed.

Peer: a bare job that prints the same line, submitted and followed by Ray's own client. Both print the time at which they print.
"""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import time
from collections.abc import AsyncIterator

from benchmarks.support.own_engine import own_engine
from benchmarks.support.ray_cluster import NotStarted, ray_cluster
from benchmarks.support.rows import Row, median
from benchmarks.support.scale import scaled
from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.place import Place

ROUNDS = scaled(5, 1)
WITHIN_S = 120.0
_MARK = "first line at"
CELL = f"import time\ndef train():\n    print({_MARK!r}, time.time())"
BARE = f"""python -u -c 'import time; print("{_MARK}", time.time())'"""
NAME = "Ray: submit to first line"


async def run() -> AsyncIterator[Row]:
    """Measure on a cluster of its own."""
    if importlib.util.find_spec("ray") is None:
        yield Row.left_out(NAME, "ray is not installed")
        return
    try:
        with own_engine(), ray_cluster() as url:
            async for row in measure(url):
                yield row
    except NotStarted as error:
        yield Row.left_out(NAME, f"Ray does not start: {error}")


async def measure(url: str) -> AsyncIterator[Row]:
    """Measure both in turns; the first round of each, which stores packages and starts workers, does not count."""
    from ray.job_submission import JobSubmissionClient

    bare_client = JobSubmissionClient(url)
    ours: list[tuple[float, float]] = []
    bare: list[tuple[float, float]] = []
    await settled(bare_client)
    async with AsyncClient() as client:
        for _ in range(ROUNDS + 1):
            ours.append(await our_job(client, url))
            bare.append(await bare_job(bare_client))
    peer = "a bare Ray job"
    for number, what in enumerate(("printed", "seen here")):
        measured, beside = (median([took[number] for took in all_[1:]]) for all_ in (ours, bare))
        yield Row(f"{NAME} {what}", measured, "ms", peer, beside)


async def settled(client: object) -> None:
    """Wait until the cluster takes jobs, which its node's agent does some time after the node is there.

    Raises:
        NotStarted: It does not in time.
    """
    deadline = time.monotonic() + WITHIN_S
    while True:
        try:
            await bare_job(client)
            return
        except RuntimeError as error:
            if "No available agent" not in str(error) or time.monotonic() > deadline:
                raise NotStarted(" ".join(str(error).split())[:200]) from error
            await asyncio.sleep(0.5)


async def our_job(client: AsyncClient, url: str) -> tuple[float, float]:
    """Return the milliseconds to the line of a training, as printed and as seen here."""
    began = time.time()
    made = await client.create(capture_cell(CELL, {}, "far"), {}, place=Place(1, "ray", url))
    text, seen = "", 0.0
    async with contextlib.aclosing(client.follow(made.id, after_seq=0)) as events:
        async for event in events:
            text += event.text
            if not seen and _printed_at(text):
                seen = time.time()
    return _told(text, began, seen)


async def bare_job(client: object) -> tuple[float, float]:
    """Return the same of a bare job."""
    from ray.job_submission import JobSubmissionClient

    assert isinstance(client, JobSubmissionClient)
    began = time.time()
    id = client.submit_job(entrypoint=BARE)
    text, seen = "", 0.0
    async for piece in client.tail_job_logs(id):
        text += piece
        if not seen and _printed_at(text):
            seen = time.time()
    return _told(text, began, seen)


def _printed_at(text: str) -> float | None:
    """Return the time on the line, once all of it is there."""
    _, _, rest = text.partition(_MARK)
    return float(rest.split("\n")[0]) if "\n" in rest else None


def _told(text: str, began: float, seen: float) -> tuple[float, float]:
    printed = _printed_at(text)
    if printed is None:
        raise RuntimeError(f"the job has not printed its line: {text[-500:]}")
    return 1000 * (printed - began), 1000 * (seen - began)
