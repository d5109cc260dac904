"""The one list stream of a page: everything once, then each thing that changes, at a bounded rate."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import torch
from integration_tools import EngineUnderTest, finish, start
from model_tools import save
from session_tools import launch
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.ipc import processes, run_files

BUSY = """\
import time
from jupyter_ext import log, progress, should_stop
def train():
    step = 0
    while not should_stop():
        log({"loss": 1 / (1 + step)}, step=step)
        progress(step, 10_000)
        step += 1
        time.sleep(0.001)
"""
QUICK = "def train(): pass"
LAB = "http://localhost:8888/lab"


class Heard:
    """What a stream says, one message after the other."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket

    async def next(self, kind: str, timeout_s: float = 30.0, **fields: Any) -> Any:
        """Return the next message of a kind whose resource has these fields; the engine's own are passed over."""
        async with asyncio.timeout(timeout_s):
            while True:
                told = json.loads(await self._socket.recv())
                thing = told.get(told["kind"], told)
                if told["kind"] == kind and all(thing[name] == value for name, value in fields.items()):
                    return told


@asynccontextmanager
async def lists(client: AsyncClient, query: str = "") -> AsyncIterator[Heard]:
    socket_path = await client.transport.ensure_socket()
    url = f"ws://engine/native/lists/stream{query}"
    async with unix_connect(socket_path, url, proxy=None, max_size=None) as socket:
        yield Heard(socket)


async def test_a_training_is_told_from_its_start_to_its_deletion(client: AsyncClient) -> None:
    before = await finish(client, QUICK)
    async with lists(client, "?lists=trainings") as heard:
        first = await heard.next("lists")
        assert first["trainings"]["trainings"][0]["id"] == before.id
        assert (first["sessions"], first["models"]) == (None, None)
        num_before = sum(first["trainings"]["counts"].values())
        running = await start(client, BUSY, name="told")
        told = await heard.next("training", id=running.id)
        assert sum(told["counts"].values()) == num_before + 1
        await heard.next("training", id=running.id, status="processing")
        await client.label(running.id, ["tagged"], "noted")
        await heard.next("training", id=running.id, tags=["tagged"])
        await client.cancel(running.id)
        ended = await heard.next("training", id=running.id, status="canceled")
        assert ended["counts"]["canceled"] >= 1
        await client.delete(running.id)
        gone = await heard.next("removed", list="trainings", id=running.id)
        assert sum(gone["counts"].values()) == num_before


async def test_a_busy_training_is_told_twice_a_second_at_most(client: AsyncClient) -> None:
    running = await start(client, BUSY, name="busy")
    async with lists(client) as heard:
        first = await heard.next("lists")
        assert running.id in [one["id"] for one in first["trainings"]["trainings"]]
        loop = asyncio.get_running_loop()
        began = loop.time()
        seen = [(await heard.next("training", id=running.id))["training"]["last"] for _ in range(5)]
        assert loop.time() - began > 4 * 0.45
        steps = [last["loss"]["step"] for last in seen if "loss" in last]
        assert steps == sorted(set(steps)), "each message is news"
    await client.cancel(running.id)
    await client.wait(running.id, 20)


async def test_a_session_is_told_and_its_end(client: AsyncClient, engine: EngineUnderTest) -> None:
    async with lists(client, "?lists=sessions") as heard:
        before = {one["id"] for one in (await heard.next("lists"))["sessions"]}
        session = await asyncio.to_thread(launch, engine.where, "class Net: pass", "told")
        session_id = session.id
        assert session_id not in before
        await heard.next("session", id=session_id, status="running")
        await asyncio.to_thread(session.terminate)
        await heard.next("session", id=session_id, status="ended")


async def test_whatever_is_shown_in_jupyterlab_names_its_page(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    """In answers and in every stream, for trainings, sessions and models alike."""
    server = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    process = {"pid": server.pid, "ticks": processes.start_ticks(server.pid), **run_files.here()}
    (tmp_path / "a model").mkdir()
    model = save(tmp_path / "a model" / "model.safetensors", {"w": torch.zeros(2)}).parent
    try:
        told = await client.transport.send("POST", "/native/page", json={"url": LAB, **process})
        assert told.status_code < 300, told.text
        done = await finish(client, QUICK)
        session = await asyncio.to_thread(launch, engine.where, "class Net: pass", "shown")
        added = (await client.transport.send("POST", "/native/models", json={"id": str(model)})).json()
        pages = {
            ("trainings", done.id): f"{LAB}?jupyter-ext=training:{done.id}",
            ("sessions", session.id): f"{LAB}?jupyter-ext=session:{session.id}",
            ("models", added["id"]): f"{LAB}?jupyter-ext=model:{quote(added['id'], safe='/:')}",
        }
        found = {key: await _pages_of(client, *key) for key in pages}
        assert found == {key: {url} for key, url in pages.items()}
        await asyncio.to_thread(session.terminate)
    finally:
        server.communicate()


async def _pages_of(client: AsyncClient, kind: str, id: str) -> set[str | None]:
    """Return the page of a thing as its own answer, the list of its kind, the stream of lists and its own stream name it."""
    path = f"/native/{kind}/{quote(id, safe='')}"
    one = (await client.transport.send("GET", path)).json()
    all = (await client.transport.send("GET", f"/native/{kind}")).json()
    async with lists(client, f"?lists={kind}") as heard:
        first = (await heard.next("lists"))[kind]
    streamed = first if kind == "sessions" else first[kind]
    found = [one, *(each for each in [*all[kind], *streamed] if each["id"] == id)]
    assert len(found) == 3
    own = "/native/models/stream" if kind == "models" else f"{path}/stream"
    url = f"ws://engine{own}"
    async with unix_connect(await client.transport.ensure_socket(), url, proxy=None, max_size=None) as socket:
        told = json.loads(await socket.recv())
    found.append(
        next(each for each in told["page"]["models"] if each["id"] == id)
        if kind == "models"
        else told[kind.removesuffix("s")]
    )
    return {each["urls"].get("web") for each in found}


async def test_an_unknown_list_is_refused(client: AsyncClient) -> None:
    async with lists(client, "?lists=trainings,cats") as heard:
        with pytest.raises(ConnectionClosed) as closed:
            await heard.next("lists")
    assert closed.value.rcvd is not None
    assert (closed.value.rcvd.code, "'cats'" in closed.value.rcvd.reason) == (4422, True)


async def test_only_an_output_that_is_looked_at_keeps_the_engine(client: AsyncClient) -> None:
    before = (await client.engine()).viewers
    async with lists(client) as heard:
        await heard.next("lists")
        assert (await client.engine()).viewers == before
    async with lists(client, "?lists=models&keep=1") as heard:
        await heard.next("lists")
        assert (await client.engine()).viewers == before + 1
