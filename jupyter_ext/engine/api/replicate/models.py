"""Models and their versions.

Source: Replicate's HTTP API reference, "models" and "models.versions"; searching is the HTTP method QUERY.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import (
    PAGE_SIZE,
    answer,
    base_url,
    cursor_of,
    json_object,
    page,
)
from jupyter_ext.engine.common.paging import Place, window
from jupyter_ext.engine.files.named_models import StoredModel
from jupyter_ext.engine.trainings.artifacts.models import TEXT_FIELDS, Models
from jupyter_ext.engine.trainings.artifacts.versions import Version
from jupyter_ext.protocol.problems import InvalidField, invalid_input
from jupyter_ext.protocol.schema.openapi import COG_VERSION, document

_SORTS = ("model_created_at", "latest_version_created_at")


class ModelsAPI:
    """Routes of models and versions."""

    def __init__(self, models: Models) -> None:
        self._models = models

    def routes(self) -> list[Route]:
        """List the routes."""
        model = "/v1/models/{owner}/{name}"
        return [
            Route("/v1/models", self.list, methods=["GET"]),
            Route("/v1/models", self.create, methods=["POST"]),
            Route("/v1/models", self.search, methods=["QUERY"]),
            Route(model, self.get, methods=["GET"]),
            Route(model, self.update, methods=["PATCH"]),
            Route(model, self.delete, methods=["DELETE"]),
            Route(f"{model}/versions", self.list_versions, methods=["GET"]),
            Route(f"{model}/versions/{{version}}", self.get_version, methods=["GET"]),
            Route(f"{model}/versions/{{version}}", self.delete_version, methods=["DELETE"]),
        ]

    @documented(query=("cursor",))
    async def list(self, request: Request) -> Response:
        """Return a page of models, newest first unless `sort_by` and `sort_direction` say otherwise."""
        sort_by = _choice(request, "sort_by", _SORTS)
        oldest_first = _choice(request, "sort_direction", ("desc", "asc")) == "asc"
        models = await self._models.all()
        places = {model.full_name: _place(model) for model in models}
        if sort_by == "latest_version_created_at":
            for model in models:
                newest = await self._models.versions(model.full_name, 1)
                places[model.full_name] = (newest[0][1] if newest else "", model.full_name)
        models.sort(key=lambda model: places[model.full_name], reverse=not oldest_first)
        return await self._page(request, models, lambda model: places[model.full_name], oldest_first)

    async def search(self, request: Request) -> Response:
        """Return the models whose name or description has the words of the body."""
        text = (await request.body()).decode(errors="replace")
        return await self._page(request, await self._models.search(_plain(text)), _place)

    async def create(self, request: Request) -> Response:
        """Make a model: 201."""
        model = await self._models.create(await json_object(request))
        return answer(await self._show(request, model), 201)

    async def get(self, request: Request) -> Response:
        """Return a model with its latest version."""
        return answer(await self._show(request, await self._models.get(_model_name(request))))

    async def update(self, request: Request) -> Response:
        """Change what a model says of itself."""
        model = await self._models.update(_model_name(request), await json_object(request))
        return answer(await self._show(request, model))

    async def delete(self, request: Request) -> Response:
        """Delete a model without versions: 204."""
        await self._models.delete(_model_name(request))
        return Response(status_code=204)

    @documented(query=("cursor",))
    async def list_versions(self, request: Request) -> Response:
        """Return a page of a model's versions, newest first."""
        found = await self._models.versions(_model_name(request), PAGE_SIZE + 1, cursor_of(request))
        return answer(
            page(request, found, lambda item: (item[1], item[0].id), lambda item: version_json(*item))
        )

    async def get_version(self, request: Request) -> Response:
        """Return a version with its schema."""
        found = await self._models.version(_model_name(request), request.path_params["version"])
        return answer(version_json(*found))

    async def delete_version(self, request: Request) -> Response:
        """Delete a version and its weights: 204."""
        await self._models.delete_version(_model_name(request), request.path_params["version"])
        return Response(status_code=204)

    async def _page(
        self,
        request: Request,
        models: Sequence[StoredModel],
        place: Callable[[StoredModel], Place],
        oldest_first: bool = False,
    ) -> Response:
        cursor = cursor_of(request)
        wanted = window(models, place, cursor, PAGE_SIZE + 1, oldest_first=oldest_first)
        shown = {model.full_name: await self._show(request, model) for model in wanted}
        return answer(page(request, wanted, place, lambda model: shown[model.full_name]))

    async def _show(self, request: Request, model: StoredModel) -> dict[str, Any]:
        newest = await self._models.versions(model.full_name, 1)
        return {
            "url": f"{base_url(request)}/v1/models/{model.full_name}",
            "owner": model.owner,
            "name": model.name,
            "visibility": model.visibility,
            "run_count": await self._models.num_runs(model.full_name),
            "is_official": False,
            "created_at": model.created_at,
            **{field: getattr(model, field) for field in TEXT_FIELDS},
            "default_example": None,
            "latest_version": version_json(*newest[0]) if newest else None,
        }


def version_json(version: Version, created_at: str) -> dict[str, Any]:
    """Return a version as JSON. None of the four keys may be null: a client would refuse the answer."""
    return {
        "id": version.id,
        "created_at": created_at,
        "cog_version": COG_VERSION,
        "openapi_schema": document(version.training_input, version.prediction_input),
    }


def _choice(request: Request, name: str, choices: tuple[str, ...]) -> str:
    """Read one of several words out of the query; the first one by default.

    Raises:
        Problem: It is another word.
    """
    text = request.query_params.get(name) or choices[0]
    if text not in choices:
        raise invalid_input(
            [InvalidField("enum", name, f"{name}={text[:40]!r} is none of {', '.join(choices)}")]
        )
    return text


def _plain(text: str) -> str:
    """Return what to search for: some clients send the plain text, others a JSON string of it."""
    if text.lstrip().startswith('"'):
        try:
            return str(json.loads(text))
        except ValueError:
            return text
    return text


def _place(model: StoredModel) -> Place:
    return model.created_at, model.full_name


def _model_name(request: Request) -> str:
    return f"{request.path_params['owner']}/{request.path_params['name']}"
