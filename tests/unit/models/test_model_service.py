"""The service of local models, with parts that do as they are told."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from model_fakes import TOTAL, FakeDownloader, FakeHosts, FakeTrained, fake_host

from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.interfaces import LoadKilled, LoadOptions, TrainedWeights
from jupyter_ext.engine.models.service.load_jobs import WAITS, LoadJobs
from jupyter_ext.engine.models.service.record import Records
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.errors import InvalidInput, RequestRefused
from jupyter_ext.protocol.models import ModelUser
from jupyter_ext.protocol.problems import Problem

A = "hub:org/a"
OPTIONS = LoadOptions(python="/usr/bin/python3")


class World:
    """A service with its parts, which can be built anew over the same files."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.downloader = FakeDownloader(directory / "cache")
        self.hosts = FakeHosts()
        self.trained = FakeTrained()
        self.pubsub: PubSub[str] = PubSub()
        self.environ: dict[str, str] = {}
        self.models = self.service()

    def service(self) -> ModelService:
        return ModelService(
            Records(self.directory / "records"),
            self.downloader,
            self.hosts,
            self.trained,
            self.pubsub,
            self.environ,
        )

    async def again(self) -> ModelService:
        """Another engine comes; the first one was killed: it wrote nothing more."""
        self.models = self.service()
        await self.models.open()
        await self.models.opened()
        return self.models

    async def fetch(self, id: str = A, number: int = 0) -> Any:
        """Return the task of a download that has begun."""
        await until(lambda: len(self.downloader.tasks) > number)
        return self.downloader.tasks[number]

    async def state(self, id: str, wanted: str) -> Any:
        """Wait until a model has a state."""
        await until(lambda: (self.models.known(id) or fake_absent).state == wanted)
        return self.models.known(id)


class fake_absent:  # noqa: N801
    state = "none"


async def until(condition: Any) -> None:
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0)


@pytest.fixture
async def world(tmp_path: Path) -> World:
    world = World(tmp_path)
    await world.models.open()
    return world


async def downloaded(world: World, id: str = A) -> None:
    await world.models.download(id)
    (await world.fetch()).finish()
    await world.state(id, "downloaded")


# -- downloads ----------------------------------------------------------------------------------------------------


async def test_a_download_answers_at_once_and_whoever_asks_joins(world: World) -> None:
    models = await asyncio.gather(*(world.models.download(A) for _ in range(5)))
    assert {model.state for model in models} == {"downloading"}
    task = await world.fetch()
    task.go(500)
    assert (await world.models.download(A)).transfer.bytes_done == 500  # type: ignore[union-attr]
    task.finish()
    model = await world.state(A, "downloaded")
    assert (model.transfer.status, model.revision, model.bytes) == ("completed", "1" * 40, TOTAL)
    assert (await world.models.download(A)).state == "downloaded"
    assert len(world.downloader.tasks) == 1


async def test_cancel_keeps_what_has_come_and_may_be_asked_twice(world: World) -> None:
    await world.models.download(A)
    (await world.fetch()).go(400)
    world.downloader.kept[A] = 400
    model = await world.models.cancel(A)
    assert (model.state, model.transfer.status) == ("partial", "canceled")  # type: ignore[union-attr]
    assert (await world.models.cancel(A)).state == "partial"
    await world.models.download(A)
    (await world.fetch(number=1)).finish()
    await world.state(A, "downloaded")


async def test_cancel_before_the_hub_has_answered(world: World) -> None:
    world.downloader.gate.clear()
    await world.models.download(A)
    model = await world.models.cancel(A)
    assert (model.state, model.transfer.status) == ("absent", "canceled")  # type: ignore[union-attr]


async def test_that_a_download_is_over_is_told_together_with_what_is_here(world: World) -> None:
    await world.models.download(A)
    task = await world.fetch()
    task.go(999)
    task._on_progress(task.transfer.model_copy(update={"status": "completed", "bytes_done": TOTAL}))
    model = world.models.known(A)
    assert model is not None
    assert (model.state, model.transfer.status) == ("downloading", "running")  # type: ignore[union-attr]
    task.finish()
    model = await world.state(A, "downloaded")
    assert (model.transfer.status, model.transfer.bytes_done) == ("completed", TOTAL)


