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
from pathlib import Path
from typing import NotRequired, TypedDict

from jupyter_ext.ipc.json_files import read_json

RECORD = struct.Struct("<IIQQ")


def chunk_path(directory: Path, key: int, chunk: int) -> Path:
    """Return the file of one key's chunk. Names of keys are a user's and are in no path."""
    return directory / f"k{key}-{chunk}.bin"


class KeyRules(TypedDict):
    """What the tensors of a key have to be: sizes, -1 for any, and types, none for any."""

    shape: list[int]
    allowedTypes: list[str]
    annotations: NotRequired[list[str]]


class KeyDefinition(TypedDict):
    """One key of a dataset, or one parameter of a model's function, as Decthings writes it."""

    name: str
    rules: KeyRules
    required: NotRequired[bool]


class Tag(TypedDict):
    """A tag as Decthings has it."""

    tag: str
    value: str


class Amount(TypedDict):
    """A number of entries and their bytes."""

    count: int
    bytes: int


class Placed(Amount):
    """A list of entries and the file of its index."""

    index: str


class DatasetAbout(TypedDict):
    """What a dataset is; `created_at` in Unix seconds."""

    name: str
    description: str
    tags: list[Tag]
    created_at: float
    keys: list[KeyDefinition]


class DatasetFile(DatasetAbout):
    """`dataset.json`; `waiting` are removed entries whose bytes still lie on the disk."""

    version_id: str
    lists: dict[str, Placed]
    first_chunk: int
    chunk: int
    waiting: Amount


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
        head: DatasetFile | None = read_json(directory / "dataset.json")
        if head is None:
            raise LookupError("the dataset was deleted")
        names = [item["name"] for item in head["keys"]]
        if key not in names:
            raise LookupError(f"the dataset has no key {key!r}; its keys are {', '.join(map(repr, names))}")
        self.version_id = head["version_id"]
        self._number, self._num_keys = names.index(key), len(names)
        placed = head["lists"][list_name]
        self._count = placed["count"]
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
