"""The weights that a training leaves, as a file on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest, finish, start
from odd_trainings import DONE, PROCESSING, OddService, Scenario

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.service_ref import remote_ref
from jupyter_ext.client.trainings.handle import Training as Handle
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.trainings import Training

LEAVES = """
from pathlib import Path

def train(word: str = "one"):
    Path("my weights.pt").write_text(word)
    return {"weights": Path("my weights.pt"), "loss": 0.5}

def predict(weights: Path) -> str:
    return Path(weights).read_text()
"""


async def ask(client: AsyncClient, method: str, path: str, body: Any = None) -> Any:
    data = None if body is None else json.dumps(body).encode()
    return json.loads((await client.transport.tunnel(method, path, data))[2])


async def test_a_destination_gets_a_version_with_the_weights(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    versions = []
    for text in ("one", "two"):
        made = await client.create(capture_cell(LEAVES, {}, "leaves"), {"word": text}, "me/kept")
        ended = await client.wait(made.id, 60)
        assert (ended.status, ended.destination) == ("succeeded", "me/kept")
        assert ended.output["version"].startswith("me/kept:")
        versions.append(ended.output["version"].partition(":")[2])
        kept = await client.weights(made.id)
        (tmp_path / "my weights.pt").write_text("changed since")
        assert (kept.name, kept.read_text()) == ("my weights.pt", text)
        assert await client.weights(made.id) == kept
    listed = await ask(client, "GET", "/v1/models/me/kept/versions")
    assert [item["id"] for item in listed["results"]] == versions[::-1]
    guess = await ask(client, "POST", "/v1/predictions", {"version": f"me/kept:{versions[0]}", "input": {}})
    assert (await client.wait(guess["id"], 60)).output == "one"


@pytest.mark.parametrize("destination", ["kept", "a/b/c", "../x", "me/ kept"])
async def test_what_is_no_destination_is_named_and_nothing_starts(
    client: AsyncClient, destination: str
) -> None:
    before = len((await client.page()).trainings)
    with pytest.raises(InvalidInput, match="not of the form owner/name"):
        await client.create(capture_cell(LEAVES, {}, "leaves"), {}, destination)
    assert len((await client.page()).trainings) == before


async def test_without_a_destination_they_are_where_the_code_put_them(
    client: AsyncClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await finish(client, LEAVES)
    assert await client.weights(ended.id) == tmp_path / "my weights.pt"
    (tmp_path / "my weights.pt").unlink()
    with pytest.raises(UnknownId, match="has left no weights"):
        await client.weights(ended.id)


async def test_a_training_without_weights_says_so(client: AsyncClient) -> None:
    for text in (
        "def train():\n    return {'loss': 1}",
        "def train():\n    return 7",
        "def train():\n    pass",
    ):
        ended = await finish(client, text)
        with pytest.raises(UnknownId, match=f"{ended.id} has left no weights: train\\(\\) returns"):
            await client.weights(ended.id)
    running = await start(client, "import time\ndef train():\n    time.sleep(60)")
    with pytest.raises(RequestRefused, match="one that has succeeded"):
        await client.weights(running.id)
    await client.cancel(running.id)
    await client.wait(running.id, 40)


async def test_a_handle_has_them(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = await finish(client, LEAVES, word="three")
    own = AsyncClient(engine.where)
    assert (await asyncio.to_thread(lambda: Handle(own, ended).weights)).read_text() == "three"
    await asyncio.to_thread(lambda: loop_thread().run(own.aclose()))


# -- on a service ------------------------------------------------------------------------------------------------------


@pytest.fixture
async def odd() -> AsyncIterator[OddService]:
    service = OddService()
    yield service
    service.close()


@pytest.fixture
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPLICATE_API_TOKEN", Scenario.token)


async def trained(client: AsyncClient, odd: OddService, name: str, link: Any) -> tuple[Training, Scenario]:
    scenario = Scenario(name, files={"w.tar": b"weights" * 100_000})
    url = odd.add(scenario)
    output = {"version": "owner/model:" + "b" * 64, "weights": link(url)}
    scenario.stages = [PROCESSING, {**DONE, "output": output}]
    made = await client.create_remote(remote_ref("owner/trainer:" + "a" * 64, url, "owner/model"), {})
    return await client.wait(made.id, 60), scenario


async def test_a_services_weights_are_fetched_once(
    client: AsyncClient, engine: EngineUnderTest, odd: OddService, token: None
) -> None:
    ended, scenario = await trained(client, odd, "has-weights", lambda url: f"{url}/files/w.tar")
    asked = await asyncio.gather(*(client.weights(ended.id) for _ in range(3)))
    assert set(asked) == {engine.run_dir(ended) / "weights" / "w.tar"}
    assert asked[0].read_bytes() == scenario.files["w.tar"]
    assert await client.weights(ended.id) == asked[0]
    assert scenario.requests.count("file") == 1
    secret = Scenario.token.encode()
    assert not [
        path for path in engine.run_dir(ended).rglob("*") if path.is_file() and secret in path.read_bytes()
    ]


async def test_weights_that_a_service_keeps_elsewhere_are_fetched_without_the_token(
    client: AsyncClient, odd: OddService, token: None
) -> None:
    ended, _ = await trained(client, odd, "elsewhere", lambda url: f"{odd.elsewhere}/w.bin")
    assert b"stray" in (await client.weights(ended.id)).read_bytes()
    assert odd.strayed == ["/w.bin None"]


async def test_weights_that_a_service_has_lost_are_one_line(
    client: AsyncClient, odd: OddService, token: None
) -> None:
    ended, _ = await trained(client, odd, "lost-weights", lambda url: f"{url}/files/none")
    for _ in range(2):
        with pytest.raises(RequestRefused, match="answered 404 to the weights"):
            await client.weights(ended.id)
    ended, _ = await trained(client, odd, "odd-weights", lambda url: "/etc/passwd\0")
    with pytest.raises((RequestRefused, UnknownId)) as caught:
        await client.weights(ended.id)
    assert "\n" not in str(caught.value)
