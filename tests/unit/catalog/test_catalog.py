from __future__ import annotations

import asyncio
import errno
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from jupyter_ext.engine.catalog.catalog import MIGRATIONS, Catalog
from jupyter_ext.engine.catalog.database import Database, DatabaseInUse, DatabaseTooNew
from jupyter_ext.engine.common import health
from jupyter_ext.engine.common.paging import Cursor


@pytest_asyncio.fixture
async def catalog(tmp_path: Path) -> AsyncIterator[Catalog]:
    opened = Catalog(tmp_path / "catalog.sqlite")
    await opened.open()
    yield opened
    await opened.close()


def training(number: int, **changes: Any) -> dict[str, Any]:
    return {
        "name": f"run {number}",
        "model": "local/mnist",
        "version": "f" * 64,
        "status": "succeeded" if number % 2 else "processing",
        "created_at": f"2026-01-01T00:00:{number // 3:02}.000Z",
        "resource": {"id": f"t{number:02}", "last": {"loss": {"value": "NaN"}}, "name": "ü"},
        **changes,
    }


async def put(catalog: Catalog, numbers: range) -> None:
    for number in numbers:
        await catalog.put_training(f"t{number:02}", **training(number))


async def test_a_training_is_kept_and_replaced(catalog: Catalog) -> None:
    assert await catalog.is_empty()
    await catalog.put_training("t01", **training(1))
    row = await catalog.get_training("t01")
    assert row is not None
    assert row["resource"] == training(1)["resource"] | {"tags": [], "notes": ""}
    assert row["started_at"] is None
    await catalog.put_training("t01", **training(1, status="failed", started_at="2026-01-01T00:00:09.000Z"))
    changed = await catalog.get_training("t01")
    assert changed is not None
    assert (changed["status"], changed["started_at"]) == ("failed", "2026-01-01T00:00:09.000Z")
    assert changed["updated_at"] >= row["updated_at"]
    assert not await catalog.is_empty()
    assert await catalog.get_training("t02") is None


async def test_lists_are_newest_first_and_paged_without_gaps(catalog: Catalog) -> None:
    await put(catalog, range(20))
    expected = [f"t{number:02}" for number in reversed(range(20))]
    assert [row["id"] for row in await catalog.list_trainings()] == expected
    seen, cursor = [], None
    while page := await catalog.list_trainings(limit=3, cursor=cursor):
        seen += [row["id"] for row in page]
        cursor = Cursor((page[-1]["created_at"], page[-1]["id"]))
    assert seen == expected
    back = await catalog.list_trainings(
        limit=3, cursor=Cursor(("2026-01-01T00:00:02.000Z", "t05"), newer=True)
    )
    assert [row["id"] for row in back] == ["t08", "t07", "t06"]
    odd = await catalog.list_trainings(
        status="succeeded", limit=4, cursor=Cursor(("2026-01-01T00:00:05.000Z", "t15"))
    )
    assert [row["id"] for row in odd] == ["t13", "t11", "t09", "t07"]


async def test_versions_and_settings(catalog: Catalog) -> None:
    await catalog.put_version(
        "a" * 64, model="local/m", created_at="2026-01-01T00:00:00.000Z", manifest={"kind": "cell"}
    )
    await catalog.put_version("a" * 64, model="other", created_at="later", manifest={})
    version = await catalog.get_version("a" * 64)
    assert version is not None
    assert (version["model"], version["manifest"]) == ("local/m", {"kind": "cell"})
    assert await catalog.get_version("b" * 64) is None
    await catalog.set_meta("theme", "dark")
    await catalog.set_meta("theme", "light")
    assert await catalog.get_meta("theme") == "light"
    assert await catalog.get_meta("none") is None


async def test_everything_is_there_after_reopening(tmp_path: Path) -> None:
    first = Catalog(tmp_path / "catalog.sqlite")
    await first.open()
    assert first.needs_rebuild
    await first.mark_rebuilt()
    await put(first, range(5))
    await first.close()
    assert not (tmp_path / "catalog.sqlite-wal").exists()
    second = Catalog(tmp_path / "catalog.sqlite")
    await second.open()
    assert not second.needs_rebuild
    assert len(await second.list_trainings()) == 5
    await second.close()


async def test_writes_at_once_are_all_kept(catalog: Catalog) -> None:
    await asyncio.gather(*(catalog.put_training(f"t{n:02}", **training(n)) for n in range(60)))
    assert len(await catalog.list_trainings()) == 60


async def test_a_second_opener_is_told_who_holds_it(catalog: Catalog, tmp_path: Path) -> None:
    second = Catalog(tmp_path / "catalog.sqlite")
    with pytest.raises(
        DatabaseInUse, match=rf"catalog\.sqlite is held by process {os.getpid()}; use or stop"
    ):
        await second.open()
    await second.close()
    await put(catalog, range(1))


