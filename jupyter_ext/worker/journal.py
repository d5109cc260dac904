"""Write a run's metrics: one frame and one `os.write` per call, so that a killed process loses nothing it logged.

Rule: standard library only, and no call ever raises because of the disk or waits for another process.

A journal belongs to one process, which holds `flock` on it for life: by this the sealer knows that it no longer
grows. A stream (the rank as text) has one writer at a time. A second one, be it a forked child such as a DataLoader
worker or a process that was started for the same rank, writes to the stream `<rank>.<pid>` instead.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import contextlib
import json
import os
import struct
import sys
import threading
import time
import weakref
from array import array
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, NamedTuple
from zlib import crc32

if sys.platform != "win32":
    import fcntl

KIND_KEY, KIND_POINTS, KIND_MANY, KIND_MARK = 1, 2, 3, 4

FRAME_HEAD = struct.Struct("<II")
"""Length of what follows, CRC32 of the same."""
KEY_HEAD = struct.Struct("<BH")
MANY_HEAD = struct.Struct("<BHId")
MARK_HEAD = struct.Struct("<Bd")
MAX_FRAME_BYTES = 1 << 20
"""A length above this is a damaged frame. 65,535 keys in one call make 655 kB."""
MANY_CHUNK = 32_768
"""Points of `many` in one frame, so that a reader can always work in pieces of 1 MiB."""
ROTATE_BYTES = 16 << 20
MAX_KEYS = 65_535
_MAX_LAYOUTS = 4_096
_now = time.time
_pack_head = FRAME_HEAD.pack
_os_write = os.write
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


class _Layout(NamedTuple):
    """How to pack a call with certain keys: `row` is kind, time, step, then id and value in turn."""

    pack: Callable[..., bytes]
    row: list[Any]


def journal_name(stream: str, number: int) -> str:
    """Name the `number`-th journal of a stream, from 0."""
    return f"metrics-{stream}-{number}.jnl"


def parse_journal_name(name: str) -> tuple[str, int] | None:
    """Give stream and number of a file name that is a journal's, or `None`."""
    stem, dot, extension = name.rpartition(".")
    kind, _, rest = stem.partition("-")
    stream, _, number = rest.rpartition("-")
    if not dot or extension != "jnl" or kind != "metrics" or not stream or not number.isdecimal():
        return None
    return stream, int(number)


