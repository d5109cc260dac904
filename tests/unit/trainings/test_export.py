"""A training's metrics as a file: every point, read back by those who would read it, whatever was sealed meanwhile."""

from __future__ import annotations

import contextlib
import csv
import io
import os
import sys
import zipfile
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from pathlib import Path

import httpx
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from jupyter_ext.client.imports import tensorboard
from jupyter_ext.engine.api.http.problems import HANDLERS
from jupyter_ext.engine.api.native import exports
from jupyter_ext.engine.api.native.exports import ExportsAPI
from jupyter_ext.engine.metrics.sealed import segment_file
from jupyter_ext.engine.metrics.sealed.sealing import seal_run
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.export import points as reading
from jupyter_ext.engine.trainings.export.formats import file_stem
from jupyter_ext.engine.trainings.export.points import Stretch
from jupyter_ext.protocol.problems import Problem, not_found
from jupyter_ext.protocol.trainings import Training, Urls
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

ID = "0123456789abcdefghijklmnop"
NUM_STEPS = 250
PIECE_POINTS = 211
Points = dict[tuple[str, str], list[tuple[float, float, float]]]
"""By metric and rank: step, time, value of each point, in the order they came."""


class OneTraining:
    """Stands in for the service: one training, whose store is closed and opened anew before every second piece."""

    def __init__(self, run_dir: Path) -> None:
        self.name = "digits #3"
        self.num_asked = 0
        self.is_deleted = False
        self._dir = run_dir
        self._store = opened(run_dir)

    async def get(self, training_id: str) -> Training:
        if training_id != ID:
            raise not_found("training", training_id, "`%trainings` lists them.")
        urls = Urls.model_validate({"get": "/", "cancel": "/"})
        now = "2026-01-01T00:00:00Z"
        return Training(
            id=ID, model="local/x", version="v", name=self.name, status="succeeded", created_at=now, urls=urls
        )

    async def store(self, training_id: str) -> RunStore:
        if self.is_deleted:
            raise Problem(404, "Gone", "It was deleted.")
        return self._store

    async def points(self, training_id: str) -> RunStore:
        self.num_asked += 1
        if self.num_asked % 2:
            self._store.close()
            self._store = opened(self._dir)
        return await self.store(training_id)


def opened(run_dir: Path) -> RunStore:
    store = RunStore(run_dir)
    store.open()
    while store.ingest() is not None:
        pass
    return store


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a power cut would show whether the disk was waited for, and that takes most of the time here."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)
    monkeypatch.setattr(os, "fdatasync", lambda fd: None)


@pytest.fixture
def run_dir(tmp_path: Path) -> Path:
    """Two ranks and the machine's own points, some of them sealed, and names that are awkward in one format or another."""
    path = tmp_path / "run"
    path.mkdir()
    names = ["loss", 'a,"b"', "=1+1", "ü"]
    for stream in ("0", "1", "system"):
        keys = names if stream == "0" else ["loss"] if stream == "1" else ["system/memory_mib"]
        writer = JournalWriter(path, stream, rotate_bytes=6_000)
        for i in range(NUM_STEPS):
            value = float("nan") if i == 7 else -float("inf") if i == 8 else 1 / (i + 1)
            writer.points(dict.fromkeys(keys, value), step=i * 5_000 - 3, time=1.7e9 + i / 3)
        writer.close()
    opened(path).close()
    seal_run(path)
    writer = JournalWriter(path, "0")
    writer.points({"loss": 0.5}, step=1 << 40, time=1.8e9)
    writer.close()
    return path


@pytest.fixture
def trainings(run_dir: Path, monkeypatch: pytest.MonkeyPatch) -> OneTraining:
    monkeypatch.setattr(reading, "PIECE_POINTS", PIECE_POINTS)
    return OneTraining(run_dir)


@pytest.fixture
async def client(trainings: OneTraining) -> AsyncIterator[httpx.AsyncClient]:
    routes = ExportsAPI(trainings).routes()  # type: ignore[arg-type]
    app = Starlette(routes=routes, exception_handlers=HANDLERS)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://engine") as client:
        yield client


