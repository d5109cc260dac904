"""Trainings: create, get, list, cancel.

Source: Replicate's HTTP API reference, "trainings". Extra keys are ours; see docs/architecture/02-wire.md.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import (
    PAGE_SIZE,
    answer,
    base_url,
    cancel_after_s,
    cursor_of,
    input_of,
    json_object,
    page,
)
from jupyter_ext.engine.api.replicate.idempotency import DuplicateGuard
from jupyter_ext.engine.trainings.artifacts.models import Models
from jupyter_ext.engine.trainings.delivery.webhooks import webhook_of
from jupyter_ext.engine.trainings.launching.launch_request import (
    CallerContext,
    LaunchRequest,
    origin_where_made,
)
from jupyter_ext.engine.trainings.run_spec import RaySpec, StartedFromSpec, SweepSpec
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.ids import is_training_id
from jupyter_ext.ipc.json_values import clean_text
from jupyter_ext.protocol.addresses import checked_base_url
from jupyter_ext.protocol.problems import Problem, not_found
from jupyter_ext.protocol.trainings import Training

MAX_WORKERS, MAX_RESOURCES = 256, 4096


class TrainingsAPI:
    """Routes of trainings."""

    def __init__(
        self,
        trainings: TrainingService,
        models: Models,
        serializer: Serializer,
        guard: DuplicateGuard,
        origin: CallerContext,
    ) -> None:
        self._trainings = trainings
        self._models = models
        self._serializer = serializer
        self._guard = guard
        self._default_origin = origin

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
        training = await self._guard.once(request, lambda: self._create(request), self._trainings.get)
        return answer(self._show(request, training) | {"logs": ""}, 201)

    async def get(self, request: Request) -> Response:
        """Return a training with its log."""
        return await self._answer(request, await self._training(request))

    async def cancel(self, request: Request) -> Response:
        """Stop a training. The body is ignored: clients send an empty one and call it JSON."""
        training = await self._training(request)
        return await self._answer(request, await self._trainings.cancel(training.id))

    @documented(query=("cursor",))
    async def list(self, request: Request) -> Response:
        """Return a page of trainings, newest first."""
        found = await self._trainings.list(limit=PAGE_SIZE + 1, cursor=cursor_of(request))
        return answer(
            page(
                request,
                found,
                lambda item: (item.created_at, item.id),
                lambda item: self._show(request, item),
            )
        )

    async def _create(self, request: Request) -> Training:
        body, path = await json_object(request), request.path_params
        version = self._trainings.find_version(f"{path['owner']}/{path['name']}", path["version"])
        destination = body.get("destination")
        if destination is not None:
            destination = await self._models.require_destination(destination)
        webhook = webhook_of(body, base_url(request))
        origin = origin_of(body) or origin_where_made(version, self._default_origin)
        order = LaunchRequest(
            version,
            input_of(body),
            origin,
            destination,
            webhook,
            cancel_after_s=cancel_after_s(request),
            workers=workers_of(body),
            sweep=sweep_of(body),
            ray=ray_of(body),
        )
        return await self._trainings.create(order)

    async def _training(self, request: Request) -> Training:
        training = await self._trainings.get(request.path_params["id"])
        if training.kind != "training":
            raise not_found("training", training.id, "It is a prediction; ask for it under /v1/predictions.")
        return training

    async def _answer(self, request: Request, training: Training) -> Response:
        store = await self._trainings.store(training.id)
        shown = await asyncio.to_thread(self._serializer.with_logs, training, base_url(request), store)
        return answer(self._serializer.replicate(shown))

    def _show(self, request: Request, training: Training) -> dict[str, Any]:
        return self._serializer.replicate(self._serializer.training(training, base_url(request)))


def workers_of(body: dict[str, Any]) -> int:
    """Read how many processes are to train.

    Raises:
        Problem: It is no number from 1 to `MAX_WORKERS`.
    """
    extra = body.get("jupyter_ext")
    number = extra.get("workers", 1) if isinstance(extra, dict) else 1
    if not isinstance(number, int) or isinstance(number, bool) or not 1 <= number <= MAX_WORKERS:
        problem = f"workers={str(number)[:40]} is no number of processes from 1 to {MAX_WORKERS}."
        raise Problem(422, "Invalid value", problem)
    return number


def sweep_of(body: dict[str, Any]) -> SweepSpec | None:
    """Read which sweep a training belongs to, if any.

    Raises:
        Problem: It is not of its form.
    """
    extra = body.get("jupyter_ext")
    sweep = extra.get("sweep") if isinstance(extra, dict) else None
    if sweep is None:
        return None
    id, trial = (sweep.get("id"), sweep.get("trial")) if isinstance(sweep, dict) else (None, "")
    if not isinstance(id, str) or (id and not is_training_id(id)) or not isinstance(trial, int | None):
        raise Problem(
            422, "Invalid value", "sweep must be {id, trial}: the id of a training, a number or null."
        )
    return {"id": id, "trial": trial}


def ray_of(body: dict[str, Any]) -> RaySpec | None:
    """Read where on a Ray cluster a training is to run, if there.

    Raises:
        Problem: It is not of its form.
    """
    extra = body.get("jupyter_ext")
    ray = extra.get("ray") if isinstance(extra, dict) else None
    if ray is None:
        return None
    if not isinstance(ray, dict):
        raise Problem(422, "Invalid value", "ray must be {address, cpus, gpus}.")
    numbers = {}
    for name, default in (("cpus", 1), ("gpus", 0)):
        number = ray.get(name, default)
        if (
            not isinstance(number, int | float)
            or isinstance(number, bool)
            or not 0 <= number <= MAX_RESOURCES
        ):
            text = f"{name}={str(number)[:40]} is no number from 0 to {MAX_RESOURCES}."
            raise Problem(422, "Invalid value", text)
        numbers[name] = float(number)
    address = checked_base_url(
        str(ray.get("address")), "address", "http://127.0.0.1:8265", "the token in RAY_AUTH_TOKEN"
    )
    told: RaySpec = {"address": address, "cpus": numbers["cpus"], "gpus": numbers["gpus"]}
    if (storage := ray.get("storage")) is not None:
        if not isinstance(storage, str) or not (storage.startswith("/") or "://" in storage):
            raise Problem(
                422, "Invalid value", f"storage={str(storage)[:100]} is neither an absolute path nor a URL."
            )
        told["storage"] = storage
    return told


def origin_of(body: dict[str, Any]) -> CallerContext | None:
    """Read where a notebook's training is to run, or give `None`: other clients do not say."""
    extra = body.get("jupyter_ext")
    if not isinstance(extra, dict) or not extra.get("python"):
        return None
    environ = extra.get("environ")
    return CallerContext(
        python=str(extra["python"]),
        cwd=str(extra["cwd"]) if extra.get("cwd") else None,
        sys_path=tuple(map(str, extra["sys_path"])) if isinstance(extra.get("sys_path"), list) else None,
        environ={str(name): str(value) for name, value in environ.items()}
        if isinstance(environ, dict)
        else None,
        cell=_cell_of(extra.get("started_from")),
    )


def _cell_of(place: object) -> StartedFromSpec | None:
    """Read which cell it was; what is not understood is not known."""
    if not isinstance(place, dict) or not isinstance(place.get("cell"), str):
        return None
    return {
        "notebook": clean_text(str(place.get("notebook") or ""))[:4096],
        "cell": clean_text(place["cell"])[:200],
    }