async def test_a_failed_download_says_why_in_one_line_and_can_be_asked_again(world: World) -> None:
    await world.models.download(A)
    (await world.fetch()).fail(RequestRefused("model.safetensors:\nthe bytes are wrong"))
    model = await world.state(A, "absent")
    assert model.error == model.transfer.error == "model.safetensors: the bytes are wrong"
    assert (await world.models.download(A)).error is None


async def test_a_model_that_the_hub_does_not_have(world: World) -> None:
    await world.models.download("hub:org/none")
    model = await world.state("hub:org/none", "absent")
    assert "no model 'org/none'" in model.error


async def test_the_environment_of_whoever_asks_is_used_and_no_token_is_written(world: World) -> None:
    environ = {"HF_TOKEN": "hf_secret", "HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": "/x"}
    await world.models.download(A, environ)
    (await world.fetch()).finish()
    await world.state(A, "downloaded")
    assert world.downloader.asked == [HubSettings.from_environment(environ)]
    texts = [path.read_text() for path in (world.directory / "records").iterdir()]
    assert texts
    assert not any("hf_secret" in text for text in texts)
    assert json.loads(texts[0])["hub"] == {"HF_ENDPOINT": "http://127.0.0.1:1", "HF_HOME": "/x"}


async def test_an_update_is_fetched_beside_and_takes_the_old_ones_place(world: World) -> None:
    await downloaded(world)
    assert (await world.models.update(A)).newer_revision is None
    world.downloader.revisions["org/a"] = "3" * 40
    model = await world.models.update(A, check_only=True)
    assert (model.newer_revision, model.state) == ("3" * 40, "downloaded")
    await world.models.load(A, OPTIONS)
    model = await world.models.update(A)
    old = model.path
    task = await world.fetch(number=1)
    model = world.models.known(A)
    assert model is not None
    assert (model.state, model.revision, model.transfer.status) == ("loaded", "1" * 40, "running")  # type: ignore[union-attr]
    task.finish()
    await until(lambda: world.models.known(A).revision == "3" * 40)  # type: ignore[union-attr]
    model = world.models.known(A)
    assert model is not None
    assert model.path != old
    assert (model.state, model.newer_revision) == ("loaded", None)
    assert world.downloader.removed == []
    await world.models.unload(A)
    assert world.downloader.removed == ["1" * 40]


async def test_an_update_that_fails_leaves_what_was_there(world: World) -> None:
    await downloaded(world)
    world.downloader.revisions["org/a"] = "3" * 40
    await world.models.update(A)
    (await world.fetch(number=1)).fail(OSError("no space left"))
    await until(lambda: world.models.known(A).error)  # type: ignore[union-attr]
    model = world.models.known(A)
    assert model is not None
    assert (model.state, model.revision) == ("downloaded", "1" * 40)


# -- memory -------------------------------------------------------------------------------------------------------


async def test_a_load_waits_for_the_download_that_runs(world: World) -> None:
    await world.models.download(A)
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    (await world.fetch()).finish()
    assert (await loading).state == "loaded"
    assert len(world.hosts.loads) == 1


async def test_a_load_begins_the_download_unless_it_may_not(world: World) -> None:
    with pytest.raises(Problem, match="no model") as told:
        await world.models.load(A, OPTIONS, fetch=False)
    assert told.value.status == 404
    await world.models.add(A)
    with pytest.raises(Problem, match="download it first"):
        await world.models.load(A, OPTIONS, fetch=False)
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    (await world.fetch()).finish()
    assert (await loading).state == "loaded"


async def test_a_load_of_what_cannot_be_fetched_says_why(world: World) -> None:
    with pytest.raises(Problem, match="no model 'org/none'"):
        await world.models.load("hub:org/none", OPTIONS)


async def test_two_loads_are_one(world: World) -> None:
    await downloaded(world)
    world.hosts.gate.clear()
    loads = [asyncio.create_task(world.models.load(A, OPTIONS)) for _ in range(3)]
    await world.state(A, "loading")
    world.hosts.gate.set()
    assert {model.state for model in await asyncio.gather(*loads)} == {"loaded"}
    assert len(world.hosts.loads) == 1
    with pytest.raises(Problem, match="loaded with device=cpu, not cuda"):
        await world.models.load(A, LoadOptions(python="x", device="cuda"))


