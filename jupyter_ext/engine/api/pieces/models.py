"""Pieces' ModelApi and ModelsApi.

Rules: download and cancel are idempotent and answer at once; load and unload answer when it is true; update and delete
take custom models only; a model is unknown to nobody but by 410.

Source: Pieces' OpenAPI description; docs/architecture/11-pieces.md.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.path_ids import model_id
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.api.pieces import wire
from jupyter_ext.engine.api.pieces.progress import ProgressAPI
from jupyter_ext.engine.api.pieces.responses import answer, body_of, nothing, plain
from jupyter_ext.engine.api.pieces.types import Identifiers, Said
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.pubsub import PubSub, Subscriber
from jupyter_ext.engine.models.interfaces import LoadOptions
from jupyter_ext.engine.models.reference import parse_ref
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.models.service.service import ModelService
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.model_refs import full_id, is_hub_name
from jupyter_ext.protocol.models import LocalModel
from jupyter_ext.protocol.problems import Problem

WRAPPERS_DEFAULT = "GPT-3.5-turbo Chat Model"
"""Pieces' own wrapper refuses to start unless a model of this name is listed as a cloud's."""

OPEN_PORT = "jupyter_ext.pieces_port"
"""Set in the scope of requests on the port in Pieces' range."""

_IDENTIFIERS_INTERVAL_S = 0.2


