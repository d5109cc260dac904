"""Datasets on a service: made of a notebook's columns."""

from __future__ import annotations

from typing import Any

from jupyter_ext.client.decthings.parameters import RemoteKey
from jupyter_ext.client.requests.decthings import service
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.decthings.answers import DatasetCreated, EntriesAdded
from jupyter_ext.protocol.decthings.columns import column
from jupyter_ext.protocol.decthings.framing import MAX_BLOBS
from jupyter_ext.protocol.decthings.tensors import WireError


def upload_dataset(
    name: str, *, on: str = "decthings", description: str = "", **columns: Any
) -> dict[str, RemoteKey]:
    """Make a dataset on a service, in as many requests as its 255 tensors each need; returns its keys.

    Raises:
        InvalidInput: The columns differ in length, or no tensor holds their values.
    """
    there = service(on)
    try:
        found = sorted((column(key, value) for key, value in columns.items()), key=lambda each: each.name)
    except WireError as error:
        raise InvalidInput(str(error)) from None
    counts = {each.name: len(each) for each in found}
    if len(set(counts.values())) != 1:
        raise InvalidInput(f"The columns differ in length: {counts}.")
    definitions = [each.definition() for each in found]
    made, _ = there.call(
        "Dataset/createDataset",
        {"name": name, "description": description, "keys": definitions},
        answer=DatasetCreated,
    )
    version, step = made["datasetVersionId"], MAX_BLOBS // len(found)
    for begin in range(0, len(found[0]), step):
        rows = range(begin, min(len(found[0]), begin + step))
        blobs = [each.encode(row, row + 1) for row in rows for each in found]
        params = {
            "datasetId": made["datasetId"],
            "keys": [each.name for each in found],
            "datasetVersionId": version,
        }
        added, _ = there.call("Dataset/addEntries", params, blobs, answer=EntriesAdded)
        version = added["newDatasetVersionId"]
    return {each.name: RemoteKey(made["datasetId"], each.name) for each in found}
