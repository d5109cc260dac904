"""One SQLite file with one writer: one process (`flock`), one thread, one connection; a second connection only reads.

Rule: nobody else writes to or checkpoints this file. It is more than tidiness: SQLite 3.7.0 to 3.51.2, which many
systems still carry, can corrupt a WAL database when two connections write and checkpoint at the same moment
(the "WAL-reset" bug, fixed in 3.51.3). With one writing connection it cannot occur; the lock file keeps a second
process out.

Source: https://www.sqlite.org/wal.html
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import logging
import os
import sqlite3
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from fcntl import LOCK_EX, LOCK_NB, flock
from pathlib import Path
from typing import TypeVar

from jupyter_ext.engine.common.disk import is_disk
from jupyter_ext.errors import EngineStartError

log = logging.getLogger(__name__)

T = TypeVar("T")


class DatabaseInUse(EngineStartError):
    """Another process holds the database."""


_NOT_USABLE = {sqlite3.SQLITE_READONLY, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_FULL, sqlite3.SQLITE_CANTOPEN}
"""Primary result codes that speak of the disk, not of the file's content."""


_DISK_ERRORS = {
    sqlite3.SQLITE_FULL: errno.ENOSPC,
    sqlite3.SQLITE_READONLY: errno.EROFS,
    sqlite3.SQLITE_IOERR: errno.EIO,
}


class DatabaseNotUsable(EngineStartError):
    """The file cannot be read or written, though nothing is wrong with its content."""


class DatabaseTooNew(EngineStartError):
    """A newer version of this library has changed the database's tables."""


