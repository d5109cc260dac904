"""The rows of whatever is a table: a DataFrame of pandas or polars, dicts, lists. Standard library only."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from jupyter_ext.ipc.json_values import clean
from jupyter_ext.worker.sdk.media.stored import JsonValue

MAX_TABLE_ROWS = 10_000
MAX_CELL_CHARACTERS = 2_000


@dataclass(frozen=True)
class TableRows:
    """What was read of a table.

    Attributes:
        columns: Their names.
        rows: The first rows, one value for each column.
        num_rows: How many rows the table has, also those that were not read.
    """

    columns: list[str]
    rows: list[Any]
    num_rows: int

    def cells(self) -> list[JsonValue]:
        """Return the rows as JSON can carry them; of very many the first."""
        return [[_cell(value) for value in row] for row in self.rows[:MAX_TABLE_ROWS]]


def read_frame(frame: Any) -> TableRows:
    """Read a DataFrame of pandas or polars; an index that is no range comes as columns."""
    total = len(frame)
    if hasattr(frame, "rows"):  # polars
        return TableRows([str(name) for name in frame.columns], frame.head(MAX_TABLE_ROWS).rows(), total)
    frame = frame.head(MAX_TABLE_ROWS)
    if type(frame.index).__name__ != "RangeIndex":
        frame = frame.reset_index()
    return TableRows([str(name) for name in frame.columns], frame.astype(object).values.tolist(), total)


def read_rows(rows: list[Any], columns: list[str] | None) -> TableRows:
    """Read dicts by column, or rows of equal length.

    Raises:
        ValueError: A row is neither, or has more or fewer cells than there are columns.
    """
    if rows and all(isinstance(row, dict) for row in rows):
        names = columns or list(dict.fromkeys(str(name) for row in rows for name in row))
        return TableRows(names, [[row.get(name) for name in names] for row in rows], len(rows))
    return _read_plain(rows, columns)


def _read_plain(rows: list[Any], columns: list[str] | None) -> TableRows:
    if not all(isinstance(row, list | tuple) for row in rows):
        raise ValueError("the rows of a table are lists, tuples or dicts")
    width = max((len(row) for row in rows), default=0)
    names = columns or [f"column {number}" for number in range(1, width + 1)]
    if any(len(row) != len(names) for row in rows):
        raise ValueError(f"a row has {width} cells where there are {len(names)} columns")
    return TableRows(names, rows, len(rows))


def _cell(value: Any) -> JsonValue:
    """Return a cell as JSON can carry it; what is no number, text, truth or nothing as its text."""
    if hasattr(value, "item") and getattr(value, "ndim", 0) == 0:
        value = value.item()
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**53 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    text = str(clean(str(value)))
    return text if len(text) <= MAX_CELL_CHARACTERS else f"{text[:MAX_CELL_CHARACTERS]}…"
