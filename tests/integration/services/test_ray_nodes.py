"""A group of ranks on a real Ray cluster, by Ray Train."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from integration_tools import until
from ray_clusters import RealRay, free_port, last_line

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.place import Place
from jupyter_ext.protocol.trainings import Training

pytest.importorskip("ray")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

DDP = """
import os, time, torch, torch.distributed as dist
from jupyter_ext import checkpoint, log

def train(steps: int = 12, waits_at: int = -1, waits_for: str = ""):
    world, rank = int(os.environ.get("WORLD_SIZE", 1)), int(os.environ.get("RANK", 0))
    torch.manual_seed(7)
    plain = model = torch.nn.Linear(8, 1)
    found = checkpoint.latest()
    first = 0
    if found is not None:
        state = found.load()
        first = state["step"] + 1
        plain.load_state_dict(state["model"])
    if world > 1:
        dist.init_process_group("gloo")
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    torch.manual_seed(8)
    x = torch.randn(64, 8); y = x.sum(1, keepdim=True)
    part = slice(rank * 64 // world, (rank + 1) * 64 // world)
    print(f"rank {rank} of {world} begins at {first}")
    for step in range(first, steps):
        loss = torch.nn.functional.mse_loss(model(x[part]), y[part])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        whole = loss.detach().clone()
        if world > 1:
            dist.all_reduce(whole); whole /= world
        log({"loss": whole, "pid": os.getpid()}, step=step)
        if step == 5:
            checkpoint.save({"step": step, "model": plain.state_dict()}, step=step)
        while step == waits_at and not os.path.exists(waits_for):
            time.sleep(0.05)
            dist.all_reduce(whole)
    return whole.item()
"""


@pytest.fixture(scope="module")
def cluster() -> Iterator[RealRay]:
    """Yield a cluster."""
    made = RealRay(free_port())
    try:
        assert made.is_up, f"Ray did not start: {last_line(made.home / 'start.log')}"
        yield made
    finally:
        made.close()


async def start(
    client: AsyncClient, cluster: RealRay | None, text: str = DDP, cpus: float = 1, **inputs: Any
) -> Training:
    """Start a cell as a group on the cluster, or in one process here."""
    bundle = capture_cell(text, {}, "group", inputs)
    place = Place() if cluster is None else Place(2, "ray", cluster.url, cpus=cpus)
    return await client.create(bundle, inputs, place=place)


async def logged(client: AsyncClient, training: Training, step: int) -> None:
    """Wait until a step has arrived."""
    async with asyncio.timeout(300):
        while True:
            known = await client.get(training.id)
            if "loss" in known.last and known.last["loss"].step >= step:
                return
            assert known.status in ("starting", "processing"), known.error
            await asyncio.sleep(0.1)


async def test_ranks_train_as_one_process_does_and_a_lost_one_is_made_up_for(
    client: AsyncClient, cluster: RealRay, tmp_path_factory: pytest.TempPathFactory
) -> None:
    gate = tmp_path_factory.mktemp("gate") / "open"
    alone = await client.wait((await start(client, None)).id, 60)
    training = await start(client, cluster, waits_at=8, waits_for=str(gate))
    await logged(client, training, 8)
    rank_1 = (await pids_of(client, training))[1]
    shim = psutil.Process(rank_1).parent()
    assert shim is not None
    rays_worker = shim.parent()
    assert rays_worker is not None
    assert "RayTrainWorker" in " ".join(rays_worker.cmdline())
    rays_worker.kill()
    await asyncio.to_thread(until, lambda: not psutil.pid_exists(rank_1), "the end of the rank", 60)
    gate.touch()
    await check_it_went_on(client, alone, training)


async def check_it_went_on(client: AsyncClient, alone: Training, training: Training) -> None:
    """Check that a group that has lost a rank ends as one process does, and that its curve shows it."""
    ended = await client.wait(training.id, 300)
    assert ended.status == "succeeded", (ended.error, ended.notices, await client.logs(training.id))
    assert ended.output == pytest.approx(alone.output, rel=1e-5)
    (curve,) = [one for one in await client.metrics(training.id, ["loss"]) if one.rank == "0"]
    (expected,) = await client.metrics(alone.id, ["loss"])
    steps = curve.steps.tolist()
    assert steps == [*range(9), *range(6, 12)], "from the checkpoint of step 5 on again"
    np.testing.assert_allclose(curve.values, expected.values[np.array(steps, int)], rtol=1e-5)
    assert any("Ray starts all of them again" in notice for notice in ended.notices), ended.notices
    log = await client.logs(training.id)
    assert "rank 0 of 2 begins at 0" in log
    assert "[rank 1] rank 1 of 2 begins at 6" in log


async def test_a_cancel_ends_all_ranks_by_the_ladder(client: AsyncClient, cluster: RealRay) -> None:
    text = """
import os, time
from jupyter_ext import log
def train():
    log(loss=1.0, pid=os.getpid())
    try:
        while True:
            time.sleep(0.01)
    finally:
        print("cleaned up")
"""
    training = await start(client, cluster, text)
    pids = await pids_of(client, training)
    await client.cancel(training.id)
    ended = await client.wait(training.id, 60)
    assert (ended.status, ended.error) == ("canceled", None)
    assert ended.cause is not None
    assert "by interrupt" in str(ended.cause.hint)
    assert sorted((await client.logs(training.id)).split("\n")) == ["", "[rank 1] cleaned up", "cleaned up"]
    until(lambda: not any(psutil.pid_exists(pid) for pid in pids.values()), "the end of all ranks")


async def pids_of(client: AsyncClient, training: Training) -> dict[int, int]:
    """Return the pid of each rank, once both have logged theirs."""
    async with asyncio.timeout(300):
        while True:
            curves = await client.metrics(training.id, ["pid"])
            if len(curves) == 2:
                return {int(one.rank): int(one.values[0]) for one in curves}
            await asyncio.sleep(0.2)
