"""Routes under `/native/models`: what a notebook and its views need of local models.

Source: docs/architecture/08-models.md.
"""

from __future__ import annotations

import asyncio
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.path_ids import model_id
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.api.native.model_requests import (
    AddBody,
    AttachBody,
    ChangeBody,
    DownloadBody,
    LoadBody,
    ServiceBody,
    UnloadBody,
    UpdateBody,
    read,
)
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.service.provider import ModelProvider
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.models.service.router import ModelRouter
from jupyter_ext.protocol.models import LocalModel, ModelPage
from jupyter_ext.protocol.problems import InvalidField, Problem

_NO_STORE = {"Cache-Control": "no-store"}
_CHANGE_INTERVAL_S = 0.2
"""A viewer hears of one model five times a second at most."""


class LocalModelsAPI:
    """Routes that concern local models.

    Args:
        models: All of them.
        pubsub: Where changes come from.
        pages: Where JupyterLab is.
    """

    def __init__(self, models: ModelRouter, pubsub: PubSub[str], pages: LabPages) -> None:
        self._models = models
        self._pubsub = pubsub
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        one = "/native/models/{id}"
        return [
            Route("/native/models", self.list, methods=["GET"]),
            Route("/native/models", self.add, methods=["POST"]),
            WebSocketRoute("/native/models/stream", self.stream),
            Route("/native/models/services", self.services, methods=["POST"]),
            Route("/native/models/unload", self.unload_all, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.change, methods=["PATCH"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/cache", self.delete_cache, methods=["DELETE"]),
            Route(f"{one}/download", self.download, methods=["POST"]),
            Route(f"{one}/cancel", self.cancel, methods=["POST"]),
            Route(f"{one}/update", self.update, methods=["POST"]),
            Route(f"{one}/load", self.load, methods=["POST"]),
            Route(f"{one}/unload", self.unload, methods=["POST"]),
            Route(f"{one}/users", self.attach, methods=["POST"]),
            Route(f"{one}/users/{{user}}", self.detach, methods=["DELETE"]),
        ]

    @documented(answer=ModelPage)
    async def list(self, request: Request) -> Response:
        """Return all models."""
        return self._answer_all(await self._models.page())

    @documented(body=AddBody, answer=LocalModel)
    async def add(self, request: Request) -> Response:
        """Begin to know a model: 201. With `look`, ask the hub first how big it is."""
        body = await read(request, AddBody)
        model = await self._models.local.add(
            body.id, name=body.name, description=body.description, look=bool(body.look), environ=body.environ
        )
        return self._answer(model, 201)

    @documented(body=ServiceBody, answer=ModelPage)
    async def services(self, request: Request) -> Response:
        """Return the models of a service, which is known from now on."""
        body = await read(request, ServiceBody)
        return self._answer_all(await self._models.page_of(body.on, body.token))

    @documented(answer=LocalModel)
    async def get(self, request: Request) -> Response:
        """Return one model."""
        return self._answer(await self._provider(request).get(model_id(request)))

    @documented(body=ChangeBody, answer=LocalModel)
    async def change(self, request: Request) -> Response:
        """Change its name or description, or how long it stays loaded."""
        body = await read(request, ChangeBody)
        provider, id = self._provider(request), model_id(request)
        if {"pinned", "keep_alive_s"} & body.model_fields_set:
            await provider.keep(id, pinned=body.pinned, keep_alive_s=body.keep_alive_s)
        return self._answer(await provider.change(id, name=body.name, description=body.description))

    @documented(query=("force",))
    async def delete(self, request: Request) -> Response:
        """Forget a model and delete its files: 204."""
        await self._provider(request).delete(model_id(request), force=_asked(request, "force"))
        return Response(status_code=204)

    @documented(answer=LocalModel, query=("force",))
    async def delete_cache(self, request: Request) -> Response:
        """Delete a model's files and keep what is known of it."""
        return self._answer(
            await self._provider(request).delete_cache(model_id(request), force=_asked(request, "force"))
        )

    @documented(body=DownloadBody, answer=LocalModel)
    async def download(self, request: Request) -> Response:
        """Begin to download, or join: 202, at once."""
        body = await read(request, DownloadBody)
        model = await self._provider(request).download(model_id(request), body.environ, body.weights)
        return self._answer(model, 202)

    @documented(answer=LocalModel)
    async def cancel(self, request: Request) -> Response:
        """Stop a download."""
        return self._answer(await self._provider(request).cancel(model_id(request)))

    @documented(body=UpdateBody, answer=LocalModel)
    async def update(self, request: Request) -> Response:
        """Look for a newer revision and begin to fetch it: 202. With `check` it is only looked for."""
        body = await read(request, UpdateBody)
        provider = self._provider(request)
        return self._answer(
            await provider.update(model_id(request), body.environ, check_only=bool(body.check)), 202
        )

    @documented(body=LoadBody, answer=LocalModel)
    async def load(self, request: Request) -> Response:
        """Load; with `wait: false` return at once, 202."""
        body = await read(request, LoadBody)
        wait = body.wait is not False
        model = await self._provider(request).load(model_id(request), body.load_options(), wait=wait)
        return self._answer(model, 200 if wait else 202)

    @documented(body=UnloadBody, answer=LocalModel)
    async def unload(self, request: Request) -> Response:
        """Unload; with `wait: false` return at once, 202."""
        body = await read(request, UnloadBody)
        wait = body.wait is not False
        model = await self._provider(request).unload(model_id(request), wait=wait)
        return self._answer(model, 200 if wait else 202)

    async def unload_all(self, request: Request) -> Response:
        """Unload all that nobody has pinned: 204."""
        await self._models.local.unload_all()
        return Response(status_code=204)

    @documented(body=AttachBody, answer=LocalModel)
    async def attach(self, request: Request) -> Response:
        """Note a user of a loaded model."""
        body = await read(request, AttachBody)
        return self._answer(await self._provider(request).attach(model_id(request), body.user.user()))

    @documented(answer=LocalModel)
    async def detach(self, request: Request) -> Response:
        """Forget a user of a model."""
        return self._answer(
            await self._provider(request).detach(model_id(request), model_id(request, "user"))
        )

    async def stream(self, socket: WebSocket) -> None:
        """Send all models, then each that changes."""
        await socket.accept()
        subscriber = self._pubsub.subscribe(TOPIC)
        try:
            await send_until_gone(socket, lambda: self._send_changes(socket, subscriber))
        finally:
            self._pubsub.unsubscribe(TOPIC, subscriber)

    def _provider(self, request: Request) -> ModelProvider:
        return self._models.provider(model_id(request))

    def _answer(self, model: LocalModel, status: int = 200) -> JSONResponse:
        return JSONResponse(self._pages.model(model).model_dump(mode="json"), status, _NO_STORE)

    def _answer_all(self, page: ModelPage) -> JSONResponse:
        return JSONResponse(self._pages.models(page).model_dump(mode="json"), headers=_NO_STORE)

    async def _send_changes(self, socket: WebSocket, subscriber: Any) -> None:
        subscriber.take()
        await self._send_page(socket)
        while await subscriber.wait():
            if subscriber.lagging:
                subscriber.lagging = False
                subscriber.take()
                await self._send_page(socket)
            for id in dict.fromkeys(subscriber.take()):
                model = self._models.provider(id).known(id)
                content = (
                    {"kind": "removed", "id": id}
                    if model is None
                    else {"kind": "model", "model": self._pages.model(model).model_dump(mode="json")}
                )
                await send_json(socket, content)
            await asyncio.sleep(_CHANGE_INTERVAL_S)

    async def _send_page(self, socket: WebSocket) -> None:
        page = self._pages.models(await self._models.page())
        await send_json(socket, {"kind": "models", "page": page.model_dump(mode="json")})


def _asked(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "0")
    if text not in ("0", "1"):
        what = f"{name} must be 0 or 1, not {text[:40]!r}."
        raise Problem(422, "Invalid value", what, [InvalidField("value", name, what)])
    return text == "1"
