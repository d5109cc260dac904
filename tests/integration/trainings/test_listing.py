"""Lists, labels, running again and deleting, on a real engine."""

from __future__ import annotations

import asyncio
import json
import time

import pytest
from integration_tools import EngineUnderTest, finish, start

from benchmarks.many_runs import NUM_RUNS, fill
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId

TEXT = """\
from jupyter_ext import log
def train(lr: float = 0.1, steps: int = 3):
    for step in range(steps):
        log({"loss": lr * (steps - step) + (0.5 if step == 1 else 0), "accuracy": step / steps}, step=step)
    log({"loss": float("nan")}, step=steps)
"""
SLEEPS = "import time\ndef train():\n    while True: time.sleep(0.01)"


async def test_a_list_knows_last_and_extremes_and_sorts_by_them(client: AsyncClient) -> None:
    runs = [await finish(client, TEXT, name=f"sorted-{lr}", lr=lr) for lr in (0.3, 0.1, 0.2)]
    assert runs[0].extremes["loss"].min == pytest.approx(0.3)
    assert runs[0].extremes["loss"].max == pytest.approx(1.1)
    assert runs[0].last["loss"].value == "NaN"
    page = await client.page(q="sorted-", sort="min:loss")
    assert [run.input["lr"] for run in page.trainings] == [0.1, 0.2, 0.3]
    assert (page.total, page.counts) == (3, {"succeeded": 3})
    page = await client.page(q="SORTED-", sort="-input:lr", limit=1, offset=1)
    assert [run.input["lr"] for run in page.trainings] == [0.2]
    assert page.total == 3
    assert (await client.page("failed,canceled", q="sorted-")).total == 0
    for wrong in ({"status": "done"}, {"sort": "loss"}):
        with pytest.raises(InvalidInput, match=next(iter(wrong.values()))):
            await client.page(**wrong)
    assert [run.id for run in await client.list(q="sorted-", sort="min:loss", limit=1)] == [runs[1].id]
    with pytest.raises(TypeError, match="no argument 'order'"):
        await client.page(order="name")


async def test_a_running_training_is_found_by_its_status_at_once(client: AsyncClient) -> None:
    running = await start(client, SLEEPS, name="at-once")
    deadline = time.monotonic() + 20
    while not (found := await client.page("processing", q="at-once")).total:
        assert time.monotonic() < deadline
    assert found.trainings[0].status == "processing"
    with pytest.raises(RequestRefused, match="cancel it before"):
        await client.delete(running.id)
    labelled = await client.label(running.id, ["live"], "while it runs")
    assert labelled.tags == ["live"]
    await client.cancel(running.id)
    ended = await client.wait(running.id, 20)
    assert (ended.status, ended.tags, ended.notes) == ("canceled", ["live"], "while it runs")


async def test_labels_outlive_engine_and_catalog(client: AsyncClient, engine: EngineUnderTest) -> None:
    run = await finish(client, TEXT, name="labelled")
    await client.label(run.id, ["keep", "keep", "good one"], "first\nsecond")
    kept = json.loads((engine.run_dir(run) / "labels.json").read_text())
    assert kept == {"tags": ["keep", "good one"], "notes": "first\nsecond"}
    await client.label(run.id, notes="third")
    with pytest.raises(InvalidInput, match="comma"):
        await client.label(run.id, ["a,b"])
    engine.kill()
    for path in engine.where.catalog.parent.glob(f"{engine.where.catalog.name}*"):
        path.unlink()
    found = await client.page(q="good one")
    assert [(item.id, item.tags, item.notes) for item in found.trainings] == [
        (run.id, ["keep", "good one"], "third")
    ]


async def test_again_starts_the_same_code_with_the_same_inputs(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    first = await finish(client, TEXT, name="again", lr=0.4)
    second = await client.wait((await client.again(first.id)).id, 40)
    assert (second.version, second.input, second.status) == (first.version, {"lr": 0.4}, "succeeded")
    third = await client.wait((await client.again(first.id, {"steps": 5})).id, 40)
    assert third.input == {"lr": 0.4, "steps": 5}
    assert third.notices == []
    with pytest.raises(InvalidInput, match="no input 'step'"):
        await client.again(first.id, {"step": 5})
    socket = discovery.find(engine.where).socket_path
    status, answer = discovery.request(socket, "POST", f"/native/trainings/{first.id}/again", {})
    assert status == 201, answer
    assert "environment variables" in answer["notices"][0], "a page has no environment to give"
    assert (await client.wait(answer["id"], 40)).status == "succeeded"


async def test_tags_and_notes_given_at_once_are_both_kept(client: AsyncClient) -> None:
    run = await finish(client, TEXT, name="labels")
    for round_ in range(10):
        await asyncio.gather(
            client.label(run.id, [f"tag{round_}"], None), client.label(run.id, None, f"note {round_}")
        )
        kept = await client.get(run.id)
        assert (kept.tags, kept.notes) == ([f"tag{round_}"], f"note {round_}")


async def test_again_wants_a_secret_anew_instead_of_its_stars(client: AsyncClient) -> None:
    text = "from pydantic import SecretStr\ndef train(key: SecretStr): return len(getattr(key, 'get_secret_value', lambda: key)())"
    first = await finish(client, text, name="secret", key="sesame")
    assert first.error is None
    assert (first.input, first.output) == ({"key": "**********"}, 6)
    with pytest.raises(InvalidInput, match=r"key is secret .* run\.again\(key=…\)"):
        await client.again(first.id)
    second = await client.wait((await client.again(first.id, {"key": "longer one"})).id, 40)
    assert second.output == 10


async def test_a_deleted_training_is_gone_with_its_files(
    client: AsyncClient, engine: EngineUnderTest
) -> None:
    run = await finish(client, TEXT, name="deleted")
    await client.metrics(run.id)
    await client.delete(run.id)
    assert not engine.run_dir(run).exists()
    assert not list(engine.where.runs_dir.glob(".deleted*"))
    assert (await client.page(q="deleted")).total == 0
    for ask in (client.get, client.metrics, client.delete, client.again):
        with pytest.raises(UnknownId):
            await ask(run.id)


async def test_ten_thousand_runs_are_listed(client: AsyncClient, engine: EngineUnderTest) -> None:
    engine.kill()
    fill(engine.where.catalog)
    page = await client.page(q="run-", limit=50)
    assert (page.total, page.counts["failed"]) == (NUM_RUNS, NUM_RUNS // 10)
    assert [run.input["seed"] for run in page.trainings[:2]] == [NUM_RUNS - 1, NUM_RUNS - 2]
    worst = await client.page("failed", q="run-", sort="-last:test/loss", limit=2, offset=1)
    assert [run.input["seed"] for run in worst.trainings] == [NUM_RUNS - 20, NUM_RUNS - 30]
    found = (await client.page(q="RUN-7\n", sort="-input:seed", limit=1)).trainings[0]
    assert found.input["seed"] == NUM_RUNS - 13
    await client.delete(found.id)
    assert (await client.page(q=found.id)).total == 0, "also one whose files are gone already"
