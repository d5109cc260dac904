"""Files that clients upload and weights that trainings leave: bytes and a description each, in a directory of its own.

    files/<id>/content      the bytes, read-only, so that what hashes were taken of stays
    files/<id>/file.json    what the API says of them; written last, so a half-written file is none

Rule: a name that a user gave is kept as text and never becomes a path.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO

from jupyter_ext.engine.common import records
from jupyter_ext.engine.files.names import safe_name
from jupyter_ext.ids import is_training_id
from jupyter_ext.ipc.json_files import write_json

_CHUNK_BYTES = 1 << 20
_READ_ONLY = 0o400


@dataclass(frozen=True)
class StoredFile:
    """One file. `created_at` is Unix seconds, `size` bytes; hashes are hexadecimal."""

    id: str
    name: str
    content_type: str
    size: int
    sha256: str
    md5: str
    created_at: float
    metadata: Mapping[str, object] = field(default_factory=dict)


class FileStore:
    """All files of this engine. `add` and `delete` block: call them in a thread.

    Args:
        directory: Where they lie.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._files: dict[str, StoredFile] = {}

    def open(self) -> None:
        """Find what is there, and clear away what was cut."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in records.directories(self._directory, is_training_id):
            if not records.is_there(directory / "file.json"):
                shutil.rmtree(directory, ignore_errors=True)
            elif (stored := records.read_record(directory / "file.json", StoredFile)) is not None:
                self._files[directory.name] = stored

    def add(
        self, id: str, source: IO[bytes], name: str, content_type: str, metadata: Mapping[str, object]
    ) -> StoredFile:
        """Keep a copy of what can be read from `source`; the same id a second time replaces nothing.

        Raises:
            OSError: The disk is full, or the source cannot be read.
        """
        if id in self._files:
            return self._files[id]
        directory = self._directory / id
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(mode=0o700)
        sha256, md5, size = hashlib.sha256(), hashlib.md5(usedforsecurity=False), 0
        try:
            with open(directory / "content", "xb") as target:
                while chunk := source.read(_CHUNK_BYTES):
                    sha256.update(chunk)
                    md5.update(chunk)
                    size += len(chunk)
                    target.write(chunk)
                target.flush()
                os.fsync(target.fileno())
            os.chmod(directory / "content", _READ_ONLY)
            stored = StoredFile(
                id, name, content_type, size, sha256.hexdigest(), md5.hexdigest(), time.time(), dict(metadata)
            )
            write_json(directory / "file.json", asdict(stored))
        except BaseException:
            shutil.rmtree(directory, ignore_errors=True)
            raise
        self._files[id] = stored
        return stored

    def get(self, id: str) -> StoredFile | None:
        """Find a file by its id."""
        return self._files.get(id)

    def content(self, id: str) -> Path:
        """Return the path of a file's bytes.

        Raises:
            LookupError: There is no file with this id.
        """
        if id not in self._files or not is_training_id(id):
            raise LookupError(id)
        return self._directory / id / "content"

    def named(self, id: str) -> Path:
        """Return a path of a file's bytes that ends in the file's own name.

        Raises:
            LookupError: There is no file with this id.
        """
        content = self.content(id)
        path = content.parent / "named" / safe_name(self._files[id].name)
        if not path.exists():
            path.parent.mkdir(exist_ok=True, mode=0o700)
            try:
                os.link(content, path)
            except FileExistsError:
                pass
            except OSError:
                shutil.copyfile(content, path)
        return path

    def newest_first(self) -> list[StoredFile]:
        """List all files."""
        return sorted(self._files.values(), key=lambda file: (file.created_at, file.id), reverse=True)

    def delete(self, id: str) -> None:
        """Forget a file and remove its bytes."""
        if self._files.pop(id, None) is not None:
            shutil.rmtree(self._directory / id, ignore_errors=True)
