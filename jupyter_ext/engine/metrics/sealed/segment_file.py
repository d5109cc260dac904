"""One Parquet file of sealed points: how it is written, and how rows of it are read.

Columns: stream, key, step, time (us, UTC), value, ordinal; row groups of 65,536 points, whatever series they are of.

Rule: pyarrow is imported by the functions that need it, so that an engine whose viewers look at overviews never does.
Arrays go in and out as buffers; see `arrow_arrays`.

Source: docs/architecture/03-run-directory.md, "segments/".
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict, cast

from jupyter_ext.engine.metrics.journal.columns import Columns, Room
from jupyter_ext.engine.metrics.sealed.arrow_arrays import microseconds_of, numbers_of, words_of
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")

ROW_GROUP_POINTS = 65_536
"""Points read at least for one: 3 ms."""
_META_KEY = b"jupyter_ext"
_POINT_COLUMNS = ["step", "value", "time"]
_ORDINALS = "ordinal"
_ENCODINGS = {
    "step": "BYTE_STREAM_SPLIT",
    "value": "BYTE_STREAM_SPLIT",
    "time": "DELTA_BINARY_PACKED",
    "ordinal": "DELTA_BINARY_PACKED",
}

SeriesPoints = tuple[str, str, Columns]
"""Stream, key and points."""


class SeriesDescription(TypedDict):
    """A series in a part: the row of its first point, and what is known without reading it. Points are step, value, time."""

    key: str
    row: int
    has_raw: bool
    num_buckets: int
    num_points: int
    first: Sequence[float]
    last: Sequence[float]
    num_nonfinite: int
    first_nonfinite_step: float | None


class PartDescription(TypedDict):
    """What was one journal; see `summary.SealedPart`."""

    stream: str
    number: int
    first_ordinal: int
    end_ordinal: int
    journal_bytes: int
    marks: Sequence[Sequence[Any]]
    series: list[SeriesDescription]


class SegmentDescription(TypedDict):
    """What a Parquet file's metadata and its summary say of it; `file` is its name."""

    format: int
    file: str
    parts: list[PartDescription]


class SegmentFile:
    """Reads rows of one Parquet file. Holds the last row group, as reads are mostly near each other.

    What is read goes straight to where it shall be, one row group after the other, as joining what was read of each would take longer
    than reading it.

    Raises:
        FileNotFoundError: It was replaced by another; load the parts again.
    """

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        self._file = pq.ParquetFile(path, memory_map=False)
        metadata = self._file.metadata
        sizes = [metadata.row_group(number).num_rows for number in range(metadata.num_row_groups)]
        self._ends = np.cumsum(sizes, dtype=np.int64)
        self._held: tuple[int, dict[str, NDArray[Any]]] = -1, {}

    def read(self, start: int, stop: int) -> Columns:
        """Read the points of rows `start` to before `stop`."""
        room, ordinals = np.empty((3, stop - start)), np.empty(stop - start, np.int64)
        self._read(start, stop, room, ordinals)
        return Columns(room[0], room[1], room[2], ordinals)

    def read_into(self, start: int, stop: int, room: Room) -> None:
        """Read the points of rows `start` to before `stop`, without their ordinals."""
        self._read(start, stop, room, None)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _read(self, start: int, stop: int, room: Room, ordinals: NDArray[np.int64] | None) -> None:
        names = _POINT_COLUMNS if ordinals is None else [*_POINT_COLUMNS, _ORDINALS]
        done = 0
        while start < stop:
            number = int(np.searchsorted(self._ends, start, side="right"))
            first, end = int(self._ends[number - 1]) if number else 0, int(self._ends[number])
            group, rows = self._group(number, names), slice(start - first, min(stop, end) - first)
            to = slice(done, done + rows.stop - rows.start)
            room[0, to], room[1, to] = group["step"][rows], group["value"][rows]
            np.divide(group["time"][rows], 1e6, out=room[2, to])
            if ordinals is not None:
                ordinals[to] = group[_ORDINALS][rows]
            start, done = end, to.stop

    def _group(self, number: int, names: list[str]) -> dict[str, NDArray[Any]]:
        """Return columns of a row group, and maybe more of them; times are in microseconds."""
        if self._held[0] != number or not self._held[1].keys() >= {*names}:
            self._held = -1, {}  # else two groups would be in memory
            table = self._file.read_row_group(number, columns=names, use_threads=False).combine_chunks()
            self._held = number, {name: _numbers(table.column(name).chunk(0)) for name in names}
        return self._held[1]


def is_loaded() -> bool:
    """Tell whether the library that reads Parquet is in memory."""
    return "pyarrow.parquet" in sys.modules


def load() -> None:
    """Load the library that reads Parquet, 30 to 100 ms: in a thread, where something else waits."""
    import pyarrow.parquet  # noqa: F401


def read_description(path: Path) -> SegmentDescription:
    """Read what `write_segment` was given as `description`.

    Raises:
        FileNotFoundError: There is no such file.
    """
    import pyarrow.parquet as pq

    return cast("SegmentDescription", json.loads(pq.read_metadata(path).metadata[_META_KEY]))


def write_segment(path: Path, description: SegmentDescription, points: Iterable[SeriesPoints]) -> None:
    """Write a Parquet file.

    Args:
        path: Where to.
        description: What is in it, kept in the file's metadata.
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


def _schema(description: SegmentDescription) -> Any:
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
    steps, values, times, ordinals = (
        np.concatenate([part[column] for _, _, part in group]) for column in range(4)
    )
    arrays = [
        words_of([stream for stream, _, _ in group], sizes),
        words_of([key for _, key, _ in group], sizes),
        numbers_of(steps, pa.float64()),
        microseconds_of(times),
        numbers_of(values, pa.float64()),
        numbers_of(ordinals, pa.int64()),
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _numbers(array: Any) -> NDArray[Any]:
    """View an Arrow array of doubles, integers or microseconds."""
    dtype = np.float64 if str(array.type) == "double" else np.int64
    return np.frombuffer(array.buffers()[1], dtype, len(array), 8 * array.offset)
