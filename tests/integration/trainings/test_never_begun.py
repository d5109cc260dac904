"""Runs that were made and accepted by an engine that ended before it could start them."""

from __future__ import annotations

import json
import shutil
import time
from typing import Any

import pytest
from integration_tools import EngineUnderTest, finish, start

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.ids import new_training_id
from jupyter_ext.ipc.run_files import read_claim
from jupyter_ext.protocol.trainings import Training

ADD = "def train(a: int = 1, b: int = 2):\n    return a + b\n"
WITH_FILE = """
from pathlib import Path
def train(data: Path, lines: int = 0):
    return data.read_text() + str(lines)
"""
WITH_SECRET = """
from pydantic import SecretStr
def train(key: SecretStr, n: int = 1):
    return n
"""
WAITS = """
import time
def train():
    while True:
        time.sleep(0.01)
"""


def leave_unstarted(engine: EngineUnderTest, like: Training, **changes: Any) -> str:
    """Kill the engine, and leave what is on disk when that happens between the answer to a create and the fork."""
    if discovery.is_running(engine.where):
        engine.kill()
    old, id = engine.run_dir(like), new_training_id()
    new = old.with_name(id)
    shutil.copytree(old / "code", new / "code")
    (new / "logs.txt").touch()
    spec = json.loads((old / "spec.json").read_text())
    now = time.time()
    spec |= {"id": id, "created_unix": now, "input": spec["given"]} | changes
    (new / "spec.json").write_text(json.dumps(spec))
    return id


async def test_the_next_engine_starts_what_was_accepted(engine: EngineUnderTest, client: AsyncClient) -> None:
    before = await finish(client, ADD, a=4)
    id = leave_unstarted(engine, before)
    ended = await client.wait(id, 40)
    assert (ended.status, ended.output) == ("succeeded", 6)
    assert any("ended before this run could begin; the next one started it" in one for one in ended.notices)


async def test_links_among_its_inputs_are_fetched_then(engine: EngineUnderTest, client: AsyncClient) -> None:
    before = await finish(client, WITH_FILE, data="data:text/plain,hello", lines=3)
    assert before.output == "hello3", before.error
    ended = await client.wait(leave_unstarted(engine, before), 40)
    assert (ended.status, ended.output) == ("succeeded", "hello3")


async def test_what_cannot_be_started_any_more_says_why(engine: EngineUnderTest, client: AsyncClient) -> None:
    plain, secret = await finish(client, ADD), await finish(client, WITH_SECRET, key="sesame")
    assert secret.status == "succeeded", secret.error
    left = {
        leave_unstarted(engine, like, **changes): says
        for like, changes, says in (
            (secret, {}, "its secret input 'key' is kept nowhere. Run it again."),
            (
                plain,
                {"created_unix": time.time() - 3600},
                "too long ago to start it now unasked. Run it again.",
            ),
            (plain, {"version": "0" * 64}, "its code is gone. Run it again."),
            (plain, {"python": "/nowhere/bin/python"}, "/nowhere/bin/python"),
        )
    }
    for id, says in left.items():
        ended = await client.wait(id, 40)
        assert ended.status == "failed"
        assert says in (ended.error or "")
        assert "sesame" not in ended.model_dump_json()


async def test_what_is_canceled_before_it_begins_never_begins(
    engine: EngineUnderTest, client: AsyncClient
) -> None:
    """Many are accepted at once, so that the last ones wait for their turn when they are canceled."""
    made = [await start(client, WAITS, f"cell-{number}") for number in range(8)]
    canceled = [await client.cancel(training.id) for training in reversed(made)]
    for training in canceled:
        ended = await client.wait(training.id, 40)
        assert (ended.status, ended.error) == ("canceled", None)
    claims = [read_claim(engine.run_dir(training)) for training in made]
    assert all(claim is not None for claim in claims)
    engine.kill()
    assert [(await client.get(training.id)).status for training in made] == ["canceled"] * 8


@pytest.mark.parametrize("left", ["start.json", "error.json", "metrics-0-0.jnl"])
async def test_what_has_begun_is_never_started_again(
    engine: EngineUnderTest, client: AsyncClient, left: str
) -> None:
    """Versions before this one did not claim the directory of a run."""
    before = await finish(client, ADD)
    id = leave_unstarted(engine, before)
    old, new = engine.run_dir(before), engine.where.runs_dir / id
    found = old / left
    (new / left).write_bytes(found.read_bytes() if found.exists() else b"{}")
    ended = await client.wait(id, 60)
    assert (ended.status, ended.output) == ("failed", None)
    assert not any("the next one started it" in one for one in ended.notices)
