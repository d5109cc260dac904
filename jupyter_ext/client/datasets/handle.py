"""`jx.datasets`: data that sessions read lazily from the disk, made from arrays, tables and folders."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import httpx
from typing_extensions import TypeVar

from jupyter_ext.client.datasets import preview
from jupyter_ext.client.datasets.sources import columns_of_folder, columns_of_table, table_of
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.errors import InvalidInput, RequestRefused, UnknownId
from jupyter_ext.ipc.decthings.codec import as_value
from jupyter_ext.ipc.decthings.dataset_reader import KeyDefinition
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.datasets import DatasetResource, DatasetsPage
from jupyter_ext.protocol.decthings.answers import DatasetCreated, EntriesAnswer
from jupyter_ext.protocol.decthings.columns import Column, batches, column
from jupyter_ext.protocol.decthings.framing import decode_response, encode_request
from jupyter_ext.protocol.decthings.tensors import Tensor, WireError

if TYPE_CHECKING:
    import pandas as pd

_TIMEOUT = httpx.Timeout(600.0, connect=5.0)
_READ_AT_ONCE = 1024

Entry = dict[str, object]
"""A value for each key."""
A = TypeVar("A", default=JsonObject)


class DatasetKey(Sequence[Any]):
    """One key of a dataset: a parameter for a debug session's calls, read there entry by entry.

    Here it is a sequence of values.
    """

    def __init__(self, dataset: Dataset, name: str) -> None:
        self.dataset = dataset
        self.name = name

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, index: Any) -> Any:
        found = self.dataset[index]
        return found[self.name] if isinstance(found, dict) else [entry[self.name] for entry in found]

    def __repr__(self) -> str:
        return f"<{self.dataset.name}[{self.name!r}]: {len(self)} entries>"

    def session_tree(self) -> dict[str, str]:
        """Return what goes to a session in the place of the values; see `worker/values.py`."""
        return {"k": "dataset", "path": self.dataset.path, "key": self.name}


class Dataset:
    """Named keys, and entries with one value per key. It lies on the disk; a handle holds none of it."""

    def __init__(self, known: DatasetResource) -> None:
        self._known = known

    @property
    def id(self) -> str:
        """Its id."""
        return self._known["id"]

    @property
    def name(self) -> str:
        """Its name."""
        return self._known["name"]

    @property
    def path(self) -> str:
        """Its directory."""
        return self._known["path"]

    @property
    def keys(self) -> list[str]:
        """Names of its keys."""
        return [key["name"] for key in self._known["keys"]]

    @property
    def nbytes(self) -> int:
        """Bytes of all its entries."""
        return self._known["bytes"]

    def __len__(self) -> int:
        return self._known["count"]

    def __getitem__(self, index: Any) -> Any:
        """Return a key (by its name), an entry as a dict (by its index), or a list of them (by a slice)."""
        if isinstance(index, str):
            if index not in self.keys:
                raise UnknownId(
                    f"Dataset {self.name!r} has no key {index!r}; its keys are {', '.join(self.keys)}."
                )
            return DatasetKey(self, index)
        if isinstance(index, slice):
            return self._read(list(range(*index.indices(len(self)))))
        if not -len(self) <= index < len(self):
            raise IndexError(f"Dataset {self.name!r} has no entry {index}; it has {len(self)}.")
        return self._read([index % len(self)])[0]

    def __iter__(self) -> Iterator[Entry]:
        for begin in range(0, len(self), _READ_AT_ONCE):
            yield from self[begin : begin + _READ_AT_ONCE]

    def __repr__(self) -> str:
        return preview.text(self)

    def _repr_html_(self) -> str:
        return preview.html(self)

    @property
    def definitions(self) -> list[KeyDefinition]:
        """Return type and shape of each key; -1 is any size."""
        return list(self._known["keys"])

    def append(self, source: Any = None, /, **columns: Any) -> Dataset:
        """Add entries: the same keys, the same types; returns the dataset.

        Raises:
            InvalidInput: A key is missing, or an entry is of another type or shape; entries of earlier batches stay.
        """
        self._send(_columns(source, columns))
        return self

    def remove(self, indexes: Sequence[int]) -> None:
        """Remove entries; those behind them move up."""
        _call("removeEntries", {"datasetId": self.id, "entries": [int(index) for index in indexes]})
        self._refresh()

    def rename(self, name: str) -> None:
        """Rename it."""
        _call("updateDataset", {"datasetId": self.id, "properties": {"name": name}})
        self._refresh()

    def delete(self) -> None:
        """Delete it with its files; a session that reads it goes on."""
        _call("deleteDataset", {"datasetId": self.id})

    def dataframe(self, limit: int | None = None) -> pd.DataFrame:
        """Return the first entries, or all, as a DataFrame."""
        import pandas as pd

        return pd.DataFrame(self[: len(self) if limit is None else limit], columns=self.keys)

    def _send(self, columns: Sequence[Column]) -> None:
        for begin, end in batches(columns):
            blobs = [each.encode(begin, end) for each in columns]
            body = encode_request({"keys": [each.name for each in columns]}, blobs)
            asking = client().transport.ask(
                "POST", f"/native/datasets/{self.id}/entries", content=body, timeout=_TIMEOUT
            )
            self._known = loop_thread().run(asking)

    def _read(self, indexes: list[int]) -> list[Entry]:
        result, blobs = _call("getEntries", {"datasetId": self.id, "entries": indexes}, EntriesAnswer)
        values = iter([as_value(Tensor.decode(blob)[0]) for blob in blobs])
        return [{key: next(values) for key in result["keys"]} for _ in result["indexes"]]

    def _refresh(self) -> None:
        self._known = _find(self.id)


class Datasets:
    """All datasets of this user."""

    def create(self, name: str, source: Any = None, /, *, description: str = "", **columns: Any) -> Dataset:
        """Make a dataset.

        Args:
            name: What to call it.
            source: A DataFrame; or the path of a Parquet or CSV file, or of a folder of images, whose subfolders are labels.
            description: What it is.
            **columns: Or key by key: arrays, tensors and series, whose first axis are the entries, or lists with one
                number, text, bytes, image, array or tensor each.

        Raises:
            InvalidInput: Columns differ in length, or no tensor holds their values exactly; nothing was made.
        """
        found = _columns(source, columns)
        try:
            list(batches(found))
        except WireError as error:
            raise InvalidInput(str(error)) from None
        definitions = [each.definition() for each in found]
        made, _ = _call(
            "createDataset",
            {"name": name, "description": description, "keys": definitions},
            DatasetCreated,
        )
        dataset = Dataset(_find(made["datasetId"]))
        try:
            dataset._send(found)
        except BaseException:
            dataset.delete()
            raise
        return dataset

    def get(self, name: str) -> Dataset:
        """Return a dataset by its id or name; of several of one name the newest.

        Raises:
            UnknownId: There is none.
        """
        return Dataset(_find(name))

    def list(self) -> DatasetList:
        """List all, newest first."""
        return DatasetList(Dataset(known) for known in _all())

    def delete(self, name: str) -> None:
        """Delete a dataset by its id or name."""
        self.get(name).delete()


class DatasetList(list[Dataset]):
    """Datasets; displays as a table."""

    def __repr__(self) -> str:
        return "\n".join(preview.line(dataset) for dataset in self) or "No datasets yet."

    def _repr_html_(self) -> str:
        return preview.table(self)


def _columns(source: Any, columns: Mapping[str, object]) -> list[Column]:
    try:
        if isinstance(source, str | os.PathLike) and Path(source).is_dir():
            found = columns_of_folder(Path(source))
        elif source is not None:
            found = columns_of_table(table_of(source))
        else:
            found = []
        found += [column(name, value) for name, value in columns.items()]
    except WireError as error:
        raise InvalidInput(str(error)) from None
    if not found:
        raise InvalidInput("Give columns, such as x=array, or a table, a file or a folder of images.")
    return found


def _call(
    method: str, params: Mapping[str, object], answer: type[A] | None = None
) -> tuple[A, list[memoryview]]:
    """Call a method of Decthings' Dataset API on the engine."""
    asking = client().transport.ask_bytes(
        "POST", f"/v0/Dataset/{method}", content=encode_request(params), timeout=_TIMEOUT
    )
    message = decode_response(loop_thread().run(asking))
    error = message.content.get("error")
    if error is None:
        return cast("A", message.content["result"]), message.blobs
    code = error["code"]
    if code == "dataset_not_found":
        raise UnknownId(
            f"The dataset {params.get('datasetId')} is gone; `jx.datasets.list()` shows those there are."
        )
    if code == "invalid_parameter":
        raise InvalidInput(f"{error['parameterName']} {error['reason']}.")
    if code == "index_out_of_range":
        raise InvalidInput(f"The dataset has no such entry: {params.get('entries')}.")
    raise RequestRefused(f"{method}: the engine answered {code!r}; `%engine log` may say why.")


def _all() -> list[DatasetResource]:
    page: DatasetsPage = loop_thread().run(client().transport.ask("GET", "/native/datasets"))
    return page["datasets"]


def _find(name: str) -> DatasetResource:
    found = _all()
    for known in found:
        if known["id"] == name or known["name"] == name:
            return known
    there = ", ".join(repr(known["name"]) for known in found[:8]) or "none yet"
    raise UnknownId(f"There is no dataset {name!r}; there are: {there}.")


datasets = Datasets()
