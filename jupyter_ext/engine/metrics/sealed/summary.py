"""What is known of sealed points without opening Parquet, and the `.npz` file that keeps it.

Rule: a summary can always be made anew from its Parquet file, whose metadata describes the same parts.

Source: docs/architecture/03-run-directory.md, "segments/".
"""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import BadZipFile

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.journal.marks import REPLACED, Mark
from jupyter_ext.engine.metrics.points.pyramid import Buckets, bucket
from jupyter_ext.engine.metrics.points.series import Point, Raw, SeriesSummary, summary_of
from jupyter_ext.engine.metrics.sealed.segment_file import (
    SegmentDescription,
    SegmentFile,
    SeriesDescription,
    read_description,
)
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")

PartId = tuple[str, int]
"""Stream and number of a journal."""

_FORMAT = 1
_DAMAGED = (
    ValueError,
    TypeError,
    KeyError,
    IndexError,
    EOFError,
    BadZipFile,
    zlib.error,
    struct.error,
    OverflowError,
    RecursionError,
    NotImplementedError,
    RuntimeError,
    MemoryError,
)
"""What numpy, zipfile and JSON raise of a file that somebody has damaged."""


class SealedSeries(NamedTuple):
    """A series' points in one part: from row `row` of its file on. `raw`: all of them, where they are few."""

    row: int
    summary: SeriesSummary
    raw: Raw | None


@dataclass(frozen=True)
class SealedPart:
    """What was one journal: the points of `stream` with ordinals from `first_ordinal` to before `end_ordinal`.

    Attributes:
        stream: The rank as text, or `system`.
        number: The journal's number in its stream, from 0.
        first_ordinal: Points of the stream before this part.
        end_ordinal: Points of the stream up to this part's end.
        journal_bytes: Size of what could be read of the journal.
        marks: What was marked in it; of progress only the latest.
        path: The Parquet file that has the points.
        series: By key.
    """

    stream: str
    number: int
    first_ordinal: int
    end_ordinal: int
    journal_bytes: int
    marks: list[Mark]
    path: Path
    series: dict[str, SealedSeries]

    @property
    def id(self) -> PartId:
        """Which journal this was."""
        return self.stream, self.number


def sum_up(columns: Mapping[str, Columns]) -> dict[str, SealedSeries]:
    """Sum up the points of one journal by key, in the order of its segment's rows."""
    series, row = {}, 0
    for key in sorted(columns):
        points = columns[key]
        series[key] = SealedSeries(row, summary_of(points.steps, points.values, points.times), None)
        row += len(points)
    return series


def describe(parts: Sequence[SealedPart]) -> SegmentDescription:
    """Describe parts of one file in JSON; numbers of their buckets count over all of them, in this order."""
    return {
        "format": _FORMAT,
        "file": parts[0].path.name,
        "parts": [
            {
                "stream": part.stream,
                "number": part.number,
                "first_ordinal": part.first_ordinal,
                "end_ordinal": part.end_ordinal,
                "journal_bytes": part.journal_bytes,
                "marks": part.marks,
                "series": [_describe_series(key, held) for key, held in part.series.items()],
            }
            for part in parts
        ],
    }


def write_summary(path: Path, parts: Sequence[SealedPart]) -> None:
    """Write what `load_summary` reads."""
    every = [held for part in parts for held in part.series.values()]
    raw = [np.stack(held.raw) for held in every if held.raw is not None]
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            meta=np.frombuffer(json.dumps(describe(parts)).encode(), np.uint8),
            buckets=np.concatenate([np.empty(0, bucket()), *(held.summary.buckets for held in every)]),
            raw=np.concatenate([np.empty((3, 0)), *raw], axis=1),
        )


def load_summary(path: Path) -> list[SealedPart] | None:
    """Load parts from a summary, or return `None` where it is lost, damaged or of a format to come."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            meta, buckets, raw = json.loads(arrays["meta"].tobytes()), arrays["buckets"], arrays["raw"]
        if (
            meta["format"] != _FORMAT
            or buckets.dtype != bucket()
            or not (path.parent / meta["file"]).exists()
        ):
            return None
        return _parts(meta, path.parent, _Slices(buckets, raw))
    except (*_DAMAGED, OSError):
        return None


def recover_summary(path: Path) -> list[SealedPart]:
    """Make the parts of a Parquet file anew from the file itself.

    Raises:
        FileNotFoundError: There is no such file.
    """
    meta = read_description(path)
    file = SegmentFile(path)

    def summarized(item: SeriesDescription) -> SealedSeries:
        points = file.read(item["row"], item["row"] + item["num_points"])
        return SealedSeries(item["row"], summary_of(points.steps, points.values, points.times), None)

    parts = _parts(meta, path.parent, summarized)
    file.close()
    return parts


def worth_keeping(marks: Iterable[Mark]) -> list[Mark]:
    """Leave out progress that later progress has replaced, and the like."""
    marks = list(marks)
    kinds = [str(mark.fields.get("kind")) for mark in marks]
    newest = {kind: i for i, kind in enumerate(kinds) if kind in REPLACED}
    return [mark for i, mark in enumerate(marks) if newest.get(kinds[i], i) == i]


def _describe_series(key: str, held: SealedSeries) -> SeriesDescription:
    summary = held.summary
    return {
        "key": key,
        "row": held.row,
        "has_raw": held.raw is not None,
        "num_buckets": len(summary.buckets),
        "num_points": summary.num_points,
        "first": summary.first,
        "last": summary.last,
        "num_nonfinite": summary.num_nonfinite,
        "first_nonfinite_step": summary.first_nonfinite_step,
    }


class _Slices:
    """Gives each series in turn its slice of the arrays."""

    def __init__(self, buckets: Buckets, raw: Any) -> None:
        self._buckets, self._raw = buckets, raw
        self._bucket = self._point = 0

    def __call__(self, item: SeriesDescription) -> SealedSeries:
        first, self._bucket = self._bucket, self._bucket + item["num_buckets"]
        raw = None
        if item["has_raw"]:
            point, self._point = self._point, self._point + item["num_points"]
            steps, values, times = self._raw[:, point : self._point]
            raw = steps, values, times
        summary = SeriesSummary(
            item["num_points"],
            Point(*item["first"]),
            Point(*item["last"]),
            item["num_nonfinite"],
            item["first_nonfinite_step"],
            self._buckets[first : self._bucket],
        )
        return SealedSeries(item["row"], summary, raw)


def _parts(
    meta: SegmentDescription, directory: Path, series_of: Callable[[SeriesDescription], SealedSeries]
) -> list[SealedPart]:
    return [
        SealedPart(
            part["stream"],
            part["number"],
            part["first_ordinal"],
            part["end_ordinal"],
            part["journal_bytes"],
            [Mark(*mark) for mark in part["marks"]],
            directory / meta["file"],
            {item["key"]: series_of(item) for item in part["series"]},
        )
        for part in meta["parts"]
    ]