async def exported(client: httpx.AsyncClient, format: str) -> bytes:
    answer = await client.get(f"/native/trainings/{ID}/exports/{format}")
    assert answer.status_code == 200, answer.text
    return answer.content


def logged(run_dir: Path) -> Points:
    """All points as the store has them."""
    store = opened(run_dir)
    found = {}
    for info in store.series_infos():
        columns = store.points(info.rank, info.key, 0, store.num_points(info.rank)[info.key])
        found[info.key, info.rank] = list(
            zip(columns.steps.tolist(), columns.times.tolist(), columns.values.tolist(), strict=True)
        )
    store.close()
    return found


def same(found: Points, expected: Points) -> None:
    assert found.keys() == expected.keys()
    for series, points in expected.items():
        np.testing.assert_array_equal(np.array(found[series]), np.array(points))


async def test_csv_has_every_point_exactly(client: httpx.AsyncClient, run_dir: Path) -> None:
    rows = csv.DictReader(io.StringIO((await exported(client, "csv")).decode()))
    found: Points = {}
    for row in rows:
        point = float(row["step"]), float(row["time"]), float(row["value"])
        found.setdefault((row["metric"], row["rank"]), []).append(point)
    expected = logged(run_dir)
    expected["'=1+1", "0"] = expected.pop(("=1+1", "0"))  # no spreadsheet takes it for a formula
    assert len(expected) == 6
    assert len(expected["loss", "0"]) == NUM_STEPS + 1
    same(found, expected)


async def test_parquet_has_every_point_exactly(client: httpx.AsyncClient, run_dir: Path) -> None:
    table = pq.read_table(io.BytesIO(await exported(client, "parquet")))
    assert table.schema.field("time").type == pa.timestamp("us", tz="UTC")
    assert table.column_names == ["metric", "rank", "step", "time", "value"]
    found: Points = {}
    columns = [table[name].to_pylist() for name in ("metric", "rank", "step", "value")]
    times = table["time"].cast(pa.int64()).to_pylist()
    for metric, rank, step, value, time in zip(*columns, times, strict=True):
        found.setdefault((metric, rank), []).append((step, time / 1e6, value))
    same(found, logged(run_dir))


async def test_tensorboards_file_has_every_point_of_the_code(
    client: httpx.AsyncClient, run_dir: Path, tmp_path: Path
) -> None:
    with zipfile.ZipFile(io.BytesIO(await exported(client, "tensorboard"))) as archive:
        assert archive.testzip() is None
        (name,) = archive.namelist()
        archive.extractall(tmp_path)
    assert name == f"digits-3/events.out.tfevents.1767225600.{ID}"
    run = tensorboard.read(tmp_path / "digits-3", "again")
    expected = logged(run_dir)
    del expected["system/memory_mib", "system"]
    tags = {(key if rank == "0" else f"{key}/rank {rank}"): each for (key, rank), each in expected.items()}
    assert run.metrics.keys() == tags.keys()
    for tag, points in tags.items():
        steps, times, values = np.array(points).T
        np.testing.assert_array_equal(run.metrics[tag].steps, steps)
        np.testing.assert_array_equal(run.metrics[tag].times, times)
        np.testing.assert_array_equal(run.metrics[tag].values, values.astype(np.float32))


async def test_a_training_without_points_is_a_file_that_says_so(
    trainings: OneTraining, client: httpx.AsyncClient, tmp_path: Path
) -> None:
    empty = tmp_path / "empty"
    empty.mkdir()
    trainings.__init__(empty)  # type: ignore[misc]
    assert await exported(client, "csv") == b"metric,rank,step,time,value\n"
    assert pq.read_table(io.BytesIO(await exported(client, "parquet"))).num_rows == 0
    assert zipfile.ZipFile(io.BytesIO(await exported(client, "tensorboard"))).testzip() is None


async def test_points_come_in_pieces_of_bounded_size(trainings: OneTraining, run_dir: Path) -> None:
    sizes = []
    async for piece in reading.pieces(lambda: trainings.points(ID)):
        sizes.append(sum(len(part.values) for part in piece))
    assert max(sizes) <= PIECE_POINTS
    assert sum(sizes) == sum(map(len, logged(run_dir).values()))


