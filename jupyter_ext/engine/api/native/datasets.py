"""Datasets for notebooks, beside Decthings' API: many entries in one request, and where the worker finds the files."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.datasets.service import Dataset, DatasetNotFound, Datasets
from jupyter_ext.protocol.datasets import DatasetResource, DatasetsPage
from jupyter_ext.protocol.decthings.definitions import DefinitionError
from jupyter_ext.protocol.decthings.framing import decode_request
from jupyter_ext.protocol.decthings.tensors import WireError, spans
from jupyter_ext.protocol.problems import Problem, not_found


class DatasetsAPI:
    """Routes of datasets."""

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/native/datasets", self.list, methods=["GET"]),
            Route("/native/datasets/{id}/entries", self.add, methods=["POST"]),
        ]

    async def list(self, request: Request) -> Response:
        """Return all datasets, newest first."""
        page: DatasetsPage = {"datasets": [describe(dataset) for dataset in reversed(self._datasets.all())]}
        return JSONResponse(page, headers={"Cache-Control": "no-store"})

    async def add(self, request: Request) -> Response:
        """Add entries: a body of Decthings' with `keys`, and for each a blob with the tensors of all entries."""
        try:
            dataset = self._datasets.get(request.path_params["id"])
        except DatasetNotFound as error:
            raise not_found("dataset", str(error), "`jx.datasets.list()` shows those there are.") from None
        body = await request.body()

        def add() -> None:
            message = decode_request(body)
            names = message.content["keys"]
            columns = {
                name: [blob[begin:end] for begin, end in spans(blob)]
                for name, blob in zip(names, message.blobs, strict=True)
            }
            dataset.add("entries", columns)

        try:
            await asyncio.to_thread(add)
        except (WireError, DefinitionError, KeyError, ValueError, TypeError) as error:
            raise Problem(422, "Invalid entries", str(error)) from error
        return JSONResponse(describe(dataset))


def describe(dataset: Dataset) -> DatasetResource:
    """Describe a dataset."""
    head = dataset.head
    return {
        "id": dataset.id,
        "name": head["name"],
        "description": head["description"],
        "tags": head["tags"],
        "created_at": head["created_at"],
        "keys": head["keys"],
        "count": head["lists"]["entries"]["count"],
        "bytes": head["lists"]["entries"]["bytes"],
        "version_id": head["version_id"],
        "path": str(dataset.directory),
    }
