"""Datasets as the engine tells notebooks of them."""

from __future__ import annotations

from typing import TypedDict

from jupyter_ext.ipc.decthings.dataset_reader import DatasetAbout


class DatasetResource(DatasetAbout):
    """A dataset; `path` is its directory, `count` and `bytes` are of its entries."""

    id: str
    count: int
    bytes: int
    version_id: str
    path: str


class DatasetsPage(TypedDict):
    """All datasets, newest first."""

    datasets: list[DatasetResource]
