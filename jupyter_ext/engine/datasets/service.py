"""Datasets: named keys with definitions, entries with one tensor per key. The only writer of their directories.

Rule: a change is refused before anything is written, or done whole; two changes at a time of one dataset do not happen.
"""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from jupyter_ext.engine.common import records
from jupyter_ext.engine.datasets.files import Buffer, DatasetFiles
from jupyter_ext.ids import is_training_id, new_training_id
from jupyter_ext.ipc.decthings.dataset_reader import DatasetAbout, DatasetFile, Reader, Tag
from jupyter_ext.protocol.decthings.definitions import DefinitionError, ParameterDefinition, parse_keys
from jupyter_ext.protocol.decthings.tensors import Header, WireError, check_whole, header

T = TypeVar("T")


class DatasetNotFound(LookupError):
    """No dataset has this id."""


class WrongVersion(Exception):
    """Somebody else changed the dataset; `current` is its version now."""

    def __init__(self, current: str) -> None:
        super().__init__(f"the dataset has changed, its version is {current}")
        self.current = current


class IndexOutOfRange(IndexError):
    """A list has no entry of this index."""


class Dataset:
    """One dataset."""

    def __init__(self, id: str, files: DatasetFiles) -> None:
        self.id = id
        self._files = files
        self._lock = threading.Lock()
        self._deleted = False

    @property
    def directory(self) -> Path:
        """Where the worker reads it."""
        return self._files.directory

    @property
    def head(self) -> DatasetFile:
        """What it says of itself."""
        return self._files.head

    @property
    def keys(self) -> list[ParameterDefinition]:
        """The keys, in the order of their making."""
        return [ParameterDefinition.model_validate(key) for key in self.head["keys"]]

    def describe(self, **changes: Any) -> None:
        """Change name, description or tags."""
        self._change(None, lambda: self._files.describe(**changes))

    def add(self, name: str, columns: Mapping[str, Sequence[Buffer]], version: str | None = None) -> str:
        """Add entries to the list `entries` or `review`.

        Args:
            name: The list.
            columns: For each key the tensors of the entries.
            version: The version that the dataset must have.

        Returns:
            Its new version.

        Raises:
            DefinitionError: A key is missing or unknown, or a tensor is not what the key says.
            WrongVersion: It has another version.
        """
        entries = self._entries(columns)
        self._change(version, lambda: self._files.append(name, entries))
        return str(self.head["version_id"])

    def finalize(
        self, indexes: Sequence[int], columns: Mapping[str, Sequence[Buffer]], version: str | None = None
    ) -> int:
        """Move entries from `review` to `entries`, as `columns` says they are; give the bytes that left `review`.

        Raises:
            IndexOutOfRange: `review` has no entry of an index.
            DefinitionError: There are not as many entries as indexes, or one is wrong.
        """
        entries = self._entries(columns)
        if len(entries) != len(set(indexes)):
            raise DefinitionError("indexes", f"are {len(set(indexes))}, but there are {len(entries)} entries")

        def change() -> int:
            self._check_indexes("review", indexes)
            return self._files.append("entries", entries, finalized=indexes)

        return self._change(version, change)

    def remove(self, name: str, indexes: Sequence[int], version: str | None = None) -> int:
        """Remove entries; give their bytes. Those behind them move up.

        Raises:
            IndexOutOfRange: There is none of an index; nothing was removed.
        """

        def change() -> int:
            self._check_indexes(name, indexes)
            return self._files.remove(name, indexes)

        return self._change(version, change)

    def read(
        self, name: str, indexes: Iterable[int], version: str | None = None
    ) -> tuple[list[int], list[list[memoryview]]]:
        """Return entries: those of the indexes that there are, and per entry one tensor per key."""

        def look() -> tuple[list[int], list[list[memoryview]]]:
            count = self._files.count(name)
            found = [index for index in indexes if 0 <= index < count]
            return found, self._files.read(name, found)

        return self._change(version, look)

    def unchecked(self, key: str, wanted: ParameterDefinition | None) -> Iterator[Header]:
        """Yield what the entries of a key are, where the key's own definition does not say that all are as wanted.

        Raises:
            DefinitionError: There is no such dataset any longer.
        """
        own = next(each for each in self.keys if each.name == key)
        if wanted is None or own.implies(wanted):
            return
        try:
            reader = Reader(self.directory, key)
        except (LookupError, OSError) as error:
            raise DefinitionError(wanted.name, f"is a dataset that cannot be read: {error}") from error
        for index in range(len(reader)):
            yield header(reader.read(index))

    def delete(self) -> None:
        """Delete it; a worker that reads it goes on."""

        def change() -> None:
            self._deleted = True
            shutil.rmtree(self.directory)

        self._change(None, change)

    def _change(self, version: str | None, change: Callable[[], T]) -> T:
        with self._lock:
            if self._deleted:
                raise DatasetNotFound(self.id)
            if version is not None and version != self.head["version_id"]:
                raise WrongVersion(str(self.head["version_id"]))
            return change()

    def _check_indexes(self, name: str, indexes: Sequence[int]) -> None:
        for index in indexes:
            if not 0 <= index < self._files.count(name):
                raise IndexOutOfRange(f"there is no entry {index}; there are {self._files.count(name)}")

    def _entries(self, columns: Mapping[str, Sequence[Buffer]]) -> list[tuple[Buffer, ...]]:
        keys = self.keys
        names = [key.name for key in keys]
        if sorted(columns) != sorted(names):
            raise DefinitionError(
                "keys", f"must be {', '.join(sorted(names))}, not {', '.join(sorted(columns))}"
            )
        counts = {name: len(tensors) for name, tensors in columns.items()}
        if len(set(counts.values())) != 1:
            raise DefinitionError("keys", f"have different numbers of entries: {counts}")
        for key in keys:
            for index, tensor in enumerate(columns[key.name]):
                try:
                    found = check_whole(tensor)
                except WireError as error:
                    raise DefinitionError(key.name, f"has a broken entry {index}: {error}") from error
                if len(found) != 1:
                    number = "more than one" if found else "no"
                    raise DefinitionError(key.name, f"has {number} tensor in entry {index}")
                reason = key.mismatch(found[0].type, found[0].shape)
                if reason is not None:
                    raise DefinitionError(key.name, f"{reason} (entry {index})")
        return list(zip(*(columns[name] for name in names), strict=True))


