"""A training that was killed goes on from its last checkpoint: in a new run, with one curve."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from typing import Any

import numpy as np
import pytest
from integration_tools import EngineUnderTest, finish, holding, start, until

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.trainings import Training
from jupyter_ext.worker.sdk import checkpoint_files

LOOP = """
import time, torch
from jupyter_ext import checkpoint, log, progress
def train(n: int = 60, every: int = 10, pause: float = 0.0, stuck_at: int = -1):
    w = torch.zeros(1)
    found = checkpoint.latest()
    first = 0
    if found:
        w, first = found.load()["w"], found.step + 1
        print("from", found.step)
    for i in range(first, n):
        w += 1
        log({"w": w}, step=i)
        if i % every == every - 1:
            checkpoint.save({"w": w}, step=i)
            log({"epoch/loss": i}, step=i // every)
        progress(i + 1, n)
        while i == stuck_at:
            time.sleep(0.01)
        time.sleep(pause)
    return w.item()
"""


async def stuck(client: AsyncClient, at: int, text: str = LOOP, **inputs: Any) -> Training:
    """Start a training and wait until it hangs at a step, all before it being stored."""
    training = await start(client, text, "loop", stuck_at=at, **inputs)
    return await reaches(client, training, at)


async def reaches(client: AsyncClient, training: Training, step: int, key: str = "w") -> Training:
    """Wait until a running training has logged a step."""
    async with asyncio.timeout(40):
        while (known := await client.get(training.id)).status in ("starting", "processing"):
            if key in known.last and known.last[key].step >= step:
                return known
            await asyncio.sleep(0.02)
    raise AssertionError(f"it ended before step {step}: {known.status} {known.error}")


async def kill_worker(client: AsyncClient, engine: EngineUnderTest, training: Training) -> Training:
    os.kill(engine.pids(training)[1], signal.SIGKILL)
    return await client.wait(training.id, 30)


async def steps(client: AsyncClient, training_id: str, key: str = "w", **options: Any) -> list[float]:
    return [
        step for item in await client.metrics(training_id, [key], **options) for step in item.steps.tolist()
    ]


@pytest.mark.parametrize("victim", ["worker", "shim", "engine and worker"])
async def test_after_kill_9_it_goes_on(client: AsyncClient, engine: EngineUnderTest, victim: str) -> None:
    known = await stuck(client, 35, n=60)
    assert known.checkpoint is not None
    assert (known.checkpoint.step, known.checkpoint.bytes > 0) == (29, True)
    shim, worker = engine.pids(known)
    if "engine" in victim:
        engine.kill()
    os.kill(shim if victim == "shim" else worker, signal.SIGKILL)
    discovery.ensure(where=engine.where)
    ended = await client.wait(known.id, 40)
    assert ended.status == "failed"
    assert ended.checkpoint == known.checkpoint
    assert ended.cause is not None
    assert f"`%training {known.id} resume` goes on from step 29." in (ended.cause.hint or "")
    resumed = await client.resume(known.id, {"stuck_at": -1})
    assert resumed.resumed_from is not None
    assert (resumed.resumed_from.id, resumed.resumed_from.step) == (known.id, 29)
    assert (resumed.version, resumed.name) == (known.version, "loop")
    assert resumed.input == {"n": 60, "stuck_at": -1}
    done = await client.wait(resumed.id, 40)
    assert (done.status, done.output) == ("succeeded", 60.0)
    assert done.resumed_from is not None
    assert done.resumed_from.loaded
    assert done.notices == []
    assert await client.logs(resumed.id) == "from 29\n"
    assert await steps(client, resumed.id) == list(range(60))
    values = (await client.metrics(resumed.id, ["w"]))[0].values
    np.testing.assert_array_equal(values, np.arange(1, 61))
    assert await steps(client, resumed.id, chain=False) == list(range(30, 60))
    assert await steps(client, known.id) == list(range(36))
    assert await steps(client, resumed.id, "epoch/loss") == list(range(6))


async def test_the_chain_can_be_long_and_a_run_that_died_at_once_adds_nothing(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    first = await kill_worker(client, engine, await stuck(client, 25, n=60))
    second = await client.resume(first.id, {"stuck_at": 28})
    known = await reaches(client, second, 28)
    assert known.checkpoint is not None
    assert known.checkpoint.step == 19  # it has saved none of its own yet
    await kill_worker(client, engine, second)
    third = await client.resume(second.id, {"stuck_at": 47})
    await reaches(client, third, 47)
    assert await steps(client, third.id) == list(range(48))
    await kill_worker(client, engine, third)
    engine.kill()  # what is asked now comes from the files
    done = await client.wait((await client.resume(third.id, {"stuck_at": -1})).id, 40)
    assert done.output == 60.0
    for options in ({}, {"buckets": 1000}):
        assert await steps(client, done.id, **options) == list(range(60))
    assert done.resumed_from is not None
    assert done.resumed_from.step == 39
    few = (await client.metrics(done.id, ["w"], buckets=3))[0]
    assert 2 <= len(few.values) <= 18
    assert (few.steps[0], few.steps[-1]) == (0, 59)


async def test_old_checkpoints_may_go_with_their_run(client: AsyncClient, engine: EngineUnderTest) -> None:
    first = await kill_worker(client, engine, await stuck(client, 25, n=40))
    second = await client.resume(first.id, {"stuck_at": 26})
    for path in (engine.run_dir(first) / "checkpoints").iterdir():
        path.unlink()
    await reaches(client, second, 26)
    await kill_worker(client, engine, second)
    done = await client.wait((await client.resume(second.id, {"stuck_at": -1})).id, 40)
    assert done.output == 40.0


async def test_a_damaged_checkpoint_is_passed_over(client: AsyncClient, engine: EngineUnderTest) -> None:
    known = await kill_worker(client, engine, await stuck(client, 35, n=40))
    found = checkpoint_files.listing(engine.run_dir(known) / "checkpoints")
    found[-1].path.write_bytes(found[-1].path.read_bytes()[:-5] + b"12345")
    done = await client.wait((await client.resume(known.id, {"stuck_at": -1})).id, 40)
    assert done.output == 40.0
    assert done.resumed_from is not None
    assert done.resumed_from.step == 19
    assert any("step 29" in notice and "not those that were saved" in notice for notice in done.notices)
    assert await steps(client, done.id) == list(range(40))


async def test_what_cannot_be_resumed_is_refused_in_one_line(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    running = await stuck(client, 12)
    with pytest.raises(RequestRefused, match=r"is `processing`; cancel it first"):
        await client.resume(running.id)
    canceled = await client.cancel(running.id)
    canceled = await client.wait(running.id, 20)
    before = set(engine.where.runs_dir.iterdir())
    with pytest.raises(InvalidInput, match="n='many'"):
        await client.resume(canceled.id, {"n": "many"})
    with pytest.raises(InvalidInput, match="no input 'm'"):
        await client.resume(canceled.id, {"m": 1})
    succeeded = await finish(client, LOOP, n=3)
    with pytest.raises(RequestRefused, match="succeeded, so there is nothing to resume"):
        await client.resume(succeeded.id)
    bare = await finish(client, "def train(a: int = 1):\n    raise ValueError('x')", a=2)
    with pytest.raises(RequestRefused) as refused:
        await client.resume(bare.id)
    text = str(refused.value)
    assert "it has no checkpoint; run it again from the start with -i a=2" in text
    assert "\n" not in text
    with pytest.raises(UnknownId):
        await client.resume("0123456789abcdefghijklmnop")
    assert len(set(engine.where.runs_dir.iterdir()) - before) == 2
    status, _, body = await client.transport.tunnel("POST", f"/native/trainings/{bare.id}/resume", b"[1]")
    assert (status, json.loads(body)["status"]) == (400, 400)
    done = await client.wait((await client.resume(canceled.id, {"n": 15, "stuck_at": -1})).id, 30)
    assert (done.output, done.input["n"]) == (15.0, 15)


async def test_steps_that_nobody_gave_are_counted_on(client: AsyncClient, engine: EngineUnderTest) -> None:
    text = """
import time
from jupyter_ext import checkpoint, log
def train(die: bool = True):
    found = checkpoint.latest()
    for i in range(found.load() + 1 if found else 0, 8):
        log(x=i)
        if i == 4: checkpoint.save(i)
    while die: time.sleep(0.01)
"""
    training = await start(client, text)
    await reaches(client, training, 7, "x")
    ended = await kill_worker(client, engine, training)
    assert ended.checkpoint is not None
    assert ended.checkpoint.step == 4
    done = await client.wait((await client.resume(ended.id, {"die": False})).id, 30)
    for chain in (True, False):
        (series,) = await client.metrics(done.id, ["x"], chain=chain)
        np.testing.assert_array_equal(series.steps, series.values)
        assert len(series.steps) == (8 if chain else 3)


async def test_code_that_ignores_the_checkpoint_is_told_and_has_one_curve(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    text = LOOP.replace("checkpoint.latest()", "None")
    killed = await kill_worker(client, engine, await stuck(client, 12, text=text))
    done = await client.wait((await client.resume(killed.id, {"stuck_at": -1, "n": 20})).id, 30)
    assert await steps(client, done.id) == list(range(20))
    assert any("never called checkpoint.load()" in notice for notice in done.notices)


async def test_the_secrets_of_the_environment_are_not_kept(
    client: AsyncClient, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed = await kill_worker(client, engine, await stuck(client, 12))
    monkeypatch.setenv("SOME_TOKEN", "very-secret-18273")
    resumed = await client.resume(killed.id, {"stuck_at": -1, "n": 20})
    await client.wait(resumed.id, 30)
    assert not holding("very-secret-18273", engine.where.data_dir)


def test_the_handle_resumes(engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JUPYTER_EXT_DATA_DIR", str(engine.where.data_dir))
    monkeypatch.setenv("JUPYTER_EXT_RUNTIME_DIR", str(engine.where.runtime_dir))
    from jupyter_ext.client.capture.capture import capture_cell
    from jupyter_ext.client.requests.process_client import reset_client
    from jupyter_ext.client.trainings import api

    reset_client()
    run = api.start(capture_cell(LOOP, {}, "handle", ()), {"stuck_at": 22, "n": 30})
    until(lambda: run.resource.last.get("w") is not None and run.resource.last["w"].step == 22, "step 22")
    os.kill(engine.pids(run.known)[1], signal.SIGKILL)
    until(lambda: run.resource.status == "failed", "the end")
    again = run.resume(stuck_at=-1)
    assert again.wait().output == 30.0
    frame = again.metrics()
    assert frame[frame.key == "w"].step.tolist() == list(range(30))
    assert list(again.figure(["w"]).data[0].x) == list(range(30))
    assert len(again.metrics(["w"], chain=False)) == 10
    reset_client()