async def test_a_load_that_does_not_fit_leaves_the_model_as_it_was(world: World) -> None:
    await downloaded(world)
    world.hosts.refusal = "It takes 10 GB and 2 GB are free."
    with pytest.raises(Problem, match="10 GB"):
        await world.models.load(A, OPTIONS)
    model = world.models.known(A)
    assert model is not None
    assert (model.state, model.error) == ("downloaded", "It takes 10 GB and 2 GB are free.")


async def test_whoever_waits_may_go_away(world: World) -> None:
    await downloaded(world)
    world.hosts.gate.clear()
    waiting = asyncio.create_task(world.models.load(A, OPTIONS))
    await world.state(A, "loading")
    waiting.cancel()
    world.hosts.gate.set()
    await world.state(A, "loaded")


async def test_unload_while_loading_ends_the_load(world: World) -> None:
    await downloaded(world)
    world.hosts.gate.clear()
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    await world.state(A, "loading")
    model = await world.models.unload(A)
    assert model.state == "downloaded"
    with pytest.raises(Problem, match="unloaded while it was being loaded"):
        await loading
    world.hosts.gate.set()
    assert (await world.models.load(A, OPTIONS)).state == "loaded"


async def test_unload_says_what_it_gave_back_and_is_idempotent(world: World) -> None:
    await downloaded(world)
    assert (await world.models.unload(A)).unloaded is None
    await world.models.load(A, OPTIONS)
    one, two = await asyncio.gather(world.models.unload(A), world.models.unload(A))
    assert one.unloaded == two.unloaded
    assert (one.state, one.host, one.unloaded.host_bytes) == ("downloaded", None, 10)  # type: ignore[union-attr]


async def test_a_load_waits_for_an_unload(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, OPTIONS)
    world.hosts.unloading.clear()
    unloading = asyncio.create_task(world.models.unload(A))
    await world.state(A, "unloading")
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    await asyncio.sleep(0)
    world.hosts.unloading.set()
    assert (await loading).state == "loaded"
    await unloading
    assert len(world.hosts.loads) == 2


async def test_unload_all_leaves_what_is_pinned(world: World) -> None:
    await downloaded(world)
    await world.models.download("hub:org/b")
    (await world.fetch(number=1)).finish()
    await world.state("hub:org/b", "downloaded")
    await world.models.load(A, OPTIONS)
    await world.models.load("hub:org/b", OPTIONS)
    await world.models.keep(A, pinned=True)
    await world.models.unload_all()
    assert world.models.known(A).state == "loaded"  # type: ignore[union-attr]
    assert world.models.known("hub:org/b").state == "downloaded"  # type: ignore[union-attr]


async def test_unload_all_leaves_what_is_in_a_call(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, OPTIONS)
    world.hosts.hosts[A] = world.hosts.hosts[A].model_copy(update={"in_flight": 1})
    world.models.host_changed(A)
    await world.models.unload_all()
    assert world.models.num_loaded == 1


async def test_a_host_that_ends_by_itself_is_seen(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, OPTIONS)
    world.hosts.hosts.clear()
    world.hosts.ends[A] = "It was killed."
    world.models.host_changed(A)
    model = world.models.known(A)
    assert (model.state, model.notices[-1]) == ("downloaded", "It was killed.")  # type: ignore[union-attr]


async def test_users_come_and_go(world: World) -> None:
    await downloaded(world)
    user = ModelUser(id="k1", name="a.ipynb", since="now")
    with pytest.raises(Problem, match="load it first"):
        await world.models.attach(A, user)
    await world.models.load(A, LoadOptions(python="x", user=user))
    model = await world.models.attach(A, ModelUser(id="k2", name="b.ipynb", since="now"))
    assert [user.name for user in model.host.users] == ["a.ipynb", "b.ipynb"]  # type: ignore[union-attr]
    model = await world.models.detach(A, "k1")
    assert [user.name for user in model.host.users] == ["b.ipynb"]  # type: ignore[union-attr]


# -- forgetting ---------------------------------------------------------------------------------------------------


