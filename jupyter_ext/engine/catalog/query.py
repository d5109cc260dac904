"""How the catalog's trainings are found and sorted, quickly also when there are ten thousand.

Rule: filtering, sorting and counting read indexes and `training_values` only, which are narrow; the wide
rows are read for the page that is given, not for what is passed over.
"""

from __future__ import annotations

import math
import re
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypedDict

MIGRATION = """
    ALTER TABLE trainings ADD COLUMN tags TEXT NOT NULL DEFAULT '[]';
    ALTER TABLE trainings ADD COLUMN notes TEXT NOT NULL DEFAULT '';
    ALTER TABLE trainings ADD COLUMN search TEXT NOT NULL DEFAULT '';
    UPDATE trainings SET search = lower(name || char(10) || id);
    CREATE INDEX trainings_listing
        ON trainings (created_at DESC, id DESC, status, name, started_at, completed_at, search, kind);
    CREATE TABLE training_values (
        source TEXT NOT NULL,
        key TEXT NOT NULL,
        id TEXT NOT NULL,
        value,
        PRIMARY KEY (source, key, id)
    ) WITHOUT ROWID;
    CREATE INDEX training_values_of ON training_values (id);
    CREATE INDEX training_values_sorted ON training_values (source, key, value, id);
    INSERT INTO training_values SELECT 'input', item.key, trainings.id, item.atom
        FROM trainings, json_each(resource, '$.input') AS item WHERE item.atom IS NOT NULL;
    INSERT INTO training_values SELECT 'last', item.key, trainings.id, json_extract(item.value, '$.value')
        FROM trainings, json_each(resource, '$.last') AS item WHERE json_type(item.value, '$.value') IN ('real', 'integer');
"""
"""Version 3: labels, and what a list is sorted and searched by. The resource is JSON, see `Catalog.put_training`."""

COUNTS_MIGRATION = "CREATE INDEX trainings_counts ON trainings (kind, status);"
"""Version 4: a page tells how many there are in each status, and the narrowest index is the quickest to count in."""

ORDERS_MIGRATION = """
    CREATE INDEX trainings_kinds ON trainings (id, kind, status);
    CREATE INDEX trainings_texts ON trainings (kind, status, search);
    CREATE INDEX trainings_by_name
        ON trainings (name COLLATE NOCASE, created_at DESC, id DESC, status, search, kind);
"""
"""Version 5: what a page by a metric, by name or by a text looks at, without the wide rows."""

COLUMNS = {
    "created_at": "t.created_at",
    "name": "t.name COLLATE NOCASE",
    "id": "t.id",
    "status": "t.status",
    "duration": "julianday(coalesce(t.completed_at, 'now')) - julianday(t.started_at)",
}
_NEVER_NULL = frozenset({"name", "id", "status"})
SOURCES = ("input", "last", "min", "max")
_SORT = re.compile(rf"(-?)(?:({'|'.join(COLUMNS)})|({'|'.join(SOURCES)}):(.+))", re.DOTALL)
_MAX_VALUES = 256
"""So many inputs and metrics of one training can be sorted by."""
_MAX_TEXT_CHARS = 200
_MAX_COUNTS = 64
"""Texts whose counts are kept: somebody types, and looks through the pages of what fits."""
_FITTING = "t.kind IN ('training', 'trial') AND instr(t.search, ?)"


class Indexed(TypedDict, total=False):
    """What of a training's JSON it is found and sorted by; older versions wrote less."""

    input: Mapping[str, object] | None
    last: Mapping[str, Mapping[str, object]] | None
    extremes: Mapping[str, Mapping[str, object]] | None
    tags: Sequence[str] | None
    sweep: Mapping[str, object] | None
    notes: str | None


