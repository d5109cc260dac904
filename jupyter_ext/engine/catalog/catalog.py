"""The catalog of trainings and versions: what can be listed and found without looking into run directories.

Rule: it is an index. Run directories are the truth, and everything here can be made anew from them; after a loss
`needs_rebuild` says so until `mark_rebuilt`.
"""

from __future__ import annotations

import json
import logging
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import pydantic_core

from jupyter_ext.engine.catalog import query as listing
from jupyter_ext.engine.catalog.database import Database, DatabaseNotUsable
from jupyter_ext.engine.catalog.rows import TrainingRow, VersionItem, VersionRow
from jupyter_ext.engine.common import health
from jupyter_ext.engine.common.paging import Cursor
from jupyter_ext.ipc.json_types import JsonValue
from jupyter_ext.ipc.json_values import dump

log = logging.getLogger(__name__)

MIGRATIONS = (
    """
    CREATE TABLE trainings (
        id TEXT PRIMARY KEY,
        name TEXT NOT NULL,
        model TEXT NOT NULL,
        version TEXT NOT NULL,
        status TEXT NOT NULL,
        created_at TEXT NOT NULL,
        started_at TEXT,
        completed_at TEXT,
        updated_at TEXT NOT NULL,
        resource TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE INDEX trainings_by_age ON trainings (created_at DESC, id DESC);
    CREATE INDEX trainings_by_status ON trainings (status, created_at DESC, id DESC);
    CREATE TABLE versions (
        id TEXT PRIMARY KEY,
        model TEXT NOT NULL,
        created_at TEXT NOT NULL,
        manifest TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    """,
    """
    ALTER TABLE trainings ADD COLUMN kind TEXT NOT NULL DEFAULT 'training';
    CREATE INDEX trainings_by_kind ON trainings (kind, created_at DESC, id DESC);
    CREATE INDEX trainings_by_model ON trainings (model);
    CREATE INDEX versions_by_model ON versions (model, created_at DESC, id DESC);
    """,
    listing.MIGRATION,
    listing.COUNTS_MIGRATION,
    listing.ORDERS_MIGRATION,
)
_REBUILT = "rebuilt_at"