async def test_a_loaded_model_is_not_deleted_unless_it_may_be_unloaded_first(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, LoadOptions(python="x", user=ModelUser(id="k", name="a.ipynb", since="now")))
    for delete in (world.models.delete, world.models.delete_cache):
        with pytest.raises(Problem, match=r"used by a\.ipynb; unload it first"):
            await delete(A)
    await world.models.delete(A, force=True)
    assert world.models.known(A) is None
    assert world.hosts.hosts == {}
    assert list((world.directory / "records").iterdir()) == []
    assert list((world.directory / "cache").iterdir()) == []


async def test_delete_cache_keeps_the_model_and_ends_its_download(world: World) -> None:
    await world.models.download(A)
    await world.fetch()
    world.downloader.kept[A] = 10
    model = await world.models.delete_cache(A)
    assert (model.state, model.path) == ("absent", None)
    assert world.downloader.kept == {}


async def test_files_of_others_are_not_deleted(world: World, tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"x")
    model = await world.models.add(str(folder))
    assert (model.state, model.custom, model.source) == ("downloaded", True, "file")
    with pytest.raises(Problem, match="belong to you"):
        await world.models.delete_cache(model.id)
    await world.models.delete(model.id)
    assert (folder / "model.safetensors").exists()


async def test_bad_ids_and_paths_add_nothing(world: World, tmp_path: Path) -> None:
    for text in ("a b", str(tmp_path / "none"), str(tmp_path), "file:rel"):
        with pytest.raises(InvalidInput):
            await world.models.add(text)
    for text in ("a b", "../../etc", "hub:org/nobody-asked"):
        with pytest.raises(Problem) as told:
            await world.models.get(text)
        assert told.value.status == 404
    assert (await world.models.page()).models == []


# -- another engine -----------------------------------------------------------------------------------------------


async def test_records_survive_and_lost_ones_come_back_from_the_cache(world: World) -> None:
    await downloaded(world)
    await world.models.change(A, description="mine", meta={"score": {"manual": 1}})
    model = (await (await world.again()).page()).models[0]
    assert (model.id, model.state, model.description) == (A, "downloaded", "mine")
    for path in (world.directory / "records").iterdir():
        path.write_text("{half")
    model = (await (await world.again()).page()).models[0]
    assert (model.id, model.state, model.description) == (A, "downloaded", None)


async def test_a_download_that_was_cut_with_its_engine_goes_on(world: World) -> None:
    await world.models.download(A)
    (await world.fetch()).go(300)
    world.downloader.kept[A] = 300
    models = await world.again()
    assert models.known(A).state == "downloading"  # type: ignore[union-attr]
    (await world.fetch(number=1)).finish()
    await world.state(A, "downloaded")


async def test_a_download_that_was_canceled_stays_a_partial(world: World) -> None:
    await world.models.download(A)
    await world.fetch()
    world.downloader.kept[A] = 300
    await world.models.cancel(A)
    models = await world.again()
    assert models.known(A).state == "partial"  # type: ignore[union-attr]
    assert len(world.downloader.tasks) == 1


async def test_an_engine_that_ends_in_order_leaves_its_downloads_to_the_next(world: World) -> None:
    await world.models.download(A)
    await world.fetch()
    world.downloader.kept[A] = 300
    await world.models.close()
    models = await world.again()
    assert models.known(A).state == "downloading"  # type: ignore[union-attr]


async def test_hosts_of_an_earlier_engine_are_adopted(world: World) -> None:
    await downloaded(world)
    world.hosts.adopted = {A: fake_host(), "hub:org/b": fake_host()}
    models = await world.again()
    assert models.known(A).state == "loaded"  # type: ignore[union-attr]
    assert models.known("hub:org/b").state == "loaded"  # type: ignore[union-attr]
    assert (models.num_fetching, models.num_loaded) == (0, 2)
    await models.unload_all()
    assert (models.num_fetching, models.num_loaded) == (0, 0)