async def test_what_the_engine_lacks_is_said_before_anything_is_sent(
    client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, trainings: OneTraining, tmp_path: Path
) -> None:
    path = f"/native/trainings/{ID}/exports"
    found = (await client.get(path)).json()["exports"]
    assert {each["format"]: each["file"] for each in found} == {
        "csv": "digits-3.csv",
        "parquet": "digits-3.parquet",
        "tensorboard": "digits-3.tensorboard.zip",
    }
    assert [each["why_not"] for each in found] == [None] * 3
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    found = {each["format"]: each["why_not"] for each in (await client.get(path)).json()["exports"]}
    assert (found["csv"], found["tensorboard"]) == (None, None)
    refused = await client.get(f"{path}/parquet")
    assert (refused.status_code, refused.json()["detail"]) == (501, found["parquet"])
    assert "needs pyarrow" in found["parquet"]
    assert f"{sys.executable} -m pip install pyarrow" in found["parquet"]
    assert "\n" not in found["parquet"]
    monkeypatch.setattr(segment_file, "is_loaded", lambda: False)  # then not even what is sealed can be read
    refused = await client.get(f"{path}/csv")
    assert refused.status_code == 501
    assert refused.json()["detail"].startswith("Reading the stored points of this training needs pyarrow")


async def test_what_is_asked_wrongly_is_refused_by_name(client: httpx.AsyncClient) -> None:
    refused = await client.get(f"/native/trainings/{ID}/exports/xlsx")
    assert refused.status_code == 422
    assert refused.json()["detail"] == "format='xlsx' is none of csv, parquet, tensorboard."
    assert (await client.get("/native/trainings/nobody/exports/csv")).status_code == 404
    assert (await client.get("/native/trainings/nobody/exports")).status_code == 404


async def test_a_file_is_called_as_the_training_is_as_far_as_a_disk_takes_that(
    client: httpx.AsyncClient, trainings: OneTraining
) -> None:
    for name, disposition in (
        ("digits #3", 'attachment; filename="digits-3.csv"'),
        ('a"b\r\nSet-Cookie: x', 'attachment; filename="a-b-Set-Cookie-x.csv"'),
        ("../../etc", 'attachment; filename="etc.csv"'),
        ("///", 'attachment; filename="training.csv"'),
        ("日本", "attachment; filename*=utf-8''%E6%97%A5%E6%9C%AC.csv"),
    ):
        trainings.name = name
        answer = await client.head(f"/native/trainings/{ID}/exports/csv")
        assert (answer.headers["content-disposition"], answer.content) == (disposition, b"")
        assert len(file_stem(name * 1000)) <= 100


async def test_who_leaves_early_leaves_nothing_open(
    trainings: OneTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed = []

    async def watched(store_of: Callable[[], Awaitable[RunStore]]) -> AsyncGenerator[list[Stretch]]:
        async with contextlib.aclosing(reading.pieces(store_of)) as found:
            try:
                async for piece in found:
                    yield piece
            finally:
                closed.append(True)

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Message) -> None:
        if message["type"] == "http.response.body" and b"=1+1" in message["body"]:
            raise OSError("the client has gone")

    monkeypatch.setattr(exports, "pieces", watched)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "method": "GET",
        "path_params": {"id": ID, "format": "csv"},
        "headers": [],
        "query_string": b"",
    }
    answer = await ExportsAPI(trainings).export(Request(scope))  # type: ignore[arg-type]
    with pytest.raises(ClientDisconnect):
        await answer(scope, receive, send)
    assert closed == [True]
    assert trainings.num_asked == 2  # for what there is, and for one piece of it


async def test_a_training_that_is_deleted_meanwhile_breaks_the_file_off(trainings: OneTraining) -> None:
    async with contextlib.aclosing(reading.pieces(lambda: trainings.points(ID))) as found:
        await anext(found)
        trainings.is_deleted = True
        with pytest.raises(Problem) as raised:
            await anext(found)
    assert raised.value.status == 404
