"""Seal what no longer grows: journals into Parquet, in a short process of low priority.

    python -m jupyter_ext.engine.store.sealing RUN_DIR [--final]

A journal `metrics-<stream>-<n>.jnl` becomes `segments/metrics-<stream>-<n>.parquet`, sorted by key, then ordinal, and
beside it `.npz`: what is known of it without opening Parquet (`SealedPart`). `--final` merges all of a run's into
`segments/all-<k>.parquet` and `segments/pyramid.npz`.

Rule: every file appears under its name whole and fsynced, what describes it before it, and only then is what it
replaces unlinked. Where both are there, the segment wins over the journal, and `pyramid.npz` over the segments.
pyarrow is imported by the functions that need it, so that reading summaries costs the engine no memory.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from jupyter_ext.engine.store.journal_reader import Columns, JournalTail, Mark, join
from jupyter_ext.engine.store.pyramid import BUCKET, Buckets
from jupyter_ext.engine.store.series import Point, Raw, SeriesSummary, summary_of
from jupyter_ext.worker.journal import journal_name, parse_journal_name

PartId = tuple[str, int]
"""Stream and number of a journal."""

ROW_GROUP_POINTS = 65_536
"""Points read at least for one: 3 ms."""
SHORT_SERIES = 16_384
"""Series of finished runs with up to so many points stand in `pyramid.npz` whole."""
_FORMAT = 1
_META_KEY = b"jupyter_ext"
_COLUMNS = ("stream", "key", "step", "time", "value", "ordinal")


class SealedSeries(NamedTuple):
    """A series' points in one part: from row `row` of its file on. `raw`: all of them, where they are few."""

    row: int
    summary: SeriesSummary
    raw: Raw | None


@dataclass(frozen=True)
class SealedPart:
    """What was one journal: the points of `stream` with ordinals from `first_ordinal` to before `end_ordinal`."""

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


# -- reading ------------------------------------------------------------------------------------------------------


def segments_dir(run_dir: Path) -> Path:
    """Name the directory of a run's segments."""
    return run_dir / "segments"


def load_parts(run_dir: Path, known: Mapping[PartId, SealedPart] | None = None) -> dict[PartId, SealedPart]:
    """Load what is known of all sealed points. Parquet is opened only where its summary was lost.

    Args:
        run_dir: The run directory.
        known: What an earlier call gave; parts whose file is still the same are not loaded again.
    """
    directory = segments_dir(run_dir)
    if not directory.is_dir():
        return {}
    parts: dict[PartId, SealedPart] = {}
    by_path: dict[str, list[SealedPart]] = {}
    for part in (known or {}).values():
        by_path.setdefault(part.path.name, []).append(part)
    names = set(os.listdir(directory))
    newest = f"all-{max(_generations(names), default=0)}.parquet"
    for part in by_path.get(newest) or _load_merged(directory, names):
        parts[part.id] = part
    for name in sorted(names):
        part_id = (
            parse_journal_name(f"{name.removesuffix('.parquet')}.jnl") if name.endswith(".parquet") else None
        )
        if part_id is None or part_id in parts:
            continue
        path = directory / name
        try:
            for part in (
                by_path.get(name) or _load_summary(path.with_suffix(".npz")) or _recover_summary(path)
            ):
                parts[part.id] = part
        except FileNotFoundError:  # merged in the meantime, so everything is to be found there
            return load_parts(run_dir)
    return parts


def _load_merged(directory: Path, names: set[str]) -> list[SealedPart]:
    """Load what `pyramid.npz` says; made anew from Parquet where it was lost after the segments had been merged."""
    if "pyramid.npz" in names and (parts := _load_summary(directory / "pyramid.npz")):
        return parts
    generations = _generations(names)
    return _recover_summary(directory / f"all-{max(generations)}.parquet") if generations else []


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
            table = self._file.read_row_group(
                group, columns=["step", "value", "time", "ordinal"], use_threads=False
            ).combine_chunks()
            columns = [
                table.column(name).chunk(0).to_numpy(zero_copy_only=False)
                for name in ("step", "value", "time", "ordinal")
            ]
            columns[2] = columns[2].view(np.int64) / 1e6
            self._held = group, Columns(*columns)
        return self._held[1]


# -- sealing ------------------------------------------------------------------------------------------------------