class Datasets:
    """All datasets of this user.

    Args:
        directory: One directory each is in it.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._datasets: dict[str, Dataset] = {}
        self._lock = threading.Lock()

    def open(self) -> None:
        """Find what is there; remove what a killed engine had begun."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for directory in sorted(self._directory.iterdir()):
            if not is_training_id(directory.name):
                continue
            if not records.is_there(directory / "dataset.json"):
                shutil.rmtree(directory, ignore_errors=True)
            elif (files := DatasetFiles.open(directory)) is not None:
                self._datasets[directory.name] = Dataset(directory.name, files)

    def create(self, name: str, description: str, tags: list[Tag], keys: Any) -> Dataset:
        """Make a dataset without entries.

        Raises:
            DefinitionError: The keys are no definitions.
        """
        if not name.strip():
            raise DefinitionError("name", "is empty")
        about: DatasetAbout = {
            "name": name,
            "description": description,
            "tags": tags,
            "created_at": time.time(),
            "keys": [key.wire() for key in parse_keys(keys)],
        }
        id = str(new_training_id())
        with self._lock:
            self._datasets[id] = Dataset(id, DatasetFiles.create(self._directory / id, about))
            return self._datasets[id]

    def get(self, id: str) -> Dataset:
        """Return a dataset.

        Raises:
            DatasetNotFound: None has this id.
        """
        found = self._datasets.get(id)
        if found is None:
            raise DatasetNotFound(id)
        return found

    def all(self) -> list[Dataset]:
        """List all, oldest first."""
        return sorted(self._datasets.values(), key=lambda dataset: dataset.id)

    def delete(self, id: str) -> None:
        """Delete a dataset.

        Raises:
            DatasetNotFound: None has this id.
        """
        self.get(id).delete()
        self._datasets.pop(id, None)
