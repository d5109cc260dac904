"""The engine's OpenAPI documents, made of its routes: paths and methods, docstrings, and the pydantic models of bodies and answers.

Rule: nothing is written for the document alone. A route is in it because it is a route; `documented` names the models that its
endpoint reads and returns, which a test compares with the code.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol, TypeVar

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaValue, models_json_schema
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from jupyter_ext import __version__
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.protocol.problems import ProblemBody

Endpoint = TypeVar("Endpoint", bound=Callable[..., object])
Operation = dict[str, object]

_REF = "#/components/schemas/{model}"
_NO_BODY = ("GET", "HEAD", "DELETE")
_NOT_DESCRIBED = ("HEAD", "QUERY")
"""OpenAPI 3.1 has no QUERY; HEAD is GET without its body."""


@dataclass(frozen=True)
class Models:
    """What an endpoint reads and returns; `None` is any JSON, or none."""

    body: type[BaseModel] | None = None
    answer: type[BaseModel] | None = None
    query: tuple[str, ...] = ()


def documented(
    *, body: type[BaseModel] | None = None, answer: type[BaseModel] | None = None, query: Iterable[str] = ()
) -> Callable[[Endpoint], Endpoint]:
    """Name the models of an endpoint for the OpenAPI document.

    Args:
        body: Of the request's JSON.
        answer: Of the JSON that it answers with.
        query: Names of its parameters in the query.
    """

    def note(endpoint: Endpoint) -> Endpoint:
        endpoint.__dict__["models"] = Models(body, answer, tuple(query))
        return endpoint

    return note


def models_of(endpoint: object) -> Models:
    """Return what `documented` has noted."""
    found = getattr(endpoint, "models", None)
    return found if isinstance(found, Models) else Models()


class API(Protocol):
    """Some routes."""

    def routes(self) -> Iterable[BaseRoute]:
        """List the routes."""


class OpenAPI:
    """Routes of the documents about other routes: `/native/openapi.json`, and for Replicate's `/openapi.json` as there.

    Args:
        apis: Whose routes they are about.
    """

    def __init__(self, apis: Iterable[API]) -> None:
        self._apis = list(apis)

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/openapi.json", self.native, methods=["GET"]),
            Route("/openapi.json", self.replicate, methods=["GET"]),
        ]

    async def native(self, request: Request) -> Response:
        """Describe the engine's own routes."""
        return JSONResponse(self._native)

    async def replicate(self, request: Request) -> Response:
        """Describe the routes of Replicate's API."""
        return JSONResponse(self._replicate)

    @cached_property
    def _native(self) -> Operation:
        return describe("jupyter-ext's engine", self._routes("/native/"))

    @cached_property
    def _replicate(self) -> Operation:
        return describe("Replicate's HTTP API, as jupyter-ext's engine answers it", self._routes("/v1/"))

    def _routes(self, prefix: str) -> list[Route]:
        return [
            route
            for api in self._apis
            for route in api.routes()
            if isinstance(route, Route) and route.path.startswith(prefix)
        ]


def describe(title: str, routes: Iterable[Route]) -> Operation:
    """Return an OpenAPI 3.1 document of routes."""
    routes = list(routes)
    used = [models_of(route.endpoint) for route in routes]
    wanted: list[tuple[type[BaseModel], str]] = [(ProblemBody, "serialization")]
    wanted += [(one.body, "validation") for one in used if one.body is not None]
    wanted += [(one.answer, "serialization") for one in used if one.answer is not None]
    schemas, definitions = models_json_schema(list(dict.fromkeys(wanted)), ref_template=_REF)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Operation]] = {}
    for route, models in zip(routes, used, strict=True):
        for method in sorted(route.methods or ()):
            if method not in _NOT_DESCRIBED:
                operation = _operation(route, method, models, schemas)  # type: ignore[arg-type]
                paths.setdefault(route.path, {})[method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": __version__},
        "paths": paths,
        "components": {"schemas": definitions.get("$defs", {})},
    }


def _operation(
    route: Route, method: str, models: Models, schemas: dict[tuple[type[BaseModel], str], JsonSchemaValue]
) -> Operation:
    text = inspect.getdoc(route.endpoint) or ""
    parameters = [_parameter(name, "path") for name in route.param_convertors]
    parameters += [_parameter(name, "query") for name in models.query]
    answer = {} if models.answer is None else schemas[models.answer, "serialization"]
    operation: Operation = {
        "operationId": f"{method.lower()}{route.path}".translate(str.maketrans("/{}-.", "_____")),
        "summary": text.partition("\n")[0],
        "description": text,
        "parameters": parameters,
        "responses": {
            "2XX": {
                "description": "It was done.",
                "content": {"application/json": {"schema": answer}} if answer else {},
            },
            "4XX": {
                "description": "It was refused.",
                "content": {"application/problem+json": {"schema": schemas[ProblemBody, "serialization"]}},
            },
        },
    }
    if method not in _NO_BODY:
        schema = {} if models.body is None else schemas[models.body, "validation"]
        operation["requestBody"] = {"content": {"application/json": {"schema": schema}}}
    return operation


def _parameter(name: str, place: str) -> Operation:
    return {"name": name, "in": place, "required": place == "path", "schema": {"type": "string"}}
