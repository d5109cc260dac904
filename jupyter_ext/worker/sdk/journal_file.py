"""The files of one stream of metrics: begun, locked, rotated, mended and left. `JournalWriter` fills them.

Rule: standard library only. No disk, however full, raises into training code: a call that it did not take is counted, and the
next that it takes says how many there were. Whoever changes the file (`_change_file`) waits until no other thread is in
the quick way past the lock.

A journal belongs to one process, which holds `flock` on it for life: by this the sealer knows that it no longer
grows. A stream (the rank as text) has one writer at a time. A second one, be it a forked child such as a DataLoader
worker or a process that was started for the same rank, writes to the stream `<rank>.<pid>` instead.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
import time as clock
from pathlib import Path
from types import CodeType

from jupyter_ext.ipc.journal_format import FRAME_HEAD, journal_name, mark_frame, parse_journal_name
from jupyter_ext.ipc.json_files import ReservedFile
from jupyter_ext.worker.sdk.reentrancy import is_from_signal_handler, others_are_in

if sys.platform != "win32":
    import fcntl

_RESERVED_BYTES = 4_096
_GRACE_S = 0.5
"""So long a call in another thread is waited for before the file is changed: a signal handler's may never end."""
_os_write = os.write
_CREATE = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_APPEND | getattr(os, "O_CLOEXEC", 0)


