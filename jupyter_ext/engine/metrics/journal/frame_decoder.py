"""Decode whole frames of a journal, as numpy columns by key.

Rule: nothing after the first bad or incomplete frame is looked at, and a frame is never read in part.

Frames of one length are decoded together: their bytes are a matrix with a row for each frame, whose CRCs, ids and
numbers are columns. A loop over frames in Python is only needed where the length changes.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any
from zlib import crc32

from jupyter_ext.engine.metrics.journal.columns import Columns, Floats, Ints, clean_times, join
from jupyter_ext.engine.metrics.journal.frame_crcs import crcs_of
from jupyter_ext.engine.metrics.journal.marks import Mark
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
else:
    np = late("numpy")

_HEAD_BYTES = FRAME_HEAD.size
_POINTS_HEAD_BYTES = 17
_ID_AND_VALUE_BYTES = 10
_ID_AND_VALUE = [("id", "<u2"), ("value", "<f8")]
_RUN_AFTER = 4
"""Equal lengths in a row before a run of them is looked for; a look costs as much as ten frames one by one."""
_MIN_RUN = 64
"""Runs shorter than this are collected frame by frame, and decoded together with others of their length."""


class _BadFrame(Exception):
    """A frame whose CRC is right makes no sense. `position` is where it begins."""

    def __init__(self, position: int) -> None:
        super().__init__(position)
        self.position = position


class FrameDecoder:
    """Decodes whole frames at the beginning of `data`.

    Args:
        data: Bytes of a journal from the beginning of a frame on.
        keys: Names by id that were declared before them; those that they declare are added.
        ordinal: Number of points of the stream before them.

    Attributes:
        end: Where the last good frame ends, bytes of `data`.
        ordinal: Number of points of the stream up to there.
        marks: Those among the frames.
        is_damaged: Whether a frame that is there is bad.
    """

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
        """Decode all that is whole and good."""
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


def _num_keys(frame_bytes: int, position: int) -> int:
    num_keys, rest = divmod(frame_bytes - _HEAD_BYTES - _POINTS_HEAD_BYTES, _ID_AND_VALUE_BYTES)
    if num_keys < 1 or rest:
        raise _BadFrame(position)
    return num_keys


def _column(rows: NDArray[np.uint8], offset: int, dtype: str) -> NDArray[Any]:
    width = np.dtype(dtype).itemsize
    return rows[:, offset : offset + width].view(dtype)[:, 0]
