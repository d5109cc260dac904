"""Trainings on a service: this engine asks a second engine, which plays the service."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest, holding, until

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.service_ref import RemoteRef, remote_ref
from jupyter_ext.config import Locations, locations
from jupyter_ext.errors import InvalidInput

CELL = """
import time
def train(n: int = 20, fail: bool = False):
    for i in range(n):
        print(f"step={i} loss={1 / (i + 1):.4f}")
        time.sleep(0.05)
    if fail:
        raise ValueError("bad data")
    return {"n": n}
"""


@pytest.fixture
def service(tmp_path: Path) -> Iterator[EngineUnderTest]:
    """Return an engine that plays the service."""
    under_test = EngineUnderTest(
        Locations(Path(f"{locations().data_dir}-s"), Path(f"{locations().runtime_dir}-s"))
    )
    yield under_test
    under_test.close()


@pytest.fixture
async def ref(service: EngineUnderTest, monkeypatch: pytest.MonkeyPatch) -> RemoteRef:
    """Return a version that the service knows, and have the token in the environment."""
    async with AsyncClient(service.where) as client:
        opened = await client.listen()
        monkeypatch.setenv("REPLICATE_API_TOKEN", opened.token.get_secret_value())
        bundle = capture_cell(CELL, {}, "remote")
        made = await client.transport.ask("POST", "/native/versions", content=bundle.data)
    return remote_ref(f"{made['model']}:{made['id']}", opened.url, None)


@pytest.fixture
async def client() -> AsyncIterator[AsyncClient]:
    """Return a client of the engine that asks."""
    under_test = EngineUnderTest(locations())
    async with AsyncClient(under_test.where) as client:
        yield client
    await asyncio.to_thread(under_test.close)


async def test_it_looks_like_a_training_here(
    client: AsyncClient, ref: RemoteRef, service: EngineUnderTest
) -> None:
    training = await client.create_remote(ref, {"n": 30}, "far")
    seen: list[float] = []
    async with contextlib.aclosing(client.follow(training.id, after_seq=0)) as stream:
        async for event in stream:
            seen += [value for points in event.points if points.key == "loss" for value in points.values]
    ended = await client.get(training.id)
    assert (ended.status, ended.output, ended.name) == ("succeeded", {"n": 30}, "far")
    assert seen == pytest.approx([1 / (i + 1) for i in range(30)], abs=1e-4)
    assert (await client.logs(training.id)).count("\n") == 30
    assert ended.started_at is not None


async def test_a_failure_and_a_cancel_are_the_services(client: AsyncClient, ref: RemoteRef) -> None:
    failing = await client.create_remote(ref, {"n": 1, "fail": True})
    ended = await client.wait(failing.id, 40)
    assert (ended.status, ended.error) == ("failed", "ValueError: bad data")
    long = await client.create_remote(ref, {"n": 2000})
    while not await client.logs(long.id):
        await asyncio.sleep(0.05)
    await client.cancel(long.id)
    assert (await client.wait(long.id, 30)).status == "canceled"


async def test_a_refusal_of_the_service_is_told(client: AsyncClient, ref: RemoteRef) -> None:
    ended = await client.wait((await client.create_remote(ref, {"n": "many"})).id, 30)
    assert ended.status == "failed"
    assert "n='many'" in (ended.error or "")


async def test_without_a_token_nothing_is_asked(
    client: AsyncClient, ref: RemoteRef, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REPLICATE_API_TOKEN")
    ended = await client.wait((await client.create_remote(ref, {})).id, 30)
    assert "REPLICATE_API_TOKEN" in (ended.error or "")


async def test_it_survives_a_killed_engine_here_and_a_killed_service(
    client: AsyncClient, ref: RemoteRef, service: EngineUnderTest
) -> None:
    training = await client.create_remote(ref, {"n": 60})
    here = EngineUnderTest(locations())
    until(lambda: (here.run_dir(training) / "remote.json").exists(), "the service's id")
    await asyncio.to_thread(here.kill)
    ended = await client.wait(training.id, 60)
    assert (ended.status, ended.output) == ("succeeded", {"n": 60})
    values = (await client.metrics(training.id, ["loss"]))[0].values
    assert len(values) == 60


async def test_the_token_is_nowhere(client: AsyncClient, ref: RemoteRef, monkeypatch: Any) -> None:
    import os

    token = os.environ["REPLICATE_API_TOKEN"]
    await client.wait((await client.create_remote(ref, {"n": 1})).id, 40)
    where = locations()
    assert not holding(token, where.data_dir, where.runtime_dir)


@pytest.mark.parametrize(
    ("text", "on", "destination", "says"),
    [
        ("owner/name", "replicate", None, "owner/name:version"),
        ("owner/name:abc", "replicate", None, "64 digits"),
        ("o/n:" + "a" * 64, "replicate", "nowhere", "destination 'nowhere'"),
    ],
)
def test_what_is_no_reference_is_named(text: str, on: str, destination: str | None, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        remote_ref(text, on, destination)


def test_a_password_in_a_base_url_is_refused_and_not_repeated() -> None:
    with pytest.raises(
        InvalidInput, match=r"'https://example\.org' is no base URL, as it holds a password"
    ) as caught:
        remote_ref("o/n:" + "a" * 64, "https://me:hunter2@example.org/v1", None)
    assert "hunter2" not in str(caught.value)
