"""Several workers on this machine: the ranks of one group, under torch's own elastic agent."""

from __future__ import annotations

import asyncio
import os
import signal
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
from integration_tools import EngineUnderTest, until

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.place import Place
from jupyter_ext.client.trainings.api import capture_path
from jupyter_ext.client.trainings.handle import Training as TrainingHandle
from jupyter_ext.engine.logs.line_index import LineIndex
from jupyter_ext.engine.logs.streams import StderrSpans
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.ipc.run_files import STDERR_MARKS
from jupyter_ext.protocol.trainings import Training

DDP = """
import os, sys, torch, torch.distributed as dist
from jupyter_ext import log

def train(steps: int = 12):
    world = int(os.environ.get("WORLD_SIZE", 1))
    rank = int(os.environ.get("RANK", 0))
    torch.manual_seed(7)
    model = torch.nn.Linear(8, 1)
    if world > 1:
        dist.init_process_group("gloo")
        model = torch.nn.parallel.DistributedDataParallel(model)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    x = torch.randn(64, 8); y = x.sum(1, keepdim=True)
    part = slice(rank * 64 // world, (rank + 1) * 64 // world)
    for step in range(steps):
        loss = torch.nn.functional.mse_loss(model(x[part]), y[part])
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        whole = loss.detach().clone()
        if world > 1:
            dist.all_reduce(whole); whole /= world
        log(loss=whole, own=loss.item())
    print(f"rank {rank} of {world} is done")
    print(f"rank {rank} warns", file=sys.stderr)
    return whole.item()
"""
WAITS = """
import os, time
from jupyter_ext import log
def train(raises: int = -1, quits: int = -1):
    rank = int(os.environ["RANK"])
    log(began=1)
    print("ready")
    if rank == raises:
        raise ValueError("a bad batch")
    if rank == quits:
        os._exit(0)
    while True:
        time.sleep(0.01)
"""


async def start_group(client: AsyncClient, text: str, workers: int = 2, **inputs: Any) -> Training:
    """Start a cell as a group."""
    return await client.create(capture_cell(text, {}, "group", inputs), inputs, place=Place(workers))


async def all_began(client: AsyncClient, training: Training, workers: int = 2) -> None:
    """Wait until every rank has logged."""
    async with asyncio.timeout(40):
        while len({one.rank for one in await client.metrics(training.id, ["began"])}) < workers:
            await asyncio.sleep(0.02)


def processes_of(engine: EngineUnderTest, training: Training) -> list[psutil.Process]:
    """List the processes below a training's shim."""
    return psutil.Process(engine.pids(training)[0]).children(recursive=True)