class JournalFile:
    """Where the frames of one stream go. All but `close` is called under the lock.

    A base rather than a part, so that the quick way of `JournalWriter` finds descriptor and size without a detour.

    Args:
        directory: The run directory.
        stream: The rank as text (`0`), or `system`.
        rotate_bytes: Size after which the next file is begun, bytes.
        keeps_room: Whether to take room on the disk now for telling at the end what a full disk did not take.
    """

    _closed: bool
    _quick_way: CodeType
    """The method that writes to the file without the lock."""

    def __init__(
        self, directory: str | os.PathLike[str], stream: str, rotate_bytes: int, keeps_room: bool
    ) -> None:
        self._directory = os.fspath(directory)
        self._base = stream
        self._rotate_bytes = rotate_bytes
        self._fd = -1
        self._begin(stream)
        room = Path(self._directory, f"last-of-{stream}")
        self._reserve = ReservedFile(room, _RESERVED_BYTES) if keeps_room else None

    @property
    def stream(self) -> str:
        """The stream this process writes to."""
        return self._stream

    def close(self) -> None:
        """Close the file; what was dropped and not yet told is told, in the room kept for it where the disk is full."""
        with self._lock:
            if self._closed:
                return
            if self._dropped and not self._write(b"", calls=0):
                self._tell_in_reserve()
            self._closed = True
            self._leave_file()
            if self._reserve is not None:
                self._reserve.release()

    def _forget_layouts(self) -> None:
        """Send every call the slow way, until its keys are declared again."""
        raise NotImplementedError

    def _key_frames(self) -> bytes:
        """Return the frames that declare all keys so far: the next file begins with them."""
        raise NotImplementedError

    def _begin(self, stream: str) -> None:
        # Re-entrant, because a signal handler that logs may interrupt a call of the same thread.
        self._lock = threading.RLock()
        self._stream = stream
        self._dropped = 0
        self._closed = False
        self._path = ""
        self._size = 0
        self._rotate_at = self._rotate_bytes
        self._torn = b""

    def _write(self, data: bytes, calls: int = 1) -> bool:
        """Write once; where the disk refuses, count the calls as dropped and give False."""
        self._mend()
        if self._dropped or self._fd < 0:
            return self._write_after_trouble(data, calls)
        try:
            written = _os_write(self._fd, data)
        except OSError as error:
            if is_from_signal_handler(error):
                raise
            written = 0
        self._size += written
        if written == len(data):
            if self._size >= self._rotate_at:
                self._rotate()
            return True
        self._torn = _torn_end(data[:written])
        self._mend()
        self._drop(calls)
        return False

    def _write_after_trouble(self, data: bytes, calls: int) -> bool:
        if self._closed:
            raise ValueError(
                f"The journal of stream {self._stream} is closed; points after its end are not kept."
            )
        if self._fd < 0 and not self._open():
            self._drop(calls)
            return False
        dropped, self._dropped = self._dropped, 0
        if dropped:
            told = mark_frame(clock.time(), {"kind": "dropped", "count": dropped})
            if not self._write(told, calls=dropped):  # they are counted again
                self._drop(calls)
                return False
        return not data or self._write(data, calls)

    def _tell_in_reserve(self) -> None:
        """Write what was dropped as the next file of the stream, into room that was taken at the start."""
        if self._reserve is None:
            return
        self._reserve.path = Path(self._directory, journal_name(self._stream, self._next_number()))
        with contextlib.suppress(OSError):
            self._reserve.write(mark_frame(clock.time(), {"kind": "dropped", "count": self._dropped}))
            self._dropped = 0

    def _drop(self, calls: int) -> None:
        """Count calls as dropped; the next one goes the slow way, to tell of them."""
        self._dropped += calls
        self._forget_layouts()

    def _mend(self) -> None:
        """Cut off what a full disk took of a frame, so that the next one can be read.

        Whole frames before it stay: a reader may have them already.
        """
        if not self._torn:
            return
        self._change_file()
        torn, self._torn = self._torn, b""
        try:
            with open(self._path, "rb") as file:
                end = file.seek(0, os.SEEK_END)
                file.seek(end - len(torn))
                if file.read() != torn:
                    raise OSError("another thread's frame is behind it")
            os.ftruncate(self._fd, end - len(torn))
            self._size -= len(torn)
        except OSError:
            # A reader stops at the torn frame, so this file is over: the next call begins another.
            self._leave_file()

    def _change_file(self) -> None:
        """Send every call the slow way, and wait until no other thread is in the quick one."""
        self._forget_layouts()
        deadline = clock.monotonic() + _GRACE_S
        while others_are_in(self._quick_way) and clock.monotonic() < deadline:
            clock.sleep(0.0002)

    def _begin_in_child(self) -> None:
        """Leave the file to the parent, and begin a stream of this process."""
        self._reserve = None  # the parent's
        self._leave_file()
        closed = self._closed
        self._begin(f"{self._base}.{os.getpid()}")
        self._closed = closed

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
        self._forget_layouts()
        return True

    def _create(self, number: int) -> int:
        while True:
            path = os.path.join(self._directory, journal_name(self._stream, number))
            try:
                fd = os.open(path, _CREATE, 0o600)
            except FileExistsError:
                number += 1
                continue
            self._path = path
            _try_lock(fd)  # where the file system has no locks, one writer per stream is the caller's duty
            return fd

    def _next_number(self) -> int:
        """Return the number after the newest journal of this stream, be it sealed (`.parquet`, `.sealed`) or not."""
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
        self._change_file()
        keys = self._key_frames()
        try:
            if _os_write(fd, keys) < len(keys):
                raise OSError("no room for the keys")
            os.dup2(fd, self._fd, inheritable=False)
            self._size = len(keys)
            self._rotate_at = len(keys) + self._rotate_bytes
            self._path = os.path.join(self._directory, name)
            os.rename(temporary, self._path)
        except OSError:
            # Whatever it was, the next call begins a file anew.
            self._leave_file()
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        finally:
            os.close(fd)

    def _leave_file(self) -> None:
        """Close the file; the next call, which takes the slow way, opens another."""
        self._change_file()
        fd, self._fd = self._fd, -1
        self._torn = b""
        if fd >= 0:
            os.close(fd)


def _torn_end(data: bytes) -> bytes:
    """Return what follows the last whole frame."""
    position = end = 0
    while end <= len(data):
        position = end
        if len(data) - position < FRAME_HEAD.size:
            break
        end = position + FRAME_HEAD.size + FRAME_HEAD.unpack_from(data, position)[0]
    return data[position:]


def _try_lock(fd: int) -> bool:
    """Take the lock that says that a journal has a living writer; tell whether it was free."""
    if sys.platform != "win32":
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
    return True
