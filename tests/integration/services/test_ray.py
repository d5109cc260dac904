"""Trainings on a Ray cluster: a real one (slow), and a stand-in for its Jobs API that runs the same entrypoints."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from typing import Any

import numpy as np
import psutil
import pytest
from integration_tools import EngineUnderTest, until
from ray_clusters import Cluster, RealRay, StandIn, free_port, job_of, last_line

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests import process_client
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.place import Place
from jupyter_ext.client.sweeps.api import SweepOptions, start_sweep
from jupyter_ext.client.sweeps.space import loguniform, read_space
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.trainings import Training

pytestmark = pytest.mark.timeout(500)  # a cluster of Ray's takes its time to start beside other tests

CODE = """
import time
from jupyter_ext import checkpoint, log
def train(n: int = 20, pause: float = 0.02, raises: bool = False, hangs: bool = False):
    found = checkpoint.latest()
    first = 0 if found is None else int(found.load()["i"]) + 1
    print("begins at", first, "with", scale)
    for i in range(first, n):
        log({"loss": scale / (i + 1)}, step=i)
        if i == 9:
            checkpoint.save({"i": i}, step=i)
        time.sleep(pause)
    try:
        while hangs:
            time.sleep(0.01)
    finally:
        print("cleaned up")
    if raises:
        raise ValueError("a bad batch €")
    return {"last": n - 1}
"""


@pytest.fixture(scope="module", params=["stand-in", pytest.param("ray", marks=pytest.mark.slow)])
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """Return a cluster for the module's tests."""
    if request.param == "ray":
        pytest.importorskip("ray")
        real = RealRay(free_port())
        try:
            assert real.is_up, f"Ray did not start: {last_line(real.home / 'start.log')}"
            yield real
        finally:
            real.close()
    else:
        made = StandIn()
        yield made
        made.close()


@pytest.fixture(autouse=True)
async def whole(cluster: Cluster) -> AsyncIterator[None]:
    """Let a test's cuts not reach the next."""
    yield
    cluster.cuts = 0


async def submit(
    client: AsyncClient, cluster: Cluster, workers: int = 1, text: str = CODE, **inputs: Any
) -> Training:
    """Start a cell on a cluster; `scale` travels with it."""
    bundle = capture_cell(text, {"scale": 3.0}, "far", inputs)
    return await client.create(bundle, inputs, place=Place(workers, "ray", cluster.url))


async def logged(client: AsyncClient, training: Training, step: int) -> None:
    """Wait until a step has arrived."""
    async with asyncio.timeout(60):
        while True:
            known = await client.get(training.id)
            if "loss" in known.last and known.last["loss"].step >= step:
                return
            assert known.status in ("starting", "processing"), known.error
            await asyncio.sleep(0.05)


async def check_curve(client: AsyncClient, training: Training, n: int) -> None:
    """Check that every point is there, once."""
    (curve,) = await client.metrics(training.id, ["loss"])
    np.testing.assert_array_equal(curve.steps, np.arange(n))
    np.testing.assert_allclose(curve.values, 3.0 / (np.arange(n) + 1))


async def test_a_job_is_a_training_like_any_other(client: AsyncClient, cluster: Cluster) -> None:
    training = await submit(client, cluster)
    ended = await client.wait(training.id, 90)
    assert ended.status == "succeeded", (ended.error, ended.notices, await client.logs(training.id))
    assert (ended.on, ended.output) == ("ray", {"last": 19})
    assert await client.logs(training.id) == "begins at 0 with 3.0\ncleaned up\n"
    await check_curve(client, training, 20)
    assert ended.checkpoint is not None
    assert ended.checkpoint.step == 9
    assert any("in the queue" in notice for notice in ended.notices)
    if isinstance(cluster, StandIn):
        again = await client.wait((await submit(client, cluster)).id, 90)
        assert again.status == "succeeded"
        assert len(cluster.stored) == len(set(cluster.stored)) == 2, "the same code is stored once"


async def test_an_exception_there_shows_the_users_frames(client: AsyncClient, cluster: Cluster) -> None:
    ended = await client.wait((await submit(client, cluster, raises=True)).id, 90)
    assert (ended.status, ended.error) == ("failed", "ValueError: a bad batch €")
    assert ended.exception is not None
    assert [frame.function for frame in ended.exception.frames] == ["train"]


async def test_nothing_is_lost_or_repeated_where_the_stream_breaks(
    client: AsyncClient, cluster: Cluster
) -> None:
    cluster.cuts = 1
    training = await submit(client, cluster, n=120)
    ended = await client.wait(training.id, 90)
    assert ended.status == "succeeded", ended.error
    await check_curve(client, training, 120)


async def test_an_engine_that_was_killed_finds_its_job_again(
    engine: EngineUnderTest, cluster: Cluster
) -> None:
    async with AsyncClient(engine.where) as client:
        training = await submit(client, cluster, n=60, pause=0.05)
        await logged(client, training, 5)
        await asyncio.to_thread(engine.kill)
        ended = await client.wait(training.id, 90)
        assert ended.status == "succeeded", (ended.error, ended.notices)
        await check_curve(client, training, 60)


