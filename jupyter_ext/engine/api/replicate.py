"""Replicate's HTTP API over this engine's trainings.

Source: Replicate's HTTP API reference. Extra keys are ours; see docs/architecture/02-wire.md.
"""

from __future__ import annotations

import base64
import json
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from jupyter_ext.engine.trainings.service import Origin, TrainingService
from jupyter_ext.protocol.log_text import fold
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input
from jupyter_ext.protocol.resources import Training

PAGE_SIZE = 100
MAX_LOG_BYTES = 4 * 2**20
_NO_STORE = {"Cache-Control": "no-store"}


class ReplicateAPI:
    """Routes under `/v1`."""

    def __init__(self, trainings: TrainingService, python: str, cwd: str) -> None:
        self._trainings = trainings
        self._default_origin = Origin(python, cwd)

    def routes(self) -> list[Route]:
        """List the routes."""
        create = "/v1/models/{owner}/{name}/versions/{version}/trainings"
        return [
            Route(create, self.create, methods=["POST"]),
            Route("/v1/trainings", self.list, methods=["GET"]),
            Route("/v1/trainings/{id}", self.get, methods=["GET"]),
            Route("/v1/trainings/{id}/cancel", self.cancel, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Start a training: 201."""
        body = await json_object(request)
        given = body.get("input", {})
        if not isinstance(given, dict):
            raise invalid_input(
                [InvalidField("type", "input", f"must be an object, not {json.dumps(given)[:60]}")]
            )
        model = f"{request.path_params['owner']}/{request.path_params['name']}"
        origin = read_origin(body.get("jupyter_ext"), self._default_origin)
        training = await self._trainings.create(model, request.path_params["version"], given, origin)
        return JSONResponse(resource(request, training) | {"logs": ""}, 201, _NO_STORE)

    async def get(self, request: Request) -> Response:
        """Give a training with the whole log."""
        return await self._answer(request, await self._trainings.get(request.path_params["id"]))

    async def cancel(self, request: Request) -> Response:
        """Stop a training. The body is ignored: clients send an empty one and call it JSON."""
        return await self._answer(request, await self._trainings.cancel(request.path_params["id"]))

    async def list(self, request: Request) -> Response:
        """Give a page of trainings, newest first."""
        cursor = request.query_params.get("cursor")
        page = await self._trainings.list(
            limit=PAGE_SIZE + 1, before=_decode_cursor(cursor) if cursor else None
        )
        following = None
        if len(page) > PAGE_SIZE:
            page = page[:PAGE_SIZE]
            following = str(request.url.include_query_params(cursor=_encode_cursor(page[-1])))
        results = [resource(request, training) for training in page]
        return JSONResponse({"previous": None, "next": following, "results": results}, headers=_NO_STORE)

    async def _answer(self, request: Request, training: Training) -> Response:
        store = await self._trainings.store(training.id)
        piece = store.logs(0, MAX_LOG_BYTES)
        return JSONResponse(
            resource(request, training) | {"logs": fold(piece["text"]) or None}, headers=_NO_STORE
        )


def read_origin(extra: Any, default: Origin) -> Origin:
    """Read where a notebook's training is to run; other clients' run in the engine's own environment."""
    if not isinstance(extra, dict):
        return default
    environ = extra.get("environ")
    return Origin(
        python=str(extra.get("python") or default.python),
        cwd=str(extra.get("cwd") or default.cwd),
        sys_path=tuple(map(str, extra["sys_path"])) if isinstance(extra.get("sys_path"), list) else None,
        environ={str(name): str(value) for name, value in environ.items()}
        if isinstance(environ, dict)
        else None,
    )


def resource(request: Request, training: Training) -> dict[str, Any]:
    """Give a training as JSON, with absolute URLs on the origin that was asked."""
    data = training.model_dump(mode="json")
    data.pop("logs", None)
    base = str(request.base_url).rstrip("/")
    data["urls"] = {name: f"{base}{path}" for name, path in data["urls"].items()}
    return data


async def json_object(request: Request) -> dict[str, Any]:
    """Read a body that must be a JSON object."""
    try:
        body = await request.json()
    except ValueError as error:
        raise Problem(400, "Invalid JSON", f"The body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Problem(400, "Invalid JSON", f"The body must be a JSON object, not {json.dumps(body)[:60]}")
    return body


def _encode_cursor(last: Training) -> str:
    return base64.urlsafe_b64encode(json.dumps([last.created_at, last.id]).encode()).decode()


def _decode_cursor(cursor: str) -> tuple[str, str]:
    try:
        created_at, training_id = json.loads(base64.urlsafe_b64decode(cursor))
        return str(created_at), str(training_id)
    except ValueError as error:
        raise Problem(
            400, "Invalid cursor", f"cursor={cursor[:40]!r} is not one of ours; follow `next`."
        ) from error