async def test_weights_of_trainings_are_models(world: World, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x" * 7)
    world.trained.weights["abc1"] = TrainedWeights("abc1", "digits", weights, "2026-01-01T00:00:00Z")
    (model,) = (await world.models.page()).models
    assert (model.id, model.name, model.state) == ("training:abc1", "digits", "downloaded")
    assert (await world.models.load(model.id, OPTIONS)).state == "loaded"
    with pytest.raises(Problem, match="has left weights"):
        await world.models.get("training:nothing")


async def test_changes_are_told(world: World) -> None:
    subscriber = world.pubsub.subscribe(TOPIC)
    await downloaded(world)
    await world.models.delete(A)
    assert set(subscriber.take()) == {A}
    assert await subscriber.wait(1)


async def test_a_pinned_commit_is_not_updated_but_told_of(world: World) -> None:
    id = f"{A}@{'1' * 40}"
    await downloaded(world, id)
    world.downloader.revisions["org/a"] = "3" * 40
    assert (await world.models.update(id, check_only=True)).newer_revision == "3" * 40
    with pytest.raises(Problem, match="hub:org/a download"):
        await world.models.update(id)
    assert len(world.downloader.tasks) == 1


async def test_the_engines_own_token_goes_to_no_other_hub(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.environ = {"HF_TOKEN": "engines-own", "HF_ENDPOINT": "http://a"}
    models = await world.again()
    await models.download(A, {"HF_ENDPOINT": "http://b", "HF_TOKEN": "notebooks"})
    (await world.fetch()).go(10)
    world.downloader.kept[A] = 10
    await world.again()
    await world.fetch(number=1)
    assert world.downloader.asked == [
        HubSettings.from_environment({"HF_ENDPOINT": "http://b", "HF_TOKEN": "notebooks"}),
        HubSettings.from_environment({"HF_ENDPOINT": "http://b"}),
    ]
    world.downloader.tasks[1].finish()
    await world.state(A, "downloaded")
    await world.models.download("hub:org/b")
    await world.fetch(number=2)
    assert world.downloader.asked[-1] == HubSettings.from_environment(world.environ)


async def test_files_that_somebody_deleted_are_fetched_again(world: World) -> None:
    await downloaded(world)
    for path in (world.directory / "cache").iterdir():
        (path / "model.safetensors").unlink()
        path.rmdir()
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    (await world.fetch(number=1)).finish()
    assert (await loading).state == "loaded"


async def test_a_training_that_was_deleted_is_no_model_any_more(world: World, tmp_path: Path) -> None:
    weights = tmp_path / "w.safetensors"
    weights.write_bytes(b"x")
    world.trained.weights["abc1"] = TrainedWeights("abc1", "digits", weights, "2026-01-01T00:00:00Z")
    assert len((await world.models.page()).models) == 1
    weights.unlink()
    del world.trained.weights["abc1"]
    subscriber = world.pubsub.subscribe(TOPIC)
    assert (await world.models.page()).models == []
    assert subscriber.take() == ["training:abc1"]


async def test_a_disk_that_cannot_be_written_is_told_and_stops_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Records, "put", full)
    await downloaded(world)
    model = world.models.known(A)
    assert model is not None
    assert "No space left" in model.notices[-1]
    assert len(model.notices) == 1


# --- the start of an engine


async def test_the_engine_is_ready_before_it_has_looked_at_every_model(world: World) -> None:
    await downloaded(world)
    world.downloader.disk_gate.clear()
    models = world.models = world.service()
    await models.open()
    asked = asyncio.create_task(models.get(A))
    listed = asyncio.create_task(models.page())
    done, _ = await asyncio.wait({asked, listed}, timeout=0.05)
    assert not done
    world.downloader.disk_gate.set()
    assert (await asked).state == "downloaded"
    assert [model.state for model in (await listed).models] == ["downloaded"]


async def test_a_model_whose_files_cannot_be_looked_at_hides_no_other(world: World) -> None:
    await downloaded(world)
    await world.models.add("org/b")
    world.downloader.unreadable = {"hub:org/b"}
    models = world.models = world.service()
    await models.open()
    found = {model.id: model for model in (await models.page()).models}
    assert found[A].state == "downloaded"
    assert "this disk is odd" in (found["hub:org/b"].error or "")


async def test_an_engine_that_ends_while_it_looks_ends(world: World) -> None:
    await downloaded(world)
    world.downloader.disk_gate.clear()
    models = world.service()
    await models.open()
    await models.close()


# --- a load that was killed is repeated as it was


FACTORY = LoadOptions(
    python="/venv/bin/python",
    cwd="/nb",
    device="cpu",
    keep_alive_s=60.0,
    extra={"factory": "Zg==", "sys_path": []},
)


async def test_a_load_that_was_killed_is_repeated_with_its_factory(world: World) -> None:
    await downloaded(world)
    world.hosts.failure = LoadKilled("It was killed. It was loading.")
    with pytest.raises(Problem, match="killed"):
        await world.models.load(A, FACTORY)
    world.hosts.failure = None
    await world.models.load(A, OPTIONS)
    _, _, options = world.hosts.loads[-1]
    assert (options.extra, options.python, options.cwd) == (FACTORY.extra, "/venv/bin/python", "/nb")
    assert options.keep_alive_s == 60.0


async def test_a_loaded_model_that_ended_by_itself_is_loaded_again_as_it_was(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, FACTORY)
    world.hosts.hosts.pop(A)
    world.models.host_changed(A)
    assert world.models.known(A).state == "downloaded"  # type: ignore[union-attr]
    await world.models.load(A, replace(OPTIONS, keep_alive_s=5.0))
    _, _, options = world.hosts.loads[-1]
    assert (options.extra, options.keep_alive_s) == (FACTORY.extra, 5.0)


async def test_a_deleted_model_is_not_loaded_as_the_one_before(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, FACTORY)
    world.hosts.hosts.pop(A)
    world.models.host_changed(A)
    await world.models.delete(A)
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    (await world.fetch(number=1)).finish()
    await loading
    assert world.hosts.loads[-1][2].extra == {}


async def test_what_was_unloaded_or_could_not_be_built_is_loaded_as_asked(world: World) -> None:
    await downloaded(world)
    await world.models.load(A, FACTORY)
    await world.models.unload(A)
    await world.models.load(A, OPTIONS)
    assert world.hosts.loads[-1][2].extra == {}
    await world.models.unload(A)
    world.hosts.failure = RequestRefused("The factory raised.")
    with pytest.raises(Problem):
        await world.models.load(A, FACTORY)
    world.hosts.failure = None
    await world.models.load(A, OPTIONS)
    assert world.hosts.loads[-1][2].extra == {}


# --- a load that waits for a download


async def test_a_load_that_waits_for_a_download_says_so(world: World) -> None:
    await world.models.download(A)
    task = await world.fetch()
    loading = asyncio.create_task(world.models.load(A, OPTIONS))
    await until(lambda: WAITS in world.models.known(A).notices)  # type: ignore[union-attr]
    assert world.models.known(A).state == "downloading"  # type: ignore[union-attr]
    task.finish()
    model = await loading
    assert model.state == "loaded"
    assert WAITS not in model.notices


async def test_a_load_waits_no_longer_than_its_download_goes_on(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LoadJobs, "patience_s", 0.01)
    await world.models.download(A)
    task = await world.fetch()
    task.go(10)
    with pytest.raises(Problem) as raised:
        await world.models.load(A, OPTIONS)
    assert "nothing came of its download" in raised.value.detail
    model = world.models.known(A)
    assert model is not None
    assert (model.state, WAITS in model.notices) == ("downloading", False)
    task.finish()
    await world.state(A, "downloaded")


# --- what is said of a model


@pytest.mark.parametrize(
    ("said", "named"),
    [
        ({"name": ""}, "name"),
        ({"name": " \n "}, "name"),
        ({"name": "n" * 301}, "name"),
        ({"description": "d" * 10_001}, "description"),
    ],
)
async def test_what_is_said_of_a_model_is_bounded(world: World, said: dict[str, str], named: str) -> None:
    await world.models.add(A, name="first")
    with pytest.raises(InvalidInput, match=f"^{named}: "):
        await world.models.change(A, **said)
    with pytest.raises(InvalidInput, match=f"^{named}: "):
        await world.models.add("org/other", **said)
    assert world.models.known("hub:org/other") is None
    assert (await world.models.get(A)).name == "first"


async def test_a_name_is_one_line(world: World) -> None:
    await world.models.add(A)
    model = await world.models.change(A, name="two\nlines\tof it", description="")
    assert (model.name, model.description) == ("two lines of it", "")
