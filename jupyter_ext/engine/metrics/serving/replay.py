"""Read stored batches again, from wherever their points are by now."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.journal.journal_reader import READ_BYTES, JournalTail
from jupyter_ext.engine.metrics.logs import Logs
from jupyter_ext.engine.metrics.serving.batch import Batch, BatchBlock
from jupyter_ext.engine.metrics.serving.index import LOG, Index, Record
from jupyter_ext.engine.metrics.serving.run_files import RunFiles
from jupyter_ext.engine.metrics.serving.series_table import SeriesTable
from jupyter_ext.engine.metrics.serving.stream_reader import between
from jupyter_ext.ipc.journal_format import journal_name


class _Window(NamedTuple):
    """Points of a stream from ordinal `first` to before `end`, by key."""

    first: int
    end: int
    columns: dict[str, Columns]

    def has(self, record: Record) -> bool:
        return self.first <= record.start.ordinal < record.end.ordinal <= self.end


def replay(records: range, index: Index, files: RunFiles, series: SeriesTable, logs: Logs) -> Iterator[Batch]:
    """Return the batches at places `records` of the index, without marks."""
    windows: dict[int, _Window] = {}
    for position in records:
        record = index.get(position)
        if record.kind == LOG:
            text = logs.between(record.start.offset, record.end.offset)
            yield Batch(record.seq, record.seq, [], text)
            continue
        stream = index.stream_names[record.stream]
        window = windows.get(record.stream)
        if window is None or not window.has(record):
            window = windows[record.stream] = _read(files, stream, record)
        found = between(window.columns, record.start.ordinal, record.end.ordinal)
        blocks = [BatchBlock(series.index(stream, key), points) for key, points in found.items()]
        yield Batch(record.seq, record.seq, blocks)


def _read(files: RunFiles, stream: str, record: Record) -> _Window:
    """Read the points of a record and those near it: 1 MiB of journal, or the whole part."""
    part_id = stream, record.end.number
    start, end = record.start, record.end
    if part_id not in files.parts:
        path = files.run_dir / journal_name(*part_id)
        try:
            tail = JournalTail(path, offset=start.offset, ordinal=start.ordinal, keys=files.keys[part_id])
        except FileNotFoundError:  # sealed since the last look
            files.look_again()
        else:
            news = tail.read(max(READ_BYTES, end.offset - start.offset))
            tail.close()
            return _Window(start.ordinal, tail.ordinal, news.columns)
    part = files.parts[part_id]
    return _Window(part.first_ordinal, part.end_ordinal, files.read_part(part))