def seal_run(run_dir: Path, *, final: bool = False) -> None:
    """Seal every journal that no longer grows.

    Args:
        run_dir: The run directory.
        final: The run is over: seal the newest journals too, and merge all.
    """
    directory = segments_dir(run_dir)
    directory.mkdir(mode=0o700, exist_ok=True)
    with _only_sealer(directory):
        for left_over in directory.glob(".*.tmp"):
            left_over.unlink()
        parts = load_parts(run_dir)
        for part_id in _journals(run_dir, final):
            journal = run_dir / journal_name(*part_id)
            if part_id not in parts:
                if part_id[1] and (part_id[0], part_id[1] - 1) not in parts:
                    continue  # one before it still grows, so its ordinals are not known
                part = _seal_journal(journal, part_id, parts)
                if part is None:
                    continue
                parts[part_id] = part
            _remove_journal(journal, parts[part_id])
        if final and parts:
            _merge(directory, parts)


def _journals(run_dir: Path, final: bool) -> list[PartId]:
    """List journals in order; without the newest of each stream unless the run is over."""
    found = sorted(
        part_id for name in os.listdir(run_dir) if (part_id := parse_journal_name(name)) is not None
    )
    newest = dict(found)
    return found if final else [part_id for part_id in found if part_id[1] < newest[part_id[0]]]


def _seal_journal(journal: Path, part_id: PartId, parts: Mapping[PartId, SealedPart]) -> SealedPart | None:
    """Write one journal's segment and its summary; give `None` where its writer lives."""
    if not _is_free(journal):
        return None
    stream, number = part_id
    before = parts.get((stream, number - 1))
    first_ordinal = 0 if before is None else before.end_ordinal
    columns, marks, tail = _read_journal(journal, first_ordinal)
    path = segments_dir(journal.parent) / f"{journal.stem}.parquet"
    series, row = {}, 0
    for key in sorted(columns):
        points = columns[key]
        series[key] = SealedSeries(row, summary_of(points.steps, points.values, points.times), None)
        row += len(points)
    part = SealedPart(
        stream, number, first_ordinal, tail.ordinal, tail.offset, _worth_keeping(marks), path, series
    )
    with _new_file(path) as parquet, _new_file(path.with_suffix(".npz")) as summary:
        _write_parquet(parquet, [part], ((stream, key, columns[key]) for key in sorted(columns)))
        _write_summary(summary, [part])
    return part


def _read_journal(journal: Path, first_ordinal: int) -> tuple[dict[str, Columns], list[Mark], JournalTail]:
    tail = JournalTail(journal, ordinal=first_ordinal)
    columns: dict[str, list[Columns]] = {}
    marks: list[Mark] = []
    more = True
    while more:
        news = tail.read()
        more = news.more
        marks += news.marks
        for key, points in news.columns.items():
            columns.setdefault(key, []).append(points)
    tail.close()
    return {key: join(points) for key, points in columns.items()}, marks, tail


def _remove_journal(journal: Path, part: SealedPart) -> None:
    """Unlink a sealed journal. One with a torn or damaged end is put aside instead, for whoever wants to look."""
    if journal.stat().st_size > part.journal_bytes:
        os.replace(journal, segments_dir(journal.parent) / f"{journal.stem}.damaged")
    else:
        journal.unlink()


def _merge(directory: Path, parts: Mapping[PartId, SealedPart]) -> None:
    """Put all points into one file, sorted by stream, key, ordinal."""
    paths = {part.path.name for part in parts.values()}
    if len(paths) == 1 and paths.pop().startswith("all-") and (directory / "pyramid.npz").exists():
        _remove_replaced(directory, parts)
        return
    generation = 1 + max(_generations(os.listdir(directory)), default=0)
    path = directory / f"all-{generation}.parquet"
    ordered = [parts[part_id] for part_id in sorted(parts)]
    names = sorted({(part.stream, key) for part in ordered for key in part.series})
    files = {part.path: SegmentFile(part.path) for part in ordered}
    rows: dict[tuple[PartId, str], SealedSeries] = {}
    row = 0
    for stream, key in names:
        having = [part for part in ordered if part.stream == stream and key in part.series]
        is_short = sum(part.series[key].summary.num_points for part in having) <= SHORT_SERIES
        for part in having:
            held = part.series[key]
            raw = None
            if is_short:
                points = files[part.path].read(held.row, held.row + held.summary.num_points)
                raw = points.steps.copy(), points.values.copy(), points.times.copy()
            rows[part.id, key] = SealedSeries(row, held.summary, raw)
            row += held.summary.num_points
    merged = {
        part.id: replace(part, path=path, series={key: rows[part.id, key] for key in part.series})
        for part in ordered
    }

    def all_points() -> Iterator[tuple[str, str, Columns]]:
        for stream, key in names:
            for part in ordered:
                if part.stream == stream and key in part.series:
                    held = part.series[key]
                    yield stream, key, files[part.path].read(held.row, held.row + held.summary.num_points)

    with _new_file(path) as parquet:
        _write_parquet(parquet, list(merged.values()), all_points())
    for file in files.values():
        file.close()
    with _new_file(directory / "marks.json") as marks:
        marks.write_text(
            json.dumps(
                [
                    {"stream": part.stream, "time": mark.time, "ordinal": mark.ordinal, **mark.fields}
                    for part in ordered
                    for mark in part.marks
                ]
            )
        )
    with _new_file(directory / "pyramid.npz") as summary:
        _write_summary(summary, list(merged.values()))
    _remove_replaced(directory, merged)


