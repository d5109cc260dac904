"""One Parquet file of sealed points: how it is written, and how rows of it are read.

Columns: stream, key, step, time (us, UTC), value, ordinal; row groups of 65,536 points, whatever series they are of.

Rule: pyarrow is imported by the functions that need it, so that an engine whose viewers look at overviews never does.

Source: docs/architecture/03-run-directory.md, "segments/".
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from jupyter_ext.engine.store.journal_reader import Columns, join

ROW_GROUP_POINTS = 65_536
"""Points read at least for one: 3 ms."""
_META_KEY = b"jupyter_ext"
_READ_COLUMNS = ["step", "value", "time", "ordinal"]
_ENCODINGS = {
    "step": "BYTE_STREAM_SPLIT",
    "value": "BYTE_STREAM_SPLIT",
    "time": "DELTA_BINARY_PACKED",
    "ordinal": "DELTA_BINARY_PACKED",
}

SeriesPoints = tuple[str, str, Columns]
"""Stream, key and points."""


class SegmentFile:
    """Reads rows of one Parquet file. Holds the last row group, as reads are mostly near each other.

    Raises:
        FileNotFoundError: It was replaced by another; load the parts again.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=False)
        metadata = self._file.metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._held: tuple[int, Columns] | None = None

    def read(self, start: int, stop: int) -> Columns:
        """Read the points of rows `start` to before `stop`."""
        parts = []
        while start < stop:
            group = int(np.searchsorted(self._ends, start, side="right"))
            first, end = int(self._ends[group - 1]) if group else 0, int(self._ends[group])
            parts.append(self._group(group).part(start - first, min(stop, end) - first))
            start = end
        return join(parts)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _group(self, group: int) -> Columns:
        if self._held is None or self._held[0] != group:
            table = self._file.read_row_group(group, columns=_READ_COLUMNS, use_threads=False)
            table = table.combine_chunks()
            columns = [table.column(name).chunk(0).to_numpy(zero_copy_only=False) for name in _READ_COLUMNS]
            columns[2] = columns[2].view(np.int64) / 1e6
            self._held = group, Columns(*columns)
        return self._held[1]


def read_description(path: Path) -> Any:
    """Read what `write_segment` was given as `description`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    import pyarrow.parquet as pq

    return json.loads(pq.read_metadata(path).metadata[_META_KEY])


def write_segment(path: Path, description: Mapping[str, Any], points: Iterable[SeriesPoints]) -> None:
    """Write a Parquet file.

    Args:
        path: Where to.
        description: Any JSON, kept in the file's metadata.
        points: All points, in the order of the file's rows.
    """
    import pyarrow.parquet as pq

    schema = _schema(description)
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=6,
        use_dictionary=["stream", "key"],
        column_encoding=_ENCODINGS,
    ) as writer:
        waiting: list[SeriesPoints] = []
        num_waiting = 0
        for item in points:
            waiting.append(item)
            num_waiting += len(item[2])
            while num_waiting >= ROW_GROUP_POINTS:
                group = _take(waiting, ROW_GROUP_POINTS)
                num_waiting -= ROW_GROUP_POINTS
                writer.write_table(_table(group, schema), row_group_size=ROW_GROUP_POINTS)
        if waiting:
            writer.write_table(_table(waiting, schema), row_group_size=ROW_GROUP_POINTS)


def _schema(description: Mapping[str, Any]) -> Any:
    import pyarrow as pa

    text = pa.dictionary(pa.int32(), pa.string())
    return pa.schema(
        [
            ("stream", text),
            ("key", text),
            ("step", pa.float64()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("value", pa.float64()),
            ("ordinal", pa.int64()),
        ],
        metadata={_META_KEY: json.dumps(description).encode()},
    )


def _take(waiting: list[SeriesPoints], num_points: int) -> list[SeriesPoints]:
    """Take the first `num_points` points away from `waiting`, which has so many."""
    taken = []
    while num_points:
        stream, key, columns = waiting.pop(0)
        part = columns.part(0, num_points)
        taken.append((stream, key, part))
        num_points -= len(part)
        if len(part) < len(columns):
            waiting.insert(0, (stream, key, columns.part(len(part), len(columns))))
    return taken


def _table(group: list[SeriesPoints], schema: Any) -> Any:
    """Make the Arrow table of one row group."""
    import pyarrow as pa

    sizes = [len(part) for _, _, part in group]

    def words(column: int) -> Any:
        known = sorted({str(item[column]) for item in group})
        numbers = np.repeat(np.array([known.index(str(item[column])) for item in group], np.int32), sizes)
        return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(known, pa.string()))

    steps, values, times, ordinals = (
        np.concatenate([part[column] for _, _, part in group]) for column in range(4)
    )
    micros = pa.array(np.rint(times * 1e6).astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))
    arrays = [words(0), words(1), pa.array(steps), micros, pa.array(values), pa.array(ordinals)]
    return pa.Table.from_arrays(arrays, schema=schema)
