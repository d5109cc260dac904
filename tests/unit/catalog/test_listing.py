"""Lists of trainings: found, sorted, counted and labelled without reading what is not shown."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_ext.client.trainings.listing import best_of, is_lower_better
from jupyter_ext.engine.catalog import catalog as catalog_module
from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.catalog.query import Counts, ListQuery, Sort, read_page
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Extremes

STATUSES = ("succeeded", "failed", "canceled", "processing")


@pytest_asyncio.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite")
    await opened.open()
    for number in range(40):
        await opened.put_training(f"t{number:02}", **training(number))
    yield opened
    await opened.close()


def training(number: int, **changes: Any) -> dict[str, Any]:
    loss = {"step": 1, "value": 40.0 - number, "time": 0.0}
    resource = {
        "id": f"t{number:02}",
        "input": {"lr": number % 4 / 10, "opt": "adam" if number % 2 else "sgd", "layers": [1, 2]},
        "last": {"loss": loss if number else {**loss, "value": "NaN"}},
        "extremes": {"loss": {"min": float(number), "max": 50.0}},
        "tags": ["Big"] if number == 7 else [],
    }
    return {
        "name": f"Digits-{number % 3}",
        "model": "local/digits",
        "version": "f" * 64,
        "status": STATUSES[number % 4],
        "created_at": f"2026-01-01T00:00:{number:02}.000Z",
        "started_at": "2026-01-01T01:00:00.000Z",
        "completed_at": f"2026-01-01T01:{number:02}:00.000Z",
        "resource": resource,
        **changes,
    }


async def ids(catalog: Catalog, **query: Any) -> list[str]:
    sort = Sort.parse(query.pop("sort", "-created_at"))
    rows, _counts = await catalog.page(ListQuery(sort=sort, **query))
    return [row["id"] for row in rows]


async def test_pages_have_no_gaps_and_say_how_many_there_are(catalog: Catalog) -> None:
    expected = [f"t{number:02}" for number in reversed(range(40))]
    pages = [await ids(catalog, limit=7, offset=offset) for offset in range(0, 42, 7)]
    assert [id_ for page in pages for id_ in page] == expected
    assert await ids(catalog, sort="created_at", limit=3) == ["t00", "t01", "t02"]
    _rows, counts = await catalog.page(ListQuery(statuses=("failed",), limit=1))
    assert counts == dict.fromkeys(STATUSES, 10), "counts are of all statuses, whichever is shown"


async def test_a_text_is_found_in_name_id_and_tags(catalog: Catalog) -> None:
    assert len(await ids(catalog, text="digits-1")) == 13
    assert await ids(catalog, text="T07") == ["t07"]
    assert await ids(catalog, text="big") == ["t07"]
    assert await ids(catalog, text="digits-1\nt") == (await ids(catalog, text="digits-1"))
    assert await ids(catalog, text="% _") == []
    assert await ids(catalog, text="digits-1", statuses=("failed",), limit=2) == ["t37", "t25"]


@pytest.mark.parametrize(
    ("sort", "first"),
    [
        ("-min:loss", "t39"),
        ("min:loss", "t00"),
        ("last:loss", "t39"),
        ("-last:loss", "t01"),
        ("-input:lr", "t39"),
        ("input:opt", "t39"),
        ("duration", "t00"),
        ("-duration", "t39"),
        ("name", "t39"),
        ("-name", "t38"),
        ("id", "t00"),
        ("status", "t38"),
        ("last:nothing", "t39"),
    ],
)
async def test_any_column_sorts_and_what_lacks_a_value_comes_last(
    catalog: Catalog, sort: str, first: str
) -> None:
    found = await ids(catalog, sort=sort, limit=100)
    assert (found[0], len(found)) == (first, 40)
    if sort.endswith("last:loss"):
        assert found[-1] == "t00", "NaN is no place to begin"


async def test_an_unknown_sort_is_named() -> None:
    for text in ("lr", "-", "best:loss", "last:", "name; DROP TABLE trainings"):
        with pytest.raises(ValueError, match="sort="):
            Sort.parse(text)
    assert Sort.parse("-max:a:b") == Sort("", "max", "a:b", True)


async def test_labels_stay_when_the_training_is_put_again(catalog: Catalog) -> None:
    await catalog.set_labels("t03", "Digits-0", ["good", "émile"], "a note")
    await catalog.put_training("t03", **training(3, status="canceled"))
    row = await catalog.get_training("t03")
    assert row is not None
    assert (row["resource"]["tags"], row["resource"]["notes"]) == (["good", "émile"], "a note")
    assert await ids(catalog, text="ÉMILE") == ["t03"]


async def test_a_deleted_training_leaves_nothing(catalog: Catalog, tmp_path: Path) -> None:
    await catalog.delete_training("t03")
    assert await catalog.get_training("t03") is None
    assert len(await ids(catalog, limit=100)) == 39
    with sqlite3.connect(tmp_path / "catalog.sqlite") as db:
        assert db.execute("SELECT count(*) FROM training_values WHERE id = 't03'").fetchone() == (0,)
    db.close()


def plans(path: Path, query: ListQuery) -> list[str]:
    """Return how SQLite counts, and how it finds the page."""
    seen: list[str] = []
    with contextlib.closing(sqlite3.connect(path / "catalog.sqlite")) as db:
        db.row_factory = sqlite3.Row
        db.set_trace_callback(seen.append)
        read_page(db, query, Counts())
        db.set_trace_callback(None)
        narrow = [text for text in seen if "INDEXED BY" in text]
        return [
            " ".join(row["detail"] for row in db.execute(f"EXPLAIN QUERY PLAN {text}")) for text in narrow
        ]


@pytest.mark.parametrize(
    ("query", "counting", "finding"),
    [
        (ListQuery(limit=2), "trainings_counts", "trainings_listing"),
        (
            ListQuery(text="digits", statuses=("failed",), limit=2),
            "trainings_texts",
            "trainings_listing",
        ),
        (ListQuery(sort=Sort.parse("name"), limit=2), "trainings_counts", "trainings_by_name"),
        (ListQuery(sort=Sort.parse("min:loss"), limit=0), "trainings_counts", "trainings_kinds"),
    ],
)
async def test_a_page_reads_narrow_indexes_only(
    catalog: Catalog, tmp_path: Path, query: ListQuery, counting: str, finding: str
) -> None:
    found = plans(tmp_path, query)
    assert len(found) == 2, found
    assert f"COVERING INDEX {counting}" in found[0]
    assert f"COVERING INDEX {finding}" in found[1]
    if not query.text:  # with a text, trials count too
        assert "TEMP B-TREE" not in found[0]
    if query.sort.source is None:
        assert "TEMP B-TREE" not in found[1], "no sorting is needed"


@pytest.mark.parametrize("text", ["", "digits"])
@pytest.mark.parametrize("sort", ["created_at", "-created_at"])
async def test_pages_from_either_end_make_the_whole_list(catalog: Catalog, text: str, sort: str) -> None:
    def page(limit: int, offset: int) -> Any:
        return ids(catalog, text=text, sort=sort, limit=limit, offset=offset)

    whole = await page(1_000, 0)
    assert len(whole) > 5
    for limit in (1, 3, 7):
        pages = [await page(limit, offset) for offset in range(0, len(whole), limit)]
        assert [id for ids_ in pages for id in ids_] == whole
    assert await page(7, len(whole)) == []
    assert await page(7, len(whole) + 100) == []


async def test_counts_are_as_new_as_the_page(catalog: Catalog) -> None:
    for expected in (40, 39, 38):
        _, counts = await catalog.page(ListQuery(limit=1))
        assert sum(counts.values()) == expected
        _, fitting = await catalog.page(ListQuery(text="digits-1", limit=1))
        assert sum(fitting.values()) == len(await ids(catalog, text="digits-1", limit=100))
        await catalog.delete_training((await ids(catalog, limit=1))[0])


async def test_a_catalog_of_the_first_version_is_brought_along(tmp_path: Path) -> None:
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript(catalog_module.MIGRATIONS[0] + "; PRAGMA user_version = 1;")
        resource = '{"input":{"lr":0.1,"x":[1]},"last":{"loss":{"step":1,"value":2.5},"bad":{"value":"NaN"}}}'
        row = ("t1", "Old", "local/o", "f", "failed", "2026-01-01T00:00:00.000Z", None, None, "x", resource)
        db.execute(f"INSERT INTO trainings VALUES ({', '.join('?' * 10)})", row)
    db.close()
    opened = Catalog(path)
    await opened.open()
    try:
        assert await ids(opened, text="old") == ["t1"]
        found = await opened.get_training("t1")
        assert found is not None
        assert (found["resource"]["tags"], found["resource"]["notes"]) == ([], "")
    finally:
        await opened.close()
    with sqlite3.connect(path) as db:
        values = db.execute("SELECT source, key, value FROM training_values ORDER BY 1").fetchall()
    db.close()
    assert values == [("input", "lr", 0.1), ("last", "loss", 2.5)]


def test_labels_are_cleaned_kept_and_refused(tmp_path: Path) -> None:
    labels = Labels().changed([" a  b ", "a b", "", "c"], "note")
    assert labels == Labels(("a b", "c"), "note")
    labels.write(tmp_path)
    assert Labels.read(tmp_path) == labels
    assert labels.changed(notes="") == Labels(("a b", "c"), "")
    for tags in ("text", [1], ["a,b"], ["x" * 65], [str(n) for n in range(33)]):
        with pytest.raises(Problem):
            labels.changed(tags)
    with pytest.raises(Problem):
        labels.changed(notes=3)
    (tmp_path / "labels.json").write_text("[]")
    assert Labels.read(tmp_path) == Labels()


@pytest.mark.parametrize(
    "key", ["loss", "train/loss", "val_loss", "eval.Perplexity", "mse", "word_error", "L1Loss"]
)
def test_what_is_like_a_loss_is_best_when_small(key: str) -> None:
    assert is_lower_better(key)
    assert best_of(key, Extremes(min=1, max=2)) == 1


@pytest.mark.parametrize("key", ["accuracy", "val/acc", "f1", "lossless_ratio", "reward", "terror_index"])
def test_everything_else_is_best_when_large(key: str) -> None:
    assert best_of(key, Extremes(min=1, max=2)) == 2
