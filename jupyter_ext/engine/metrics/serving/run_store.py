"""One run's metrics and logs: takes in what the worker writes, numbers it, and serves it.

Rule: store first, then publish. The points are stored by the worker already; what is stored here is where each batch
ends in its source (`index.bin`), so that a sequence number means the same points for ever: before and after a
restart of the engine, before and after sealing.

Used from one thread, the event loop's. `ingest` and `replay` work in pieces of 1 MiB.

Source: docs/architecture/03-run-directory.md; 02-wire.md, "The stream" and "Columns".
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from jupyter_ext.engine.metrics.journal.journal_reader import READ_BYTES
from jupyter_ext.engine.metrics.journal.marks import Marks, wire_mark
from jupyter_ext.engine.metrics.logs import LogPage, LogPiece, Logs
from jupyter_ext.engine.metrics.points.pyramid import Points
from jupyter_ext.engine.metrics.points.series import Axis, Point
from jupyter_ext.engine.metrics.sealed import segment_file
from jupyter_ext.engine.metrics.sealed.summary import PartId, SealedPart
from jupyter_ext.engine.metrics.serving.batch import Batch, BatchBlock
from jupyter_ext.engine.metrics.serving.index import LOG, METRICS, NO_STREAM, CursorLost, End, Index
from jupyter_ext.engine.metrics.serving.replay import replay
from jupyter_ext.engine.metrics.serving.run_files import RunFiles
from jupyter_ext.engine.metrics.serving.series_table import SeriesTable
from jupyter_ext.engine.metrics.serving.stream_reader import DoesNotFit, Reading, StreamReader
from jupyter_ext.ipc.payloads.journal_marks import WireMark
from jupyter_ext.protocol.trainings import SeriesInfo

__all__ = ["Batch", "BatchBlock", "CursorLost", "RunStore"]

log = logging.getLogger(__name__)


class RunStore:
    """The store of one run. Call `open` first.

    Args:
        run_dir: The run directory.
    """

    def __init__(self, run_dir: Path) -> None:
        self._dir = Path(run_dir)
        self._logs = Logs(self._dir / "logs.txt")
        self._index = Index(self._dir)
        self._files = RunFiles(self._dir)
        self._begin()

    def _begin(self) -> None:
        self._streams: dict[str, StreamReader] = {}
        self._series = SeriesTable(self._files)
        self._applied: set[PartId] = set()
        self._marks = Marks()
        self._log_offset = 0
        self._turn = 0

    # -- opening and closing --------------------------------------------------------------------------------------

    def open(self) -> None:
        """Recover everything that was numbered before. An index that does not fit the files is made anew.

        Raises:
            OSError: The run directory cannot be read or written.
        """
        self._index.open()
        self._files.look()
        try:
            self._restore()
        except (DoesNotFit, LookupError, ValueError, TypeError, OverflowError) as why:  # a damaged index
            log.warning("the index of %s is made anew: %s", self._dir, why)
            self._close_streams()
            self._begin()
            self._index.renew()

    def close(self) -> None:
        """Close all files."""
        self._close_streams()
        self._files.close()
        self._index.close()

    @property
    def directory(self) -> Path:
        """The run directory."""
        return self._dir

    @property
    def needs_loading(self) -> bool:
        """Whether to read points may mean to `load` first."""
        return bool(self._files.parts) and not segment_file.is_loaded()

    @staticmethod
    def load() -> None:
        """Load what reads sealed points, so that the next read does not: 30 to 100 ms, so call it in a thread."""
        segment_file.load()

    def sync(self) -> None:
        """Have the disk keep what was stored so far (fdatasync); blocks, so call it in a thread."""
        for path in (*self._files.newest_journals(), self._logs.path):
            try:
                fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                continue
            try:
                os.fdatasync(fd)
            finally:
                os.close(fd)
        self._index.sync()

    def _close_streams(self) -> None:
        for stream in self._streams.values():
            stream.close()

    def _restore(self) -> None:
        """Read up to where the index says.

        Raises:
            DoesNotFit: The files do not reach so far.
        """
        ends = self._index.ends()
        self._log_offset = ends.pop(NO_STREAM, End()).offset
        if self._log_offset > self._logs.size_bytes():
            raise DoesNotFit(f"logs.txt ends before {self._log_offset}")
        for number, end in ends.items():
            stream = self._stream(self._index.stream_names[number])
            for item in stream.restore(end):
                if isinstance(item, SealedPart):
                    self._series.append_sealed(item)
                    self._applied.add(item.id)
                else:
                    self._series.append(stream.name, stream.number, item.columns)
                self._marks.add(stream.name, item.marks)

    def _stream(self, name: str) -> StreamReader:
        stream = self._streams.get(name)
        if stream is None:
            stream = self._streams[name] = StreamReader(self._files, name)
        return stream

    # -- taking in ------------------------------------------------------------------------------------------------

    @property
    def seq(self) -> int:
        """The newest stored sequence number; 0 when there is none."""
        return self._index.seq

    def ingest(self, *, final: bool = False) -> Batch | None:
        """Store news, at most about 1 MiB of them, and give what to publish.

        Args:
            final: The run is over and writes no more, so a last character that it began is published as it is.

        Returns:
            `None` where there is nothing new, or where the disk is too full to store it now.

        Raises:
            OSError: It cannot be read now; the next call reads it again.
        """
        readings: list[Reading] = []
        try:
            self._files.look()
            self._read_streams(readings)
            text = self._logs.news(self._log_offset, final=final)
        except BaseException:
            self._put_back(readings)
            raise
        try:
            metrics_seq = self._number(readings, text)
        except OSError as error:
            log.warning("news of %s wait until they can be stored: %s", self._dir, error)
            self._put_back(readings)
            return None
        blocks = [block for reading in readings for block in self._keep(reading)]
        if text is not None:
            self._log_offset = text.next_offset
        self._apply_sealed()
        if not readings and text is None:
            return None
        return Batch(
            seq=self.seq,
            metrics_seq=metrics_seq,
            blocks=blocks,
            log=text,
            marks=[
                wire_mark(reading.stream.name, mark) for reading in readings for mark in reading.news.marks
            ],
            has_reports=any(reading.stream.name != "system" for reading in readings),
        )

    def marks(self) -> list[WireMark]:
        """Return all marks so far by time; of progress only the latest of each stream."""
        return self._marks.all()

    def _read_streams(self, readings: list[Reading]) -> None:
        """Add news of the streams in turn, so that none starves."""
        budget = READ_BYTES
        names = sorted(self._files.numbers)
        for turn in range(len(names)):
            reading = self._stream(names[(self._turn + turn) % len(names)]).read(budget)
            if reading is not None:
                readings.append(reading)
                budget -= budget if reading.num_bytes is None else reading.num_bytes
            if budget <= 0:
                self._turn += turn + 1
                break

    @staticmethod
    def _put_back(readings: Sequence[Reading]) -> None:
        """Have what was read and not stored be read again."""
        for reading in readings:
            reading.stream.put_back(reading)

    def _number(self, readings: Sequence[Reading], text: LogPiece | None) -> int:
        """Number news and store the numbers; return that of the newest points.

        Raises:
            OSError: The disk takes nothing more; nothing was stored.
        """
        batches = [
            (METRICS, self._index.stream(reading.stream.name), reading.end)
            for reading in readings
            if reading.news.columns
        ]
        metrics_seq = self.seq + len(batches)
        if text is not None:
            batches.append((LOG, NO_STREAM, End(0, text.next_offset, 0)))
        if batches:
            self._index.append(batches)
        return metrics_seq

    def _keep(self, reading: Reading) -> list[BatchBlock]:
        stream = reading.stream
        self._marks.add(stream.name, reading.news.marks)
        return self._series.append(stream.name, stream.number, reading.news.columns)

    def _apply_sealed(self) -> None:
        """Free the points in memory of journals that were read to their end and are sealed."""
        for part_id in self._files.parts.keys() - self._applied:
            part, stream = self._files.parts[part_id], self._streams.get(part_id[0])
            if stream is None or stream.number < part.number or stream.ordinal < part.end_ordinal:
                continue
            self._series.seal(part)
            self._files.keys.pop(part_id, None)
            self._applied.add(part_id)

    # -- serving --------------------------------------------------------------------------------------------------

    def replay(self, after_seq: int) -> Iterator[Batch]:
        """Return the stored batches after `after_seq`, up to the newest at the time of this call, without marks.

        Args:
            after_seq: The newest sequence number that the viewer has; 0 for everything.

        Raises:
            CursorLost: This number was never given, or its record was lost.
        """
        return replay(self._index.after(after_seq), self._index, self._files, self._series, self._logs)

    def num_series(self, stream: str) -> int:
        """Count the series of a stream."""
        return self._series.num_series(stream)

    def num_points(self, stream: str) -> dict[str, int]:
        """Count the points of each series of a stream."""
        return self._series.num_points(stream)

    @property
    def log_offset(self) -> int:
        """How far the log was read, bytes."""
        return self._log_offset

    def series_infos(self, first: int = 0) -> list[SeriesInfo]:
        """Name all series from index `first` on; `rank` is the stream: `0`, `1`, `0.4711` of a forked child, `system`."""
        return self._series.infos(first)

    def points(self, stream: str, key: str, start: int, stop: int) -> Points:
        """Return points of a series from number `start` to before `stop`; see `num_points`."""
        return self._series.points(stream, key, start, stop)

    def last_points(self, stream: str = "0", limit: int | None = None) -> dict[str, Point]:
        """Return the newest point of each series of a stream, or of the first `limit` of them."""
        return self._series.last_points(stream, limit)

    def extremes(self, stream: str = "0", limit: int | None = None) -> dict[str, tuple[float, float]]:
        """Return the smallest and the largest finite value of each series of a stream, or of the first `limit`."""
        return self._series.extremes(stream, limit)

    def columns(
        self,
        keys: Sequence[str] | None = None,
        buckets: int | None = None,
        axis: Axis = "step",
        lo: float | None = None,
        hi: float | None = None,
    ) -> memoryview:
        """Encode series as columns (JXC1), read-only.

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
        return self._series.columns(self.seq, keys, buckets, axis, lo, hi, self._marks.checkpoints())

    @staticmethod
    def encode_batch(batch: Batch) -> bytes:
        """Encode the points of a batch (JXM1)."""
        return batch.encoded

    def logs(self, offset: int = 0, limit: int = 1 << 20) -> LogPage:
        """Return a piece of the log: `{offset, next_offset, size, text}`, all but the text in bytes.

        Args:
            offset: From 0; moved to the next character where it is inside one.
            limit: At most so many bytes; at least one character is given.
        """
        return self._logs.piece(offset, limit)

    def logs_tail(self, num_lines: int) -> LogPage:
        """Return the last lines of the log, at most 1 MiB of them, as `logs` does."""
        return self._logs.tail(num_lines)
