"""A dataset's files, as the worker reads them. Standard library only.

    dataset.json         what is committed: keys, version, and for `entries` and `review` an index file and a count
    k<key>-<n>.bin       tensors of one key, one behind the other; never changed, only appended to
    <list>-<n>.idx       per entry and key: u32 chunk, u32 0, u64 offset, u64 size (little-endian)

Rule: only `dataset.json` says what is there; it is replaced whole, after everything it speaks of is on the disk. Bytes
behind that are what a killed writer left.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jupyter_ext.ipc.json_files import read_json

RECORD = struct.Struct("<IIQQ")


def chunk_path(directory: Path, key: int, chunk: int) -> Path:
    """Return the file of one key's chunk. Names of keys are a user's and are in no path."""
    return directory / f"k{key}-{chunk}.bin"


class Reader:
    """One key of a dataset's list, as it is now; what happens to the dataset later does not touch it.

    Args:
        directory: The dataset's.
        key: Name of the key.
        list_name: `entries`, or `review` for those that a person still has to look at.

    Raises:
        LookupError: There is no such dataset, or it has no such key.
        OSError: A file cannot be read.
    """

    def __init__(self, directory: Path, key: str, list_name: str = "entries") -> None:
        head = read_json(directory / "dataset.json")
        if head is None:
            raise LookupError("the dataset was deleted")
        names = [item["name"] for item in head["keys"]]
        if key not in names:
            raise LookupError(f"the dataset has no key {key!r}; its keys are {', '.join(map(repr, names))}")
        self.version_id: str = head["version_id"]
        self._number, self._num_keys = names.index(key), len(names)
        placed: Mapping[str, Any] = head["lists"][list_name]
        self._count: int = placed["count"]
        self._index = _map(directory / placed["index"])
        self._chunks: dict[int, memoryview] = {}
        for chunk in range(head["first_chunk"], head["chunk"] + 1):
            path = chunk_path(directory, self._number, chunk)
            if path.exists():
                self._chunks[chunk] = _map(path)

    def __len__(self) -> int:
        return self._count

    def nbytes(self) -> int:
        """Count the bytes of all its tensors."""
        return sum(self._place(n)[2] for n in range(self._count))

    def read(self, position: int) -> memoryview:
        """Return the bytes of an entry's tensor, without a copy.

        Raises:
            IndexError: There is no such entry.
        """
        if not 0 <= position < self._count:
            raise IndexError(f"there is no entry {position}; there are {self._count}")
        chunk, offset, size = self._place(position)
        return self._chunks[chunk][offset : offset + size]

    def _place(self, position: int) -> tuple[int, int, int]:
        at = (position * self._num_keys + self._number) * RECORD.size
        chunk, _, offset, size = RECORD.unpack_from(self._index, at)
        return chunk, offset, size


def _map(path: Path) -> memoryview:
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:
            return memoryview(b"")
        return memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
