"""Routes under `/native/trainings` for lists, labels, running again and deleting.

Source: docs/architecture/02-wire.md.
"""

from __future__ import annotations

from typing import Any, cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import base_url, input_of, json_object, whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.replicate.trainings import origin_of
from jupyter_ext.engine.catalog.query import ListQuery, Sort
from jupyter_ext.engine.trainings.listing import TrainingList
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import TERMINAL, Training, TrainingPage

_NO_STORE = {"Cache-Control": "no-store"}
_STATUSES = {"starting", "processing", *TERMINAL}
_DEFAULT_LIMIT = 100


class ListingAPI:
    """Routes under `/native/trainings` that concern many trainings, or what a person does with one."""

    def __init__(self, trainings: TrainingList, serializer: Serializer) -> None:
        self._trainings = trainings
        self._serializer = serializer

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/trainings", self.list, methods=["GET"]),
            Route("/native/trainings/{id}", self.label, methods=["PATCH"]),
            Route("/native/trainings/{id}", self.delete, methods=["DELETE"]),
            Route("/native/trainings/{id}/again", self.rerun, methods=["POST"]),
        ]

    @documented(answer=TrainingPage, query=("status", "q", "sort", "limit", "offset"))
    async def list(self, request: Request) -> Response:
        """Return a page of trainings."""
        query = _query(request)
        page = await self._trainings.page(query)
        base = base_url(request)
        for training in page.trainings:
            urls = self._serializer.urls(str(training["id"]), cast("dict[str, str]", training["urls"]), base)
            training["urls"] = {**urls}
            training.pop("logs", None)
        chosen = query.statuses or tuple(page.counts)
        content = {
            "trainings": page.trainings,
            "total": sum(page.counts.get(status, 0) for status in chosen),
            "counts": page.counts,
            "offset": query.offset,
        }
        return JSONResponse(content, headers=_NO_STORE)

    @documented(answer=Training)
    async def label(self, request: Request) -> Response:
        """Replace tags, notes or both."""
        body = await json_object(request)
        unknown = sorted(set(body) - {"tags", "notes"})
        if unknown:
            raise Problem(422, "Invalid value", f"{unknown[0]!r} cannot be changed; tags and notes can.")
        training = await self._trainings.label(request.path_params["id"], body.get("tags"), body.get("notes"))
        return JSONResponse(self._serializer.training(training, base_url(request)), headers=_NO_STORE)

    @documented(answer=Training)
    async def rerun(self, request: Request) -> Response:
        """Start the same once more: 201."""
        body: dict[str, Any] = await json_object(request) if await request.body() else {}
        origin = origin_of(body)
        training = await self._trainings.rerun(request.path_params["id"], input_of(body), origin)
        return JSONResponse(self._serializer.training(training, base_url(request)), 201, _NO_STORE)

    async def delete(self, request: Request) -> Response:
        """Forget a training and delete its files: 204."""
        await self._trainings.delete(request.path_params["id"])
        return Response(status_code=204)


def _query(request: Request) -> ListQuery:
    asked = request.query_params
    statuses = tuple(status for status in asked.get("status", "").split(",") if status)
    for status in statuses:
        if status not in _STATUSES:
            raise Problem(
                422, "Invalid value", f"status={status!r} is none of {', '.join(sorted(_STATUSES))}."
            )
    try:
        sort = Sort.parse(asked["sort"]) if asked.get("sort") else Sort()
    except ValueError as error:
        raise Problem(422, "Invalid value", f"{error}.") from None
    limit, offset = (
        whole_number(asked.get("limit"), "limit", _DEFAULT_LIMIT),
        whole_number(asked.get("offset"), "offset", 0),
    )
    return ListQuery(statuses, asked.get("q", ""), sort, limit, offset)
