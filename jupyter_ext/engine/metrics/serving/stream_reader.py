"""Reads one stream's points in their order, from its journals and from the parts they were sealed into.

Rule: what was read can be put back, so that nothing is lost that could not be stored.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from jupyter_ext.engine.metrics.journal.columns import Columns
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail, News
from jupyter_ext.engine.metrics.journal.marks import Mark
from jupyter_ext.engine.metrics.sealed.summary import SealedPart
from jupyter_ext.engine.metrics.serving.index import NO_OFFSET, End
from jupyter_ext.engine.metrics.serving.run_files import RunFiles
from jupyter_ext.ipc.journal_format import journal_name
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")

_PART_CHUNK_POINTS = 100_000


class DoesNotFit(Exception):
    """The index speaks of points that the files do not have."""


class _Place(NamedTuple):
    """How far a stream was read within one file."""

    offset: int
    ordinal: int
    part: dict[str, Columns] | None
    told_damage: int


class Reading(NamedTuple):
    """News of a stream, all from one file, and where they end."""

    stream: StreamReader
    news: News
    end: End
    before: _Place

    @property
    def num_bytes(self) -> int | None:
        """Bytes of journal read, or `None` where a part was read."""
        return None if self.end.offset == NO_OFFSET else self.end.offset - self.before.offset


class StreamReader:
    """Reads one stream.

    Args:
        files: The run's files.
        name: The stream: the rank as text, or `system`.

    Attributes:
        number: The journal that is read now, or was read last; −1 before the first.
        ordinal: Points of the stream read so far.
    """

    def __init__(self, files: RunFiles, name: str) -> None:
        self.name = name
        self.number = -1
        self.ordinal = 0
        self._files = files
        self._tail: JournalTail | None = None
        self._part: dict[str, Columns] | None = None
        self._told_damage = -1

    def close(self) -> None:
        """Close the journal."""
        if self._tail is not None:
            self._tail.close()
            self._tail = None

    def read(self, max_bytes: int) -> Reading | None:
        """Return news, at most about so many bytes of one journal, or `None`."""
        while True:
            if self._part is not None:
                reading = self._read_part(self._part)
                if reading is not None:
                    return reading
                self._part = None
            elif self._tail is not None:
                reading = self._read_journal(self._tail, max_bytes)
                if reading is not None:
                    return reading
                if not self._is_over():
                    return None
                self.close()
            elif not self._next_file():
                return None

    def put_back(self, reading: Reading) -> None:
        """Go back to before a reading, the last one of this stream."""
        self.ordinal, self._part, self._told_damage = reading.before[1:]
        if self._tail is not None:
            self._tail.go_back(reading.before.offset, reading.before.ordinal)

    def restore(self, end: End) -> Iterator[SealedPart | News]:
        """Go on from `end`, which the index says was reached; return all that was read up to there.

        Raises:
            DoesNotFit: The files do not reach so far.
        """
        for number in self._files.numbers.get(self.name, []):
            if number > end.number:
                break
            self.number = number
            part = self._files.parts.get((self.name, number))
            if part is None:
                yield from self._restore_journal(end)
            elif part.first_ordinal != self.ordinal:
                raise DoesNotFit(f"{part.path.name} begins at {part.first_ordinal}, not {self.ordinal}")
            else:
                yield self._restore_part(part, end.ordinal)
        if (self.number, self.ordinal) != (end.number, end.ordinal):
            raise DoesNotFit(f"stream {self.name} ends at point {self.ordinal}, not {end.ordinal}")

    def _restore_journal(self, end: End) -> Iterator[News]:
        try:
            tail = self._files.open_journal((self.name, self.number), self.ordinal)
        except FileNotFoundError as error:
            raise DoesNotFit(str(error)) from error
        self._tail = tail
        until = end.offset if self.number == end.number else None
        more = True
        while more:
            news = tail.read(until=until)
            more = news.more
            self.ordinal = tail.ordinal
            yield news
        if until is None:
            self.close()
        elif tail.offset != until:
            raise DoesNotFit(f"{journal_name(self.name, self.number)} ends at {tail.offset}, not {until}")

    def _restore_part(self, part: SealedPart, ordinal: int) -> SealedPart | News:
        """Take over a sealed part; of one that was not numbered to its end, only what was."""
        if part.end_ordinal <= ordinal:
            self.ordinal = part.end_ordinal
            return part
        self._part, self.ordinal = self._files.read_part(part), ordinal
        marks = [mark for mark in part.marks if mark.ordinal <= ordinal]
        return News(between(self._part, part.first_ordinal, ordinal), marks, False)

    def _read_journal(self, tail: JournalTail, max_bytes: int) -> Reading | None:
        before = self._place()
        news = tail.read(max_bytes)
        if tail.is_damaged and self._told_damage != self.number:
            self._told_damage = self.number
            news.marks.append(self._damage(tail))
        if not news.columns and not news.marks:
            return None
        self.ordinal = tail.ordinal
        return Reading(self, news, End(self.number, tail.offset, tail.ordinal), before)

    def _read_part(self, columns: dict[str, Columns]) -> Reading | None:
        """Return the next points of a segment whose journal was sealed before it was read."""
        part = self._files.parts[self.name, self.number]
        before, first = self._place(), self.ordinal
        end = min(part.end_ordinal, first + _PART_CHUNK_POINTS)
        marks = [
            mark
            for mark in part.marks
            if first < mark.ordinal <= end or mark.ordinal == first == part.first_ordinal
        ]
        if first >= end and (not marks or part.first_ordinal < part.end_ordinal):
            return None
        if first == end:  # only marks
            self._part = None
        self.ordinal = end
        news = News(between(columns, first, end), marks, True)
        return Reading(self, news, End(self.number, NO_OFFSET, end), before)

    def _next_file(self) -> bool:
        """Go on to the next journal or segment; tell whether there is one."""
        numbers = self._files.numbers.get(self.name, [])
        number = next((number for number in numbers if number > self.number), None)
        if number is None:
            return False
        part = self._files.parts.get((self.name, number))
        if part is None:
            try:
                self._tail = self._files.open_journal((self.name, number), self.ordinal)
            except FileNotFoundError:  # sealed since the last look
                self._files.look_again()
                return False
        else:
            self._part = self._files.read_part(part)
        self.number = number
        return True

    def _is_over(self) -> bool:
        """Tell whether the journal that is read will never grow again."""
        return (self.name, self.number) in self._files.parts or self._files.numbers[self.name][
            -1
        ] > self.number

    def _place(self) -> _Place:
        offset = self._tail.offset if self._tail is not None else 0
        return _Place(offset, self.ordinal, self._part, self._told_damage)

    def _damage(self, tail: JournalTail) -> Mark:
        name = journal_name(self.name, self.number)
        text = (
            f"{name} is damaged from byte {tail.offset} on; the points after it in this file are not shown."
        )
        return Mark(time.time(), tail.ordinal, {"kind": "notice", "text": text})


def between(columns: dict[str, Columns], first: int, end: int) -> dict[str, Columns]:
    """Return the points with ordinals from `first` to before `end`."""
    found = {}
    for key, points in columns.items():
        start, stop = np.searchsorted(points.ordinals, (first, end))
        if start < stop:
            found[key] = points.part(int(start), int(stop))
    return found