class Catalog:
    """The catalog. Times are RFC 3339 UTC texts of one format, so that they sort.

    Args:
        path: The SQLite file.
    """

    def __init__(self, path: Path) -> None:
        self._database = Database(path, MIGRATIONS)
        self._counts = listing.Counts()
        self.needs_rebuild = False

    @property
    def corrupt_path(self) -> Path | None:
        """Where a corrupt catalog was moved to when this one was opened, or `None`."""
        return self._database.corrupt_path

    async def open(self) -> None:
        """Open; see `Database.open` for what it raises. Where the disk takes nothing, the catalog is made anew in memory."""
        try:
            await self._database.open()
        except DatabaseNotUsable as error:
            await self.move_to_memory(str(error))
        self.needs_rebuild = await self.get_meta(_REBUILT) is None

    async def move_to_memory(self, why: str) -> None:
        """Have an empty catalog in memory instead of the one whose disk takes nothing; it is to be filled from the directories."""
        log.error("the catalog is kept in memory: %s", why)
        until = "Until then what there is can be looked at and deleted; nothing new is kept or started."
        health.report("catalog", f"{why} {until}")
        await self._database.open_in_memory()
        self.needs_rebuild = True

    async def close(self) -> None:
        """Close, for good."""
        await self._database.close()

    async def is_empty(self) -> bool:
        """Tell whether there is no training."""
        return await self._database.read(
            lambda db: db.execute("SELECT 1 FROM trainings LIMIT 1").fetchone() is None
        )

    async def mark_rebuilt(self) -> None:
        """Say that all run directories are in the catalog."""
        await self.set_meta(_REBUILT, _now())
        self.needs_rebuild = False

    async def put_training(
        self,
        id: str,
        *,
        name: str,
        model: str,
        version: str,
        status: str,
        created_at: str,
        started_at: str | None = None,
        completed_at: str | None = None,
        kind: str = "training",
        resource: Mapping[str, object],
    ) -> None:
        """Insert or replace a training; one that is there keeps its tags and notes (see `set_labels`).

        Args:
            id: Its id.
            name: What the user called it.
            model: Owner and name.
            version: Id of the version it runs.
            status: One of Replicate's statuses.
            created_at: RFC 3339 UTC.
            started_at: RFC 3339 UTC, or `None`.
            completed_at: RFC 3339 UTC, or `None`.
            kind: `training`, `prediction`, or `trial` of a sweep, which a list does not show among the trainings.
            resource: The whole training as JSON.
        """
        indexed = cast("listing.Indexed", resource)
        tags, notes = listing.tags_of(indexed), str(indexed.get("notes") or "")
        row = {
            "id": id,
            "name": name,
            "model": model,
            "version": version,
            "status": status,
            "created_at": created_at,
            "started_at": started_at,
            "completed_at": completed_at,
            "updated_at": _now(),
            "resource": _to_json(resource),
            "kind": kind,
        }
        labels = {
            "tags": _to_json(tags),
            "notes": notes,
            "search": listing.search_text(id, name, tags, listing.sweep_of(indexed)),
        }
        columns = [*row, *labels]
        query = (
            f"INSERT INTO trainings ({', '.join(columns)}) VALUES ({', '.join(f':{name}' for name in columns)}) "
            f"ON CONFLICT (id) DO UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in row)}"
        )
        values = listing.values_of(id, indexed)

        def put(db: sqlite3.Connection) -> None:
            db.execute(query, row | labels)
            listing.put_values(db, id, values)

        await self._database.write(put)

    async def get_training(self, id: str) -> TrainingRow | None:
        """Return a training's row, `resource` as an object, or `None`."""
        query = "SELECT * FROM trainings WHERE id = ?"
        row = await self._database.read(lambda db: db.execute(query, (id,)).fetchone())
        return None if row is None else _from_training(row)

    async def page(self, query: listing.ListQuery) -> tuple[list[TrainingRow], dict[str, int]]:
        """Return the rows of one page, and how many fit its text in each status, whatever statuses it asks for."""
        rows, counts = await self._database.read(lambda db: listing.read_page(db, query, self._counts))
        return [_from_training(row) for row in rows], counts

    async def set_labels(self, id: str, name: str, tags: Sequence[str], notes: str) -> None:
        """Replace a training's tags and notes."""
        row = (_to_json(list(tags)), notes, listing.search_text(id, name, tags), id)
        sweep = "coalesce(char(10) || json_extract(resource, '$.sweep.id'), '')"
        query = f"UPDATE trainings SET tags = ?, notes = ?, search = ? || {sweep} WHERE id = ?"
        await self._database.write(lambda db: db.execute(query, row))

    async def delete_training(self, id: str) -> None:
        """Forget a training."""

        def delete(db: sqlite3.Connection) -> None:
            db.execute("DELETE FROM trainings WHERE id = ?", (id,))
            listing.put_values(db, id, [])

        await self._database.write(delete)

    async def training_ids(self) -> set[str]:
        """Return the ids of all trainings."""
        query = "SELECT id FROM trainings"
        return {row[0] for row in await self._database.read(lambda db: db.execute(query).fetchall())}

    async def list_trainings(
        self,
        status: str | None = None,
        limit: int = 100,
        cursor: Cursor | None = None,
        *,
        kind: str | None = "training",
        created_after: str | None = None,
        created_before: str | None = None,
    ) -> list[TrainingRow]:
        """List trainings, newest first.

        Args:
            status: Only those in this status.
            limit: At most so many.
            cursor: `created_at` and `id` of the item that the page goes on from.
            kind: `training`, `prediction`, or `None` for both.
            created_after: RFC 3339 UTC; only those made then or later.
            created_before: RFC 3339 UTC; only those made earlier.
        """
        conditions, values = ["1"], list[Any]()
        for condition, value in (
            ("status = ?", status),
            ("kind = ?", kind),
            ("created_at >= ?", created_after),
            ("created_at < ?", created_before),
        ):
            if value is not None:
                conditions.append(condition)
                values.append(value)
        condition, places, order = _from_cursor(cursor)
        query = f"SELECT * FROM trainings WHERE {' AND '.join(conditions)} {condition} {order} LIMIT ?"
        rows = await self._database.read(lambda db: db.execute(query, (*values, *places, limit)).fetchall())
        return [_from_training(row) for row in _newest_first(rows, cursor)]

    async def put_version(
        self, id: str, *, model: str, created_at: str, manifest: Mapping[str, object]
    ) -> None:
        """Insert a version; one that is there stays as it is, as its id is the hash of its content."""
        row = (id, model, created_at, _to_json(manifest))
        await self._database.write(
            lambda db: db.execute("INSERT OR IGNORE INTO versions VALUES (?, ?, ?, ?)", row)
        )

    async def list_versions(
        self, model: str, limit: int = 100, cursor: Cursor | None = None
    ) -> list[VersionItem]:
        """List a model's versions, newest first: id, model and created_at."""
        condition, places, order = _from_cursor(cursor)
        query = f"SELECT id, model, created_at FROM versions WHERE model = ? {condition} {order} LIMIT ?"
        rows = await self._database.read(lambda db: db.execute(query, (model, *places, limit)).fetchall())
        return [cast("VersionItem", dict(row)) for row in _newest_first(rows, cursor)]

    async def delete_version(self, id: str) -> None:
        """Forget a version."""
        await self._database.write(lambda db: db.execute("DELETE FROM versions WHERE id = ?", (id,)))

    async def version_models(self) -> dict[str, str]:
        """Return the models that have versions, and when each got its first."""
        query = "SELECT model, min(created_at) FROM versions GROUP BY model"
        return {row[0]: row[1] for row in await self._database.read(lambda db: db.execute(query).fetchall())}

    async def num_runs(self, model: str) -> int:
        """Count the trainings and predictions of a model's versions."""
        query = "SELECT count(*) FROM trainings WHERE model = ?"
        return int(await self._database.read(lambda db: db.execute(query, (model,)).fetchone()[0]))

    async def num_runs_of(self, version: str) -> int:
        """Count the trainings and predictions of a version."""
        query = "SELECT count(*) FROM trainings WHERE version = ?"
        return int(await self._database.read(lambda db: db.execute(query, (version,)).fetchone()[0]))

    async def get_version(self, id: str) -> VersionRow | None:
        """Return a version's row, `manifest` as an object, or `None`."""
        query = "SELECT * FROM versions WHERE id = ?"
        row = await self._database.read(lambda db: db.execute(query, (id,)).fetchone())
        return None if row is None else cast("VersionRow", {**dict(row), "manifest": _read(row["manifest"])})

    async def get_meta(self, key: str) -> str | None:
        """Return a setting, or `None`."""
        query = "SELECT value FROM meta WHERE key = ?"
        row = await self._database.read(lambda db: db.execute(query, (key,)).fetchone())
        return None if row is None else str(row["value"])

    async def set_meta(self, key: str, value: str) -> None:
        """Keep a setting."""
        await self._database.write(lambda db: db.execute("REPLACE INTO meta VALUES (?, ?)", (key, value)))