def _remove_replaced(directory: Path, parts: Mapping[PartId, SealedPart]) -> None:
    for stream, number in dict(sorted(parts)).items():
        # So that a writer that comes back to this stream goes on counting its files.
        (directory / journal_name(stream, number)).with_suffix(".sealed").touch()
    keep = {part.path.name for part in parts.values()}
    for path in directory.glob("*.parquet"):
        if path.name not in keep:
            path.unlink()
            path.with_suffix(".npz").unlink(missing_ok=True)


def _generations(names: Iterable[str]) -> list[int]:
    return [int(found[1]) for name in names if (found := re.fullmatch(r"all-(\d+)\.parquet", name))]


def _worth_keeping(marks: Iterable[Mark]) -> list[Mark]:
    """Leave out progress that later progress has replaced."""
    marks = list(marks)
    newest = max((i for i, mark in enumerate(marks) if mark.fields.get("kind") == "progress"), default=None)
    return [mark for i, mark in enumerate(marks) if mark.fields.get("kind") != "progress" or i == newest]


# -- files --------------------------------------------------------------------------------------------------------


def _write_parquet(path: Path, parts: list[SealedPart], points: Iterable[tuple[str, str, Columns]]) -> None:
    """Write points in row groups of 65,536, whatever series they are of."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    text = pa.dictionary(pa.int32(), pa.string())
    schema = pa.schema(
        [
            ("stream", text),
            ("key", text),
            ("step", pa.float64()),
            ("time", pa.timestamp("us", tz="UTC")),
            ("value", pa.float64()),
            ("ordinal", pa.int64()),
        ],
        metadata={_META_KEY: json.dumps(_meta(parts)).encode()},
    )
    encodings = {
        "step": "BYTE_STREAM_SPLIT",
        "value": "BYTE_STREAM_SPLIT",
        "time": "DELTA_BINARY_PACKED",
        "ordinal": "DELTA_BINARY_PACKED",
    }
    with pq.ParquetWriter(
        path,
        schema,
        compression="zstd",
        compression_level=6,
        use_dictionary=["stream", "key"],
        column_encoding=encodings,
    ) as writer:
        waiting: list[tuple[str, str, Columns]] = []
        num_waiting = 0
        for stream, key, columns in points:
            waiting.append((stream, key, columns))
            num_waiting += len(columns)
            while num_waiting >= ROW_GROUP_POINTS:
                num_waiting = _write_group(writer, schema, waiting)
        if waiting:
            _write_group(writer, schema, waiting)


def _write_group(writer: Any, schema: Any, waiting: list[tuple[str, str, Columns]]) -> int:
    """Write at most one row group of what waits; give how many points still wait."""
    import pyarrow as pa

    room, taken = ROW_GROUP_POINTS, []
    while waiting and room:
        stream, key, columns = waiting.pop(0)
        part = columns.part(0, room)
        taken.append((stream, key, part))
        room -= len(part)
        if len(part) < len(columns):
            waiting.insert(0, (stream, key, columns.part(len(part), len(columns))))
    sizes = [len(part) for _, _, part in taken]

    def names(column: int) -> Any:
        words = sorted({item[column] for item in taken})
        numbers = np.repeat(np.array([words.index(item[column]) for item in taken], np.int32), sizes)
        return pa.DictionaryArray.from_arrays(pa.array(numbers), pa.array(words, pa.string()))

    steps, values, times = (np.concatenate([part[column] for _, _, part in taken]) for column in range(3))
    ordinals = np.concatenate([part.ordinals for _, _, part in taken])
    micros = pa.array(np.rint(times * 1e6).astype(np.int64)).cast(pa.timestamp("us", tz="UTC"))
    writer.write_table(
        pa.Table.from_arrays(
            [names(0), names(1), pa.array(steps), micros, pa.array(values), pa.array(ordinals)], schema=schema
        ),
        row_group_size=ROW_GROUP_POINTS,
    )
    return sum(len(columns) for _, _, columns in waiting)


def _meta(parts: list[SealedPart]) -> dict[str, Any]:
    """Describe parts in JSON; numbers of their buckets count over all of them, in this order."""
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
                "series": [
                    {
                        "key": key,
                        "row": held.row,
                        "has_raw": held.raw is not None,
                        "num_buckets": len(held.summary.buckets),
                        **{
                            name: value for name, value in held.summary._asdict().items() if name != "buckets"
                        },
                    }
                    for key, held in part.series.items()
                ],
            }
            for part in parts
        ],
    }


def _write_summary(path: Path, parts: list[SealedPart]) -> None:
    every = [held for part in parts for held in part.series.values()]
    raw = [np.stack(held.raw) for held in every if held.raw is not None]
    with open(path, "wb") as file:
        np.savez_compressed(
            file,
            meta=np.frombuffer(json.dumps(_meta(parts)).encode(), np.uint8),
            buckets=np.concatenate([np.empty(0, BUCKET), *(held.summary.buckets for held in every)]),
            raw=np.concatenate([np.empty((3, 0)), *raw], axis=1),
        )


def _load_summary(path: Path) -> list[SealedPart] | None:
    """Load parts from a summary, or give `None` where it is lost, damaged or of a format to come."""
    try:
        with open(path, "rb") as file, np.load(file, allow_pickle=False) as arrays:
            meta, buckets, raw = json.loads(arrays["meta"].tobytes()), arrays["buckets"], arrays["raw"]
    except (OSError, ValueError, KeyError, EOFError, _bad_zip_file()):
        return None
    if meta["format"] != _FORMAT or buckets.dtype != BUCKET or not (path.parent / meta["file"]).exists():
        return None
    return _parts_from(meta, path.parent, _Slices(buckets, raw))


def _bad_zip_file() -> type[Exception]:
    from zipfile import BadZipFile

    return BadZipFile


class _Slices:
    """Gives each series in turn its slice of the arrays."""

    def __init__(self, buckets: Buckets, raw: Any) -> None:
        self._buckets, self._raw = buckets, raw
        self._bucket = self._point = 0

    def __call__(self, item: Mapping[str, Any]) -> SealedSeries:
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


def _parts_from(
    meta: Mapping[str, Any], directory: Path, series_of: Callable[[Mapping[str, Any]], SealedSeries]
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


def _recover_summary(path: Path) -> list[SealedPart]:
    """Make the parts of a Parquet file anew from the file itself."""
    import pyarrow.parquet as pq

    meta = json.loads(pq.read_metadata(path).metadata[_META_KEY])
    file = SegmentFile(path)

    def summarized(item: Mapping[str, Any]) -> SealedSeries:
        points = file.read(item["row"], item["row"] + item["num_points"])
        return SealedSeries(item["row"], summary_of(points.steps, points.values, points.times), None)

    parts = _parts_from(meta, path.parent, summarized)
    file.close()
    return parts


@contextmanager
def _new_file(path: Path) -> Iterator[Path]:
    """Give a temporary name to write to; it becomes `path` when all is on the disk."""
    temporary = path.with_name(f".{path.name}.tmp")
    yield temporary
    _sync(temporary)
    os.replace(temporary, path)
    _sync(path.parent)


def _sync(path: Path) -> None:
    fd = os.open(path, os.O_RDONLY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextmanager
def _only_sealer(directory: Path) -> Iterator[None]:
    """Wait for another sealer of this run to end."""
    fd = os.open(directory / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        flock(fd, LOCK_EX)
        yield
    finally:
        os.close(fd)


def _is_free(journal: Path) -> bool:
    """Tell whether the journal's writer has left it."""
    fd = os.open(journal, os.O_RDWR | os.O_CLOEXEC)
    try:
        flock(fd, LOCK_EX | LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(fd)
    return True


def main(arguments: list[str] | None = None) -> int:
    """Seal one run from the command line."""
    parser = argparse.ArgumentParser(prog="python -m jupyter_ext.engine.store.sealing", description=__doc__)
    parser.add_argument("run_dir", type=Path)
    parser.add_argument("--final", action="store_true", help="the run is over: seal everything and merge it")
    given = parser.parse_args(arguments)
    os.nice(10)
    seal_run(given.run_dir, final=given.final)
    return 0


if __name__ == "__main__":
    sys.exit(main())
