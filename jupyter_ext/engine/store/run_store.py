"""One run's metrics and logs: takes in what the worker writes, numbers it, and serves it.

Rule: store first, then publish. The points are stored by the worker already; what is stored here is where each batch
ends in its source (`index.bin`), so that a sequence number means the same points for ever: before and after a
restart of the engine, before and after sealing.

Used from one thread, the event loop's. `ingest` and `replay` work in pieces of 1 MiB.

Source: docs/architecture/03-run-directory.md; 02-wire.md, "The stream" and "Columns".
"""

from __future__ import annotations

import json
import logging
import os
import struct
import time
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from jupyter_ext.engine.store.journal_reader import READ_BYTES, Columns, JournalTail, Mark, News
from jupyter_ext.engine.store.sealing import PartId, SealedPart, SegmentFile, load_parts, segments_dir
from jupyter_ext.engine.store.series import Axis, Point, Raw, Series
from jupyter_ext.protocol.resources import SeriesInfo
from jupyter_ext.worker.journal import journal_name, parse_journal_name

log = logging.getLogger(__name__)

RECORD = np.dtype(
    [
        ("seq", "<u8"),
        ("time", "<f8"),
        ("kind", "u1"),
        ("pad", "u1"),
        ("stream", "<u2"),
        ("number", "<u4"),
        ("end_offset", "<u8"),
        ("end_ordinal", "<u8"),
    ]
)
METRICS, LOG = 1, 2
_NO_STREAM = 0xFFFF
_NO_OFFSET = (1 << 64) - 1
"""End of a batch that was read from a segment: only its ordinal counts."""
_SEQ_JUMP = 1 << 20
"""Left out after records may have been lost, so that a number once published is never given to other points."""
_SEQS_PER_S = 1_000_000
"""A rebuilt index begins at Unix seconds times this, beyond whatever the lost one had reached; below 2**53 until 2255."""
_LOG_CHUNK_BYTES = 256 << 10
_MAX_TAIL_BYTES = 1 << 20
_PART_CHUNK_POINTS = 100_000
_NUM_OPEN_SEGMENTS = 4
_NUM_MARKS = 10_000
_SETTLED_S = 0.1
"""A directory changed within this time may change again without its time stamp showing it."""
_MAX_WIRE_INDEX = 0xFFFF

_COLUMNS_HEAD = struct.Struct("<4sI")
_BATCH_HEAD = struct.Struct("<4sIQd")
_BLOCK_HEAD = struct.Struct("<HBBI")


class CursorLost(LookupError):
    """A viewer's sequence number cannot be continued; it has to fetch columns and logs anew."""


class BatchBlock(NamedTuple):
    """New points of one series; `series_index` is its number on the wire."""

    series_index: int
    columns: Columns


@dataclass(frozen=True)
class Batch:
    """What one `ingest` stored, or one stored record replayed.

    Attributes:
        seq: Newest sequence number in it; where there are only marks, that of the batch before.
        metrics_seq: Newest sequence number of its points, below `seq` where there is log too.
        blocks: New points by series.
        log: Offset, next offset (bytes of logs.txt) and text.
        marks: `{kind, time (Unix s), stream, …}`; never replayed.
        has_reports: Whether the worker itself, not just `system`, said something.
    """

    seq: int
    metrics_seq: int
    blocks: list[BatchBlock]
    log: tuple[int, int, str] | None = None
    marks: list[dict[str, Any]] = field(default_factory=list)
    has_reports: bool = False

    @property
    def has_points(self) -> bool:
        """Whether there is something to encode."""
        return bool(self.blocks)


@dataclass
class _Stream:
    """How far one stream was read: journal `number` (−1: none yet), up to `ordinal`."""

    name: str
    slot: int
    number: int = -1
    ordinal: int = 0
    tail: JournalTail | None = None
    part: dict[str, Columns] | None = None
    told_damage: int = -1


class _Reading(NamedTuple):
    """News of a stream, and its state before, to go back to when they cannot be stored."""

    stream: _Stream
    news: News
    before: tuple[int, int]
    end_offset: int