@dataclass(frozen=True)
class Sort:
    """What a list is sorted by: a column, or a value `source:key` of each training."""

    column: str = "created_at"
    source: str | None = None
    key: str = ""
    descending: bool = True

    @classmethod
    def parse(cls, text: str) -> Sort:
        """Read `name`, `-created_at`, `last:train/loss`, `-max:accuracy` or `input:lr`.

        Raises:
            ValueError: It is none of these.
        """
        found = _SORT.fullmatch(text)
        if found is None:
            raise ValueError(
                f"sort={text[:60]!r} is neither {', '.join(COLUMNS)} nor {', '.join(f'{s}:KEY' for s in SOURCES)}, "
                "with - before it for the largest first"
            )
        minus, column, source, key = found.groups()
        return cls(column or "", source, key or "", minus == "-")


@dataclass(frozen=True)
class ListQuery:
    """Which page of which trainings; `text` is looked for in name, id, tags and the sweep's id. Trials are found by it alone."""

    statuses: tuple[str, ...] = ()
    text: str = ""
    sort: Sort = Sort()
    limit: int = 100
    offset: int = 0


class Counts:
    """How many trainings there are in each status, counted again only after something was written."""

    def __init__(self) -> None:
        self._as_of: tuple[int, int] | None = None
        self._counts: dict[str, dict[str, int]] = {}

    def fitting(self, db: sqlite3.Connection, text: str) -> dict[str, int]:
        """Return the counts of the trainings that a text fits; without one, of all."""
        as_of = (int(db.execute("PRAGMA data_version").fetchone()[0]), db.total_changes)
        if as_of != self._as_of or len(self._counts) >= _MAX_COUNTS:
            self._counts.clear()
            self._as_of = as_of
        if text not in self._counts:
            self._counts[text] = (
                _count(db, "trainings_texts", _FITTING, [text])
                if text
                else _count(db, "trainings_counts", "t.kind = 'training'", [])
            )
        return dict(self._counts[text])


def read_page(
    db: sqlite3.Connection, query: ListQuery, known: Counts
) -> tuple[list[sqlite3.Row], dict[str, int]]:
    """Return the rows of a page in order, and the number of trainings that fit the text, by status."""
    where, text = "t.kind = 'training'", list[str]()
    if query.text:
        where, text = _FITTING, [query.text.casefold()]
    counts = known.fitting(db, query.text.casefold())
    if query.statuses:
        where += f" AND t.status IN ({', '.join('?' * len(query.statuses))})"
    total = sum(count for status, count in counts.items() if not query.statuses or status in query.statuses)
    ids = _find_ids(db, query, where, (*text, *query.statuses), total)
    rows = [db.execute("SELECT * FROM trainings WHERE id = ?", (row[0],)).fetchone() for row in ids]
    return rows, counts


def _count(db: sqlite3.Connection, index: str, where: str, wanted: Sequence[str]) -> dict[str, int]:
    query = (
        f"SELECT t.status, count(*) FROM trainings AS t INDEXED BY {index} WHERE {where} GROUP BY t.status"
    )
    return {str(status): int(count) for status, count in db.execute(query, wanted).fetchall()}


def _find_ids(
    db: sqlite3.Connection, query: ListQuery, where: str, wanted: tuple[str, ...], total: int
) -> list[sqlite3.Row]:
    sort, page = query.sort, (query.limit, query.offset)
    direction = "DESC" if sort.descending else "ASC"
    if sort.column == "created_at":
        return _find_by_age(db, query, where, wanted, total)
    if sort.source is None:
        order = f"{COLUMNS[sort.column]} {direction}, t.created_at DESC, t.id DESC"
        index = "trainings_by_name" if sort.column == "name" else "trainings_listing"
        if sort.column not in _NEVER_NULL:
            order = f"{COLUMNS[sort.column]} IS NULL, {order}"
        narrow = f"SELECT t.id FROM trainings AS t INDEXED BY {index} WHERE {where} ORDER BY {order}"
        return db.execute(f"{narrow} LIMIT ? OFFSET ?", (*wanted, *page)).fetchall()
    # What has the value comes first, in the order of its index; only a page that reaches further needs all others.
    index = "" if query.text else "INDEXED BY trainings_kinds"
    having = f"""
        SELECT v.id FROM training_values AS v INDEXED BY training_values_sorted
        CROSS JOIN trainings AS t {index} ON t.id = v.id WHERE v.source = ? AND v.key = ? AND {where} ORDER BY v.value {direction}, v.id DESC LIMIT ? OFFSET ?"""
    ids = db.execute(having, (sort.source, sort.key, *wanted, *page)).fetchall()
    if len(ids) == query.limit:
        return ids
    everything = f"""
        SELECT t.id FROM trainings AS t INDEXED BY trainings_listing
        LEFT JOIN training_values AS v ON v.source = ? AND v.key = ? AND v.id = t.id
        WHERE {where} ORDER BY v.value IS NULL, v.value {direction}, t.id DESC LIMIT ? OFFSET ?"""
    return db.execute(everything, (sort.source, sort.key, *wanted, *page)).fetchall()