class PiecesModelsAPI:
    """Routes under `/model` and `/models`."""

    def __init__(self, models: ModelService, pubsub: PubSub[str]) -> None:
        self._models = models
        self._pubsub = pubsub
        self._progress = ProgressAPI(models, pubsub)

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        one = "/model/{id}"
        posts = {
            "/model/update": self.update,
            f"{one}/download": self.download,
            f"{one}/download/cancel": self.cancel,
            f"{one}/load": self.load,
            f"{one}/unload": self.unload,
            f"{one}/scores/increment": self.score,
            "/models/create": self.create,
            "/models/unload": self.unload_all,
            "/models/{id}/delete": self.delete,
            "/models/{id}/delete/cache": self.delete_cache,
        }
        gets = {"/models": self.all, one: self.get, "/models/stream/identifiers": self.identifiers}
        return [
            *(Route(path, plain(handler), methods=["POST"]) for path, handler in posts.items()),
            *(Route(path, plain(handler), methods=["GET"]) for path, handler in gets.items()),
            WebSocketRoute("/models/stream/identifiers", self.stream_identifiers),
            *self._progress.routes(),
        ]

    async def all(self, request: Request) -> Response:
        """Return all models."""
        content = wire.models((await self._models.page()).models)
        if request.scope.get(OPEN_PORT):
            content["iterable"].append(wire.model(_wrappers_default()))
        return answer(content)

    async def get(self, request: Request) -> Response:
        """Return one model."""
        return answer(wire.model(await self._models.get(model_id(request))))

    async def download(self, request: Request) -> Response:
        """Begin to download, or join."""
        id = model_id(request)
        await self._models.get(id)
        return answer(wire.model(await self._models.download(id)))

    async def cancel(self, request: Request) -> Response:
        """Stop a download."""
        return answer(wire.model(await self._models.cancel(model_id(request))))

    async def load(self, request: Request) -> Response:
        """Load; answers when it is loaded."""
        options = LoadOptions(python=sys.executable)
        return answer(wire.model(await self._models.load(model_id(request), options, fetch=False)))

    async def unload(self, request: Request) -> Response:
        """Unload; answers when it is."""
        return answer(wire.model(await self._models.unload(model_id(request))))

    async def unload_all(self, request: Request) -> Response:
        """Unload everything that can be."""
        await self._models.unload_all()
        return nothing()

    async def score(self, request: Request) -> Response:
        """Add to a model's scores."""
        id, body = model_id(request), await body_of(request) or {}
        local = await self._models.get(id)
        await self._models.change(id, meta={"score": wire.scored(local.meta.get("score", {}), body)})
        return nothing()

    async def create(self, request: Request) -> Response:
        """Begin to know a model that a client describes; what is known already is no second one."""
        body = await body_of(request)
        if body is None:
            raise Problem(422, "Invalid value", "The body must describe a model, by a name at least.")
        name, unique = _text(body, "name"), _text(body, "unique")
        if not name:
            raise Problem(422, "Invalid value", "name must be a text.")
        if unique is not None and request.scope.get(OPEN_PORT):
            _check_open(unique)
        said = wire.said_of(body)
        text = unique or f"custom:{name}" + (f"@{said['version']}" if said.get("version") else "")
        local = await self._models.add(text, name=name, description=_text(body, "description"), custom=True)
        return answer(wire.model(await self._merge(local, said)))

    async def update(self, request: Request) -> Response:
        """Change what a client said of a custom model; what it leaves out stays."""
        body = await body_of(request)
        if body is None or not isinstance(body.get("id"), str):
            raise Problem(422, "Invalid value", "The body must be a model with its id.")
        local = await self._custom(body["id"], "updated")
        await self._models.change(
            local.id, name=_text(body, "name"), description=_new_description(body, local)
        )
        return answer(wire.model(await self._merge(local, wire.said_of(body))))

    async def delete(self, request: Request) -> Response:
        """Forget a custom model."""
        local = await self._custom(model_id(request), "deleted")
        await self._models.delete(local.id)
        return nothing()

    async def delete_cache(self, request: Request) -> Response:
        """Delete a model's files and go on knowing it."""
        await body_of(request)
        local = await self._models.delete_cache(model_id(request))
        return answer({"schema": wire.SCHEMA, "model": {"schema": wire.SCHEMA, "id": local.id}})

    async def identifiers(self, request: Request) -> Response:
        """Return all ids, for clients that ask the stream with a plain GET."""
        return answer(await self._identifiers())

    async def stream_identifiers(self, socket: WebSocket) -> None:
        """Send all ids, then those that change."""
        await socket.accept()
        subscriber = self._pubsub.subscribe(TOPIC)
        try:
            await send_until_gone(socket, lambda: self._send_identifiers(socket, subscriber))
        finally:
            self._pubsub.unsubscribe(TOPIC, subscriber)

    async def _send_identifiers(self, socket: WebSocket, subscriber: Subscriber[str]) -> None:
        await send_json(socket, await self._identifiers())
        while await subscriber.wait():
            if subscriber.lagging:
                subscriber.lagging = False
                subscriber.take()
                await send_json(socket, await self._identifiers())
            now = rfc3339(time.time())
            items = [
                wire.identifier(id, updated=now, deleted=self._models.known(id) is None)
                for id in dict.fromkeys(subscriber.take())
            ]
            if items:
                await send_json(socket, {"schema": wire.SCHEMA, "iterable": items})
            await asyncio.sleep(_IDENTIFIERS_INTERVAL_S)

    async def _identifiers(self) -> Identifiers:
        page = await self._models.page()
        return {"schema": wire.SCHEMA, "iterable": [wire.identifier(local.id) for local in page.models]}

    async def _custom(self, id: str, what: str) -> LocalModel:
        local = await self._models.get(id)
        if not local.custom:
            raise Problem(
                409, "Not custom", f"{local.id} is no custom model; only custom models can be {what}."
            )
        return local

    async def _merge(self, local: LocalModel, said: Said) -> LocalModel:
        if not said:
            return await self._models.get(local.id)
        return await self._models.change(local.id, meta={"pieces": {**local.meta.get("pieces", {}), **said}})


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise Problem(422, "Invalid value", f"{name} has the value {value!r:.60}, which is no text.")
    return value


def _check_open(unique: str) -> None:
    """Take names of a hub's models only from a port without a token: the answer to anything else depends on nothing here.

    Raises:
        Problem: It is something else, whether or not it exists.
    """
    try:
        source = parse_ref(full_id(unique)).source if is_hub_name(unique) else None
    except InvalidInput:
        source = None
    if source != "hub":
        raise Problem(
            422,
            "Invalid value",
            "Over this port, which asks for no token, unique must be the name of a hub's model, org/name[@revision]; "
            "paths and addresses are taken over a port of `%engine listen`.",
        )


def _new_description(body: Mapping[str, object], local: LocalModel) -> str | None:
    """Return a changed description; one that only echoes ours, with an error at its end, changes nothing."""
    text = _text(body, "description")
    return None if text == wire.model(local)["description"] else text


def _wrappers_default() -> LocalModel:
    return LocalModel(
        id="cloud:none",
        name=WRAPPERS_DEFAULT,
        source="service",
        cloud=True,
        description="Not available: this engine has local models only. Pieces' wrapper looks for it by name.",
        created_at="1970-01-01T00:00:00Z",
        meta={"pieces": {"denied": True, "version": "0.0.0", "foundation": "GPT_3.5", "provider": "OPENAI"}},
    )
