"""What of a file is here, written beside the transfer, so that a kill -9 of the engine loses next to nothing.

Two files: the partial itself, sparse and of the final size, beside the blobs of the cache; and its journal in the engine's
own directory: a head of JSON and one byte a block. A byte says *written* (in the page cache: outlives this process) or
*synced* (fdatasync came after: outlives the machine). Written marks of another boot count for nothing. The sha256 has the
last word in any case.
"""

from __future__ import annotations

import hashlib
import json
import os
import socket
import struct
import threading
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from jupyter_ext.engine.models.download.block_map import BLOCK_BYTES, MISSING, SYNCED, WRITTEN, FileBlocks
from jupyter_ext.ipc import processes

SUFFIX = ".journal"
PARTIAL_SUFFIX = ".partial"
_MAGIC = b"JXPART1\n"
_HEAD = struct.Struct("<8sI")


@dataclass(frozen=True)
class PartialInfo:
    """The head of a journal.

    Attributes:
        model: The reference that it is fetched for, as text.
        revision: Its revision.
        name: The file's name inside the model.
        num_bytes: Its size.
        data: The partial file, an absolute path.
        blob: What it becomes, an absolute path.
        sha256: What it must hash to, if known.
        validator: The strong ETag of the server's answer, if it gave one.
        created_at: ISO 8601.
        boot: Which run of the machine wrote the marks.
    """

    model: str
    revision: str
    name: str
    num_bytes: int
    data: str
    blob: str
    sha256: str | None = None
    validator: str | None = None
    created_at: str = ""
    boot: str = ""


def partial_key(blob: Path, directory: Path) -> str:
    """Name a partial: one per blob, host and engine, so that no two engines ever write to one file."""
    what = f"{socket.gethostname()}\n{directory}\n{blob}"
    return hashlib.sha256(what.encode()).hexdigest()[:32]


def partial_path(blob: Path, key: str) -> Path:
    """Return where the bytes go until they are whole: in the blob's file system, where no other tool looks."""
    return blob.with_name(f"{blob.name}.{key[:8]}{PARTIAL_SUFFIX}")


class Journal:
    """One partial that is being fetched. Thread-safe as far as marks of different blocks go."""

    def __init__(self, path: Path, info: PartialInfo, blocks: FileBlocks) -> None:
        self.path = path
        self.info = info
        self.blocks = blocks
        # A mark must not be overwritten by the older picture that a sync took.
        self._lock = threading.Lock()
        self._is_named_on_disk = False
        self._write()
        self._marks_at = len(self._head())
        self._fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.data_fd = os.open(info.data, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        os.ftruncate(self.data_fd, info.num_bytes)

    @classmethod
    def open(cls, directory: Path, key: str, info: PartialInfo) -> Journal:
        """Go on with what is there of the same file, or begin.

        Args:
            directory: Where journals are.
            key: `partial_key`.
            info: What is fetched; `validator` and `created_at` are kept from before.

        Raises:
            OSError: Directory or file cannot be made.
        """
        path = directory / f"{key}{SUFFIX}"
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        Path(info.data).parent.mkdir(parents=True, exist_ok=True)
        boot = processes.boot_id()
        found = read(path)
        if found is not None:
            before, marks = found
            same = (before.num_bytes, before.data, before.sha256) == (info.num_bytes, info.data, info.sha256)
            if same and os.path.exists(info.data) and os.path.getsize(info.data) == info.num_bytes:
                info = replace(info, validator=before.validator, created_at=before.created_at, boot=boot)
                return cls(path, info, FileBlocks(info.num_bytes, marks))
        Path(info.data).unlink(missing_ok=True)
        return cls(path, replace(info, boot=boot), FileBlocks(info.num_bytes))

    def mark(self, blocks: range) -> None:
        """Write down blocks that are whole; one small write, no sync."""
        if not len(blocks):
            return
        with self._lock:
            marks = bytes(self.blocks.marks[blocks.start : blocks.stop])
            os.pwrite(self._fd, marks, self._marks_at + blocks.start)

    def sync(self) -> None:
        """Bring everything that is marked to the disk, and say so in the marks."""
        written = [block for block, mark in enumerate(self.blocks.marks) if mark == WRITTEN]
        if not written:
            return
        os.fdatasync(self.data_fd)
        with self._lock:
            for block in written:
                # `forget` may have come between.
                if self.blocks.marks[block] == WRITTEN:
                    self.blocks.marks[block] = SYNCED
            os.pwrite(self._fd, bytes(self.blocks.marks), self._marks_at)
            descriptor = os.dup(self._fd)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if not self._is_named_on_disk:
            self._is_named_on_disk = True
            sync_directory(self.path.parent)
            sync_directory(Path(self.info.data).parent)

    def set_validator(self, validator: str | None) -> None:
        """Note what the server calls this version of the file."""
        if validator != self.info.validator:
            with self._lock:
                self.info = replace(self.info, validator=validator)
                self._rewrite()

    def forget(self) -> None:
        """Drop all bytes, and begin again."""
        with self._lock:
            self.blocks.forget()
            os.ftruncate(self.data_fd, 0)
            os.ftruncate(self.data_fd, self.info.num_bytes)
            self._rewrite()

    def publish(self) -> None:
        """Move the whole and checked file to its name; `sync_directory` of its folder must follow."""
        os.fsync(self.data_fd)
        os.replace(self.info.data, self.info.blob)
        self.path.unlink(missing_ok=True)
        self.close()

    def discard(self) -> None:
        """Remove partial and journal: what came is wrong."""
        self.path.unlink(missing_ok=True)
        Path(self.info.data).unlink(missing_ok=True)
        self.close()

    def close(self) -> None:
        """Close both files; what is there stays."""
        for fd in (self._fd, self.data_fd):
            if fd >= 0:
                os.close(fd)
        self._fd = self.data_fd = -1

    def _head(self) -> bytes:
        text = json.dumps(asdict(self.info)).encode()
        return _HEAD.pack(_MAGIC, len(text)) + text

    def _write(self) -> None:
        # Not synced: `sync` does that once there is something to lose.
        temporary = self.path.with_name(f".{self.path.name}.tmp")
        temporary.write_bytes(self._head() + bytes(self.blocks.marks))
        os.replace(temporary, self.path)
        self._is_named_on_disk = False

    def _rewrite(self) -> None:
        self._write()
        self._marks_at = len(self._head())
        before, self._fd = self._fd, os.open(self.path, os.O_RDWR | os.O_CLOEXEC)
        os.close(before)


def sync_directory(directory: Path) -> None:
    """Bring the names in a directory to the disk."""
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def read(path: Path) -> tuple[PartialInfo, bytearray] | None:
    """Read a journal; `None` if there is none or it cannot be understood. Marks of another boot must be synced to count."""
    try:
        content = path.read_bytes()
        magic, length = _HEAD.unpack_from(content)
        info = PartialInfo(**json.loads(content[_HEAD.size : _HEAD.size + length]))
    except (OSError, struct.error, ValueError, TypeError):
        return None
    marks = bytearray(content[_HEAD.size + length :])
    if magic != _MAGIC or len(marks) != -(-info.num_bytes // BLOCK_BYTES):
        return None
    trusted = (WRITTEN, SYNCED) if info.boot and info.boot == processes.boot_id() else (SYNCED,)
    for block, mark in enumerate(marks):
        if mark not in trusted:
            marks[block] = MISSING
    return info, marks
