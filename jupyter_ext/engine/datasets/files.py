"""One dataset on the disk: the writing half of `worker.decthings_dataset`, where the files are described.

Rule: everything new is written and synced first; then `dataset.json` is replaced, and only then files that nobody needs
any more are removed. A writer that is killed in between has changed nothing.
"""

from __future__ import annotations

import itertools
import os
import secrets
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypedDict

from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.ipc.decthings.dataset_reader import (
    RECORD,
    DatasetAbout,
    DatasetFile,
    Placed,
    Reader,
    chunk_path,
)
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.decthings.definitions import ParameterDefinition

CHUNK_BYTES = 256 << 20
"""A chunk that has grown beyond this gets no more."""
COMPACT_FROM_BYTES = 16 << 20
"""With fewer bytes of removed entries it is not worth writing the others anew."""
_COPY_ENTRIES = 1024
LISTS = ("entries", "review")

Buffer = bytes | memoryview


class _Placed(TypedDict):
    index: str
    count: int
    bytes: int


class _Head(TypedDict):
    """What of `dataset.json` is relied upon."""

    name: str
    description: str
    tags: list[Any]
    created_at: float
    keys: list[ParameterDefinition]
    version_id: str
    lists: dict[str, _Placed]
    first_chunk: int
    chunk: int
    waiting: dict[str, int]


def _head(content: Any) -> DatasetFile:
    known = records.parse(_Head, content)
    for name in LISTS:
        known["lists"][name]
    return cast("DatasetFile", dict(content))


