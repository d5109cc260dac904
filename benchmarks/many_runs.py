"""An engine with 10,000 stored runs: how quickly it answers, and how much memory it takes.

The peers are an engine without runs, a request that reads nothing, and SQLite itself: one row by its key, out of the same
file, in this process.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import psutil

from benchmarks.support.own_engine import own_engine, stop
from benchmarks.support.rows import Row, at_most, median, percentile
from benchmarks.support.scale import scaled
from jupyter_ext.config import Locations, locations
from jupyter_ext.engine.catalog.query import put_values, values_of
from jupyter_ext.engine_process import discovery

NUM_RUNS = scaled(10_000, 200)
ROUNDS = scaled(100, 2)
STARTS = scaled(5, 1)
PAGE = 50
LISTS = {
    "newest": "",
    "by text": "&q=run-7",
    "by status": "&status=failed",
    "sorted by best loss": "&sort=min:train/loss",
    "sorted by name": "&sort=name",
    "last page": f"&offset={NUM_RUNS - PAGE}",
}


def fill(catalog: Path, num_runs: int = NUM_RUNS) -> str:
    """Put ended runs into a catalog that no engine holds; return the id of one."""
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    with sqlite3.connect(catalog) as db:
        for number in range(num_runs):
            put(db, number, begin + timedelta(minutes=number))
    db.close()
    return f"run{num_runs - 1:023d}"


def put(db: sqlite3.Connection, number: int, begin: datetime) -> None:
    """Put one run as an engine would."""
    id_, name = f"run{number:023d}", f"run-{number % 20}"
    at = [(begin + timedelta(seconds=s)).isoformat(timespec="milliseconds")[:-6] + "Z" for s in (0, 1, 30)]
    keys = ("train/loss", "test/loss", "test/accuracy", "lr")
    status = "failed" if number % 10 == 0 else "succeeded"
    training = {
        "id": id_,
        "model": "local/run",
        "version": f"{number % 50:064x}",
        "status": status,
        "input": {"lr": 1e-4 * (number % 31), "epochs": 5, "optimizer": "adam", "seed": number},
        "created_at": at[0],
        "started_at": at[1],
        "completed_at": at[2],
        "urls": {"get": f"/v1/trainings/{id_}", "cancel": f"/v1/trainings/{id_}/cancel"},
        "name": name,
        "last": {key: {"step": 5000, "value": number * 1.0, "time": 1.7e9} for key in keys},
        "extremes": {key: {"min": number * 7919 % NUM_RUNS, "max": 1e5} for key in keys},
        "captured": [{"name": "Model", "type": "type", "bytes": 4000}],
    }
    columns = (
        "id, name, model, version, status, created_at, started_at, completed_at, updated_at, resource, search"
    )
    row = (
        id_,
        name,
        "local/run",
        training["version"],
        status,
        *at,
        at[2],
        json.dumps(training),
        f"{name}\n{id_}",
    )
    db.execute(f"INSERT INTO trainings ({columns}) VALUES ({', '.join('?' * len(row))})", row)
    put_values(db, id_, values_of(id_, training))


def asked(client: httpx.Client, path: str) -> list[float]:
    """Return the milliseconds of each of many answers."""
    took = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        client.get(path).raise_for_status()
        took.append(1000 * (time.perf_counter() - began))
    return took


def by_key(path: Path, id_: str) -> list[float]:
    """Return the milliseconds of reading one row by its key in this process."""
    took = []
    with sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True) as db:
        for _ in range(ROUNDS):
            began = time.perf_counter()
            json.loads(db.execute("SELECT resource FROM trainings WHERE id = ?", (id_,)).fetchone()[0])
            took.append(1000 * (time.perf_counter() - began))
    db.close()
    return took


def start_times(filled: Locations, empty: Locations) -> Iterator[tuple[float, float]]:
    """Return the seconds from asking for an engine to its answer, with runs and without, in turns. The last one with runs stays."""
    for _ in range(STARTS):
        stop(filled)
        took = []
        for where in (empty, filled):
            began = time.perf_counter()
            discovery.ensure(where=where)
            took.append(time.perf_counter() - began)
            stop(empty)
        yield took[1], took[0]


def run() -> Iterator[Row]:
    """Measure in directories of its own."""
    with own_engine() as directory:
        yield from measure(directory)


def measure(directory: Path) -> Iterator[Row]:
    """Measure everything."""
    where = locations()
    discovery.ensure()
    stop()
    id_ = fill(where.catalog)
    starts = list(start_times(where, Locations(directory / "empty", directory / "empty-run")))
    filled, empty = (median(took) for took in zip(*starts, strict=True))
    yield Row("engine start with 10,000 runs", filled, "s", "with none", empty, at_most(1.2))
    found = discovery.ensure()
    with httpx.Client(
        transport=httpx.HTTPTransport(uds=found.socket_path), base_url="http://engine"
    ) as client:
        yield from requests(client, where.catalog, id_)
    memory = psutil.Process(found.info["pid"]).memory_info().rss / 2**20
    yield Row("engine with 10,000 runs, resident", memory, "MiB", goal=at_most(80, "MiB"))


def requests(client: httpx.Client, catalog: Path, id_: str) -> Iterator[Row]:
    """Measure requests beside what each needs at least: a plain request, and its rows out of SQLite."""
    plain, row = median(asked(client, "/native/engine")), median(by_key(catalog, id_))
    yield Row("a plain request to it, p50", plain, "ms", "SQLite, one row", row)
    got = asked(client, f"/native/trainings/{id_}")
    peer, floor = "a plain request, one row", plain + row
    yield Row("get one of 10,000 runs, p50", median(got), "ms", peer, floor, at_most(3))
    yield Row("get one of 10,000 runs, p99", percentile(got, 0.99), "ms", peer, floor)
    peer, floor = f"a plain request, {PAGE} rows", plain + PAGE * row
    for name, query in LISTS.items():
        took = asked(client, f"/native/trainings?limit={PAGE}{query}")
        label = f"list {PAGE} of 10,000, {name}"
        yield Row(f"{label}, p50", median(took), "ms", peer, floor, at_most(3))
        yield Row(f"{label}, p99", percentile(took, 0.99), "ms", peer, floor)
