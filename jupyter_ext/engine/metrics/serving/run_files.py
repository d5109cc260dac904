"""A run's journals and sealed parts, as they are now: other processes write, seal, merge and unlink them meanwhile.

Rule: a part is asked for by its id, never by its file, which may be merged into another between two reads.
"""

from __future__ import annotations

import os
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from jupyter_ext.engine.metrics.journal.columns import Columns, Room
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.engine.metrics.points.series import Raw
from jupyter_ext.engine.metrics.sealed.segment_file import SegmentFile
from jupyter_ext.engine.metrics.sealed.segments import load_parts, segments_dir
from jupyter_ext.engine.metrics.sealed.summary import PartId, SealedPart
from jupyter_ext.ipc.journal_format import journal_name, parse_journal_name

T = TypeVar("T")

_NUM_OPEN_SEGMENTS = 4
_SETTLED_S = 0.1
"""A directory changed within this time may change again without its time stamp showing it."""


class RunFiles:
    """Finds and reads the points of a run.

    Attributes:
        run_dir: The run directory.
        numbers: Numbers of the journals and parts of each stream, ascending.
        parts: What was sealed.
        keys: Names by key id of each journal opened, which a reader that begins inside of it needs.
    """

    def __init__(self, run_dir: Path) -> None:
        self.run_dir = run_dir
        self.numbers: dict[str, list[int]] = {}
        self.parts: dict[PartId, SealedPart] = {}
        self.keys: dict[PartId, dict[int, str]] = {}
        self._seen: tuple[int, int] | None = None
        self._segments: OrderedDict[Path, SegmentFile] = OrderedDict()

    def look(self) -> None:
        """Notice new journals and segments; cheap while neither directory changes."""
        stamps = _changed_at(self.run_dir), _changed_at(segments_dir(self.run_dir))
        if stamps == self._seen:
            return
        is_settled = max(stamps) < time.time_ns() - int(_SETTLED_S * 1e9)
        numbers: dict[str, set[int]] = {}
        for name in os.listdir(self.run_dir):
            if (part_id := parse_journal_name(name)) is not None:
                numbers.setdefault(part_id[0], set()).add(part_id[1])
        self.parts = load_parts(self.run_dir, self.parts)
        for stream, number in self.parts:
            numbers.setdefault(stream, set()).add(number)
        self.numbers = {stream: sorted(found) for stream, found in numbers.items()}
        self._seen = stamps if is_settled else None

    def look_again(self) -> None:
        """Notice what changed though the directories' time stamps may not show it."""
        self._seen = None
        self.look()

    def open_journal(self, part_id: PartId, ordinal: int) -> JournalTail:
        """Open a journal at its beginning, before which the stream has `ordinal` points.

        Raises:
            FileNotFoundError: It was sealed since the last look.
        """
        tail = JournalTail(self.run_dir / journal_name(*part_id), ordinal=ordinal)
        self.keys[part_id] = tail.keys
        return tail

    def newest_journals(self) -> list[Path]:
        """Name the newest journal of each stream, whether or not it is sealed."""
        return [
            self.run_dir / journal_name(stream, numbers[-1]) for stream, numbers in list(self.numbers.items())
        ]

    def read(self, part_id: PartId, key: str, start: int, stop: int) -> Columns:
        """Read points `start` to before `stop` of a series in a part."""
        return self._reading(part_id, key, lambda file, row: file.read(row + start, row + stop))

    def read_into(self, part_id: PartId, key: str, start: int, stop: int, room: Room) -> None:
        """Read points `start` to before `stop` of a series in a part, without their ordinals."""
        self._reading(part_id, key, lambda file, row: file.read_into(row + start, row + stop, room))

    def _reading(self, part_id: PartId, key: str, read: Callable[[SegmentFile, int], T]) -> T:
        """Return what `read` does of the file that has a part now and the row in it with which a series begins."""
        while True:
            part = self.parts[part_id]
            try:
                return read(self._segment(part.path), part.series[key].row)
            except FileNotFoundError:  # it was merged into another
                self.look_again()
                if self.parts.get(part_id) in (None, part):
                    raise

    def read_part(self, part: SealedPart) -> dict[str, Columns]:
        """Read all points of a part by key."""
        return {key: self.read(part.id, key, 0, held.summary.num_points) for key, held in part.series.items()}

    def close(self) -> None:
        """Close the segments."""
        while self._segments:
            self._segments.popitem()[1].close()

    def _segment(self, path: Path) -> SegmentFile:
        file = self._segments.get(path)
        if file is None:
            file = self._segments[path] = SegmentFile(path)
            if len(self._segments) > _NUM_OPEN_SEGMENTS:
                self._segments.popitem(last=False)[1].close()
        self._segments.move_to_end(path)
        return file


class SealedPoints:
    """One series' points in a sealed part, wherever the part is when they are asked for."""

    def __init__(self, files: RunFiles, part_id: PartId, key: str) -> None:
        self._files = files
        self._part_id = part_id
        self._key = key

    @property
    def is_in_memory(self) -> bool:
        """Whether reading opens no file."""
        return self._raw is not None

    def read(self, start: int, stop: int, room: Room) -> None:
        """Read points from number `start` of the part to before `stop`."""
        if (raw := self._raw) is not None:
            room[0], room[1], room[2] = (column[start:stop] for column in raw)
        else:
            self._files.read_into(self._part_id, self._key, start, stop, room)

    @property
    def _raw(self) -> Raw | None:
        return self._files.parts[self._part_id].series[self._key].raw


def _changed_at(directory: Path) -> int:
    try:
        return directory.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