class RunStore:
    """The store of one run. Call `open` first.

    Args:
        run_dir: The run directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._dir = Path(run_dir)
        self._logs = self._dir / "logs.txt"
        self._index = _Index(self._dir)
        self._streams: dict[str, _Stream] = {}
        self._series: dict[tuple[str, str], Series] = {}
        self._parts: dict[PartId, SealedPart] = {}
        self._applied: set[PartId] = set()
        self._files: dict[str, list[int]] = {}
        self._keys: dict[PartId, dict[int, str]] = {}
        self._scanned: tuple[int, int] | None = None
        self._segments: OrderedDict[Path, SegmentFile] = OrderedDict()
        self._marks: list[dict[str, Any]] = []
        self._progress: dict[str, dict[str, Any]] = {}
        self._log_offset = 0
        self._turn = 0

    # -- opening and closing --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Recover everything that was numbered before. An index that does not fit the files is made anew.

        Raises:
            OSError: The run directory cannot be read or written.
        """
        self._index.open()
        self._scan()
        if not self._restore():
            log.warning("the index of %s does not fit its files and is made anew", self._dir)
            self._forget()
            self._index.renew()
            self._restore()

    def close(self) -> None:
        """Close all files."""
        for stream in self._streams.values():
            if stream.tail is not None:
                stream.tail.close()
                stream.tail = None
        while self._segments:
            self._segments.popitem()[1].close()
        self._index.close()

    def sync(self) -> None:
        """Have the disk keep what was stored so far (fdatasync); blocks, so call it in a thread."""
        paths = [
            self._dir / journal_name(name, numbers[-1])
            for name, numbers in list(self._files.items())
            if numbers
        ]
        for path in (*paths, self._logs, self._dir / "index.bin"):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)

    def _forget(self) -> None:
        for stream in self._streams.values():
            if stream.tail is not None:
                stream.tail.close()
        for held in (self._streams, self._series, self._applied, self._keys, self._marks, self._progress):
            held.clear()
        self._log_offset = 0

    def _restore(self) -> bool:
        """Read up to where the index says; tell whether that is possible."""
        ends = self._index.ends()
        self._log_offset = ends.pop(_NO_STREAM, (0, 0, 0))[1]
        if self._log_offset and (not self._logs.exists() or self._logs.stat().st_size < self._log_offset):
            return False
        for slot, name in enumerate(self._index.stream_names):
            stream = self._streams[name] = _Stream(name, slot)
            end = ends.pop(slot, None)
            if end is not None and not self._restore_stream(stream, *end):
                return False
        return not ends

    def _restore_stream(self, stream: _Stream, number: int, offset: int, ordinal: int) -> bool:
        for other in self._files.get(stream.name, []):
            if other > number:
                break
            stream.number = other
            self._end_blocks(stream)
            part = self._parts.get((stream.name, other))
            if part is not None:
                if part.first_ordinal != stream.ordinal:
                    return False
                self._restore_part(stream, part, ordinal)
                continue
            until = offset if other == number else None
            try:
                tail = JournalTail(self._dir / journal_name(stream.name, other), ordinal=stream.ordinal)
            except FileNotFoundError:
                return False
            stream.tail = tail
            self._keys[stream.name, other] = tail.keys
            more = True
            while more:
                news = tail.read(until=until)
                more = news.more
                self._keep(stream, news)
                stream.ordinal = tail.ordinal
            if other < number:
                tail.close()
                stream.tail = None
            elif tail.offset != offset:
                return False
        return stream.number == number and stream.ordinal == ordinal

    def _restore_part(self, stream: _Stream, part: SealedPart, ordinal: int) -> None:
        """Take over a sealed part; of one that was not numbered to its end, only what was."""
        self._keep_marks(stream, [mark for mark in part.marks if mark.ordinal <= ordinal])
        if part.end_ordinal <= ordinal:
            for key, held in part.series.items():
                self._get_series(stream.name, key).append_sealed(
                    part.number, _PartSource(self, part.id, key), held.summary
                )
            self._applied.add(part.id)
            stream.ordinal = part.end_ordinal
            return
        stream.part = self._part_columns(part)
        for key, columns in stream.part.items():
            known = columns.part(0, int(np.searchsorted(columns.ordinals, ordinal)))
            self._get_series(stream.name, key).append(part.number, known)
        stream.ordinal = ordinal

    # -- taking in ------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The newest stored sequence number; 0 when there is none."""
        return self._index.seq

    def ingest(self) -> Batch | None:
        """Store news, at most about 1 MiB of them, and give what to publish.

        Returns:
            `None` where there is nothing new, or where the disk is too full to store it now.
        """
        self._scan()
        readings = self._read_streams()
        log_chunk = self._read_log()
        try:
            for name in [reading.stream.name for reading in readings]:
                self._streams[name].slot = self._index.slot(name)
            records = [
                (
                    METRICS,
                    reading.stream.slot,
                    reading.stream.number,
                    reading.end_offset,
                    reading.stream.ordinal,
                )
                for reading in readings
                if reading.news.columns
            ]
            metrics_seq = self.seq + len(records)
            if log_chunk is not None:
                records.append((LOG, _NO_STREAM, 0, log_chunk[1], 0))
            if records:
                self._index.append(records)
        except OSError as error:
            log.warning("news of %s wait until they can be stored: %s", self._dir, error)
            for reading in readings:
                self._go_back(reading)
            return None
        if log_chunk is not None:
            self._log_offset = log_chunk[1]
        blocks = [block for reading in readings for block in self._keep(reading.stream, reading.news)]
        self._apply_sealed()
        if not readings and log_chunk is None:
            return None
        return Batch(
            seq=self.seq,
            metrics_seq=metrics_seq,
            blocks=blocks,
            log=log_chunk,
            marks=[
                self._wire_mark(reading.stream, mark) for reading in readings for mark in reading.news.marks
            ],
            has_reports=any(reading.stream.name != "system" for reading in readings),
        )

    def marks(self) -> list[dict[str, Any]]:
        """Give all marks so far by time; of progress only the latest of each stream."""
        return sorted([*self._marks, *self._progress.values()], key=lambda mark: float(mark["time"]))

    def _read_streams(self) -> list[_Reading]:
        """Read news of the streams in turn, so that none starves."""
        budget, readings = READ_BYTES, []
        names = sorted(self._files)
        for turn in range(len(names)):
            name = names[(self._turn + turn) % len(names)]
            stream = self._streams.setdefault(name, _Stream(name, -1))
            before = stream.tail.offset if stream.tail is not None else 0
            reading = self._read_stream(stream, budget)
            if reading is not None:
                readings.append(reading)
                budget -= max(0, reading.end_offset - before) if reading.end_offset != _NO_OFFSET else budget
            if budget <= 0:
                self._turn += turn + 1
                break
        return readings

    def _read_stream(self, stream: _Stream, budget: int) -> _Reading | None:
        while True:
            if stream.part is not None:
                reading = self._read_part(stream, stream.part)
                if reading is not None:
                    return reading
                stream.part = None
            if stream.tail is None and not self._next_file(stream):
                return None
            tail = stream.tail
            if tail is None:
                continue
            before = tail.offset, tail.ordinal
            news = tail.read(budget)
            if tail.is_damaged and stream.told_damage != stream.number:
                stream.told_damage = stream.number
                news.marks.append(self._damage(stream, tail))
            if news.columns or news.marks:
                stream.ordinal = tail.ordinal
                return _Reading(stream, news, before, tail.offset)
            is_over = (stream.name, stream.number) in self._parts or self._files[stream.name][
                -1
            ] > stream.number
            if not is_over:
                return None
            tail.close()
            stream.tail = None

    def _next_file(self, stream: _Stream) -> bool:
        """Go on to the next journal or segment; tell whether there is one."""
        number = next((number for number in self._files.get(stream.name, []) if number > stream.number), None)
        if number is None:
            return False
        part = self._parts.get((stream.name, number))
        if part is None:
            try:
                stream.tail = JournalTail(
                    self._dir / journal_name(stream.name, number), ordinal=stream.ordinal
                )
            except FileNotFoundError:  # sealed since the directory was read
                self._scanned = None
                return False
            self._keys[stream.name, number] = stream.tail.keys
        else:
            stream.part = self._part_columns(part)
        self._end_blocks(stream)
        stream.number = number
        return True

    def _read_part(self, stream: _Stream, columns: dict[str, Columns]) -> _Reading | None:
        """Give the next points of a segment whose journal was sealed before it was read."""
        part = self._parts[stream.name, stream.number]
        first = stream.ordinal
        end = min(part.end_ordinal, first + _PART_CHUNK_POINTS)
        marks = [
            mark
            for mark in part.marks
            if first < mark.ordinal <= end or mark.ordinal == first == part.first_ordinal
        ]
        if first >= end and (not marks or part.first_ordinal < part.end_ordinal):
            return None
        if first == end:  # only marks
            stream.part = None
        stream.ordinal = end
        return _Reading(stream, News(_between(columns, first, end), marks, True), (0, first), _NO_OFFSET)

    def _go_back(self, reading: _Reading) -> None:
        stream = reading.stream
        stream.ordinal = reading.before[1]
        if reading.end_offset != _NO_OFFSET and stream.tail is not None:
            stream.tail.offset, stream.tail.ordinal = reading.before

    def _keep(self, stream: _Stream, news: News) -> list[BatchBlock]:
        blocks = []
        for key, columns in news.columns.items():
            series = self._get_series(stream.name, key)
            series.append(stream.number, columns)
            blocks.append(BatchBlock(series.index, columns))
        self._keep_marks(stream, news.marks)
        return blocks

    def _keep_marks(self, stream: _Stream, marks: Sequence[Mark]) -> None:
        for mark in marks:
            told = self._wire_mark(stream, mark)
            if told["kind"] == "progress":
                self._progress[stream.name] = told
            elif len(self._marks) < _NUM_MARKS:
                self._marks.append(told)

    @staticmethod
    def _wire_mark(stream: _Stream, mark: Mark) -> dict[str, Any]:
        return {"kind": "", **mark.fields, "time": mark.time, "stream": stream.name}

    @staticmethod
    def _damage(stream: _Stream, tail: JournalTail) -> Mark:
        name = journal_name(stream.name, stream.number)
        text = (
            f"{name} is damaged from byte {tail.offset} on; the points after it in this file are not shown."
        )
        return Mark(time.time(), tail.ordinal, {"kind": "notice", "text": text})

    def _get_series(self, stream: str, key: str) -> Series:
        series = self._series.get((stream, key))
        if series is None:
            series = self._series[stream, key] = Series(len(self._series), key, stream)
        return series

    def _end_blocks(self, stream: _Stream) -> None:
        for (name, _), series in self._series.items():
            if name == stream.name:
                series.end_block()

    # -- files ----------------------------------------------------------------------------------------------------

    def _scan(self) -> None:
        """Notice new journals and segments; cheap while neither directory changes."""
        stamps = _changed_at(self._dir), _changed_at(segments_dir(self._dir))
        if stamps == self._scanned:
            return
        is_settled = max(stamps) < time.time_ns() - int(_SETTLED_S * 1e9)
        files: dict[str, set[int]] = {}
        for name in os.listdir(self._dir):
            if (part_id := parse_journal_name(name)) is not None:
                files.setdefault(part_id[0], set()).add(part_id[1])
        self._parts = load_parts(self._dir, self._parts)
        for stream, number in self._parts:
            files.setdefault(stream, set()).add(number)
        self._files = {stream: sorted(numbers) for stream, numbers in files.items()}
        self._scanned = stamps if is_settled else None
        self._apply_sealed()

    def _apply_sealed(self) -> None:
        """Free the points in memory of journals that were read to their end and are sealed."""
        for part_id in self._parts.keys() - self._applied:
            part, stream = self._parts[part_id], self._streams.get(part_id[0])
            if stream is None or stream.number < part.number or stream.ordinal < part.end_ordinal:
                continue
            for key in part.series:
                self._get_series(part.stream, key).seal(part.number, _PartSource(self, part_id, key))
            self._keys.pop(part_id, None)
            self._applied.add(part_id)

    def _segment(self, path: Path) -> SegmentFile:
        """Give an opened segment.

        Raises:
            FileNotFoundError: It was merged into another.
        """
        file = self._segments.get(path)
        if file is None:
            file = self._segments[path] = SegmentFile(path)
            if len(self._segments) > _NUM_OPEN_SEGMENTS:
                self._segments.popitem(last=False)[1].close()
        self._segments.move_to_end(path)
        return file

    def _read_sealed(self, part_id: PartId, key: str, start: int, stop: int) -> Columns:
        """Read points of a sealed part, wherever it has been merged to."""
        while True:
            part = self._parts[part_id]
            row = part.series[key].row
            try:
                return self._segment(part.path).read(row + start, row + stop)
            except FileNotFoundError:
                self._scanned = None
                self._scan()
                if self._parts.get(part_id) in (None, part):
                    raise

    def _part_columns(self, part: SealedPart) -> dict[str, Columns]:
        return {
            key: self._read_sealed(part.id, key, 0, held.summary.num_points)
            for key, held in part.series.items()
        }

    # -- replay ---------------------------------------------------------------------------------------------------

    def replay(self, after_seq: int) -> Iterator[Batch]:
        """Give the stored batches after `after_seq`, up to the newest at the time of this call, without marks.

        Args:
            after_seq: The newest sequence number that the viewer has; 0 for everything.

        Raises:
            CursorLost: This number was never given, or its record was lost.
        """
        records = self._index.after(after_seq)
        return self._replay(records)

    def _replay(self, records: range) -> Iterator[Batch]:
        windows: dict[int, tuple[int, int, int, dict[str, Columns]]] = {}
        for position in records:
            record = self._index.get(position)
            if record.kind == LOG:
                yield Batch(
                    record.seq, record.seq, [], (record.start_offset, record.end_offset, self._text(record))
                )
                continue
            name = self._index.stream_names[record.stream]
            number, first, end, columns = windows.get(record.stream, (-1, 0, 0, {}))
            if number != record.number or not first <= record.start_ordinal < record.end_ordinal <= end:
                first, end, columns = self._window(name, record)
                windows[record.stream] = record.number, first, end, columns
            found = _between(columns, record.start_ordinal, record.end_ordinal)
            blocks = [BatchBlock(self._get_series(name, key).index, points) for key, points in found.items()]
            yield Batch(record.seq, record.seq, blocks)

    def _window(self, name: str, record: _Record) -> tuple[int, int, dict[str, Columns]]:
        """Read the points of a record and those near it: first ordinal, end, and points by key."""
        part_id = name, record.number
        if part_id not in self._parts:
            path = self._dir / journal_name(name, record.number)
            try:
                tail = JournalTail(
                    path, offset=record.start_offset, ordinal=record.start_ordinal, keys=self._keys[part_id]
                )
            except FileNotFoundError:  # sealed since the directory was read
                self._scanned = None
                self._scan()
            else:
                news = tail.read(max(READ_BYTES, record.end_offset - record.start_offset))
                tail.close()
                return record.start_ordinal, tail.ordinal, news.columns
        part = self._parts[part_id]
        return part.first_ordinal, part.end_ordinal, self._part_columns(part)

    def _text(self, record: _Record) -> str:
        with open(self._logs, "rb") as file:
            file.seek(record.start_offset)
            return file.read(record.end_offset - record.start_offset).decode("utf-8", "replace")

    # -- metrics --------------------------------------------------------------------------------------------------

    def series_infos(self) -> list[SeriesInfo]:
        """Name all series, by index; `rank` is the stream: `0`, `1`, `0.4711` of a forked child, `system`."""
        return [
            SeriesInfo(index=series.index, key=series.key, rank=series.stream)
            for series in self._series.values()
        ]

    def last_points(self, stream: str = "0") -> dict[str, Point]:
        """Give the newest point of each series of a stream."""
        return {
            key: series.last
            for (name, key), series in self._series.items()
            if name == stream and series.last is not None
        }

    def extremes(self, stream: str = "0") -> dict[str, tuple[float, float]]:
        """Give the smallest and the largest finite value of each series of a stream."""
        return {
            key: series.extremes
            for (name, key), series in self._series.items()
            if name == stream and series.extremes is not None
        }

    def columns(
        self,
        keys: Sequence[str] | None = None,
        buckets: int | None = None,
        axis: Axis = "step",
        lo: float | None = None,
        hi: float | None = None,
    ) -> bytes:
        """Encode series as columns (JXC1).

        Args:
            keys: Of these metrics, of every rank; `None` for all.
            buckets: At most `2 * buckets` points of each, from 1; `None` for all points.
            axis: What `lo` and `hi` are.
            lo: Smallest step or time (Unix s), inclusive.
            hi: Largest, inclusive.

        Raises:
            ValueError: `buckets` is below 1.
        """
        if buckets is not None and buckets < 1:
            raise ValueError(f"buckets={buckets}; ask for 1 or more, or leave it out for all points.")
        infos, arrays = [], []
        for series in self._series.values():
            if keys is not None and series.key not in keys:
                continue
            points, count, decimated = series.overview(buckets, lo, hi, axis)
            infos.append(
                {
                    "index": series.index,
                    "key": series.key,
                    "rank": series.stream,
                    "n": len(points.values),
                    "count": count,
                    "decimated": decimated,
                    "num_nonfinite": series.num_nonfinite,
                    "first_nonfinite_step": _json_number(series.first_nonfinite_step),
                }
            )
            arrays += [points.steps, points.values, points.times]
        head = json.dumps({"seq": self.seq, "series": infos}, allow_nan=False).encode()
        head += b" " * (-len(head) % 8)
        return b"".join([_COLUMNS_HEAD.pack(b"JXC1", len(head)), head, *map(_float64, arrays)])

    @staticmethod
    def encode_batch(batch: Batch) -> bytes:
        """Encode the points of a batch (JXM1)."""
        blocks = [block for block in batch.blocks if block.series_index <= _MAX_WIRE_INDEX]
        base_time = min((float(columns.times.min()) for _, columns in blocks), default=0.0)
        encoded = [_BATCH_HEAD.pack(b"JXM1", len(blocks), batch.metrics_seq, base_time)]
        for index, columns in blocks:
            steps, n = columns.steps, len(columns)
            delta = float(steps[1] - steps[0]) if n > 1 else 0.0
            is_regular = bool((steps[0] + delta * np.arange(n) == steps).all())
            encoded.append(_BLOCK_HEAD.pack(index, 0 if is_regular else 1, 0, n))
            encoded.append(struct.pack("<dd", steps[0], delta) if is_regular else _float64(steps))
            encoded.append(_float64(columns.values))
            encoded.append((columns.times - base_time).astype("<f4").tobytes() + b"\0" * (4 * (n % 2)))
        return b"".join(encoded)

    # -- logs -----------------------------------------------------------------------------------------------------

    def logs(self, offset: int = 0, limit: int = 1 << 20) -> dict[str, Any]:
        """Give a piece of the log: `{offset, next_offset, size, text}`, all but the text in bytes.

        Args:
            offset: From 0; moved to the next character where it is inside one.
            limit: At most so many bytes; at least one character is given.
        """
        size = self._log_size()
        data = self._log_bytes(min(offset, size), max(limit, 4))
        if data is None:
            return {"offset": 0, "next_offset": 0, "size": 0, "text": ""}
        start = min(offset, size)
        skipped = 0
        while start and skipped < min(3, len(data)) and data[skipped] & 0xC0 == 0x80:
            skipped += 1
        data, start = data[skipped:], start + skipped
        if start + len(data) < size:
            data = data[: len(data) - _torn_bytes(data)]
        return {
            "offset": start,
            "next_offset": start + len(data),
            "size": size,
            "text": data.decode("utf-8", "replace"),
        }

    def logs_tail(self, num_lines: int) -> dict[str, Any]:
        """Give the last lines of the log, at most 1 MiB of them, as `logs` does."""
        size = self._log_size()
        start = max(0, size - _MAX_TAIL_BYTES)
        data = self._log_bytes(start, _MAX_TAIL_BYTES) or b""
        cut = len(data) - 1 if data.endswith(b"\n") else len(data)
        for _ in range(num_lines):
            cut = data.rfind(b"\n", 0, cut)
            if cut < 0:
                break
        offset = start + (cut + 1 if num_lines else len(data))
        return self.logs(offset, max(4, start + len(data) - offset))

    def _read_log(self) -> tuple[int, int, str] | None:
        data = self._log_bytes(self._log_offset, _LOG_CHUNK_BYTES)
        if data:
            data = data[: len(data) - _torn_bytes(data)]
        if not data:
            return None
        return self._log_offset, self._log_offset + len(data), data.decode("utf-8", "replace")

    def _log_size(self) -> int:
        try:
            return self._logs.stat().st_size
        except FileNotFoundError:
            return 0

    def _log_bytes(self, offset: int, limit: int) -> bytes | None:
        try:
            fd = os.open(self._logs, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return None
        try:
            return os.pread(fd, limit, offset)
        finally:
            os.close(fd)


class _PartSource:
    """Reads one series' points of a sealed part, wherever the part is when they are asked for."""

    def __init__(self, store: RunStore, part_id: PartId, key: str) -> None:
        self._store = store
        self._part_id = part_id
        self._key = key

    @property
    def is_in_memory(self) -> bool:
        """Whether reading opens no file."""
        return self._store._parts[self._part_id].series[self._key].raw is not None

    def read(self, start: int, stop: int) -> Raw:
        """Give points from number `start` of the part to before `stop`."""
        raw = self._store._parts[self._part_id].series[self._key].raw
        if raw is not None:
            return raw[0][start:stop], raw[1][start:stop], raw[2][start:stop]
        columns = self._store._read_sealed(self._part_id, self._key, start, stop)
        return columns.steps, columns.values, columns.times


class _Record(NamedTuple):
    """A stored batch: where it begins and ends in its source."""

    seq: int
    kind: int
    stream: int
    number: int
    start_offset: int
    end_offset: int
    start_ordinal: int
    end_ordinal: int


class _Index:
    """`index.bin` and `streams.json`: which sequence number ends where."""

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "index.bin"
        self._names_path = run_dir / "streams.json"
        self._fd = -1
        self._records: list[_Record] = []
        self._seqs: NDArray[np.uint64] = np.empty(0, np.uint64)
        self._ends: dict[int, tuple[int, int, int]] = {}
        self.stream_names: list[str] = []
        self.seq = 0

    def open(self) -> None:
        """Load what is whole; where records may have been lost, go on with numbers that were never given."""
        names = _read_json(self._names_path)
        self.stream_names = list(names["streams"]) if names else []
        data = self._path.read_bytes() if self._path.exists() else b""
        was_lost = not data and (bool(self.stream_names) or segments_dir(self._path.parent).exists())
        for record in np.frombuffer(data, RECORD, len(data) // RECORD.itemsize).tolist():
            if not self._add(record):
                break
        good_bytes = len(self._records) * RECORD.itemsize
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        boot_id = _boot_id()
        if was_lost or (good_bytes < len(data) and not self._records):
            self.renew()
        elif good_bytes < len(data) or (
            names is not None and names.get("boot_id") != boot_id and self._records
        ):
            os.ftruncate(self._fd, good_bytes)
            self.seq += _SEQ_JUMP
            self._save_names()
        elif names is None:
            self._save_names()

    def renew(self) -> None:
        """Begin anew with numbers beyond all that were given."""
        os.ftruncate(self._fd, 0)
        self._records.clear()
        self._ends.clear()
        self._seqs = np.empty(0, np.uint64)
        self.stream_names = []
        self.seq = max(self.seq + _SEQ_JUMP, int(time.time()) * _SEQS_PER_S)
        self._save_names()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def slot(self, name: str) -> int:
        """Give a stream's number, a new one if need be.

        Raises:
            OSError: It cannot be stored.
        """
        if name not in self.stream_names:
            self.stream_names.append(name)
            try:
                self._save_names()
            except OSError:
                self.stream_names.remove(name)
                raise
        return self.stream_names.index(name)

    def append(self, records: Sequence[tuple[int, int, int, int, int]]) -> None:
        """Store records of (kind, stream, number, end offset, end ordinal) under the next sequence numbers.

        Raises:
            OSError: The disk takes nothing more; nothing was stored.
        """
        now = time.time()
        rows = [
            (self.seq + place, now, kind, 0, stream, number, offset, ordinal)
            for place, (kind, stream, number, offset, ordinal) in enumerate(records, 1)
        ]
        data = np.array(rows, RECORD).tobytes()
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, len(self._records) * RECORD.itemsize)
            raise OSError(f"only {written} of {len(data)} bytes fit into {self._path}")
        for row in rows:
            self._add(row)

    def ends(self) -> dict[int, tuple[int, int, int]]:
        """Give number, offset and ordinal up to which each stream was stored; the log's under 0xFFFF."""
        return dict(self._ends)

    def get(self, position: int) -> _Record:
        """Give a record by its place in the file."""
        return self._records[position]

    def after(self, seq: int) -> range:
        """Give the places of the records after `seq`.

        Raises:
            CursorLost: See `RunStore.replay`.
        """
        if len(self._seqs) != len(self._records):
            self._seqs = np.array([record.seq for record in self._records], np.uint64)
        first = int(np.searchsorted(self._seqs, max(seq, 0), side="right"))
        is_end = seq == self.seq
        is_known = first > 0 and self._records[first - 1].seq == seq
        is_before_known = first < len(self._records) and self._records[first].seq == seq + 1
        if seq == 0 or is_end or is_known or is_before_known:
            return range(first, len(self._records))
        raise CursorLost(
            f"Sequence number {seq} is not of this store, whose newest is {self.seq}; fetch columns anew."
        )

    def _add(self, row: tuple[Any, ...]) -> bool:
        """Take a record in, unless it makes no sense after those before it."""
        seq, _, kind, _, stream, number, offset, ordinal = row
        before = self._ends.get(stream, (0, 0, 0))
        if (
            seq <= self.seq
            or kind not in (METRICS, LOG)
            or (kind == METRICS and stream >= len(self.stream_names))
        ):
            return False
        if (number, ordinal) < (before[0], before[2]) or (kind == LOG and offset < before[1]):
            return False
        start = before[1] if before[0] == number else 0
        self._records.append(_Record(seq, kind, stream, number, start, offset, before[2], ordinal))
        self._ends[stream] = number, offset, ordinal
        self.seq = seq
        return True

    def _save_names(self) -> None:
        temporary = self._names_path.with_name(f".{self._names_path.name}.{os.getpid()}")
        with open(temporary, "w", encoding="utf-8") as file:
            json.dump({"streams": self.stream_names, "boot_id": _boot_id()}, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, self._names_path)


def _between(columns: dict[str, Columns], first: int, end: int) -> dict[str, Columns]:
    """Give the points with ordinals from `first` to before `end`."""
    found = {}
    for key, points in columns.items():
        start, stop = np.searchsorted(points.ordinals, (first, end))
        if start < stop:
            found[key] = points.part(int(start), int(stop))
    return found


def _torn_bytes(data: bytes) -> int:
    """Count the bytes at the end of `data` that begin a UTF-8 character whose rest is missing: 0 to 3."""
    for back in range(1, min(3, len(data)) + 1):
        byte = data[-back]
        if byte < 0x80:
            return 0
        if byte >= 0xC0:
            needed = 2 if byte < 0xE0 else 3 if byte < 0xF0 else 4 if byte < 0xF8 else 0
            return back if back < needed else 0
    return 0


def _float64(array: NDArray[np.float64]) -> bytes:
    return np.ascontiguousarray(array, "<f8").tobytes()


def _json_number(number: float | None) -> float | str | None:
    if number is None or np.isfinite(number):
        return number
    return "NaN" if number != number else "Infinity" if number > 0 else "-Infinity"


def _changed_at(directory: Path) -> int:
    try:
        return directory.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, ValueError):
        return None


def _boot_id() -> str:
    """Tell one start of the machine from another; empty where that is unknown."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""
