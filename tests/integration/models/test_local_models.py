"""Local models with a real engine, a real hub on loopback and a real model: found, fetched, loaded, killed, forgotten."""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
from conformance_tools import connect
from hub_server import HubServer
from integration_tools import EngineUnderTest, finish, until
from model_tools import call, minilm, save
from websockets.asyncio.client import unix_connect

from jupyter_ext.client.models.module_factory import host_options
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import EngineUnreachable, InvalidInput, RequestRefused, UnknownId
from jupyter_ext.protocol.models import LocalModel

pytestmark = [pytest.mark.slow, pytest.mark.timeout(240)]

ID = "hub:acme/minilm"
SLOW_BYTES_PER_S = 5e6


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    """Return a hub that this process, as a notebook would, has in its variables; the engine has not."""
    with HubServer() as hub:
        hub.publish("acme/minilm", minilm())
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
        monkeypatch.setenv("HF_TOKEN", "hf_verysecrettoken")
        yield hub


async def forget(client: AsyncClient, *ids: str) -> None:
    for id in ids:
        try:
            await client.models.delete(id, force=True)
        except UnknownId:
            continue


def half(model: LocalModel) -> bool:
    transfer = model.transfer
    return transfer is not None and transfer.bytes_done > 20e6


async def test_from_the_hub_to_memory_and_back(client: AsyncClient, hub: HubServer, tmp_path: Path) -> None:
    models = client.models
    ahead = await models.add(ID, look=True)
    assert (ahead.state, ahead.architecture, ahead.tokenizer, ahead.dtype) == (
        "absent",
        "BertModel",
        True,
        "float32",
    )
    assert ahead.bytes is not None
    assert hub.sent_of("model.safetensors") < 1_000_000
    begun, again = await asyncio.gather(models.download(ID), models.download(ID))
    assert (begun.state, again.state) == ("downloading", "downloading")
    whole = await models.downloaded(ID, 60)
    assert (whole.state, whole.bytes) == ("downloaded", ahead.bytes)
    assert whole.path is not None
    assert Path(whole.path).is_relative_to(tmp_path / "hf")
    assert hub.sent_of("model.safetensors") < 1.1 * 90_900_000
    loaded = await models.load(ID)
    assert loaded.host is not None
    assert loaded.host.users
    page = await models.page()
    assert page.disk_free_bytes > 0
    assert page.memory_available_bytes > 0
    freed = await models.unload(ID)
    assert freed.unloaded is not None
    assert freed.unloaded.host_bytes > 50e6
    assert (await models.update(ID, check_only=True)).newer_revision is None
    await forget(client, ID)
    assert not list((tmp_path / "hf").rglob("*.safetensors"))


