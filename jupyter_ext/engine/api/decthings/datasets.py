"""Dataset: create, update, delete, get, and their entries.

Source: Decthings' API reference, "Dataset"; blobs of entries are entry-major, one per key in ascending order of the keys.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypedDict, TypeVar

from jupyter_ext.engine.api.decthings.listing import LOCAL_OWNER, ListItem, Owner, page, tags_of
from jupyter_ext.engine.api.decthings.output_layout import readable
from jupyter_ext.engine.api.decthings.rpc.calls import Answer, Call, Invalid, Refusal, integer
from jupyter_ext.engine.api.decthings.rpc.dispatch import Methods
from jupyter_ext.engine.datasets.service import (
    Dataset,
    DatasetNotFound,
    Datasets,
    IndexOutOfRange,
    WrongVersion,
)
from jupyter_ext.ipc.decthings.dataset_reader import Amount, KeyDefinition
from jupyter_ext.protocol.decthings.definitions import DefinitionError

T = TypeVar("T")


class Sized(TypedDict):
    """A number of entries and their bytes, as the wire has it."""

    count: int
    totalByteSize: int


class ShownDataset(ListItem, TypedDict):
    """A dataset as the wire has it."""

    description: str
    owner: Owner
    access: str
    keys: list[KeyDefinition]
    entries: Sized
    needsReviewEntries: Sized
    entriesWaitingToBeDeleted: Sized
    versionId: str


class DatasetRpc:
    """Methods of the API Dataset."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def methods(self) -> Methods:
        """List the methods."""
        return {
            "createDataset": self.create,
            "updateDataset": self.update,
            "deleteDataset": self.delete,
            "getDatasets": self.get,
            "addEntries": lambda call: self._add(call, "entries"),
            "addEntriesToNeedsReview": lambda call: self._add(call, "review"),
            "finalizeNeedsReviewEntries": self.finalize,
            "getEntries": lambda call: self._entries(call, "entries"),
            "getNeedsReviewEntries": lambda call: self._entries(call, "review"),
            "removeEntries": lambda call: self._remove(call, "entries"),
            "removeNeedsReviewEntries": lambda call: self._remove(call, "review"),
        }

    async def create(self, call: Call) -> Answer:
        """Make a dataset."""
        name, description = call.text("name"), call.optional_text("description") or ""
        tags, keys = tags_of(call.params.get("tags")), call.array("keys")
        made = await _do(lambda: self._datasets.create(name, description, tags, keys))
        return {"datasetId": made.id, "datasetVersionId": made.head["version_id"]}, ()

    async def update(self, call: Call) -> Answer:
        """Change name, description or tags."""
        dataset, properties = self._dataset(call), Call(call.method, call.object("properties"), [])
        changes: dict[str, object] = {}
        for name in ("name", "description"):
            if (text := properties.optional_text(name)) is not None:
                changes[name] = text
        if properties.params.get("tags") is not None:
            changes["tags"] = tags_of(properties.params["tags"])
        await _do(lambda: dataset.describe(**changes))
        return {}, ()

    async def delete(self, call: Call) -> Answer:
        """Delete a dataset."""
        id = self._dataset(call).id
        await _do(lambda: self._datasets.delete(id))
        return {}, ()

    async def get(self, call: Call) -> Answer:
        """List datasets."""
        return page(call, self._datasets.all(), _show, "datasets"), ()

    async def finalize(self, call: Call) -> Answer:
        """Move entries from those that need a review, as they are now."""
        dataset, indexes, columns = self._dataset(call), call.integers("indexes"), _columns(call)
        version = call.optional_text("datasetVersionId")
        gone = await _do(lambda: dataset.finalize(indexes, columns, version))
        return {"newDatasetVersionId": dataset.head["version_id"], "removedBytesFromNeedsReview": gone}, ()

    async def _add(self, call: Call, name: str) -> Answer:
        dataset, columns = self._dataset(call), _columns(call)
        version = call.optional_text("datasetVersionId")
        return {"newDatasetVersionId": await _do(lambda: dataset.add(name, columns, version))}, ()

    async def _entries(self, call: Call, name: str) -> Answer:
        dataset, indexes = self._dataset(call), _indexes(call)
        version = call.optional_text("datasetVersionId")
        found, entries = await _do(lambda: dataset.read(name, indexes, version))
        names = [key.name for key in dataset.keys]
        order = sorted(range(len(names)), key=names.__getitem__)
        blobs = [entry[key] for entry in entries for key in order]
        return {"keys": [names[key] for key in order], "indexes": found}, readable(call, blobs)

    async def _remove(self, call: Call, name: str) -> Answer:
        dataset, indexes = self._dataset(call), call.integers("entries")
        version = call.optional_text("datasetVersionId")
        gone = await _do(lambda: dataset.remove(name, indexes, version))
        result: dict[str, object] = {"newDatasetVersionId": dataset.head["version_id"], "removedBytes": gone}
        if name == "entries":
            waiting = dataset.head["waiting"]
            result |= {
                "newWaitingToRemoveBytes": waiting["bytes"],
                "newWaitingToRemoveAmount": waiting["count"],
            }
        return result, ()

    def _dataset(self, call: Call) -> Dataset:
        id = call.text("datasetId")
        try:
            return self._datasets.get(id)
        except DatasetNotFound:
            raise Refusal("dataset_not_found") from None


async def _do(work: Callable[[], T]) -> T:
    """Do something on the disk, in a thread, with its errors as the wire calls them."""
    try:
        return await asyncio.to_thread(work)
    except DatasetNotFound:
        raise Refusal("dataset_not_found") from None
    except WrongVersion as error:
        raise Refusal("incorrect_version_id", datasetVersionId=error.current) from None
    except IndexOutOfRange:
        raise Refusal("index_out_of_range") from None
    except DefinitionError as error:
        named = error.parameter in ("name", "indexes")
        raise Invalid(error.parameter if named else "keys", error.reason if named else str(error)) from None


def _columns(call: Call) -> dict[str, list[memoryview]]:
    """Return the tensors of each key. Clients send the keys in ascending order, and blobs in the order of the keys."""
    names = call.texts("keys")
    if not names or len(set(names)) != len(names):
        raise Invalid("keys", "must name each key of the dataset once")
    if len(call.blobs) % len(names):
        raise Invalid(
            "keys", f"are {len(names)}, but there are {len(call.blobs)} tensors: some entry lacks one"
        )
    return {name: call.blobs[n :: len(names)] for n, name in enumerate(names)}


def _indexes(call: Call) -> list[int]:
    entries = call.params.get("entries")
    if isinstance(entries, dict):
        start, end = (
            integer(entries.get("start"), "entries.start"),
            integer(entries.get("end"), "entries.end"),
        )
        return list(range(start, end)) if end - start < 1_000_000 else list(range(start, start + 1_000_000))
    return call.integers("entries")


def _show(dataset: Dataset) -> ShownDataset:
    head = dataset.head
    return {
        "id": dataset.id,
        "name": head["name"],
        "description": head["description"],
        "createdAt": int(head["created_at"] * 1000),
        "tags": head["tags"],
        "owner": LOCAL_OWNER,
        "access": "readwrite",
        "keys": head["keys"],
        "entries": _sized(head["lists"]["entries"]),
        "needsReviewEntries": _sized(head["lists"]["review"]),
        "entriesWaitingToBeDeleted": _sized(head["waiting"]),
        "versionId": head["version_id"],
    }


def _sized(amount: Amount) -> Sized:
    return {"count": amount["count"], "totalByteSize": amount["bytes"]}
