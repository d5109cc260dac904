"""Where a service's token comes from, also after another engine has taken a run over, and where it never gets to."""

from __future__ import annotations

import asyncio
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from integration_tools import EngineUnderTest, until
from odd_trainings import DONE, PROCESSING, OddService, Scenario

from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.service_ref import RemoteRef, remote_ref
from jupyter_ext.config import locations
from jupyter_ext.protocol.trainings import Training

REF = "owner/trainer:" + "a" * 64


class Keyring:
    """The file that the engines of a test look into."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def keep(self, url: str, token: str) -> None:
        """Keep a token as `keyring set jupyter-ext HOST` does."""
        self.path.write_text(json.dumps({f"jupyter-ext {urlsplit(url).netloc}": token}))


@pytest.fixture
def odd() -> Iterator[OddService]:
    """Return a service."""
    service = OddService()
    yield service
    service.close()


@pytest.fixture
def kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Keyring:
    """Have processes that start from now on use a keyring of their own, which holds nothing."""
    support = Path(__file__).parents[2] / "support"
    monkeypatch.setenv("PYTHONPATH", f"{support}{os.pathsep}{os.environ.get('PYTHONPATH', '')}")
    monkeypatch.setenv("PYTHON_KEYRING_BACKEND", "file_keyring.FileKeyring")
    monkeypatch.setenv("FILE_KEYRING", str(tmp_path / "keyring.json"))
    monkeypatch.delenv("REPLICATE_API_TOKEN", raising=False)
    (tmp_path / "keyring.json").write_text("{}")
    return Keyring(tmp_path / "keyring.json")


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    """Return a client of an engine of the test's own."""
    here = EngineUnderTest(locations())
    async with AsyncClient(here.where) as client:
        yield client
    await asyncio.to_thread(here.close)


def ref(url: str) -> RemoteRef:
    return remote_ref(REF, url, None)


async def run(client: AsyncClient, url: str) -> Training:
    return await client.wait((await client.create_remote(ref(url), {})).id, 60)


def assert_nowhere(token: str) -> None:
    where = locations()
    for directory in (where.data_dir, where.runtime_dir):
        files = (path for path in directory.rglob("*") if path.is_file())
        assert not [path for path in files if token.encode() in path.read_bytes()]


async def test_a_token_from_the_keyring_is_enough(
    kept: Keyring, client: AsyncClient, odd: OddService
) -> None:
    url = odd.add(Scenario("kept"))
    kept.keep(url, Scenario.token)
    assert (await run(client, url)).status == "succeeded"
    assert_nowhere(Scenario.token)


async def test_a_token_for_another_host_is_not_sent(
    kept: Keyring, client: AsyncClient, odd: OddService
) -> None:
    url = odd.add(Scenario("other-host"))
    kept.keep("https://api.replicate.com/v1", Scenario.token)
    ended = await run(client, url)
    assert (ended.status, odd.shown) == ("failed", [])
    assert "REPLICATE_API_TOKEN" in (ended.error or "")
    assert f"keyring set jupyter-ext {urlsplit(url).netloc}`" in (ended.error or "")


async def test_a_keyring_that_fails_is_as_good_as_none(
    kept: Keyring, client: AsyncClient, odd: OddService
) -> None:
    url = odd.add(Scenario("locked"))
    kept.path.write_text("not JSON")
    ended = await run(client, url)
    assert ended.status == "failed"
    assert "There is no token" in (ended.error or "")


async def test_the_notebooks_own_token_goes_first(
    kept: Keyring, client: AsyncClient, odd: OddService, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = odd.add(Scenario("first", token="r8_from_the_notebook"))
    kept.keep(url, Scenario.token)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_from_the_notebook")
    assert (await run(client, url)).status == "succeeded"
    assert set(odd.shown) == {"Bearer r8_from_the_notebook"}


async def test_another_engine_goes_on_with_the_token_from_the_keyring(
    kept: Keyring, client: AsyncClient, odd: OddService, monkeypatch: pytest.MonkeyPatch
) -> None:
    over = threading.Event()
    stage = {**PROCESSING, "status": lambda scenario: "succeeded" if over.is_set() else "processing"}
    scenario = Scenario("taken-over", stages=[PROCESSING, {**DONE, **stage}])
    url = odd.add(scenario)
    monkeypatch.setenv("REPLICATE_API_TOKEN", Scenario.token)
    training = await client.create_remote(ref(url), {})
    await asyncio.to_thread(until, lambda: "get" in scenario.requests, "the first question")
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    await asyncio.to_thread(EngineUnderTest(locations()).kill)
    assert (await client.get(training.id)).status in ("starting", "processing")
    number = len(scenario.requests)
    kept.keep(url, Scenario.token)
    await asyncio.to_thread(
        until, lambda: len(scenario.requests) > number, "a question of the next engine", 40
    )
    over.set()
    ended = await client.wait(training.id, 60)
    assert (ended.status, len(scenario.trainings)) == ("succeeded", 1)
    assert_nowhere(Scenario.token)


async def test_a_token_that_is_refused_in_the_middle_is_replaced_by_a_newer_one(
    kept: Keyring, client: AsyncClient, odd: OddService, monkeypatch: pytest.MonkeyPatch
) -> None:
    scenario = Scenario("renewed", stages=[PROCESSING, PROCESSING, DONE], token="r8_old")
    url = odd.add(scenario)
    monkeypatch.setenv("REPLICATE_API_TOKEN", "r8_old")
    training = await client.create_remote(ref(url), {})
    await asyncio.to_thread(until, lambda: "get" in scenario.requests, "the first question")
    kept.keep(url, "r8_new")
    scenario.token = "r8_new"
    assert (await client.wait(training.id, 60)).status == "succeeded"
    assert set(odd.shown) == {"Bearer r8_old", "Bearer r8_new"}
