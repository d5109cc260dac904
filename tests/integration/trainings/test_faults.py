"""What breaks, and what the user then sees: each process killed in mid-run, by a real signal."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
from typing import Any

import psutil
import pytest
from integration_tools import EngineUnderTest, finish, start, until

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import UnknownId

LOOP = """
import time
from jupyter_ext import log
def train(n: int = 400):
    for i in range(n):
        log({"x": i}, step=i)
        print("line", i)
        time.sleep(0.01)
    return n
"""


async def running(client: AsyncClient, text: str = LOOP, **inputs: Any) -> Any:
    training = await start(client, text, **inputs)
    while not await client.logs(training.id):
        await asyncio.sleep(0.01)
    return training


@pytest.mark.parametrize("body", ["input('name? ')", "breakpoint()", "import pdb; pdb.set_trace()"])
async def test_code_that_reads_the_keyboard_is_told_that_there_is_none(
    client: AsyncClient, body: str
) -> None:
    ended = await finish(client, f"def train():\n    {body}\n    return 1\n")
    assert ended.status == "failed"
    assert ended.cause is not None
    assert "A training has no keyboard" in (ended.cause.hint or "")


async def test_an_exception_is_told_with_the_users_frames(client: AsyncClient) -> None:
    text = "import torch\n\ndef helper(x):\n    raise ValueError(f'bad {x}')\n\ndef train(a: int = 3):\n    helper(a)\n"
    ended = await finish(client, text)
    assert (ended.status, ended.error) == ("failed", "ValueError: bad 3")
    assert ended.exception is not None
    frames = [(frame.file, frame.line, frame.function) for frame in ended.exception.frames]
    assert frames == [("Cell cell", 8, "train"), ("Cell cell", 5, "helper")]
    assert "jupyter_ext" not in ended.exception.text
    assert "ValueError: bad 3" in await client.logs(ended.id)


@pytest.mark.parametrize(
    ("body", "kind", "says"),
    [
        ("os.kill(os.getpid(), 9)", "signal", "killed by signal 9"),
        ("os.kill(os.getpid(), 11)", "signal", "signal 11 (SIGSEGV)"),
        ("os._exit(3)", "exit", "exit code 3"),
        ("sys.exit(4)", "exit", "exit code 4"),
        ("os._exit(0)", "exit", "exit code 0 before train() returned"),
        ("os.abort()", "signal", "SIGABRT"),
    ],
)
async def test_a_process_that_ends_itself_is_told_honestly(
    client: AsyncClient, body: str, kind: str, says: str
) -> None:
    ended = await finish(client, f"import os, sys\ndef train():\n    print('last words')\n    {body}")
    assert ended.status == "failed"
    assert ended.cause is not None
    assert ended.cause.kind == kind
    assert says in ended.cause.message
    assert ended.error == ended.cause.message
    assert await client.logs(ended.id) == "last words\n"


async def test_a_segfault_shows_the_cells_line(client: AsyncClient) -> None:
    ended = await finish(client, "import ctypes\ndef train():\n    ctypes.string_at(0)")
    assert ended.exception is not None
    assert "Cell cell, line 4 in train" in ended.exception.text


async def test_children_do_not_outlive_a_killed_worker(client: AsyncClient, engine: EngineUnderTest) -> None:
    text = "import subprocess, time\ndef train():\n    a = subprocess.Popen(['setsid', 'sleep', '4322'])\n"
    text += "    b = subprocess.Popen(['sleep', '4322'])\n    print(a.pid, b.pid)\n    time.sleep(100)"
    training = await running(client, text)
    children = [int(word) for word in (await client.logs(training.id)).split()]
    os.kill(engine.pids(training)[1], signal.SIGKILL)
    ended = await client.wait(training.id, 20)
    assert ended.status == "failed"
    assert not any(alive(pid) for pid in children)


async def test_a_killed_shim_takes_its_worker_along_and_is_told(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await running(client)
    shim, worker = engine.pids(training)
    os.kill(shim, signal.SIGKILL)
    ended = await client.wait(training.id, 20)
    assert ended.status == "failed"
    assert ended.cause is not None
    assert ended.cause.kind == "lost"
    assert "guards this run" in ended.cause.message
    until(lambda: not alive(worker), "the worker's end")


async def test_a_killed_zygote_is_replaced_and_its_runs_go_on(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await running(client, n=200)
    info = await client.engine()
    zygote = next(item.pid for item in info.environments if item.pid)
    os.kill(zygote, signal.SIGKILL)
    assert (await finish(client, "def train(): return 1")).output == 1
    assert (await client.wait(training.id, 30)).output == 200


async def test_a_killed_engine_loses_nothing(client: AsyncClient, engine: EngineUnderTest) -> None:
    training = await running(client, n=500)
    steps: list[float] = []
    text = ""

    async def collect() -> None:
        nonlocal text
        async with contextlib.aclosing(client.follow(training.id, after_seq=0)) as stream:
            async for event in stream:
                steps.extend(step for points in event.points if points.key == "x" for step in points.steps)
                text += event.text

    collecting = asyncio.create_task(collect())
    first = await asyncio.to_thread(engine.pid)
    for _ in range(2):
        await asyncio.sleep(0.7)
        await asyncio.to_thread(engine.kill)
    await asyncio.wait_for(collecting, 40)
    assert await asyncio.to_thread(engine.pid) != first
    assert steps == list(range(500))
    assert text == "".join(f"line {i}\n" for i in range(500))
    ended = await client.get(training.id)
    assert (ended.status, ended.output) == ("succeeded", 500)


async def test_a_run_that_ended_while_no_engine_was_there_is_told(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await running(client, n=30)
    await asyncio.to_thread(engine.kill)
    path = engine.run_dir(training) / "exit.json"
    await asyncio.to_thread(until, path.exists, "the run's end")
    ended = await client.wait(training.id, 20)
    assert (ended.status, ended.output) == ("succeeded", 30)
    assert len((await client.metrics(training.id, ["x"]))[0].steps) == 30


async def test_a_lost_catalog_is_rebuilt_from_the_run_directories(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    done = await finish(client, "from jupyter_ext import log\ndef train():\n    log(a=1)\n    return 7")
    going = await running(client, n=300)
    before = {training.id for training in await client.list(limit=1000)}
    await asyncio.to_thread(engine.kill)
    for path in engine.where.data_dir.glob("catalog.sqlite*"):
        path.unlink()
    assert {training.id for training in await client.list(limit=1000)} == before
    again = await client.get(done.id)
    assert (again.status, again.output, again.last["a"].value) == ("succeeded", 7, 1)
    assert (await client.wait(going.id, 30)).output == 300


async def test_a_damaged_catalog_is_put_aside(client: AsyncClient, engine: EngineUnderTest) -> None:
    done = await finish(client, "def train(): return 8")
    await asyncio.to_thread(engine.kill)
    for path in engine.where.data_dir.glob("catalog.sqlite-*"):
        path.unlink()
    engine.where.catalog.write_bytes(b"this is no database" * 1000)
    assert (await client.get(done.id)).output == 8
    assert list(engine.where.data_dir.glob("catalog.corrupt-*"))


async def test_an_interpreter_that_is_not_there_fails_the_training_only(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    socket_path = await client.transport.ensure_socket()
    done = await finish(client, "def train(): ...")
    path = f"/v1/models/{done.model}/versions/{done.version}/trainings"
    body = {"input": {}, "jupyter_ext": {"python": "/no/such/python"}}
    code, answer = await asyncio.to_thread(discovery.request, socket_path, "POST", path, body)
    assert code == 201
    ended = await client.wait(answer["id"], 20)
    assert ended.status == "failed"
    assert "/no/such/python" in (ended.error or "")


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_a_deleted_run_is_known_and_its_metrics_are_gone(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    training = await finish(client, "from jupyter_ext import log\ndef train():\n    log(loss=1.0)")
    run_dir = engine.run_dir(training)
    assert "loss" in [item.key for item in await client.metrics(training.id)]
    shutil.rmtree(run_dir)
    assert (await client.get(training.id)).status == "succeeded"
    for question in (client.metrics, client.logs):
        with pytest.raises(UnknownId, match=f"{training.id} are gone: {run_dir} was deleted"):
            await question(training.id)
