"""Merge all segments of a run that is over into one file, sorted by stream, key, ordinal.

Rule: `all-<k>.parquet` first, then `marks.json`, then `pyramid.npz`, which makes the merged file count; only then are
the segments that it replaces unlinked.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.points.series import Raw
from jupyter_ext.engine.metrics.sealed.segment_file import SegmentFile, SeriesPoints, write_segment
from jupyter_ext.engine.metrics.sealed.segments import generations
from jupyter_ext.engine.metrics.sealed.summary import (
    PartId,
    SealedPart,
    SealedSeries,
    describe,
    write_summary,
)
from jupyter_ext.ipc.journal_format import journal_name

SHORT_SERIES = 16_384
"""Series with up to so many points stand in `pyramid.npz` whole."""


class _Piece(NamedTuple):
    """One series' points in one part."""

    part: SealedPart
    key: str

    @property
    def series(self) -> tuple[str, str]:
        """Stream and key."""
        return self.part.stream, self.key

    @property
    def held(self) -> SealedSeries:
        return self.part.series[self.key]

    @property
    def num_points(self) -> int:
        return self.held.summary.num_points


def merge(directory: Path, parts: Mapping[PartId, SealedPart]) -> None:
    """Merge parts, at least one, of `directory`; once they are, this only finishes what a killed sealer left."""
    if _is_merged(directory, parts):
        _remove_replaced(directory, parts)
        return
    path = directory / f"all-{1 + max(generations(os.listdir(directory)), default=0)}.parquet"
    ordered = [parts[part_id] for part_id in sorted(parts)]
    files = {part.path: SegmentFile(part.path) for part in ordered}

    def read(piece: _Piece) -> Columns:
        row = piece.held.row
        return files[piece.part.path].read(row, row + piece.num_points)

    def points() -> Iterator[SeriesPoints]:
        for piece in _pieces(ordered):
            yield piece.part.stream, piece.key, read(piece)

    num_points: Counter[tuple[str, str]] = Counter()
    for piece in _pieces(ordered):
        num_points[piece.series] += piece.num_points
    raw = {
        (piece.part.id, piece.key): read(piece)[:3]
        for piece in _pieces(ordered)
        if num_points[piece.series] <= SHORT_SERIES
    }
    merged = _laid_out(ordered, path, raw)
    with new_file(path) as parquet:
        write_segment(parquet, describe(merged), points())
    for file in files.values():
        file.close()
    with new_file(directory / "marks.json") as marks:
        _write_marks(marks, ordered)
    with new_file(directory / "pyramid.npz") as summary:
        write_summary(summary, merged)
    _remove_replaced(directory, {part.id: part for part in merged})


def _is_merged(directory: Path, parts: Mapping[PartId, SealedPart]) -> bool:
    names = {part.path.name for part in parts.values()}
    return len(names) == 1 and names.pop().startswith("all-") and (directory / "pyramid.npz").exists()


def _pieces(ordered: Sequence[SealedPart]) -> Iterator[_Piece]:
    """Return all pieces in the order of the merged file's rows."""
    names = sorted({(part.stream, key) for part in ordered for key in part.series})
    for stream, key in names:
        for part in ordered:
            if part.stream == stream and key in part.series:
                yield _Piece(part, key)


def _laid_out(
    ordered: Sequence[SealedPart], path: Path, raw: Mapping[tuple[PartId, str], Raw]
) -> list[SealedPart]:
    """Return the parts as they will be in the merged file."""
    rows: dict[tuple[PartId, str], SealedSeries] = {}
    row = 0
    for piece in _pieces(ordered):
        place = piece.part.id, piece.key
        rows[place] = SealedSeries(row, piece.held.summary, raw.get(place))
        row += piece.num_points
    return [
        replace(part, path=path, series={key: rows[part.id, key] for key in part.series}) for part in ordered
    ]


def _write_marks(path: Path, ordered: Sequence[SealedPart]) -> None:
    marks = [
        {"stream": part.stream, "time": mark.time, "ordinal": mark.ordinal, **mark.fields}
        for part in ordered
        for mark in part.marks
    ]
    path.write_text(json.dumps(marks))


def _remove_replaced(directory: Path, parts: Mapping[PartId, SealedPart]) -> None:
    for stream, number in dict(sorted(parts)).items():
        # So that a writer that comes back to this stream goes on counting its files.
        (directory / journal_name(stream, number)).with_suffix(".sealed").touch()
    keep = {part.path.name for part in parts.values()}
    for path in directory.glob("*.parquet"):
        if path.name not in keep:
            path.unlink()
            path.with_suffix(".npz").unlink(missing_ok=True)