class Database:
    """A database that opens itself, moves on by numbered migrations, and replaces a corrupt file by an empty one.

    Args:
        path: The SQLite file; beside it lies `<name>.lock`.
        migrations: SQL scripts; the n-th brings the tables from version n - 1 to n (`PRAGMA user_version`).

    Attributes:
        corrupt_path: Where a corrupt file was moved to when this was opened, or `None`.
    """

    def __init__(self, path: Path, migrations: Sequence[str]) -> None:
        self._path = path
        self._migrations = migrations
        self._lock_fd = -1
        self._writing: sqlite3.Connection | None = None
        self._reading: sqlite3.Connection | None = None
        self._writer = ThreadPoolExecutor(1, thread_name_prefix=f"write {path.name}")
        self._reader = ThreadPoolExecutor(1, thread_name_prefix=f"read {path.name}")
        self.corrupt_path: Path | None = None

    async def open(self) -> None:
        """Lock, open and migrate.

        Raises:
            DatabaseInUse: Another process holds it.
            DatabaseTooNew: Its tables are of a newer version.
            DatabaseNotUsable: Its disk takes nothing.
            OSError: The directory cannot be written, for another reason.
        """
        await self._run(self._writer, self._open)

    async def open_in_memory(self) -> None:
        """Have an empty database in memory instead, for as long as the disk takes nothing; nothing of it is kept."""
        await self._run(self._reader, self._close_reading)
        await self._run(self._writer, self._close)
        if self._reader is not self._writer:
            self._reader.shutdown()
        self._reader = self._writer  # one connection has one thread
        await self._run(self._writer, self._open_in_memory)

    async def close(self) -> None:
        """Fold the log into the file and let go of the lock. A closed database cannot be opened again."""
        await self._run(self._reader, self._close_reading)
        await self._run(self._writer, self._close)
        self._reader.shutdown()
        self._writer.shutdown()

    async def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` in one transaction, in the writer's thread; an exception undoes it.

        Raises:
            OSError: The disk takes nothing more; nothing was written.
        """

        def transaction() -> T:
            assert self._writing is not None, "open() first"
            try:
                with self._writing:
                    return work(self._writing)
            except sqlite3.OperationalError as error:
                number = _DISK_ERRORS.get(error.sqlite_errorcode & 0xFF)
                if number is None:
                    raise
                raise OSError(number, os.strerror(number), str(self._path)) from error

        return await self._run(self._writer, transaction)

    async def read(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Do `work` on the read-only connection, in the reader's thread."""

        def reading() -> T:
            assert self._reading is not None, "open() first"
            return work(self._reading)

        return await self._run(self._reader, reading)

    @staticmethod
    async def _run(thread: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(thread, work)

    def _open(self) -> None:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            self._lock()
            if self._path.is_dir():
                self._move_aside(IsADirectoryError(f"{self._path} is a directory"))
        except OSError as error:
            self._unlock()
            if not is_disk(error):
                raise
            raise self._not_usable(error.strerror or str(error)) from error
        try:
            self._connect()
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):
                self._unlock()
                if error.sqlite_errorcode & 0xFF not in _NOT_USABLE:
                    raise
                raise self._not_usable(str(error)) from error
            self._move_aside(error)
            self._connect()
        except BaseException:
            self._unlock()
            raise

    def _not_usable(self, why: str) -> DatabaseNotUsable:
        return DatabaseNotUsable(
            f"{self._path} cannot be used ({why}); is the disk full or read-only? "
            "Make room, or set JUPYTER_EXT_DATA_DIR to another directory."
        )

    def _open_in_memory(self) -> None:
        connection = sqlite3.connect(":memory:", check_same_thread=False)
        connection.row_factory = sqlite3.Row
        self._migrate(connection)
        self._writing = self._reading = connection

    def _lock(self) -> None:
        lock_path = self._path.with_name(f"{self._path.name}.lock")
        fd = os.open(lock_path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            flock(fd, LOCK_EX | LOCK_NB)
        except BlockingIOError:
            holder = os.pread(fd, 32, 0).decode("ascii", "replace").strip()
            os.close(fd)
            raise DatabaseInUse(
                f"{self._path} is held by process {holder or '?'}; use or stop the engine that runs already, "
                f"or set JUPYTER_EXT_DATA_DIR to another directory."
            ) from None
        with contextlib.suppress(OSError):  # a full disk: the lock holds all the same, without a name
            os.ftruncate(fd, 0)
            os.pwrite(fd, f"{os.getpid()}\n".encode(), 0)
        self._lock_fd = fd

    def _unlock(self) -> None:
        if self._lock_fd >= 0:
            os.close(self._lock_fd)
            self._lock_fd = -1

    def _connect(self) -> None:
        writing = sqlite3.connect(self._path, check_same_thread=False)
        try:
            writing.row_factory = sqlite3.Row
            writing.execute("PRAGMA journal_mode = WAL")
            writing.execute("PRAGMA synchronous = NORMAL")
            writing.execute("PRAGMA foreign_keys = ON")
            found = writing.execute("PRAGMA quick_check(1)").fetchone()[0]
            if found != "ok":
                raise sqlite3.DatabaseError(found)
            self._migrate(writing)
            reading = sqlite3.connect(f"{self._path.as_uri()}?mode=ro", uri=True, check_same_thread=False)
        except BaseException:
            writing.close()
            raise
        reading.row_factory = sqlite3.Row
        self._writing, self._reading = writing, reading

    def _migrate(self, connection: sqlite3.Connection) -> None:
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > len(self._migrations):
            raise DatabaseTooNew(
                f"{self._path} has tables of version {version}, this jupyter-ext knows {len(self._migrations)}; "
                f"upgrade jupyter-ext, or set JUPYTER_EXT_DATA_DIR to another directory."
            )
        for number, script in enumerate(self._migrations[version:], version + 1):
            connection.executescript(f"BEGIN IMMEDIATE; {script}; PRAGMA user_version = {number}; COMMIT;")

    def _move_aside(self, error: Exception) -> None:
        stamp = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime())
        self.corrupt_path = self._path.with_name(f"{self._path.stem}.corrupt-{stamp}{self._path.suffix}")
        log.error("%s is corrupt (%s); moved to %s and begun anew", self._path, error, self.corrupt_path)
        for suffix in ("", "-wal", "-shm"):
            try:
                os.replace(f"{self._path}{suffix}", f"{self.corrupt_path}{suffix}")
            except FileNotFoundError:
                continue

    def _close_reading(self) -> None:
        if self._reading is not None and self._reading is not self._writing:
            self._reading.close()
        self._reading = None

    def _close(self) -> None:
        if self._writing is not None:
            with contextlib.suppress(sqlite3.OperationalError):  # a full disk: the next engine reads the log
                self._writing.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            self._writing.close()
            self._writing = None
        self._unlock()