async def test_an_engine_killed_in_mid_download_goes_on_where_it_was(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    await client.models.download(ID)
    waiting = asyncio.create_task(client.models.downloaded(ID, 120))
    await client.models.until(ID, half, 60)
    await asyncio.to_thread(engine.kill)
    hub.bytes_per_s = None
    hub.forget_requests()
    whole = await waiting
    assert whole.state == "downloaded"
    assert whole.transfer is not None
    assert whole.transfer.resumed_bytes > 10e6
    assert hub.sent_of("model.safetensors") < 90_900_000 - 10e6
    assert (await client.models.load(ID)).state == "loaded"
    await forget(client, ID)


async def test_a_canceled_download_stays_a_partial_over_a_restart_and_can_be_removed(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest, tmp_path: Path
) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    await client.models.download(ID)
    await client.models.until(ID, half, 60)
    canceled = await client.models.cancel(ID)
    assert (canceled.state, canceled.transfer is not None and canceled.transfer.status) == (
        "partial",
        "canceled",
    )
    with pytest.raises(RequestRefused, match="canceled"):
        await client.models.downloaded(ID, 10)
    await asyncio.to_thread(engine.kill)
    assert (await client.models.get(ID)).state == "partial"
    assert (await client.models.delete_files(ID)).state == "absent"
    assert not [path for path in (tmp_path / "hf").rglob("*") if path.is_file() and path.stat().st_size > 1e6]
    await forget(client, ID)


async def test_an_engine_killed_while_a_model_is_loaded_finds_it_again(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    loaded = await client.models.load(ID, pin=True)
    assert loaded.host is not None
    await asyncio.to_thread(engine.kill)
    found = await client.models.get(ID)
    assert found.state == "loaded"
    assert found.host is not None
    assert (found.host.pid, found.host.pinned) == (loaded.host.pid, True)
    assert found.host.pid is not None
    await client.models.unload_all()
    assert (await client.models.get(ID)).state == "loaded"
    freed = await client.models.unload(ID)
    assert freed.state == "downloaded"
    assert not psutil.pid_exists(found.host.pid)
    await forget(client, ID)


async def test_an_engine_killed_while_a_model_loads_is_asked_again(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    await client.models.download(ID)
    await client.models.downloaded(ID, 60)
    loading = asyncio.create_task(client.models.load(ID))
    await client.models.until(ID, lambda model: model.state in ("loading", "loaded"), 60)
    await asyncio.to_thread(engine.kill)
    try:
        assert (await loading).state == "loaded"
    except EngineUnreachable:
        pytest.fail("a load is asked again of the next engine")
    found = await client.models.get(ID)
    assert found.host is not None
    hosts = [path for path in engine.where.hosts_dir.iterdir() if not (path / "exit.json").exists()]
    until(lambda: len(alive(engine)) == 1, f"one host of {len(hosts)}")
    await forget(client, ID)


def alive(engine: EngineUnderTest) -> list[Path]:
    """Return the directories of hosts whose process lives."""
    found = []
    for path in engine.where.hosts_dir.iterdir():
        start = path / "start.json"
        if start.exists() and psutil.pid_exists(json.loads(start.read_text())["worker"]["pid"]):
            found.append(path)
    return found


async def test_an_engine_that_is_asked_to_stop_says_what_is_on_its_way(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    hub.bytes_per_s = SLOW_BYTES_PER_S
    await client.models.download(ID)
    await client.models.until(ID, half, 60)
    info = await client.engine()
    assert (info.models_fetching, info.models_loaded) == (1, 0)
    found = discovery.find(engine.where)
    assert found is not None
    status, problem = await asyncio.to_thread(
        discovery.request, found.socket_path, "POST", "/native/engine/stop", {}
    )
    assert status == 409
    assert "being downloaded" in problem["detail"]
    await asyncio.to_thread(
        discovery.request, found.socket_path, "POST", "/native/engine/stop", {"force": True}
    )
    await asyncio.to_thread(until, lambda: not discovery.is_running(engine.where), "the engine's end", 30)
    hub.bytes_per_s = None
    whole = await client.models.downloaded(ID, 60)
    assert whole.transfer is not None
    assert whole.transfer.resumed_bytes > 10e6
    await forget(client, ID)


async def test_lost_records_are_found_again_in_the_cache(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest, monkeypatch: pytest.MonkeyPatch
) -> None:
    await client.models.download(ID)
    await client.models.downloaded(ID, 60)
    await asyncio.to_thread(engine.kill)
    for path in (engine.where.local_models_dir / "records").iterdir():
        path.unlink()
    # the next engine is started by this process, and so looks into its cache
    found = await client.models.get(ID)
    assert found.state == "downloaded"
    await forget(client, ID)


async def test_no_token_is_written_anywhere(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    await client.models.load(ID)
    await client.models.unload(ID)
    for root in (engine.where.data_dir, engine.where.runtime_dir):
        for path in root.rglob("*"):
            if path.is_file():
                assert b"hf_verysecrettoken" not in path.read_bytes(), path
    await forget(client, ID)


async def test_the_stream_tells_all_and_then_what_changes(
    client: AsyncClient, hub: HubServer, engine: EngineUnderTest
) -> None:
    socket_path = await client.transport.ensure_socket()
    async with unix_connect(socket_path, "ws://engine/native/models/stream", proxy=None) as socket:
        first = json.loads(await socket.recv())
        assert (first["kind"], first["page"]["models"]) == ("models", [])
        await client.models.download(ID)
        states: list[str] = []
        while not states or states[-1] != "downloaded":
            told = json.loads(await asyncio.wait_for(socket.recv(), 60))
            assert told["kind"] == "model"
            states.append(told["model"]["state"])
        assert states[0] == "downloading"
        await client.models.delete(ID)
        while (told := json.loads(await asyncio.wait_for(socket.recv(), 20)))["kind"] != "removed":
            assert told["model"]["id"] == ID
        assert told["id"] == ID


async def test_weights_of_a_training_are_a_model(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    cell = """
import torch
from safetensors.torch import save_file

def train(size: int = 4):
    save_file({"w": torch.ones(size, size)}, "out.safetensors")
    import os
    return os.path.abspath("out.safetensors")
"""
    training = await finish(client, cell)
    assert training.status == "succeeded", training.error
    id = f"training:{training.id}"
    model = next(model for model in (await client.models.page()).models if model.id == id)
    assert (model.state, model.num_parameters, model.custom) == ("downloaded", 16, True)
    loaded = await client.models.load(id)
    assert loaded.state == "loaded"
    await client.models.unload(id)
    with pytest.raises(RequestRefused, match="belong to its training"):
        await client.models.delete_files(id)
    with pytest.raises(UnknownId, match="has left weights"):
        await client.models.get("training:none")


async def test_a_training_with_a_destination_too(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    opened = await asyncio.to_thread(connect, engine)
    try:
        cell = """
import torch
from safetensors.torch import save_file

def train(size: int = 4):
    save_file({"w": torch.ones(size, size)}, "named by ../ the user.safetensors")
    return {"weights": "named by ../ the user.safetensors"}
""".replace("named by ../ the user", "named-by-the-user")
        version = opened.upload("trained", cell)
        name, _, id = version.partition(":")
        destination = opened.make_model("with-weights")
        path = f"/v1/models/{name}/versions/{id}/trainings"
        made = opened.json("POST", path, json={"input": {}, "destination": destination})
        await client.wait(made["id"], 60)
        model = await client.models.get(f"training:{made['id']}")
        assert (model.state, model.num_parameters) == ("downloaded", 16)
        assert (await client.models.load(model.id)).state == "loaded"
        await client.models.unload(model.id)
    finally:
        opened.http.close()


async def test_ones_own_files_by_path(client: AsyncClient, tmp_path: Path) -> None:
    import torch

    path = save(tmp_path / "net.safetensors", {"w": torch.zeros(2, 3)})
    model = await client.models.add(str(path))
    assert (model.id, model.state, model.num_parameters) == (f"file:{path}", "downloaded", 6)
    pickled = tmp_path / "net.pt"
    torch.save({"w": torch.zeros(2, 3)}, pickled)
    named = await client.models.add(str(pickled))
    assert (
        await client.models.load(named.id)
    ).state == "loaded"  # a file that is named is the user's own word
    for text in (str(tmp_path / "none"), str(tmp_path / "empty"), "relative/../path//x", "a b"):
        with pytest.raises((InvalidInput, UnknownId)):
            await client.models.add(text)
    await forget(client, model.id, named.id)
    assert path.exists()
    assert pickled.exists()


async def test_wrong_requests_are_named_in_one_line(client: AsyncClient, engine: EngineUnderTest) -> None:
    found = discovery.find(engine.where)
    assert found is not None
    cases: list[tuple[str, str, Any, int]] = [
        ("POST", "/native/models", {"id": 5}, 422),
        ("POST", "/native/models", {}, 422),
        ("POST", "/native/models/hub%3Aa%2Fb/download", {"environ": "x"}, 422),
        ("POST", "/native/models/hub%3Aa%2Fb/download", {"weights": "x"}, 422),
        ("POST", "/native/models/hub%3Aa%2Fb/load", {"keep_alive_s": "long"}, 422),
        ("POST", "/native/models/hub%3Aa%2Fb/load", {"worker": 3}, 422),
        ("POST", "/native/models/hub%3Aa%2Fb/unload", None, 404),
        ("POST", "/native/models/hub%3Aa%2Fb/users", {"user": {"id": "x"}}, 404),
        ("POST", "/native/models/hub%3Aa%2Fb/users", {}, 422),
        ("PATCH", "/native/models/hub%3Aa%2Fb", {"state": "loaded"}, 422),
        ("DELETE", "/native/models/hub%3Aa%2Fb?force=yes", None, 422),
        ("GET", "/native/models/%2e%2e%2f%2e%2e%2fetc", None, 404),
        ("GET", "/native/models/hub%3Anone%2Fsuch", None, 404),
        ("POST", "/native/models/services", {"on": "nowhere"}, 422),
        ("POST", "/native/models/services", {"on": "http://127.0.0.1:1"}, 502),
        ("GET", "/native/models/service%3Ahttp%3A%2F%2Fx%23y", None, 404),
    ]
    for method, path, body, wanted in cases:
        status, problem = await asyncio.to_thread(discovery.request, found.socket_path, method, path, body)
        assert status == wanted, (method, path, problem)
        assert problem["status"] == wanted
        assert "\n" not in problem["detail"]
    assert not [model for model in (await client.models.page()).models if model.source == "hub"]


async def test_the_engine_does_not_end_while_a_model_is_loaded(
    tmp_path: Path, hub: HubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    from jupyter_ext.config import locations

    monkeypatch.setenv("JUPYTER_EXT_IDLE_S", "1")
    path = save(tmp_path / "net.safetensors", {"w": torch.zeros(2, 3)})
    under_test = EngineUnderTest(locations())
    try:
        async with AsyncClient() as client:
            model = await client.models.add(str(path))
            await client.models.load(model.id)
            pid = under_test.pid()
            await asyncio.sleep(4)
            assert psutil.pid_exists(pid)
            assert under_test.pid() == pid
            await client.models.unload(model.id)
        await asyncio.to_thread(
            until, lambda: not discovery.is_running(under_test.where), "the engine's end", 30
        )
    finally:
        under_test.close()
    assert not os.path.exists(under_test.where.socket)


async def test_weights_of_a_training_are_called_with_its_own_class_by_name(
    client: AsyncClient, engine: EngineUnderTest, tmp_path: Path
) -> None:
    import torch
    from safetensors.torch import load_file

    opened = await asyncio.to_thread(connect, engine)
    try:
        cell = """
import torch
from safetensors.torch import save_file

class Net(torch.nn.Module):
    def __init__(self, hidden: int = 5) -> None:
        super().__init__()
        self.first, self.second = torch.nn.Linear(3, hidden), torch.nn.Linear(hidden, 1)

    def forward(self, x):
        return self.second(torch.tanh(self.first(x)))

def train(steps: int = 20):
    torch.manual_seed(0)
    net, x = Net(), torch.randn(64, 3)
    y = x.sum(1, keepdim=True)
    optimizer = torch.optim.SGD(net.parameters(), lr=0.1)
    for _ in range(steps):
        optimizer.zero_grad()
        loss = torch.nn.functional.mse_loss(net(x), y)
        loss.backward()
        optimizer.step()
    save_file(net.state_dict(), "net.safetensors")
    return {"weights": "net.safetensors"}
"""
        name, _, version = opened.upload("fits", cell).partition(":")
        destination = opened.make_model("fitted")
        path = f"/v1/models/{name}/versions/{version}/trainings"
        made = opened.json("POST", path, json={"input": {}, "destination": destination})
        await client.wait(made["id"], 60)
        model = await client.models.get(f"training:{made['id']}")
        handle = await client.models.load(model.id, options=host_options({"factory": "Net"}))
        assert handle.host is not None
        assert handle.host.task == "forward"
        weights = load_file(str(model.path)) if str(model.path).endswith("safetensors") else None
        assert weights is not None
        x = torch.randn(7, 3)
        hidden = torch.tanh(torch.nn.functional.linear(x, weights["first.weight"], weights["first.bias"]))
        expected = torch.nn.functional.linear(hidden, weights["second.weight"], weights["second.bias"])
        given = await asyncio.to_thread(call, handle, x)
        torch.testing.assert_close(given, expected)
        assert float((given - x.sum(1, keepdim=True)).abs().mean()) < float(x.sum(1).abs().mean())
        await client.models.unload(model.id)
        with pytest.raises(
            RequestRefused, match=r"has no 'Nett' to build a module; its classes are \['Net'\]"
        ):
            await client.models.load(model.id, options=host_options({"factory": "Nett"}))
    finally:
        opened.http.close()