async def test_the_loss_of_two_ranks_is_that_of_one_process(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    group = await start_group(client, DDP)
    other = await start_group(client, DDP)  # at the same time: each has a rendezvous of its own
    alone = await start_group(client, DDP, workers=1)
    ended = [await client.wait(one.id, 60) for one in (group, other, alone)]
    assert [one.status for one in ended] == ["succeeded"] * 3, [one.error for one in ended]
    assert [one.workers for one in ended] == [2, 2, 1]
    curves = {one.rank: one for one in await client.metrics(group.id, ["loss"])}
    assert set(curves) == {"0", "1"}
    (single,) = await client.metrics(alone.id, ["loss"])
    np.testing.assert_allclose(curves["0"].values, single.values, rtol=1e-5)
    np.testing.assert_allclose(curves["0"].values, curves["1"].values)
    assert ended[0].output == pytest.approx(ended[2].output, rel=1e-5)
    handle = TrainingHandle(client, ended[0])
    both = await asyncio.to_thread(lambda: handle.metrics(["loss"], ranks="all"))
    assert set(both["rank"]) == {"0", "1"}
    assert set((await asyncio.to_thread(handle.metrics, ["loss"]))["rank"]) == {"0"}
    page = LineIndex(engine.run_dir(group) / "logs.txt").page(0, 10)
    streams = StderrSpans(engine.run_dir(group) / STDERR_MARKS).streams([line.offset for line in page.lines])
    printed, warned = (
        sorted(line.text for line, of in zip(page.lines, streams, strict=True) if of == stream)
        for stream in ("stdout", "stderr")
    )
    assert printed == ["[rank 1] rank 1 of 2 is done", "rank 0 of 2 is done"]
    assert warned == ["[rank 1] rank 1 warns", "rank 0 warns"]
    assert not list(engine.run_dir(group).glob(".*.reserved"))


async def test_the_rank_that_raised_is_named_with_its_own_frames(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await start_group(client, WAITS, raises=1)
    ended = await client.wait(training.id, 60)
    assert ended.status == "failed"
    assert ended.error == "ValueError: a bad batch (on rank 1)"
    assert ended.exception is not None
    assert ended.exception.text.startswith("On rank 1 of 2:\nTraceback (your frames only")
    assert [frame.function for frame in ended.exception.frames] == ["train"]
    assert "torch" not in ended.exception.text
    assert read_json(engine.run_dir(training) / "exit.json")["swept"] == 0


async def test_a_killed_rank_ends_the_group_and_is_named(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await start_group(client, WAITS, workers=3)
    await all_began(client, training, 3)
    agent = psutil.Process(engine.pids(training)[1])
    ranks = sorted(agent.children(), key=lambda one: one.create_time())
    assert len(ranks) == 3
    ranks[1].kill()
    ended = await client.wait(training.id, 60)
    assert (ended.status, ended.cause and ended.cause.kind) == ("failed", "signal")
    assert ended.error == "Rank 1 of 3 was killed by signal 9 (SIGKILL); the others were ended with it."
    until(lambda: not any(one.is_running() for one in ranks), "the end of all ranks")


async def test_a_rank_that_quits_does_not_leave_the_others_waiting(client: AsyncClient) -> None:
    ended = await client.wait((await start_group(client, WAITS, quits=1)).id, 60)
    assert ended.status == "failed"
    assert "rank 1 ended its process with exit code 0" in str(ended.error)


async def test_cancel_ends_all_ranks(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await start_group(client, WAITS)
    await all_began(client, training)
    family = processes_of(engine, training)
    assert len(family) == 3
    assert "Rank 1:" in await client.stacks(training.id)
    await client.cancel(training.id)
    ended = await client.wait(training.id, 20)
    assert (ended.status, ended.error) == ("canceled", None)
    until(lambda: not any(one.is_running() for one in family), "the end of all processes")


async def test_a_killed_agent_leaves_nothing(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await start_group(client, WAITS)
    await all_began(client, training)
    family = processes_of(engine, training)
    os.kill(engine.pids(training)[1], signal.SIGKILL)
    ended = await client.wait(training.id, 20)
    assert (ended.status, ended.cause and ended.cause.kind) == ("failed", "signal")
    until(lambda: not any(one.is_running() for one in family), "the end of all processes")


async def test_a_number_of_workers_that_cannot_be_is_refused() -> None:
    for workers in (0, -1, 1000, "two"):
        with pytest.raises(InvalidInput, match="is no number of processes"):
            Place(workers)  # type: ignore[arg-type]


async def test_accelerate_and_torchrun_code_runs_unchanged(client: AsyncClient) -> None:
    pytest.importorskip("accelerate")
    text = """
import argparse, torch
from accelerate import Accelerator
from jupyter_ext import checkpoint, log
parser = argparse.ArgumentParser(); parser.add_argument("--steps", type=int, default=3)
args = parser.parse_args()
accelerator = Accelerator(cpu=True)
model = accelerator.prepare(torch.nn.Linear(2, 1))
for i in range(args.steps):
    total = accelerator.gather(torch.ones(1)).sum()
    log(total=total)
saved = checkpoint.save(model.state_dict())
print("saves", saved is not None, accelerator.num_processes)
"""
    ended = await client.wait((await start_group(client, text, steps=4)).id, 60)
    assert ended.status == "succeeded", ended.error
    assert (ended.last["total"].value, ended.last["total"].step) == (2, 3)
    assert ended.checkpoint is not None
    lines = (await client.logs(ended.id)).splitlines()
    assert {"saves True 2", "[rank 1] saves False 2"} <= set(lines)


SCRIPT = """
import argparse, os
import torch, torch.distributed as dist

def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int)
    steps = parser.parse_args().steps
    dist.init_process_group(backend="gloo")
    rank, world = dist.get_rank(), dist.get_world_size()
    assert (int(os.environ["LOCAL_RANK"]), int(os.environ["LOCAL_WORLD_SIZE"])) == (rank, world)
    model = torch.nn.parallel.DistributedDataParallel(torch.nn.Linear(2, 1))
    for step in range(steps):
        model(torch.ones(1, 2)).sum().backward()
    total = torch.tensor(float(rank))
    dist.all_reduce(total)
    print(f"{steps} steps, ranks sum to {total.item()}")
    dist.destroy_process_group()

if __name__ == "__main__":
    main()
"""


async def test_a_file_for_torchrun_runs_unchanged(client: AsyncClient, tmp_path: Path) -> None:
    path = tmp_path / "ddp.py"
    path.write_text(SCRIPT)
    bundle = capture_path(path, args=["--steps", "3"])
    ended = await client.wait((await client.create(bundle, bundle.given, place=Place(2))).id, 90)
    assert ended.status == "succeeded", ended.error
    lines = sorted((await client.logs(ended.id)).splitlines())
    assert lines == ["3 steps, ranks sum to 1.0", "[rank 1] 3 steps, ranks sum to 1.0"]
