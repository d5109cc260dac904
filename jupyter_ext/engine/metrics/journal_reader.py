"""Read what was appended to a journal, as numpy columns by key.

Rule: nothing after the first bad or incomplete frame is looked at, and a frame is never read in part.

Frames of one length are decoded together: their bytes are a matrix with a row for each frame, whose CRCs, ids and
numbers are columns. A loop over frames in Python is only needed where the length changes.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import json
import os
import struct
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from zlib import crc32

from jupyter_ext.engine.metrics.frame_crcs import crcs_of
from jupyter_ext.ipc.journal_format import (
    FRAME_HEAD,
    KEY_HEAD,
    KIND_KEY,
    KIND_MANY,
    KIND_MARK,
    KIND_POINTS,
    MANY_HEAD,
    MARK_HEAD,
    MAX_FRAME_BYTES,
)
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Room = NDArray[np.float64]
    """Where points are read into: shape (3, n) for the steps, values and times (Unix s) of n of them."""
else:
    np = late("numpy")
    Floats = Ints = Room = Any


READ_BYTES = 1 << 20
"""Read at once: 10-30 ms of decoding at most."""
_HEAD_BYTES = FRAME_HEAD.size
_POINTS_HEAD_BYTES = 17
_ID_AND_VALUE_BYTES = 10
_ID_AND_VALUE = [("id", "<u2"), ("value", "<f8")]
_RUN_AFTER = 4
"""Equal lengths in a row before a run of them is looked for; a look costs as much as ten frames one by one."""
_MIN_RUN = 64
"""Runs shorter than this are collected frame by frame, and decoded together with others of their length."""
_MAX_TIME_S = 9e9


class Columns(NamedTuple):
    """Points of one series in the order they came: float64 `steps`, `values`, `times` (Unix s, whole microseconds)
    and int64 `ordinals` (each point's number in its stream), all of length n.
    """

    steps: Floats
    values: Floats
    times: Floats
    ordinals: Ints

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> Columns:
        """Return the points from `start` to before `stop`, as views."""
        steps, values, times, ordinals = self
        return Columns(steps[start:stop], values[start:stop], times[start:stop], ordinals[start:stop])


class Mark(NamedTuple):
    """Something that is not a point. `ordinal` counts the points of its stream before it."""

    time: float
    ordinal: int
    fields: Mapping[str, object]


class News(NamedTuple):
    """What one read gave. `more` says that another read may give something at once."""

    columns: dict[str, Columns]
    marks: list[Mark]
    more: bool


class JournalTail:
    """Follows one journal file.

    Args:
        path: The journal.
        offset: Where to begin, bytes: the end of a frame.
        ordinal: Number of points of the stream before `offset`.
        keys: Names by id that were declared before `offset`.

    Attributes:
        offset: End of the last good frame read, bytes.
        ordinal: Number of points of the stream read so far.
        keys: Names by id declared so far in this file.
        is_damaged: Whether a frame that is there is bad; nothing more will be read.

    Raises:
        FileNotFoundError: There is no such journal.
    """

    def __init__(
        self, path: Path, *, offset: int = 0, ordinal: int = 0, keys: Mapping[int, str] | None = None
    ) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        self.offset = offset
        self.ordinal = ordinal
        self.keys = dict(keys or {})
        self.is_damaged = False

    @property
    def size_bytes(self) -> int:
        """The file's size now."""
        return os.fstat(self._fd).st_size

    def read(self, max_bytes: int = READ_BYTES, *, until: int | None = None) -> News:
        """Decode what was appended.

        Args:
            max_bytes: At most so many, though always one whole frame.
            until: Do not read beyond this offset.
        """
        if self.is_damaged:
            return News({}, [], False)
        wanted = max_bytes if until is None else min(max_bytes, until - self.offset)
        data = os.pread(self._fd, wanted, self.offset)
        if wanted and len(data) == wanted < MAX_FRAME_BYTES + _HEAD_BYTES and until is None:
            length = FRAME_HEAD.unpack_from(data)[0] if wanted >= _HEAD_BYTES else MAX_FRAME_BYTES
            if _HEAD_BYTES + length > wanted:
                data = os.pread(self._fd, _HEAD_BYTES + min(length, MAX_FRAME_BYTES), self.offset)
        decoded = self._decode(data)
        self.offset += decoded.end
        self.ordinal = decoded.ordinal
        self.is_damaged = decoded.is_damaged
        more = len(data) >= wanted > 0 and decoded.end > 0 and (until is None or self.offset < until)
        return News(decoded.columns(), decoded.marks, more and not self.is_damaged)

    def _decode(self, data: bytes) -> _Decoder:
        """Decode bytes that follow `offset`; they are bad only if they are still the same.

        A writer that cuts off what a full disk took of a frame may do so within a read, which then finds zeros there.
        """
        while True:
            decoded = _Decoder(data, self.keys, self.ordinal)
            decoded.run()
            if not decoded.is_damaged:
                return decoded
            again = os.pread(self._fd, len(data), self.offset)
            if again == data:
                return decoded
            data = again

    def go_back(self, offset: int, ordinal: int) -> None:
        """Read on from an earlier place: `offset` in bytes, at the end of a frame, with `ordinal` points before it."""
        self.offset, self.ordinal, self.is_damaged = offset, ordinal, False

    def close(self) -> None:
        """Close the file."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class _BadFrame(Exception):
    """A frame whose CRC is right makes no sense. `position` is where it begins."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class _Decoder:
    """Decodes whole frames at the beginning of `data`; `end` is where they end."""

    def __init__(self, data: bytes, keys: dict[int, str], ordinal: int) -> None:
        self._data = data
        self._keys = keys
        self._first_ordinal = ordinal
        self.is_damaged = False
        self._start()

    def _start(self) -> None:
        self.ordinal = self._first_ordinal
        self.end = 0
        self.marks: list[Mark] = []
        self._parts: dict[int, list[Columns]] = {}
        self._scattered: dict[
            int, list[tuple[int, int]]
        ] = {}  # offset and first ordinal, by bytes of a frame

    def run(self) -> None:
        was_bad = False
        while True:
            try:
                self._run()
            except _BadFrame as bad:
                self._data = self._data[: bad.position]
                self._start()
                was_bad = True
            else:
                self.is_damaged = self.is_damaged or was_bad
                return

    def _run(self) -> None:
        data, position, same, last_bytes = memoryview(self._data), 0, 0, 0
        unpack = FRAME_HEAD.unpack_from
        limit = len(data) - _HEAD_BYTES
        while position < limit:
            length, crc = unpack(data, position)
            frame_bytes = _HEAD_BYTES + length
            if not 0 < length <= MAX_FRAME_BYTES:
                self.is_damaged = True
                break
            if position + frame_bytes > len(data):
                break
            is_points = data[position + _HEAD_BYTES] == KIND_POINTS
            same = same + 1 if frame_bytes == last_bytes and is_points else 0
            last_bytes = frame_bytes
            if same >= _RUN_AFTER:
                num_frames = self._run_length(position, frame_bytes)
                same = -num_frames
                if num_frames >= _MIN_RUN:
                    good = self._decode_run(position, num_frames, frame_bytes)
                    position += good * frame_bytes
                    if good < num_frames:
                        self.is_damaged = True
                        break
                    continue
            body = data[position + _HEAD_BYTES : position + frame_bytes]
            if crc32(body) != crc:
                self.is_damaged = True
                break
            if is_points:
                self._scattered.setdefault(frame_bytes, []).append((position, self.ordinal))
                self.ordinal += _num_keys(frame_bytes, position)
            elif not self._frame(body):
                raise _BadFrame(position)
            position += frame_bytes
        self.end = position
        for frame_bytes, places in self._scattered.items():
            positions, ordinals = np.array(places).T
            rows = np.frombuffer(data, np.uint8)[positions[:, None] + np.arange(frame_bytes)]
            self._points(rows, positions, ordinals)

    def columns(self) -> dict[str, Columns]:
        """Return all points by key; each key's in the order they came."""
        by_name: dict[str, list[Columns]] = {}
        for key_id, parts in self._parts.items():
            by_name.setdefault(self._keys[key_id], []).extend(parts)
        return {key: join(parts) for key, parts in by_name.items()}

    def _run_length(self, position: int, frame_bytes: int) -> int:
        """Count the points frames of `frame_bytes` in a row from `position`: at least 1."""
        most = (len(self._data) - position) // frame_bytes
        expected = np.uint32(frame_bytes - _HEAD_BYTES)
        found, window = 1, _MIN_RUN
        while found < most:
            window = min(window, most - found)
            start = position + found * frame_bytes
            shape, strides = (window,), (frame_bytes,)
            lengths = np.ndarray(shape, "<u4", self._data, start, strides)
            kinds = np.ndarray(shape, np.uint8, self._data, start + _HEAD_BYTES, strides)
            differs = np.flatnonzero((lengths != expected) | (kinds != KIND_POINTS))
            if len(differs):
                return found + int(differs[0])
            found += window
            window *= 8
        return found

    def _decode_run(self, position: int, num_frames: int, frame_bytes: int) -> int:
        """Decode a run of points frames of one length; give how many are good."""
        num_keys = _num_keys(frame_bytes, position)
        rows = np.ndarray((num_frames, frame_bytes), np.uint8, self._data, position)
        bad = np.flatnonzero(crcs_of(rows) != _column(rows, 4, "<u4"))
        good = int(bad[0]) if len(bad) else num_frames
        if good:
            frames = np.arange(good, dtype=np.int64)
            self._points(rows[:good], position + frames * frame_bytes, self.ordinal + frames * num_keys)
        self.ordinal += good * num_keys
        return good

    def _points(self, rows: NDArray[np.uint8], positions: Ints, first_ordinals: Ints) -> None:
        """Decode points frames of one length, each a row, whose CRCs are right."""
        num_keys = _num_keys(rows.shape[1], int(positions[0]))
        times = clean_times(_column(rows, _HEAD_BYTES + 1, "<f8"))
        steps = _column(rows, _HEAD_BYTES + 9, "<f8").copy()
        if len(rows) == 1:
            self._one_frame(rows[0], int(positions[0]), int(first_ordinals[0]), steps, times)
            return
        for column in range(num_keys):
            at = _HEAD_BYTES + _POINTS_HEAD_BYTES + column * _ID_AND_VALUE_BYTES
            ids, values = _column(rows, at, "<u2"), _column(rows, at + 2, "<f8").copy()
            ordinals = first_ordinals + column
            first = int(ids[0])
            if (ids == first).all():
                self._known(first, positions)
                self._add(first, Columns(steps, values, times, ordinals))
                continue
            for key_id in np.unique(ids):
                chosen = ids == key_id
                self._known(int(key_id), positions[chosen])
                part = Columns(steps[chosen], values[chosen], times[chosen], ordinals[chosen])
                self._add(int(key_id), part)

    def _one_frame(
        self, row: NDArray[np.uint8], position: int, first_ordinal: int, steps: Floats, times: Floats
    ) -> None:
        """Decode a points frame by itself, all of its keys at once: there may be thousands."""
        pairs = row[_HEAD_BYTES + _POINTS_HEAD_BYTES :].view(np.dtype(_ID_AND_VALUE))
        values = pairs["value"].copy()
        ordinals = np.arange(first_ordinal, first_ordinal + len(pairs), dtype=np.int64)
        for column, key_id in enumerate(pairs["id"].tolist()):
            if key_id not in self._keys:
                raise _BadFrame(position)
            own = slice(column, column + 1)
            self._add(key_id, Columns(steps, values[own], times, ordinals[own]))

    def _known(self, key_id: int, positions: Ints) -> None:
        if key_id not in self._keys:
            raise _BadFrame(int(positions[0]))

    def _frame(self, body: memoryview) -> bool:
        """Decode one frame other than points, whose CRC is right; tell whether it makes sense."""
        kind = body[0]
        try:
            if kind == KIND_MANY:
                return self._many(body)
            if kind == KIND_KEY:
                key_id, name = KEY_HEAD.unpack_from(body)[1], str(body[KEY_HEAD.size :], "utf-8")
                return self._keys.setdefault(key_id, name) == name
            if kind == KIND_MARK:
                time = MARK_HEAD.unpack_from(body)[1]
                fields = json.loads(bytes(body[MARK_HEAD.size :]))
                self.marks.append(Mark(time, self.ordinal, fields))
                return isinstance(fields, dict)
        except (ValueError, struct.error, RecursionError):
            pass  # a damaged body, told by False
        return False

    def _many(self, body: memoryview) -> bool:
        _, key_id, n, time = MANY_HEAD.unpack_from(body)
        if key_id not in self._keys or len(body) != MANY_HEAD.size + 16 * n:
            return False
        numbers = np.frombuffer(body, "<f8", 2 * n, MANY_HEAD.size).reshape(2, n).copy()
        times = np.full(n, clean_times(np.array([time]))[0])
        ordinals = np.arange(self.ordinal, self.ordinal + n, dtype=np.int64)
        self._add(key_id, Columns(numbers[0], numbers[1], times, ordinals))
        self.ordinal += n
        return True

    def _add(self, key_id: int, columns: Columns) -> None:
        self._parts.setdefault(key_id, []).append(columns)


def join(parts: Iterable[Columns]) -> Columns:
    """Join points of one series, in the order of their ordinals."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Columns(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64))
    steps, values, times = (np.concatenate([part[column] for part in parts]) for column in range(3))
    ordinals = np.concatenate([part.ordinals for part in parts])
    if (ordinals[1:] > ordinals[:-1]).all():
        return Columns(steps, values, times, ordinals)
    order = np.argsort(ordinals, kind="stable")
    return Columns(steps[order], values[order], times[order], ordinals[order])


def clean_times(times: Floats) -> Floats:
    """Round to microseconds, which Parquet keeps, so that a point is the same before and after it is sealed."""
    finite = np.nan_to_num(times, nan=0.0, posinf=_MAX_TIME_S, neginf=-_MAX_TIME_S)
    rounded: Floats = np.rint(np.clip(finite, -_MAX_TIME_S, _MAX_TIME_S) * 1e6) / 1e6
    return rounded


def _num_keys(frame_bytes: int, position: int) -> int:
    num_keys, rest = divmod(frame_bytes - _HEAD_BYTES - _POINTS_HEAD_BYTES, _ID_AND_VALUE_BYTES)
    if num_keys < 1 or rest:
        raise _BadFrame(position)
    return num_keys


def _column(rows: NDArray[np.uint8], offset: int, dtype: str) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    return rows[:, offset : offset + width].view(dtype)[:, 0]
