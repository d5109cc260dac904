"""Datasets with the official client, asynchronous and synchronous; prints what came back."""

import numpy
from decthings_api import DecthingsTensor
from decthings_common import connect, print_both, settled, text

KEYS = [{"name": "x", "rules": {"shape": [-1], "allowedTypes": ["f32"]}}]
TWO_KEYS = [*KEYS, {"name": "label", "required": True, "rules": {"shape": [], "allowedTypes": ["string"]}}]


def tensor(*values):
    return DecthingsTensor(numpy.array(values, "f4"), "f32", [len(values)])


async def tell(value):
    """Return result or error of a call, and tensors as lists."""
    result, error = await settled(value)
    return plain(result if error is None else error)


def plain(value):
    if isinstance(value, DecthingsTensor):
        return value.numpy().tolist()
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


async def main(make_client, keys):
    client = connect(make_client)
    api = client.dataset
    two = len(keys) == 2
    made = await tell(
        api.create_dataset(
            {"name": "d", "description": "x", "keys": keys, "tags": [{"tag": "a", "value": "b"}]}
        )
    )
    id, version = made["datasetId"], made["datasetVersionId"]

    def columns(*rows):
        found = [{"key": "x", "data": [tensor(*row) for row in rows]}]
        return [*found, {"key": "label", "data": [text(f"t{len(row)}") for row in rows]}] if two else found

    told = {}
    added = await tell(
        api.add_entries(
            {"datasetId": id, "keys": columns([1], [1, 2], [1, 2, 3]), "datasetVersionId": version}
        )
    )
    told["version_changed"] = added["newDatasetVersionId"] != version
    told["old_version"] = (
        await tell(api.add_entries({"datasetId": id, "keys": columns([1]), "datasetVersionId": version}))
    )["code"]
    told["entries"] = await tell(api.get_entries({"datasetId": id, "entries": [2, 0]}))
    told["range"] = await tell(api.get_entries({"datasetId": id, "entries": {"start": 1, "end": 9}}))
    await tell(api.add_entries_to_needs_review({"datasetId": id, "keys": columns([7], [8])}))
    told["review"] = await tell(api.get_needs_review_entries({"datasetId": id, "entries": [0, 1]}))
    told["finalized"] = (
        await tell(api.finalize_needs_review_entries({"datasetId": id, "indexes": [1], "keys": columns([9])}))
    )["removedBytesFromNeedsReview"] > 0
    told["review_left"] = await tell(api.get_needs_review_entries({"datasetId": id, "entries": [0, 1]}))
    removed = await tell(api.remove_entries({"datasetId": id, "entries": [0, 1]}))
    told["removed"] = [sorted(removed), removed["newWaitingToRemoveAmount"]]
    await tell(api.remove_needs_review_entries({"datasetId": id, "entries": [0]}))
    told["after"] = await tell(api.get_entries({"datasetId": id, "entries": [0, 1, 2]}))
    await tell(api.update_dataset({"datasetId": id, "properties": {"name": "renamed", "tags": []}}))
    told["list"] = await tell(api.get_datasets({"filter": {"ids": [id]}}))
    told["list"]["datasets"][0].update(id="ID", createdAt="TIME", versionId="V")
    told["errors"] = {
        "dataset_not_found": await tell(api.get_entries({"datasetId": "none", "entries": [0]})),
        "index_out_of_range": await tell(api.remove_entries({"datasetId": id, "entries": [5]})),
        "shape": await tell(
            api.add_entries(
                {"datasetId": id, "keys": [{**entry, "data": [text("x")]} for entry in columns([1])]}
            )
        ),
        "key": await tell(api.add_entries({"datasetId": id, "keys": [{"key": "z", "data": [tensor(1)]}]})),
        "name": await tell(api.create_dataset({"description": "", "keys": keys})),
        "limit": await tell(api.get_datasets({"limit": -1})),
    }
    await tell(api.delete_dataset({"datasetId": id}))
    told["deleted"] = await tell(api.delete_dataset({"datasetId": id}))
    wrong = connect(make_client, "wrong", "ws://127.0.0.1:1/")
    told["key"] = await tell(wrong.dataset.get_datasets({}))
    return told


print_both(main, [TWO_KEYS], [KEYS])
