"""Write a run's metrics: one frame and one `os.write` per call, so that a killed process loses nothing it logged.

Rule: standard library only, and no call ever raises because of the disk or waits for another process. A call whose keys
and kinds of value were seen before takes no lock: `try_fast_append`. What becomes of the file is `journal_file`'s.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import os
import struct
import sys
import time as clock
import weakref
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any
from zlib import crc32

from jupyter_ext.ipc.journal_format import (
    FRAME_HEAD,
    KIND_MANY,
    KIND_POINTS,
    MANY_CHUNK,
    MANY_HEAD,
    MAX_FRAME_BYTES,
    float64_bytes,
    key_frame,
    mark_frame,
)
from jupyter_ext.ipc.journal_format import frame as make_frame
from jupyter_ext.worker.sdk.journal_file import JournalFile
from jupyter_ext.worker.sdk.reentrancy import is_from_signal_handler

ROTATE_BYTES = 16 << 20
MAX_KEYS = 65_535
_MAX_LAYOUTS = 4_096
_now = clock.time
_pack_head = FRAME_HEAD.pack
_pack_one = struct.Struct("<BddHd").pack
_os_write = os.write
plain_numbers: set[type] = {float, int}
"""Types that `struct` packs as they are, without a warning or another cost; whoever meets more of them adds them."""


class _NeedsSlowPath(Exception):
    """A call that `try_fast_append` cannot write."""


_Layout = tuple[list[str] | None, Callable[..., bytes], list[Any]]
"""How to pack a call with certain keys: the keys, `pack`, and its arguments: kind, time, step, then id and value in turn."""
_NO_LAYOUT: _Layout = (None, struct.pack, [])


class _LayoutCache:
    """What the file that is written to has declared. Thrown away as a whole when the file changes.

    Attributes:
        ids: Of each key.
        layouts: By the keys of a call.
        apart: Of calls whose values were no plain numbers, so that `try_fast_append` does not look at them again.
        recent: The layout of the last call with more than one key.
    """

    __slots__ = ("apart", "ids", "layouts", "recent")

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}
        self.layouts: dict[tuple[str, ...], _Layout] = {}
        self.apart: dict[tuple[str, ...], _Layout] = {}
        self.recent = _NO_LAYOUT

    def set_apart(self, keys: tuple[str, ...], layout: _Layout) -> None:
        self.layouts.pop(keys, None)
        self.apart[keys], self.recent = layout, _NO_LAYOUT


class JournalWriter(JournalFile):
    """Writes one stream's journals. Threads may share it; a forked child gets a stream of its own.

    Args:
        directory: The run directory.
        stream: The rank as text (`0`), or `system`.
        rotate_bytes: Size after which the next file is begun, bytes.
        first_call: What `points` without a step counts on from.
        keeps_room: Whether to take room on the disk now for telling at the end what a full disk did not take.
    """

    _calls: int

    def __init__(
        self,
        directory: str | os.PathLike[str],
        stream: str,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        first_call: int = 0,
        keeps_room: bool = False,
    ) -> None:
        super().__init__(directory, stream, rotate_bytes, keeps_room)
        self._calls = first_call
        self.last_step: float = first_call - 1
        """Step of the last call."""
        _writers.add(self)
        with self._lock:
            self._open()

    @property
    def num_calls(self) -> int:
        """How often `points` was called, counted from `first_call`."""
        return self._calls

    def points(
        self, values: Mapping[str, float], step: float | None = None, time: float | None = None
    ) -> None:
        """Write one point of each key.

        Args:
            values: Numbers by key: anything that `float()` takes. NaN and infinity are values.
            step: The x value; by default the number of calls so far, from 0.
            time: Unix seconds; by default now.

        Raises:
            TypeError: A value is no number; nothing was written.
            ValueError: A value is text that is no number, or the writer is closed.
        """
        if time is None and self.try_fast_append(values, step):
            return
        with self._lock:
            call = self._calls
            self._calls = call + 1
            self.last_step = float(call if step is None else step)
            self._points(
                {str(key): float(value) for key, value in values.items()},
                self.last_step,
                _now() if time is None else float(time),
            )

    def try_fast_append(self, values: Mapping[str, Any], step: float | None = None) -> bool:
        """Write a call as `points` does, if its keys were seen together before and its values are plain numbers.

        Every line counts: behind a system call each bytecode costs some 5 ns.

        Returns:
            Whether it was written. If not, `points` is to be called.
        """
        call = self._calls
        self._calls = call + 1
        try:
            if self._size >= self._rotate_at or (step is not None and step - step != 0):  # NaN or infinite
                raise _NeedsSlowPath
            cache = self._layouts
            if len(values) == 1:
                for key, value in values.items():  # noqa: B007 - the quickest way to the only item
                    pass
                if value.__class__ is not float and value.__class__ not in plain_numbers:
                    raise _NeedsSlowPath
                self.last_step = step = call if step is None else step
                body = _pack_one(KIND_POINTS, _now(), step, cache.ids[key], value)
            else:
                layout = cache.recent
                keys, pack, row = layout
                if list(values) != keys:
                    cache.recent = layout = cache.layouts[tuple(values)]
                    _, pack, row = layout
                numbers = values.values()
                # A sum is quicker than a look at each, and a tensor or an array among them makes it one too.
                if sum(numbers).__class__ not in plain_numbers:
                    cache.set_apart(tuple(values), layout)
                    raise _NeedsSlowPath
                row = row.copy()
                row[1] = _now()
                self.last_step = row[2] = call if step is None else step
                row[4::2] = numbers
                body = pack(*row)
            frame = _pack_head(len(body), crc32(body)) + body
            written = _os_write(self._fd, frame)
            self._size += written
            if written == len(frame):
                return True
            self._torn = frame[:written]
            self._forget_layouts()  # nothing comes behind it before it is cut off
        except Exception as error:
            if is_from_signal_handler(error):
                raise
            # Whatever a value or the disk did: `points` meets it again, and tells.
        self._calls -= 1
        return False

    def many(self, key: str, steps: Iterable[float], values: Iterable[float]) -> None:
        """Write many points of one key; arrays of float64 are not copied.

        Args:
            key: The metric's name.
            steps: x values, n numbers.
            values: y values, n numbers.

        Raises:
            TypeError: An element is no number; nothing was written.
            ValueError: `steps` and `values` differ in length, or the writer is closed.
        """
        step_bytes, value_bytes = float64_bytes(steps), float64_bytes(values)
        if len(step_bytes) != len(value_bytes):
            raise ValueError(
                f"log_many({key!r}): {len(step_bytes) // 8} steps but {len(value_bytes) // 8} values; give one each."
            )
        with self._lock:
            now = _now()
            key_id = self._key_id(key)
            if key_id is None:
                self._drop(1)
                return
            frames = [key_frame(key_id, key)]
            for start in range(0, len(step_bytes), 8 * MANY_CHUNK):
                part = slice(start, start + 8 * MANY_CHUNK)
                body = b"".join(
                    (
                        MANY_HEAD.pack(KIND_MANY, key_id, len(step_bytes[part]) // 8, now),
                        step_bytes[part],
                        value_bytes[part],
                    )
                )
                frames.append(make_frame(body))
            if len(frames) > 1:
                self._write(b"".join(frames))

    def mark(self, kind: str, **fields: Any) -> None:
        """Write something that is not a point, such as progress or a checkpoint.

        Args:
            kind: What it is.
            **fields: Whatever JSON can carry; other objects are written as their text.

        Raises:
            ValueError: It makes more than 1 MiB, or the writer is closed.
        """
        frame = mark_frame(_now(), {"kind": kind, **fields})
        if len(frame) > MAX_FRAME_BYTES:
            raise ValueError(
                f"A mark of {len(frame)} bytes does not fit a journal (limit 1 MiB); write a file instead."
            )
        with self._lock:
            self._write(frame)

    # -- all below is called under the lock ---------------------------------------------------------------------

    def _begin(self, stream: str) -> None:
        super()._begin(stream)
        self._calls = 0
        self._ids: dict[str, int] = {}
        self._new_ids = count()
        self._forget_layouts()

    def _forget_layouts(self) -> None:
        self._layouts = _LayoutCache()

    def _key_frames(self) -> bytes:
        return b"".join(key_frame(key_id, key) for key, key_id in list(self._ids.items()))

    def _points(self, values: dict[str, float], step: float, time: float) -> None:
        """Write a call; declare its keys where they were not seen together before in this file."""
        if not values:
            return
        self._mend()
        if self._size >= self._rotate_at:
            self._rotate()
        keys = tuple(values)
        cache = self._layouts
        layout = cache.layouts.get(keys) or cache.apart.get(keys)
        if layout is not None:
            _, pack, row = layout
            row = row.copy()
            row[1:3] = time, step
            row[4::2] = values.values()
            self._write(make_frame(pack(*row)))
            return
        row = [KIND_POINTS, time, step]
        frames = []
        for key, value in values.items():
            key_id = self._key_id(key)
            if key_id is None:
                self._drop(1)
                return
            frames.append(key_frame(key_id, key))
            row += (key_id, value)
        pack = struct.Struct("<Bdd" + "Hd" * len(values)).pack
        frames.append(make_frame(pack(*row)))
        # Keys are declared again with each new layout: no state has to be right about what the file already holds.
        # A signal handler's call within a rotation keeps none, as the next file may lack its keys.
        if self._write(b"".join(frames)) and self._rotate_at != sys.maxsize:
            cache = self._layouts
            if len(cache.layouts) + len(cache.apart) >= _MAX_LAYOUTS:
                cache = self._layouts = _LayoutCache()
            cache.layouts[keys] = (list(keys), pack, row)
            for key in keys:
                cache.ids[key] = self._ids[key]

    def _key_id(self, key: str) -> int | None:
        """Return a key's id, which is never given to another, or `None` where all are used up."""
        key_id = self._ids.get(key)
        if key_id is None:
            if len(self._ids) >= MAX_KEYS or len(key) > MAX_FRAME_BYTES // 8:
                return None
            self._ids[key] = key_id = next(self._new_ids)
        return key_id


JournalWriter._quick_way = JournalWriter.try_fast_append.__code__
_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _begin_in_child() -> None:
    for writer in list(_writers):
        writer._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
