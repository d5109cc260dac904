"""`index.bin` and `streams.json`: which sequence number ends where in its source.

Rule: a sequence number once given is never given to other points, whatever was lost in between. So the disk is not waited for
when a stream is new: `sync` has it keep the names before the records, and names that a power cut took are as a torn record.

Source: docs/architecture/03-run-directory.md, "index.bin".
"""

from __future__ import annotations

import errno
import itertools
import operator
import os
import struct
import time
from bisect import bisect_right
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.metrics.sealed.segments import segments_dir
from jupyter_ext.ipc.processes import boot_id

RECORD_FIELDS = [
    ("seq", "<u8"),
    ("time", "<f8"),
    ("kind", "u1"),
    ("pad", "u1"),
    ("stream", "<u2"),
    ("number", "<u4"),
    ("end_offset", "<u8"),
    ("end_ordinal", "<u8"),
]
"""Numpy's names and types of a record's fields, for who reads many."""
RECORD = struct.Struct("<QdBBHIQQ")
METRICS, LOG = 1, 2
NO_STREAM = 0xFFFF
"""The stream of the log's records."""
NO_OFFSET = (1 << 64) - 1
"""End of a batch that was read from a segment: only its ordinal counts."""
_MAX_SEQ = (1 << 53) - 1
"""Beyond this JavaScript cannot tell neighbouring numbers apart, so none was ever given."""
_MAX_PLACE = (1 << 63) - 1
"""No file reaches further, so a record that says so is damaged."""
_SEQ_JUMP = 1 << 20
"""Left out after records may have been lost."""
_SEQS_PER_S = 1_000_000
"""A rebuilt index begins at Unix seconds times this, beyond whatever the lost one had reached; below 2**53 until 2255."""


class StreamNames(TypedDict):
    """`streams.json`."""

    streams: list[str]
    boot_id: str


class CursorLost(LookupError):
    """A viewer's sequence number cannot be continued; it has to fetch columns and logs anew."""


class End(NamedTuple):
    """Where a batch ends: in journal `number` of a stream, at byte `offset`, after `ordinal` points of the stream.

    Of the log only `offset` counts, in bytes of logs.txt.
    """

    number: int = 0
    offset: int = 0
    ordinal: int = 0


class Record(NamedTuple):
    """A stored batch of a stream (by its place in `Index.stream_names`). It begins where the one before it ended."""

    seq: int
    kind: int
    stream: int
    start: End
    end: End


