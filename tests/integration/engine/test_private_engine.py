"""The engine's files are its user's alone, and its socket comes back where somebody removes it."""

from __future__ import annotations

import asyncio
import os
import stat
from typing import Any

import pytest
from integration_tools import EngineUnderTest, finish, start, until

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.config import Locations
from jupyter_ext.engine_process import discovery

WRITES = """
import os
def train(path: str):
    with open(path, "w") as file:
        file.write("mine")
    os.makedirs(path + ".d")
"""


@pytest.fixture
def open_engine(engine_home: Any) -> Any:
    """An engine in directories that everybody may look into, with files from before."""
    before = os.umask(0o022)
    try:
        engine_home.data_dir.chmod(0o755)
        for name in ("runs", "hosts", "sessions"):
            (engine_home.data_dir / name).mkdir(mode=0o755)
        (engine_home.data_dir / "link.secret").write_text("a" * 64)
        under_test = EngineUnderTest(Locations(engine_home.data_dir, engine_home.runtime_dir))
        discovery.ensure(where=under_test.where)
        yield under_test
        under_test.close()
    finally:
        os.umask(before)


async def test_what_the_engine_writes_is_private_and_what_training_code_writes_is_as_the_user_wants(
    open_engine: EngineUnderTest, tmp_path: Any
) -> None:
    where = open_engine.where
    async with AsyncClient(where) as client:
        told = str(tmp_path / "mine")
        ended = await finish(client, WRITES, path=told)
        assert ended.status == "succeeded", ended.error
        await client.listen()
    assert stat.S_IMODE(os.stat(told).st_mode) == 0o644
    assert stat.S_IMODE(os.stat(f"{told}.d").st_mode) == 0o755
    entries = [*where.data_dir.iterdir(), *where.runtime_dir.rglob("*")]
    names = {entry.name for entry in entries}
    assert {"runs", "hosts", "catalog.sqlite", "link.secret", "engine.log", "token"} <= names
    found = {
        entry.name: oct(entry.lstat().st_mode & 0o077) for entry in entries if entry.lstat().st_mode & 0o077
    }
    assert found == {}
    inside = [path for path in open_engine.run_dir(ended).rglob("*") if path.is_file()]
    assert inside
    assert [path.name for path in inside if path.stat().st_mode & 0o077] == []


async def test_a_socket_that_was_removed_comes_back_and_nothing_else_is_started(
    engine: EngineUnderTest,
) -> None:
    pid = engine.pid()
    async with AsyncClient(engine.where) as client:
        training = await start(client, "import time\ndef train():\n    time.sleep(1.5)\n    return 7")
        engine.where.socket.unlink()
        async with asyncio.timeout(30):
            ended = await client.wait(training.id)
    assert ended.output == 7
    assert engine.pid() == pid
    engine.where.socket.unlink()
    engine.where.socket.write_text("something else")
    until(lambda: stat.S_ISSOCK(engine.where.socket.lstat().st_mode), "the socket")
    assert engine.pid() == pid