def _find_by_age(
    db: sqlite3.Connection, query: ListQuery, where: str, wanted: tuple[str, ...], total: int
) -> list[sqlite3.Row]:
    """Find a page by age, from the nearer end: what is passed over costs as much as what is given."""
    limit, offset = query.limit, query.offset
    is_far = offset > total / 2
    if is_far:
        limit = max(0, min(limit, total - offset))
        offset = total - offset - limit
    direction = "DESC" if query.sort.descending != is_far else "ASC"
    narrow = f"SELECT t.id FROM trainings AS t INDEXED BY trainings_listing WHERE {where}"
    order = f"ORDER BY t.created_at {direction}, t.id {direction} LIMIT ? OFFSET ?"
    ids = db.execute(f"{narrow} {order}", (*wanted, limit, max(0, offset))).fetchall()
    return ids[::-1] if is_far else ids


def put_values(db: sqlite3.Connection, id: str, values: Iterable[tuple[str, str, str, Any]]) -> None:
    """Replace what a training is sorted by."""
    db.execute("DELETE FROM training_values WHERE id = ?", (id,))
    db.executemany("INSERT INTO training_values VALUES (?, ?, ?, ?)", values)


def values_of(id: str, resource: Indexed) -> list[tuple[str, str, str, Any]]:
    """Return what a training can be sorted by: inputs that are plain, and the last, smallest and largest values."""
    found: list[tuple[str, str, str, Any]] = [
        ("input", key, id, value) for key, value in (resource.get("input") or {}).items()
    ]
    for key, point in (resource.get("last") or {}).items():
        found.append(("last", key, id, point.get("value")))
    for key, extremes in (resource.get("extremes") or {}).items():
        found += [(edge, key, id, extremes.get(edge)) for edge in ("min", "max")]
    plain = [(*where, value) for *where, value in found if _is_plain(value)]
    return [
        (source, key, id, value[:_MAX_TEXT_CHARS] if isinstance(value, str) else value)
        for source, key, id, value in plain[:_MAX_VALUES]
        if source == "input" or not isinstance(value, str)
    ]


def search_text(id: str, name: str, tags: Iterable[str], sweep: str | None = None) -> str:
    """Return the text in which a list's filter is looked for; a line break keeps names, tags and the sweep's id apart."""
    return "\n".join((name, id, *tags, *([] if sweep is None else [sweep]))).casefold()


def sweep_of(resource: Indexed) -> str | None:
    """Return the id of the sweep that a training's JSON tells, if any."""
    sweep = resource.get("sweep")
    return str(sweep.get("id")) if isinstance(sweep, dict) else None


def tags_of(resource: Indexed) -> Sequence[str]:
    """Return the tags that a training's JSON tells."""
    return [str(tag) for tag in resource.get("tags") or ()]


def _is_plain(value: Any) -> bool:
    """Tell whether SQLite can keep and compare it."""
    if isinstance(value, float):
        return math.isfinite(value)
    return isinstance(value, bool | str) or (isinstance(value, int) and abs(value) < 2**63)
