"""One odd value never costs a list, a start, a neighbour or the run itself, on the way out or in."""

from __future__ import annotations

import json
import os

import pytest
from integration_tools import EngineUnderTest, finish

from jupyter_ext.client.capture.capture import capture_cell
from jupyter_ext.client.requests.async_client import AsyncClient
from jupyter_ext.engine_process import discovery
from jupyter_ext.errors import InvalidInput

PROGRESS = "import math\nfrom jupyter_ext import progress\ndef train():\n    progress({})"
ODD = {
    "progress of inf": PROGRESS.format("1, math.inf"),
    "progress of nan": PROGRESS.format("math.nan, math.nan"),
    "step nan": "from jupyter_ext import log\ndef train():\n    log({'a': 1}, step=float('nan'))",
    "infinite steps": (
        "from jupyter_ext import log_many\ndef train():\n    log_many('a', [float('inf'), float('-inf')], [1, 2])"
    ),
    "checkpoint at inf": (
        "from jupyter_ext import checkpoint\ndef train():\n    checkpoint.save({'a': 1}, step=float('inf'))"
    ),
    "output with a surrogate": "def train():\n    return {'file\\udce9': ['b\\udcff']}",
    "output 480 deep": "def train():\n    x = 1\n    for _ in range(480):\n        x = [x]\n    return x",
    "exception with a surrogate": "def train():\n    raise ValueError('f\\udce9')",
    "key with a surrogate": "from jupyter_ext import log\ndef train():\n    log({'k\\udce9': 1})",
}


def everything(engine: EngineUnderTest) -> set[str]:
    """Ask for all lists, and return the ids of the trainings in both of theirs."""
    socket = discovery.ensure(where=engine.where).socket_path
    status, body = discovery.request(socket, "GET", "/native/trainings?limit=1000")
    assert status == 200, body
    found = {item["id"] for item in body["trainings"]}
    paged: set[str] = set()
    path: str | None = "/v1/trainings"
    while path is not None:
        status, body = discovery.request(socket, "GET", path)
        assert status == 200, body
        paged |= {item["id"] for item in body["results"]}
        path = body["next"] and body["next"].removeprefix("http://engine")
    assert paged == found
    return set(found)


@pytest.mark.parametrize("name", ODD)
async def test_a_run_with_an_odd_value_ends_is_listed_and_deleted(
    engine: EngineUnderTest, client: AsyncClient, name: str
) -> None:
    fine = await finish(client, "def train(): return 'fine'")
    ended = await finish(client, ODD[name])
    assert ended.status == ("failed" if "exception" in name else "succeeded"), ended.error
    assert {fine.id, ended.id} <= everything(engine)
    assert (await client.get(fine.id)).output == "fine"
    text = ended.model_dump_json()
    assert json.loads(text.encode()) is not None
    await client.delete(ended.id)
    assert ended.id not in everything(engine)


async def test_an_odd_input_is_refused_by_its_name_and_leaves_nothing(
    engine: EngineUnderTest, client: AsyncClient
) -> None:
    code = "def train(word: str = 'a', lr: float = 1.0, more: list = []): pass"
    made = await finish(client, code)
    before = sorted(os.listdir(engine.where.runs_dir))
    with pytest.raises(InvalidInput, match="name"):
        await client.create(capture_cell(code, {}, "caf\udce9", {}), {})
    socket = discovery.ensure(where=engine.where).socket_path
    path = f"/v1/models/{made.model}/versions/{made.version}/trainings"
    for name, odd in (
        ("lr", float("inf")),
        ("lr", float("nan")),
        ("word", "a\udce9"),
        ("more", [[["\ud800"]]]),
        ("more", json.loads("[" * 200 + "]" * 200)),
    ):
        status, body = discovery.request(socket, "POST", path, {"input": {name: odd}})
        assert status == 422
        assert body["invalid_fields"][0]["field"].startswith(f"input.{name}")
    assert sorted(os.listdir(engine.where.runs_dir)) == before


async def test_odd_labels_are_refused_by_their_name(engine: EngineUnderTest, client: AsyncClient) -> None:
    training = await finish(client, "def train(): pass")
    with pytest.raises(InvalidInput, match="tags"):
        await client.label(training.id, tags=["fine", "b\udce9"])
    assert (await client.get(training.id)).tags == []


async def test_the_engine_starts_again_with_all_of_them(engine: EngineUnderTest) -> None:
    async with AsyncClient(engine.where) as client:
        runs = [await finish(client, code) for code in ODD.values()]
    engine.kill()
    engine.where.catalog.unlink()
    assert {run.id for run in runs} <= everything(engine)