async def test_the_lock_goes_with_its_process(tmp_path: Path) -> None:
    code = """
import asyncio, os, signal, sys
from pathlib import Path
from jupyter_ext.engine.catalog.catalog import Catalog
async def main():
    catalog = Catalog(Path(sys.argv[1]))
    await catalog.open()
    await catalog.put_training("t00", name="n", model="m", version="v", status="processing", created_at="c", resource={})
    os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""
    path = tmp_path / "catalog.sqlite"
    assert subprocess.run([sys.executable, "-c", code, path]).returncode == -9
    catalog = Catalog(path)
    await catalog.open()
    assert [row["id"] for row in await catalog.list_trainings()] == ["t00"]
    assert catalog.corrupt_path is None
    await catalog.close()


@pytest.mark.parametrize("damage", ["not a database", "middle"])
async def test_a_corrupt_file_is_moved_aside(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "catalog.sqlite"
    if damage == "middle":
        first = Catalog(path)
        await first.open()
        await first.mark_rebuilt()
        await put(first, range(50))
        await first.close()
        data = bytearray(path.read_bytes())
        data[4096:] = b"\xa5" * (len(data) - 4096)
        path.write_bytes(data)
    else:
        path.write_bytes(b"not a database" * 500)
    before = path.read_bytes()
    catalog = Catalog(path)
    await catalog.open()
    assert catalog.needs_rebuild
    assert await catalog.is_empty()
    assert catalog.corrupt_path is not None
    assert catalog.corrupt_path.name.startswith("catalog.corrupt-")
    assert catalog.corrupt_path.suffix == ".sqlite"
    assert catalog.corrupt_path.read_bytes()[4096:] == before[4096:]
    await put(catalog, range(1))
    await catalog.close()


async def test_tables_of_a_newer_version_are_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    connection = sqlite3.connect(path)
    connection.execute("PRAGMA user_version = 99")
    connection.close()
    catalog = Catalog(path)
    with pytest.raises(DatabaseTooNew, match=r"tables of version 99, this jupyter-ext knows \d+; upgrade"):
        await catalog.open()
    await catalog.close()
    assert path.exists()


async def test_migrations_are_applied_once_and_whole(tmp_path: Path) -> None:
    path = tmp_path / "catalog.sqlite"
    first = Database(path, MIGRATIONS)
    await first.open()
    await first.write(lambda db: db.execute("INSERT INTO meta VALUES ('a', '1')"))
    await first.close()
    broken = Database(path, (*MIGRATIONS, "CREATE TABLE new (x); CREATE TABLE new (x)"))
    with pytest.raises(sqlite3.OperationalError, match="already exists"):
        await broken.open()
    await broken.close()
    second = Database(path, (*MIGRATIONS, "CREATE TABLE new (x)", "INSERT INTO new VALUES (1)"))
    await second.open()
    assert (await second.read(lambda db: db.execute("SELECT count(*) FROM new").fetchone()))[0] == 1
    assert (await second.read(lambda db: db.execute("PRAGMA user_version").fetchone()))[0] == len(
        MIGRATIONS
    ) + 2
    await second.close()


async def test_an_exception_undoes_a_write_and_the_reader_cannot_write(tmp_path: Path) -> None:
    database = Database(tmp_path / "catalog.sqlite", MIGRATIONS)
    await database.open()

    def half(db: sqlite3.Connection) -> None:
        db.execute("INSERT INTO meta VALUES ('a', '1')")
        raise KeyError("half")

    with pytest.raises(KeyError):
        await database.write(half)
    assert await database.read(lambda db: db.execute("SELECT * FROM meta").fetchall()) == []
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        await database.read(lambda db: db.execute("INSERT INTO meta VALUES ('a', '1')"))
    await database.close()


async def test_closing_leaves_no_thread_or_descriptor(tmp_path: Path) -> None:
    threads, descriptors = threading.active_count(), len(os.listdir("/proc/self/fd"))
    catalog = Catalog(tmp_path / "catalog.sqlite")
    await catalog.open()
    await put(catalog, range(2))
    await catalog.close()
    assert (threading.active_count(), len(os.listdir("/proc/self/fd"))) == (threads, descriptors)


@pytest.mark.parametrize("code", [errno.EROFS, errno.ENOSPC, errno.EDQUOT, errno.EIO])
async def test_a_disk_that_takes_nothing_leaves_a_catalog_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    def refuse(self: Database) -> None:
        raise OSError(code, os.strerror(code), str(tmp_path / "catalog.sqlite.lock"))

    monkeypatch.setattr(Database, "_lock", refuse)
    monkeypatch.setattr(health, "_lines", {})
    catalog = Catalog(tmp_path / "catalog.sqlite")
    await catalog.open()
    assert catalog.needs_rebuild
    assert os.strerror(code) in "".join(health.lines())
    await put(catalog, range(2))
    assert not await catalog.is_empty()
    await catalog.close()


async def test_a_catalog_whose_disk_fills_up_while_it_is_read_in_begins_anew_in_memory(
    catalog: Catalog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "_lines", {})
    await put(catalog, range(2))
    for _ in range(2):  # a second refusal changes nothing
        await catalog.move_to_memory("full")
        assert catalog.needs_rebuild
        assert await catalog.is_empty()
        await put(catalog, range(3))
        assert len(await catalog.training_ids()) == 3