class DatasetFiles:
    """The files of one dataset. Not for several threads at a time.

    Args:
        directory: Its directory.
        head: What `dataset.json` says.
    """

    def __init__(self, directory: Path, head: DatasetFile) -> None:
        self.directory = directory
        self.head = head

    @classmethod
    def create(cls, directory: Path, about: DatasetAbout) -> DatasetFiles:
        """Make an empty dataset.

        Args:
            directory: Where; its parent exists.
            about: What it is.
        """
        directory.mkdir(mode=0o700)
        lists: dict[str, Placed] = {
            name: {"index": f"{name}-0.idx", "count": 0, "bytes": 0} for name in LISTS
        }
        for placed in lists.values():
            (directory / placed["index"]).touch(mode=0o600)
        head: DatasetFile = {
            **about,
            "version_id": _new_version(),
            "lists": lists,
            "first_chunk": 0,
            "chunk": 0,
            "waiting": {"count": 0, "bytes": 0},
        }
        write_json(directory / "dataset.json", head)
        return cls(directory, head)

    @classmethod
    def open(cls, directory: Path) -> DatasetFiles | None:
        """Open a dataset, or return `None` where it was set aside because its description cannot be read."""
        head = records.load(directory / "dataset.json", _head)
        return None if head is None else cls(directory, head)

    @property
    def num_keys(self) -> int:
        """Count the keys."""
        return len(self.head["keys"])

    def count(self, name: str) -> int:
        """Count the entries of a list."""
        return self.head["lists"][name]["count"]

    def describe(self, **changes: Any) -> None:
        """Change what the dataset says of itself; its version stays."""
        self._become(cast("DatasetFile", {**self.head, **changes}))

    def read(self, name: str, indexes: Iterable[int]) -> list[list[memoryview]]:
        """Return the tensors of entries, one per key."""
        readers = [Reader(self.directory, key["name"], name) for key in self.head["keys"]]
        return [[reader.read(index) for reader in readers] for index in indexes]

    def append(self, name: str, entries: Sequence[Sequence[Buffer]], finalized: Sequence[int] = ()) -> int:
        """Add entries at the end of a list.

        Args:
            name: The list.
            entries: Per entry one tensor per key, in the order of the keys.
            finalized: Entries of `review` that these stand for; they leave that list in the same step.

        Returns:
            The bytes of those that left.
        """
        head = self._copy_head()
        records = self._write_tensors(head, entries)
        placed = head["lists"][name]
        with open(self.directory / placed["index"], "r+b") as file:
            file.truncate(placed["count"] * self._record_bytes)  # what a killed writer left
            file.seek(0, os.SEEK_END)
            file.write(records)
            file.flush()
            os.fsync(file.fileno())
        placed["count"] += len(entries)
        placed["bytes"] += _sum(records)
        gone, stale = self._leave(head, "review", finalized) if finalized else (0, [])
        self._become(head, new_version=True)
        self._unlink(stale)
        return gone

    def remove(self, name: str, indexes: Sequence[int]) -> int:
        """Remove entries of a list; give their bytes, which leave the disk when the others are written anew."""
        head = self._copy_head()
        gone, stale = self._leave(head, name, indexes)
        self._become(head, new_version=True)
        self._unlink(stale)
        self._compact()
        return gone

    @property
    def _record_bytes(self) -> int:
        return RECORD.size * self.num_keys

    def _leave(self, head: DatasetFile, name: str, indexes: Sequence[int]) -> tuple[int, list[Path]]:
        """Write an index without some entries; give their bytes, and the file that is no longer needed."""
        size, raw, gone = self._record_bytes, self._index(name), sorted(set(indexes))
        removed = b"".join(raw[n * size : (n + 1) * size] for n in gone)
        edges = [-1, *gone, len(raw) // size]
        kept = b"".join(raw[(a + 1) * size : b * size] for a, b in itertools.pairwise(edges))
        num_bytes = _sum(removed)
        old = self._replace_index(head, name, kept)
        head["waiting"]["count"] += len(gone)
        head["waiting"]["bytes"] += num_bytes
        return num_bytes, [old]

    def _replace_index(self, head: DatasetFile, name: str, records: bytes) -> Path:
        old = str(head["lists"][name]["index"])
        fresh = f"{name}-{int(old.partition('-')[2].removesuffix('.idx')) + 1}.idx"
        with new_file(self.directory / fresh) as temporary:
            temporary.write_bytes(records)
        count = len(records) // self._record_bytes
        head["lists"][name] = {"index": fresh, "count": count, "bytes": _sum(records)}
        return self.directory / old

    def _compact(self) -> None:
        """Write the entries that are left into new chunks once most of the bytes on the disk are of removed ones."""
        head = self._copy_head()
        live = sum(placed["bytes"] for placed in head["lists"].values())
        if live and head["waiting"]["bytes"] < max(COMPACT_FROM_BYTES, live):
            return
        first, last = head["first_chunk"], head["chunk"]
        head["first_chunk"] = head["chunk"] = last + 1
        stale = [
            chunk_path(self.directory, key, chunk)
            for chunk in range(first, last + 1)
            for key in range(self.num_keys)
        ]
        for name in LISTS:
            records = b""
            for begin in range(0, self.count(name), _COPY_ENTRIES):
                indexes = range(begin, min(begin + _COPY_ENTRIES, self.count(name)))
                records += self._write_tensors(head, self.read(name, indexes))
            stale.append(self._replace_index(head, name, records))
        head["waiting"] = {"count": 0, "bytes": 0}
        self._become(head)
        self._unlink(stale)

    def _write_tensors(self, head: DatasetFile, entries: Sequence[Sequence[Buffer]]) -> bytes:
        """Append tensors to the current chunk of each key; give their index records."""
        paths = [chunk_path(self.directory, key, head["chunk"]) for key in range(self.num_keys)]
        if any(path.exists() and path.stat().st_size >= CHUNK_BYTES for path in paths):
            head["chunk"] += 1
            paths = [chunk_path(self.directory, key, head["chunk"]) for key in range(self.num_keys)]
        columns: list[list[bytes]] = []
        for key, path in enumerate(paths):
            with open(path, "ab") as file:
                offset, column = file.tell(), list[bytes]()
                for entry in entries:
                    size = file.write(entry[key])
                    column.append(RECORD.pack(head["chunk"], 0, offset, size))
                    offset += size
                file.flush()
                os.fsync(file.fileno())
            columns.append(column)
        return b"".join(record for entry in zip(*columns, strict=True) for record in entry)

    def _index(self, name: str) -> bytes:
        raw: bytes = (self.directory / self.head["lists"][name]["index"]).read_bytes()
        return raw[: self.count(name) * self._record_bytes]

    def _copy_head(self) -> DatasetFile:
        return {
            **self.head,
            "lists": {name: placed.copy() for name, placed in self.head["lists"].items()},
            "waiting": self.head["waiting"].copy(),
        }

    def _become(self, head: DatasetFile, new_version: bool = False) -> None:
        if new_version:
            head["version_id"] = _new_version()
        write_json(self.directory / "dataset.json", head)
        self.head = head

    @staticmethod
    def _unlink(stale: Iterable[Path]) -> None:
        for path in stale:
            path.unlink(missing_ok=True)


def _sum(records: bytes) -> int:
    return sum(size for _, _, _, size in RECORD.iter_unpack(records))


def _new_version() -> str:
    return secrets.token_hex(8)