def _from_cursor(cursor: Cursor | None) -> tuple[str, Sequence[str], str]:
    """Return the condition, its values and the order that a cursor means."""
    if cursor is None:
        return "", (), "ORDER BY created_at DESC, id DESC"
    if cursor.newer:
        return "AND (created_at, id) > (?, ?)", cursor.place, "ORDER BY created_at ASC, id ASC"
    return "AND (created_at, id) < (?, ?)", cursor.place, "ORDER BY created_at DESC, id DESC"


def _newest_first(rows: list[Any], cursor: Cursor | None) -> list[Any]:
    return rows[::-1] if cursor is not None and cursor.newer else rows


def _from_training(row: sqlite3.Row) -> TrainingRow:
    resource = _read(row["resource"])
    if isinstance(resource, dict):
        tags = row["tags"]
        resource["tags"] = [] if tags == "[]" else _read(tags) or []
        resource["notes"] = row["notes"]
    return cast("TrainingRow", {**dict(row), "resource": resource})


def _to_json(value: Any) -> str:
    return dump(value).decode()


def _read(text: str) -> JsonValue:
    """Read a column's JSON; `None` where somebody has damaged it."""
    try:
        return cast("JsonValue", pydantic_core.from_json(text))
    except ValueError:  # it knows no lone surrogates
        pass
    try:
        return cast("JsonValue", json.loads(text))
    except (ValueError, RecursionError):
        return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