class JournalWriter:
    """Writes one stream's journals. Threads may share it; a forked child gets a stream of its own.

    Args:
        directory: The run directory.
        stream: The rank as text (`0`), or `system`.
        rotate_bytes: Size after which the next file is begun, bytes.
        first_call: What `points` without a step counts on from.
    """

    _calls: int
    _dropped: int
    _size: int
    _rotate_at: int
    _closed: bool

    def __init__(
        self,
        directory: str | os.PathLike[str],
        stream: str,
        *,
        rotate_bytes: int = ROTATE_BYTES,
        first_call: int = 0,
    ) -> None:
        self._directory = os.fspath(directory)
        self._base = stream
        self._rotate_bytes = rotate_bytes
        self._fd = -1
        self._begin(stream)
        self._calls = first_call
        _writers.add(self)
        with self._lock:
            self._open()

    @property
    def stream(self) -> str:
        """The stream this process writes to."""
        return self._stream

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
        # Inlined throughout: a method call is 5 % of the time here.
        with self._lock:
            call = self._calls
            self._calls = call + 1
            try:
                pack, row = self._layouts[tuple(values)]
                if step is None:
                    step = call
                if time is None:
                    time = _now()
                if len(row) == 5:  # one key, the most frequent call
                    body = pack(KIND_POINTS, time, step, row[3], *values.values())
                else:
                    row = row.copy()
                    row[1] = time
                    row[2] = step
                    row[4::2] = values.values()
                    body = pack(*row)
            except (KeyError, TypeError, ValueError, struct.error):
                self._points_slowly(
                    {str(key): float(value) for key, value in values.items()},
                    float(call if step is None else step),
                    _now() if time is None else float(time),
                )
                return
            frame = _pack_head(len(body), crc32(body)) + body
            if self._dropped:
                self._write(frame)
                return
            try:
                written = _os_write(self._fd, frame)
            except OSError:
                written = -1
            if written != len(frame):
                self._refused(written)
                return
            self._size = size = self._size + written
            if size >= self._rotate_at:
                self._rotate()

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
        step_bytes, value_bytes = _float64_bytes(steps), _float64_bytes(values)
        if len(step_bytes) != len(value_bytes):
            raise ValueError(
                f"log_many({key!r}): {len(step_bytes) // 8} steps but {len(value_bytes) // 8} values; give one each."
            )
        with self._lock:
            now = _now()
            key_id = self._key_id(key)
            if key_id is None:
                self._dropped += 1
                return
            frames = [_key_frame(key_id, key)]
            for start in range(0, len(step_bytes), 8 * MANY_CHUNK):
                part = slice(start, start + 8 * MANY_CHUNK)
                body = b"".join(
                    (
                        MANY_HEAD.pack(KIND_MANY, key_id, len(step_bytes[part]) // 8, now),
                        step_bytes[part],
                        value_bytes[part],
                    )
                )
                frames.append(_frame(body))
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
        frame = _mark_frame(_now(), {"kind": kind, **fields})
        if len(frame) > MAX_FRAME_BYTES:
            raise ValueError(
                f"A mark of {len(frame)} bytes does not fit a journal (limit 1 MiB); write a file instead."
            )
        with self._lock:
            self._write(frame)

    def close(self) -> None:
        """Close the file; what was dropped and not yet told is told, if the disk allows it."""
        with self._lock:
            if self._closed:
                return
            if self._dropped:
                self._write(b"", calls=0)
            self._closed = True
            self._leave_file()

    # -- all below is called under the lock ---------------------------------------------------------------------

    def _begin(self, stream: str) -> None:
        # Re-entrant, because a signal handler that logs may interrupt a call of the same thread.
        self._lock = threading.RLock()
        self._stream = stream
        self._calls = 0
        self._dropped = 0
        self._closed = False
        self._size = 0
        self._rotate_at = self._rotate_bytes
        self._ids: dict[str, int] = {}
        self._new_ids = count()
        self._layouts: dict[tuple[str, ...], _Layout] = {}

    def _points_slowly(self, values: dict[str, float], step: float, time: float) -> None:
        """Write a call with keys not seen together before, or with values that `struct` does not take."""
        if not values:
            return
        row: list[Any] = [KIND_POINTS, time, step]
        frames = []
        for key, value in values.items():
            key_id = self._key_id(key)
            if key_id is None:
                self._dropped += 1
                return
            frames.append(_key_frame(key_id, key))
            row += (key_id, value)
        pack = struct.Struct("<Bdd" + "Hd" * len(values)).pack
        frames.append(_frame(pack(*row)))
        # Keys are declared again with each new layout: no state has to be right about what the file already holds.
        # A signal handler's call within a rotation keeps none, as the next file may lack its keys.
        if self._write(b"".join(frames)) and self._rotate_at != sys.maxsize:
            if len(self._layouts) >= _MAX_LAYOUTS:
                self._layouts.clear()
            self._layouts[tuple(values)] = _Layout(pack, row)

    def _key_id(self, key: str) -> int | None:
        """Give a key's id, which is never given to another, or `None` where all are used up."""
        key_id = self._ids.get(key)
        if key_id is None:
            if len(self._ids) >= MAX_KEYS or len(key) > MAX_FRAME_BYTES // 8:
                return None
            self._ids[key] = key_id = next(self._new_ids)
        return key_id

    def _write(self, data: bytes, calls: int = 1) -> bool:
        """Write once; where the disk refuses, count the calls as dropped and give False."""
        if self._dropped or self._fd < 0:
            return self._write_after_trouble(data, calls)
        try:
            written = _os_write(self._fd, data)
        except OSError:
            written = -1
        if written != len(data):
            self._refused(written, calls)
            return False
        self._size += written
        if self._size >= self._rotate_at:
            self._rotate()
        return True

    def _write_after_trouble(self, data: bytes, calls: int) -> bool:
        if self._closed:
            raise ValueError(
                f"The journal of stream {self._stream} is closed; points after its end are not kept."
            )
        if self._fd < 0 and not self._open():
            self._dropped += calls
            return False
        dropped, self._dropped = self._dropped, 0
        told = _mark_frame(_now(), {"kind": "dropped", "count": dropped}) if dropped else b""
        if told + data and not self._write(told + data, calls):
            self._dropped += dropped
            return False
        return True

    def _refused(self, written: int, calls: int = 1) -> None:
        """Count calls as dropped, and cut off what a full disk took of them, so that the next frame can be read."""
        self._dropped += calls
        if written <= 0:
            return
        try:
            os.ftruncate(self._fd, os.lseek(self._fd, 0, os.SEEK_END) - written)
        except OSError:
            # A reader stops at the torn frame, so this file is over: the next call begins another.
            self._leave_file()

    def _open(self) -> bool:
        """Begin a file of this stream, or of `<rank>.<pid>` where another process writes to this stream."""
        try:
            number = self._next_number()
            if number and not self._is_free(number - 1) and self._stream == self._base:
                self._stream = f"{self._base}.{os.getpid()}"
                number = self._next_number()
            self._fd = self._create(number)
        except OSError:
            return False
        self._size = 0
        self._rotate_at = self._rotate_bytes
        self._layouts.clear()
        return True

    def _create(self, number: int) -> int:
        while True:
            try:
                fd = os.open(
                    os.path.join(self._directory, journal_name(self._stream, number)), _CREATE, 0o600
                )
            except FileExistsError:
                number += 1
                continue
            _try_lock(fd)  # where the file system has no locks, one writer per stream is the caller's duty
            return fd

    def _next_number(self) -> int:
        """Give the number after the newest journal of this stream, be it sealed (`.parquet`, `.sealed`) or not."""
        newest = -1
        for directory in (self._directory, os.path.join(self._directory, "segments")):
            try:
                names = os.listdir(directory)
            except FileNotFoundError:
                continue
            for name in names:
                parsed = parse_journal_name(f"{name.rpartition('.')[0]}.jnl")
                if parsed is not None and parsed[0] == self._stream:
                    newest = max(newest, parsed[1])
        return newest + 1

    def _is_free(self, number: int) -> bool:
        try:
            fd = os.open(os.path.join(self._directory, journal_name(self._stream, number)), os.O_RDWR)
        except OSError:
            return True
        try:
            return _try_lock(fd)
        finally:
            os.close(fd)

    def _rotate(self) -> None:
        """Go on in the next file.

        The descriptor stays the same, so a call of this thread that a signal handler's call has interrupted goes on
        there too. The file gets its name only then: a reader that sees it knows that the one before is complete.
        """
        self._rotate_at = sys.maxsize
        try:
            name = journal_name(self._stream, self._next_number())
            temporary = os.path.join(self._directory, f".{name}.{os.getpid()}")
            fd = os.open(temporary, _CREATE, 0o600)
        except OSError:
            self._rotate_at = self._size + self._rotate_bytes // 16
            return
        _try_lock(fd)
        keys = b"".join(_key_frame(key_id, key) for key, key_id in list(self._ids.items()))
        try:
            if _os_write(fd, keys) < len(keys):
                raise OSError("no room for the keys")
            os.dup2(fd, self._fd, inheritable=False)
            self._size = len(keys)
            self._rotate_at = len(keys) + self._rotate_bytes
            os.rename(temporary, os.path.join(self._directory, name))
        except OSError:
            # Whatever it was, the next call begins a file anew.
            self._leave_file()
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        finally:
            os.close(fd)

    def _leave_file(self) -> None:
        """Close the file; without layouts the next call takes the slow way, which opens another."""
        fd, self._fd = self._fd, -1
        self._layouts.clear()
        if fd >= 0:
            os.close(fd)

    def _begin_in_child(self) -> None:
        self._leave_file()
        closed = self._closed
        self._begin(f"{self._base}.{os.getpid()}")
        self._closed = closed


def _try_lock(fd: int) -> bool:
    """Take the lock that says that a journal has a living writer; tell whether it was free."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True


def _frame(body: bytes) -> bytes:
    return FRAME_HEAD.pack(len(body), crc32(body)) + body


def _key_frame(key_id: int, key: str) -> bytes:
    return _frame(KEY_HEAD.pack(KIND_KEY, key_id) + key.encode("utf-8", "replace"))


def _mark_frame(time: float, fields: Mapping[str, Any]) -> bytes:
    return _frame(MARK_HEAD.pack(KIND_MARK, time) + json.dumps(fields, default=str).encode())


def _float64_bytes(numbers: Iterable[float]) -> bytes | memoryview:
    """Give little-endian float64; what is that already (numpy, array) is not copied."""
    if sys.byteorder == "little":
        try:
            view = memoryview(numbers)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if view.format in ("d", "<d") and view.ndim == 1 and view.c_contiguous:
                return view.cast("B")
    floats = array("d", [float(number) for number in numbers])
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()


_writers: weakref.WeakSet[JournalWriter] = weakref.WeakSet()


def _begin_in_child() -> None:
    for writer in list(_writers):
        writer._begin_in_child()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin_in_child)