class Index:
    """The numbered batches of a run.

    Attributes:
        seq: The newest number; 0 when there is none.
        stream_names: Names of the streams by their numbers in the records.
    """

    def __init__(self, run_dir: Path) -> None:
        self._path = run_dir / "index.bin"
        self._names_path = run_dir / "streams.json"
        self._fd = -1
        self._records: list[Record] = []
        self._ends: dict[int, End] = {}
        self.stream_names: list[str] = []
        self.seq = 0
        self._is_named = False
        self._are_names_synced = True

    def open(self) -> None:
        """Load what is whole; where records may have been lost, go on with numbers that were never given."""
        names = records.read_record(self._names_path, StreamNames)
        self.stream_names = list(names["streams"]) if names is not None else []
        data = self._read()
        was_lost = not data and (bool(self.stream_names) or segments_dir(self._path.parent).exists())
        for row in RECORD.iter_unpack(data[: len(data) // RECORD.size * RECORD.size]):
            if not self._add(row):
                break
        good_bytes = len(self._records) * RECORD.size
        is_torn = good_bytes < len(data)
        is_other_boot = names is not None and names["boot_id"] != boot_id()
        self._fd = self._open_file()
        self._repair(
            was_lost or (is_torn and not self._records), is_torn or (is_other_boot and bool(self._records))
        )
        self._is_named = names is not None or self._is_named

    def _repair(self, begins_anew: bool, leaves_out: bool) -> None:
        """Go on with numbers that were never given; on a read-only disk in memory only."""
        good_bytes = len(self._records) * RECORD.size
        try:
            if begins_anew:
                self.renew()
            elif leaves_out:
                self.seq += _SEQ_JUMP
                os.ftruncate(self._fd, good_bytes)
                self._save_names()
        except OSError as error:
            if error.errno not in (errno.EROFS, errno.EINVAL):  # EINVAL: it could be opened for reading only
                raise

    def _open_file(self) -> int:
        """Open the file to append to it, or on a read-only disk to read it: a run that has ended has nothing to append."""
        try:
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError as error:
            if error.errno != errno.EROFS or not self._path.exists():
                raise
            return os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)

    def _read(self) -> bytes:
        """Return what the file holds; a directory in its place is set aside."""
        if self._path.is_dir():
            records.set_aside(self._path, "it is a directory")
            records.move_aside(self._path)
        return self._path.read_bytes() if self._path.exists() else b""

    def renew(self) -> None:
        """Begin anew with numbers beyond all that were given."""
        self._records.clear()
        self._ends.clear()
        self.stream_names = []
        self.seq = max(self.seq + _SEQ_JUMP, int(time.time()) * _SEQS_PER_S)
        os.ftruncate(self._fd, 0)
        self._save_names()

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def sync(self) -> None:
        """Have the disk keep names and records; blocks, so call it in a thread.

        Raises:
            OSError: The disk refuses.
        """
        if not self._are_names_synced:
            self._are_names_synced = True  # one that comes meanwhile is for the next time
            try:
                _kept(self._names_path, os.fsync)
                _kept(self._names_path.parent, os.fsync)
            except OSError:
                self._are_names_synced = False
                raise
        _kept(self._path, os.fdatasync)

    def stream(self, name: str) -> int:
        """Return a stream's number, a new one if need be.

        Raises:
            OSError: It cannot be stored.
        """
        if name not in self.stream_names:
            self.stream_names.append(name)
            try:
                self._save_names(is_synced=False)
            except OSError:
                self.stream_names.remove(name)
                raise
        return self.stream_names.index(name)

    def append(self, batches: Sequence[tuple[int, int, End]]) -> None:
        """Store batches, each of kind, stream and end, under the next sequence numbers.

        Raises:
            OSError: The disk takes nothing more; nothing was stored.
        """
        if not self._is_named:
            self._save_names(is_synced=False)
        now = time.time()
        rows = [
            (self.seq + place, now, kind, 0, stream, *end)
            for place, (kind, stream, end) in enumerate(batches, 1)
        ]
        data = b"".join(itertools.starmap(RECORD.pack, rows))
        written = os.write(self._fd, data)
        if written < len(data):
            os.ftruncate(self._fd, len(self._records) * RECORD.size)
            raise OSError(f"only {written} of {len(data)} bytes fit into {self._path}")
        for row in rows:
            self._add(row)

    def ends(self) -> dict[int, End]:
        """Return how far each stream was stored; the log under `NO_STREAM`."""
        return dict(self._ends)

    def get(self, position: int) -> Record:
        """Return a record by its place in the file."""
        return self._records[position]

    def after(self, seq: int) -> range:
        """Return the places of the records after `seq`.

        Raises:
            CursorLost: `seq` was never given, or its record was lost.
        """
        first = bisect_right(self._records, max(seq, 0), key=operator.attrgetter("seq"))
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
        before = self._ends.get(stream, End())
        is_known = stream == NO_STREAM if kind == LOG else stream < len(self.stream_names)
        if not self.seq < seq <= _MAX_SEQ or kind not in (METRICS, LOG) or not is_known:
            return False
        if ordinal > _MAX_PLACE or (offset > _MAX_PLACE and (kind == LOG or offset != NO_OFFSET)):
            return False
        if (number, ordinal) < (before.number, before.ordinal) or (kind == LOG and offset < before.offset):
            return False
        start = End(number, before.offset if before.number == number else 0, before.ordinal)
        self._ends[stream] = end = End(number, offset, ordinal)
        self._records.append(Record(seq, kind, stream, start, end))
        self.seq = seq
        return True

    def _save_names(self, *, is_synced: bool = True) -> None:
        content = {"streams": self.stream_names, "boot_id": boot_id()}
        records.replace(self._names_path, content, is_synced=is_synced)
        self._is_named, self._are_names_synced = True, is_synced


def _kept(path: Path, sync: Callable[[int], None]) -> None:
    """Have the disk keep a file or directory, if it is there."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        sync(fd)
    finally:
        os.close(fd)
