"""What a notebook needs beyond Replicate's API: versions from cells, live streams, columns, logs, the engine itself.

Source: docs/architecture/02-wire.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from pathlib import Path
from typing import Literal

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import answer, base_url, input_of, json_object, whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_until_gone
from jupyter_ext.engine.api.native.sources import is_json, made_in_of, read_source, training_bundle
from jupyter_ext.engine.api.replicate.trainings import origin_of
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.metrics.serving.run_store import Batch
from jupyter_ext.engine.trainings.artifacts.models import Models
from jupyter_ext.engine.trainings.artifacts.versions import MAX_BUNDLE_BYTES, MadeIn
from jupyter_ext.engine.trainings.artifacts.weights import WeightFiles, to_resource
from jupyter_ext.engine.trainings.event_stream import TrainingStream
from jupyter_ext.engine.trainings.imported import MAX_BYTES as MAX_IMPORTED_BYTES
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext
from jupyter_ext.engine.trainings.resumed_curve import Query, columns
from jupyter_ext.engine.trainings.run_spec import RemoteSpec
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.addresses import checked_base_url
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Training

_NO_STORE = {"Cache-Control": "no-store"}
_DEFAULT_LOG_BYTES = 1 << 20
_MAX_LOG_BYTES = 8 << 20
"""One answer has at most so many bytes of log; `next_offset` says where the next piece begins."""
_MAX_LOG_LINES = 100_000
_MAX_BUCKETS = 1 << 20


class NativeAPI:
    """Routes under `/native` that concern trainings."""

    def __init__(
        self,
        trainings: TrainingService,
        models: Models,
        pubsub: PubSub[Batch],
        serializer: Serializer,
        weights: WeightFiles,
    ) -> None:
        self._trainings = trainings
        self._models = models
        self._pubsub = pubsub
        self._serializer = serializer
        self._weights = weights

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/versions", self.add_version, methods=["POST"]),
            Route("/native/imported-runs", self.import_run, methods=["POST"]),
            Route("/native/remote-trainings", self.create_remote, methods=["POST"]),
            Route("/native/trainings/{id}", self.get, methods=["GET"]),
            Route("/native/trainings/{id}/logs", self.logs, methods=["GET"]),
            Route("/native/trainings/{id}/metrics", self.metrics, methods=["GET"]),
            Route("/native/trainings/{id}/rules", self.add_rule, methods=["POST"]),
            Route("/native/trainings/{id}/stacks", self.stacks, methods=["GET"]),
            Route("/native/trainings/{id}/weights", self.weights, methods=["POST"]),
            Route("/native/trainings/{id}/resume", self.resume, methods=["POST"]),
            Route("/native/trainings/{id}/promote", self.promote, methods=["POST"]),
            WebSocketRoute("/native/trainings/{id}/stream", self.stream),
        ]

    async def add_version(self, request: Request) -> Response:
        """Keep a code bundle, or what a page without a kernel says of a source: 201."""
        if is_json(request):
            source = await read_source(request)
            bundle, made_in = (await training_bundle(source)).data, made_in_of(source)
            return await self._keep_version(bundle, made_in)
        if int(request.headers.get("content-length", 0)) > MAX_BUNDLE_BYTES:
            raise Problem(413, "Too large", "A code bundle may hold 2 GiB; load larger data inside train().")
        return await self._keep_version(await request.body(), _made_in(request))

    async def _keep_version(self, bundle: bytes, made_in: MadeIn | None) -> Response:
        version = await self._trainings.add_version(bundle, made_in)
        schema = None if version.training_input is None else version.training_input.json_schema()
        return JSONResponse({"id": version.id, "model": version.model, "training_input": schema}, 201)

    @documented(answer=Training)
    async def create_remote(self, request: Request) -> Response:
        """Start a training on a service: 201."""
        body = await json_object(request)
        missing = [name for name in ("base_url", "model", "version") if not body.get(name)]
        if missing:
            raise Problem(422, "Invalid value", f"{', '.join(missing)} must be given.")
        remote: RemoteSpec = {
            "base_url": checked_base_url(
                str(body["base_url"]),
                "base_url",
                "https://api.replicate.com/v1",
                "the token in REPLICATE_API_TOKEN",
            ),
            "model": str(body["model"]),
            "version": str(body["version"]),
        }
        if body.get("destination"):
            remote["destination"] = str(body["destination"])
        training = await self._trainings.create_remote(
            str(body.get("backend")),
            remote,
            str(body.get("name") or remote["model"].rpartition("/")[2]),
            input_of(body),
            origin_of(body) or CallerContext(""),
        )
        return answer(self._serializer.training(training, base_url(request)), 201)

    @documented(answer=Training)
    async def get(self, request: Request) -> Response:
        """Return a training without its log."""
        training = await self._trainings.get(request.path_params["id"])
        return JSONResponse(self._serializer.training(training, base_url(request)), headers=_NO_STORE)

    @documented(query=("tail", "offset", "limit"))
    async def logs(self, request: Request) -> Response:
        """Return a piece of the log."""
        store = await self._trainings.store(request.path_params["id"])
        if "tail" in request.query_params:
            chunk = store.logs_tail(min(_integer(request, "tail", 400), _MAX_LOG_LINES))
        else:
            limit = min(_integer(request, "limit", _DEFAULT_LOG_BYTES), _MAX_LOG_BYTES)
            chunk = store.logs(_integer(request, "offset", 0), limit)
        return JSONResponse(chunk, headers=_NO_STORE)

    @documented(query=("keys", "buckets", "x", "from", "to", "chain"))
    async def metrics(self, request: Request) -> Response:
        """Return metrics as columns."""
        query, trainings, training_id = request.query_params, self._trainings, request.path_params["id"]
        asked = Query(
            keys=query["keys"].split(",") if query.get("keys") else None,
            buckets=_buckets(query.get("buckets")),
            axis=_axis(query.get("x", "step")),
            lo=_number(request, "from"),
            hi=_number(request, "to"),
        )
        lineage = await trainings.lineage(training_id) if _wants_chain(request) else []
        if len(lineage) > 1:
            data: bytes | memoryview = columns(lineage, asked)
        else:
            is_overview = "buckets" in query and not {"from", "to"} & query.keys()
            store = await (trainings.store if is_overview else trainings.points)(training_id)
            data = store.columns(asked.keys, asked.buckets, asked.axis, asked.lo, asked.hi)
        return Response(data, media_type="application/octet-stream", headers=_NO_STORE)

    @documented(answer=Training)
    async def resume(self, request: Request) -> Response:
        """Start a training that goes on where this one's last checkpoint is: 201."""
        body = await json_object(request) if await request.body() else {}
        asker = origin_of(body)
        training = await self._trainings.resume(request.path_params["id"], input_of(body), asker)
        return answer(self._serializer.training(training, base_url(request)), 201)

    async def promote(self, request: Request) -> Response:
        """Make a version of a model of what a training has returned: 201."""
        destination = await self._models.require_destination((await json_object(request)).get("destination"))
        version = await self._trainings.promote(request.path_params["id"], destination)
        return JSONResponse({"version": version}, 201)

    @documented(answer=Training)
    async def import_run(self, request: Request) -> Response:
        """Keep a run that another tool has recorded: 201."""
        if int(request.headers.get("content-length", 0)) > MAX_IMPORTED_BYTES:
            raise Problem(413, "Too large", f"An imported run may have {MAX_IMPORTED_BYTES >> 20} MiB.")
        training = await self._trainings.import_run(await request.body())
        return answer(self._serializer.training(training, base_url(request)), 201)

    @documented(answer=Training)
    async def add_rule(self, request: Request) -> Response:
        """Hold a rule against a running training's points: 201."""
        training = await self._trainings.add_rule(request.path_params["id"], await json_object(request))
        return answer(self._serializer.training(training, base_url(request)), 201)

    async def stacks(self, request: Request) -> Response:
        """Tell where each thread of the worker stands."""
        text = await self._trainings.stacks(request.path_params["id"])
        return JSONResponse({"text": text}, headers=_NO_STORE)

    async def weights(self, request: Request) -> Response:
        """Have a training's weights as a file here: 200 with its path, or 202 while they are being fetched."""
        found = await self._weights.path(await self._trainings.get(request.path_params["id"]))
        return JSONResponse(to_resource(found), 200 if isinstance(found, Path) else 202, headers=_NO_STORE)

    async def stream(self, socket: WebSocket) -> None:
        """Stream a training."""
        await socket.accept()
        text = socket.query_params.get("after_seq")
        try:
            after_seq = None if text is None else whole_number(text, "after_seq", 0)
        except Problem as problem:
            await socket.close(4422, problem.detail)
            return
        stream = TrainingStream(
            self._trainings, self._pubsub, socket.path_params["id"], after_seq, self._serializer.with_page
        )
        await send_until_gone(socket, lambda: _send_all(socket, stream))


