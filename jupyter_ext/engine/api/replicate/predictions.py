"""Predictions: a version's own `predict` or `run` function, in a worker like a training, with the version's weights.

Source: Replicate's HTTP API reference, "predictions". A training's id is a prediction's id too: a client polls it here.
"""

from __future__ import annotations

import asyncio
import re
import sys
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
    time_of,
)
from jupyter_ext.engine.api.replicate.idempotency import DuplicateGuard
from jupyter_ext.engine.trainings.artifacts.models import Models
from jupyter_ext.engine.trainings.delivery.webhooks import webhook_of
from jupyter_ext.engine.trainings.launching.launch_request import (
    CallerContext,
    LaunchRequest,
    origin_where_made,
)
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.problems import InvalidField, invalid_input
from jupyter_ext.protocol.trainings import TERMINAL, Training

MAX_WAIT_S = 60
_WAIT = re.compile(r"\bwait(?:\s*=\s*(\d{1,6}))?\b")


class PredictionsAPI:
    """Routes of predictions."""

    def __init__(
        self, trainings: TrainingService, models: Models, serializer: Serializer, guard: DuplicateGuard
    ) -> None:
        self._trainings = trainings
        self._models = models
        self._serializer = serializer
        self._guard = guard

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/v1/predictions", self.create, methods=["POST"]),
            Route("/v1/predictions", self.list, methods=["GET"]),
            Route("/v1/predictions/{id}", self.get, methods=["GET"]),
            Route("/v1/predictions/{id}/cancel", self.cancel, methods=["POST"]),
            Route("/v1/models/{owner}/{name}/predictions", self.create, methods=["POST"]),
        ]

    async def create(self, request: Request) -> Response:
        """Start a prediction: 201; with `Prefer: wait` once it is over, or after that many seconds."""
        prediction = await self._guard.once(request, lambda: self._create(request), self._trainings.get)
        wait_s = _wait_s(request.headers.get("prefer", ""))
        if wait_s:
            prediction = await self._trainings.wait(prediction.id, wait_s)
        shown = await self._show(request, prediction)
        if wait_s and prediction.status not in TERMINAL:
            shown["status"] = "starting"  # a client that asked to wait takes `processing` for the end
        response = answer(shown, 201)
        response.headers["Location"] = shown["urls"]["get"]
        if wait_s:
            response.headers["Preference-Applied"] = f"wait={wait_s}"
        return response

    async def get(self, request: Request) -> Response:
        """Return a prediction, or a training, with its log."""
        return answer(await self._show(request, await self._trainings.get(request.path_params["id"])))

    async def cancel(self, request: Request) -> Response:
        """Stop a prediction, or a training."""
        return answer(await self._show(request, await self._trainings.cancel(request.path_params["id"])))

    @documented(query=("cursor",))
    async def list(self, request: Request) -> Response:
        """Return a page of predictions, newest first."""
        found = await self._trainings.list(
            limit=PAGE_SIZE + 1,
            cursor=cursor_of(request),
            kind="prediction",
            created_after=time_of(request, "created_after"),
            created_before=time_of(request, "created_before"),
        )
        base = base_url(request)
        return answer(
            page(
                request,
                found,
                lambda item: (item.created_at, item.id),
                lambda item: self._serializer.training(item, base),
            )
        )

    async def _create(self, request: Request) -> Training:
        body, path = await json_object(request), request.path_params
        reference = f"{path['owner']}/{path['name']}" if path else body.get("version")
        if not isinstance(reference, str) or not reference:
            raise invalid_input([InvalidField("required", "version", "version is required")])
        version = await self._models.resolve(reference)
        webhook = webhook_of(body, base_url(request))
        order = LaunchRequest(
            version,
            input_of(body),
            origin_where_made(version, CallerContext(sys.executable)),
            webhook=webhook,
            kind="prediction",
            cancel_after_s=cancel_after_s(request),
        )
        return await self._trainings.create(order)

    async def _show(self, request: Request, run: Training) -> dict[str, Any]:
        store = await self._trainings.store(run.id)
        shown = await asyncio.to_thread(self._serializer.with_logs, run, base_url(request), store)
        return self._serializer.replicate(shown) if run.kind == "training" else shown


def _wait_s(prefer: str) -> int | None:
    """Read how long a client prefers to wait, seconds; `wait` alone is the longest."""
    found = _WAIT.search(prefer)
    if found is None:
        return None
    return min(MAX_WAIT_S, max(1, int(found[1]))) if found[1] else MAX_WAIT_S
