"""Which files were hashed before and have not changed since, so that 15 GB are not hashed at every look.

A file is the same as long as device, inode, size and time of its last change are.
"""

from __future__ import annotations

import hashlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

from jupyter_ext.engine.common.atomic_write import new_file

_CHUNK_BYTES = 1024 * 1024
_MAX_ENTRIES = 20_000


class Checksums:
    """What is known of files' hashes.

    Args:
        path: Where it is kept; losing it costs hashing once more.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._is_saved = True
        try:
            loaded = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            loaded = {}
        self._known: dict[str, str] = loaded if isinstance(loaded, dict) else {}

    def get(self, path: Path, algorithm: str) -> str | None:
        """Return what a file hashed to when it was last looked at, if it is unchanged."""
        try:
            return self._known.get(_key(path, algorithm))
        except OSError:
            return None

    def add(self, path: Path, algorithm: str, digest: str) -> None:
        """Note what a file hashes to; `save` writes it down."""
        with self._lock:
            self._known[_key(path, algorithm)] = digest
            while len(self._known) > _MAX_ENTRIES:
                del self._known[next(iter(self._known))]
            self._is_saved = False

    def save(self) -> None:
        """Write down what was noted."""
        with self._lock:
            if self._is_saved:
                return
            self._is_saved = True
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with new_file(self._path) as temporary:
                temporary.write_text(json.dumps(self._known), encoding="utf-8")

    def digest(self, path: Path, algorithm: str, on_bytes: Callable[[int], None] = lambda _: None) -> str:
        """Return a file's hash, as known or by reading it.

        Args:
            path: The file.
            algorithm: `sha256` or `git` (sha1 of the file as a git blob).
            on_bytes: Told how many bytes were read since the last time; raises to stop.

        Raises:
            OSError: It cannot be read.
        """
        known = self.get(path, algorithm)
        if known is not None:
            return known
        hasher = new_hash(algorithm, path.stat().st_size)
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        with open(path, "rb", buffering=0) as file:
            while num_read := file.readinto(buffer):
                hasher.update(buffer[:num_read])
                on_bytes(num_read)
        digest = hasher.hexdigest()
        self.add(path, algorithm, digest)
        return digest


def new_hash(algorithm: str, num_bytes: int) -> hashlib._Hash:
    """Begin a hash of a file of so many bytes."""
    if algorithm == "sha256":
        return hashlib.sha256()
    return hashlib.sha1(b"blob %d\0" % num_bytes, usedforsecurity=False)


def _key(path: Path, algorithm: str) -> str:
    status = os.stat(path)
    return f"{algorithm}:{status.st_dev}:{status.st_ino}:{status.st_size}:{status.st_mtime_ns}"