async def _send_all(socket: WebSocket, stream: TrainingStream) -> None:
    async with contextlib.aclosing(stream.messages()) as messages:
        async for message in messages:
            if isinstance(message, bytes):
                await socket.send_bytes(message)
            else:
                await socket.send_text(message)
            await asyncio.sleep(0)  # sending to a peer that is gone never suspends, and would starve the rest


def _made_in(request: Request) -> MadeIn | None:
    """Read where a notebook has made a bundle; other clients do not say."""
    query = request.query_params
    if not query.get("python") or not query.get("cwd"):
        return None
    return MadeIn(query["python"], query["cwd"], tuple(query.getlist("sys_path")))


def _wants_chain(request: Request) -> bool:
    text = request.query_params.get("chain", "0")
    if text not in ("0", "1"):
        raise Problem(422, "Invalid value", f"chain={text!r} is neither 0 nor 1.")
    return text == "1"


def _axis(text: str) -> Literal["step", "time"]:
    if text not in ("step", "time"):
        raise Problem(422, "Invalid value", f"x={text!r} is neither step nor time.")
    return "step" if text == "step" else "time"


def _integer(request: Request, name: str, default: int) -> int:
    return whole_number(request.query_params.get(name), name, default)


def _buckets(text: str | None) -> int | None:
    return None if text is None else min(whole_number(text, "buckets", 1, at_least=1), _MAX_BUCKETS)


def _number(request: Request, name: str) -> float | None:
    text = request.query_params.get(name)
    try:
        number = None if text is None else float(text)
    except ValueError:
        number = math.nan
    if number is not None and math.isnan(number):
        raise Problem(422, "Invalid value", f"{name}={(text or '')[:40]!r} is not a number.")
    return number
