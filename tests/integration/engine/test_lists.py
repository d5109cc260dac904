"""The one list stream of a page: everything once, then each thing that changes, at a bounded rate."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from integration_tools import EngineUnderTest, finish, start
from session_tools import launch
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed

from jupyter_ext.client.requests.async_client import AsyncClient

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