async def test_a_cancel_ends_it_there(client: AsyncClient, engine: EngineUnderTest, cluster: Cluster) -> None:
    training = await submit(client, cluster, hangs=True)
    await logged(client, training, 19)
    there = psutil.Process(cluster.pid(job_of(engine.run_dir(training))))
    family = [there, *there.children(recursive=True)]
    assert len(family) >= 3, "entrypoint, shim and worker"
    await client.cancel(training.id)
    ended = await client.wait(training.id, 30)
    assert (ended.status, ended.error) == ("canceled", None)
    assert ended.cause is not None
    assert "by interrupt" in str(ended.cause.hint), "Ray blocks SIGINT in what it starts"
    assert "cleaned up" in await client.logs(training.id), "Ray sends SIGTERM to the worker, too"
    until(lambda: not any(one.is_running() and one.status() != "zombie" for one in family), "the end of all")


async def test_a_job_that_is_killed_says_so_and_can_be_resumed(
    client: AsyncClient, engine: EngineUnderTest, cluster: Cluster
) -> None:
    training = await submit(client, cluster, hangs=True)
    await logged(client, training, 19)
    there = psutil.Process(cluster.pid(job_of(engine.run_dir(training))))
    family = [there, *there.children(recursive=True)]
    os.kill(there.pid, signal.SIGKILL)
    ended = await client.wait(training.id, 60)
    assert (ended.status, ended.cause and ended.cause.kind) == ("failed", "lost")
    assert "Ray ended the job" in str(ended.error)
    until(lambda: not any(one.is_running() and one.status() != "zombie" for one in family), "the end of all")
    resumed = await client.resume(training.id, {"hangs": False})
    ended = await client.wait(resumed.id, 90)
    assert (ended.status, ended.on) == ("succeeded", "ray"), ended.error
    assert await client.logs(resumed.id) == "begins at 10 with 3.0\ncleaned up\n"


@pytest.mark.parametrize("cluster", ["stand-in"], indirect=True)
async def test_workers_of_a_job_without_ray_train_are_a_group_on_its_node(
    client: AsyncClient, cluster: Cluster
) -> None:
    text = """
import os, torch, torch.distributed as dist
from jupyter_ext import log
def train():
    dist.init_process_group("gloo")
    total = torch.ones(1) * (int(os.environ["RANK"]) + scale)
    dist.all_reduce(total)
    log(loss=total)
    return total.item()
"""
    ended = await client.wait((await submit(client, cluster, 2, text)).id, 120)
    assert ended.status == "succeeded", ended.error
    assert ended.output == 7.0
    assert {one.rank for one in await client.metrics(ended.id, ["loss"])} == {"0", "1"}


@pytest.mark.parametrize("cluster", ["stand-in"], indirect=True)
async def test_a_large_checkpoint_goes_to_storage_and_comes_back(
    client: AsyncClient, engine: EngineUnderTest, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory
) -> None:
    text = """
import torch
from jupyter_ext import checkpoint
def train(fails: bool = True):
    found = checkpoint.latest()
    if found is None:
        for i in range(3):
            checkpoint.save({"i": i, "w": torch.full((5_000_000,), float(i))}, step=i, keep=1)
        if fails:
            raise ValueError("no more")
    state = found.load()
    return [state["i"], state["w"].sum().item()]
"""
    shared = tmp_path_factory.mktemp("shared")
    bundle = capture_cell(text, {}, "large", {})
    place = Place(1, "ray", cluster.url, storage=str(shared))
    ended = await client.wait((await client.create(bundle, {}, place=place)).id, 90)
    assert (ended.status, ended.error) == ("failed", "ValueError: no more")
    assert ended.checkpoint is not None
    assert ended.checkpoint.step == 2
    folder = engine.run_dir(ended) / "checkpoints"
    assert not [*folder.glob("*.pt")], "the engine has no copy"
    resumed = await client.wait((await client.resume(ended.id)).id, 90)
    assert (resumed.status, resumed.output) == ("succeeded", [2, 10_000_000.0]), resumed.error

    plain = Place(1, "ray", cluster.url)
    ended = await client.wait((await client.create(bundle, {}, place=plain)).id, 90)
    assert any("--storage names where" in notice for notice in ended.notices), ended.notices
    with pytest.raises(InvalidInput, match="neither an absolute path"):
        Place(1, "ray", cluster.url, storage="runs")


@pytest.mark.parametrize("cluster", ["stand-in"], indirect=True)
def test_the_trials_of_a_sweep_are_jobs_there(
    engine: EngineUnderTest, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("optuna")
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(engine.where.data_dir))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(engine.where.runtime_dir))
    process_client.reset_client()
    try:
        bundle = capture_cell(
            "def train(lr: float):\n    return (lr - 0.01) ** 2\n", {}, "square", {"lr": 0.1}
        )
        options = SweepOptions(trials=2, place=Place(1, "ray", cluster.url))
        made = start_sweep(bundle, read_space({"lr": loguniform(1e-4, 1e-1)}), {}, options)
        made.wait(150)
        ended = [(run.known.on, run.known.status, run.known.error) for run in made.trials]
        assert ended == [("ray", "succeeded", None)] * 2
        assert made.driver.known.on == "local", "what drives it asks the engine, which is here"
        best = made.best
        assert best is not None
        assert best.output == min(run.output for run in made.trials)
    finally:
        process_client.reset_client()


async def test_a_cluster_that_is_not_there_is_named(client: AsyncClient) -> None:
    nowhere = f"http://127.0.0.1:{free_port()}"
    bundle = capture_cell(CODE, {"scale": 1.0}, "far", {})
    ended = await client.wait((await client.create(bundle, {}, place=Place(1, "ray", nowhere))).id, 30)
    assert ended.status == "failed"
    assert f"No Ray cluster answers at {nowhere}" in str(ended.error)
    with pytest.raises(InvalidInput, match="goes with a Ray cluster"):
        Place(1, gpus=1)
