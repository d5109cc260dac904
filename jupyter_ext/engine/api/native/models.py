"""Routes under `/native/models`: what a notebook and its views need of local models.

Source: docs/architecture/08-models.md.
"""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.path_ids import model_id
from jupyter_ext.engine.api.http.requests import json_object
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.models.interfaces import LoadOptions
from jupyter_ext.engine.models.service.provider import ModelProvider
from jupyter_ext.engine.models.service.registry import TOPIC
from jupyter_ext.engine.models.service.router import ModelRouter
from jupyter_ext.protocol.model_refs import HUB_VARIABLES
from jupyter_ext.protocol.models import LocalModel, ModelUser
from jupyter_ext.protocol.problems import InvalidField, Problem

_NO_STORE = {"Cache-Control": "no-store"}
MAX_S = 1e9
"""Longest keep-alive that is taken, seconds: 31 years."""
_CHANGE_INTERVAL_S = 0.2
"""A viewer hears of one model five times a second at most."""


class LocalModelsAPI:
    """Routes that concern local models."""

    def __init__(self, models: ModelRouter, pubsub: PubSub[str]) -> None:
        self._models = models
        self._pubsub = pubsub

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

    async def list(self, request: Request) -> Response:
        """Return all models."""
        page = await self._models.page()
        return JSONResponse(page.model_dump(mode="json"), headers=_NO_STORE)

    async def add(self, request: Request) -> Response:
        """Begin to know a model: 201. With `look`, ask the hub first how big it is."""
        body = await _body(request)
        model = await self._models.local.add(
            _text(body, "id") or "",
            name=_text(body, "name"),
            description=_text(body, "description"),
            look=bool(_flag(body, "look", False)),
            environ=_environ(body),
        )
        return _answer(model, 201)

    async def services(self, request: Request) -> Response:
        """Return the models of a service, which is known from now on."""
        body = await _body(request)
        page = await self._models.page_of(_text(body, "on") or "", _text(body, "token"))
        return JSONResponse(page.model_dump(mode="json"), headers=_NO_STORE)

    async def get(self, request: Request) -> Response:
        """Return one model."""
        return _answer(await self._provider(request).get(model_id(request)))

    async def change(self, request: Request) -> Response:
        """Change its name or description, or how long it stays loaded."""
        body = await _body(request)
        _refuse_unknown(body, {"name", "description", "pinned", "keep_alive_s"})
        id = model_id(request)
        if {"pinned", "keep_alive_s"} & body.keys():
            await self._provider(request).keep(
                id, pinned=_flag(body, "pinned", None), keep_alive_s=_number(body, "keep_alive_s")
            )
        return _answer(
            await self._provider(request).change(
                id, name=_text(body, "name"), description=_text(body, "description")
            )
        )

    async def delete(self, request: Request) -> Response:
        """Forget a model and delete its files: 204."""
        await self._provider(request).delete(model_id(request), force=_asked(request, "force"))
        return Response(status_code=204)

    async def delete_cache(self, request: Request) -> Response:
        """Delete a model's files and keep what is known of it."""
        return _answer(
            await self._provider(request).delete_cache(model_id(request), force=_asked(request, "force"))
        )

    async def download(self, request: Request) -> Response:
        """Begin to download, or join: 202, at once."""
        body = await _body(request)
        return _answer(
            await self._provider(request).download(
                model_id(request), _environ(body), _texts(body, "weights")
            ),
            202,
        )

    async def cancel(self, request: Request) -> Response:
        """Stop a download."""
        return _answer(await self._provider(request).cancel(model_id(request)))

    async def update(self, request: Request) -> Response:
        """Look for a newer revision and begin to fetch it: 202. With `check` it is only looked for."""
        body = await _body(request)
        check_only = bool(_flag(body, "check", False))
        return _answer(
            await self._provider(request).update(model_id(request), _environ(body), check_only=check_only),
            202,
        )

    async def load(self, request: Request) -> Response:
        """Load; with `wait: false` return at once, 202."""
        body = await _body(request)
        wait = bool(_flag(body, "wait", True))
        model = await self._provider(request).load(model_id(request), load_options(body), wait=wait)
        return _answer(model, 200 if wait else 202)

    async def unload(self, request: Request) -> Response:
        """Unload; with `wait: false` return at once, 202."""
        wait = bool(_flag(await _body(request), "wait", True))
        return _answer(
            await self._provider(request).unload(model_id(request), wait=wait), 200 if wait else 202
        )

    async def unload_all(self, request: Request) -> Response:
        """Unload all that nobody has pinned: 204."""
        await self._models.local.unload_all()
        return Response(status_code=204)

    async def attach(self, request: Request) -> Response:
        """Note a user of a loaded model."""
        user = _user(await _body(request))
        if user is None:
            raise Problem(422, "Invalid value", "user must be an object with id and name.")
        return _answer(await self._provider(request).attach(model_id(request), user))

    async def detach(self, request: Request) -> Response:
        """Forget a user of a model."""
        return _answer(await self._provider(request).detach(model_id(request), model_id(request, "user")))

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
                    else {"kind": "model", "model": model.model_dump(mode="json")}
                )
                await send_json(socket, content)
            await asyncio.sleep(_CHANGE_INTERVAL_S)

    async def _send_page(self, socket: WebSocket) -> None:
        page = await self._models.page()
        await send_json(socket, {"kind": "models", "page": page.model_dump(mode="json")})


def load_options(body: dict[str, Any]) -> LoadOptions:
    """Read how a model is to be loaded.

    Raises:
        Problem: A field is of another kind.
    """
    worker = body.get("worker") or {}
    if not isinstance(worker, dict) or not isinstance(worker.get("environ") or {}, dict):
        raise _invalid("worker", "must be an object with python, cwd and environ")
    options = body.get("options") or {}
    if not isinstance(options, dict):
        raise _invalid("options", "must be an object")
    return LoadOptions(
        python=_text(worker, "python") or sys.executable,
        cwd=_text(worker, "cwd") or "/",
        device=_text(body, "device"),
        dtype=_text(body, "dtype"),
        keep_alive_s=_number(body, "keep_alive_s"),
        pin=bool(_flag(body, "pin", False)),
        force=bool(_flag(body, "force", False)),
        environ={str(k): str(v) for k, v in (worker.get("environ") or {}).items()},
        hub_environ=_environ(body) or {},
        extra=options,
        user=_user(body),
    )


def _answer(model: LocalModel, status: int = 200) -> JSONResponse:
    return JSONResponse(model.model_dump(mode="json"), status, _NO_STORE)


async def _body(request: Request) -> dict[str, Any]:
    return await json_object(request) if await request.body() else {}


def _environ(body: dict[str, Any]) -> dict[str, str] | None:
    given = body.get("environ")
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _invalid("environ", "must be an object of variables")
    return {name: str(given[name]) for name in HUB_VARIABLES if given.get(name) is not None}


def _user(body: dict[str, Any]) -> ModelUser | None:
    user = body.get("user")
    if user is None:
        return None
    if not isinstance(user, dict) or not isinstance(user.get("id"), str):
        raise _invalid("user", "must be an object with id and name")
    pid = user.get("pid")
    return ModelUser(
        id=user["id"][:200],
        name=str(user.get("name") or user["id"])[:200],
        pid=pid if isinstance(pid, int) and not isinstance(pid, bool) else None,
        since=str(user.get("since") or rfc3339(time.time())),
    )


def _text(body: dict[str, Any], name: str) -> str | None:
    value = body.get(name)
    if value is not None and not isinstance(value, str):
        raise _invalid(name, f"must be a text, not {value!r:.60}")
    return value


def _texts(body: dict[str, Any], name: str) -> list[str] | None:
    value = body.get(name)
    if value is not None and not (isinstance(value, list) and all(isinstance(item, str) for item in value)):
        raise _invalid(name, f"must be a list of texts, not {value!r:.60}")
    return value


def _number(body: dict[str, Any], name: str) -> float | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -MAX_S <= value <= MAX_S:
        raise _invalid(name, f"must be a number of seconds up to {MAX_S:.0e}, or below 0 for ever")
    return float(value)


def _flag(body: dict[str, Any], name: str, default: bool | None) -> bool | None:
    value = body.get(name, default)
    if value is not None and not isinstance(value, bool):
        raise _invalid(name, f"must be true or false, not {value!r:.60}")
    return value


def _asked(request: Request, name: str) -> bool:
    text = request.query_params.get(name, "0")
    if text not in ("0", "1"):
        raise _invalid(name, f"must be 0 or 1, not {text[:40]!r}")
    return text == "1"


def _refuse_unknown(body: dict[str, Any], allowed: set[str]) -> None:
    unknown = sorted(set(body) - allowed)
    if unknown:
        raise _invalid(unknown[0], f"cannot be changed; {', '.join(sorted(allowed))} can")


def _invalid(field: str, what: str) -> Problem:
    return Problem(
        422, "Invalid value", f"{field} {what}.", [InvalidField("value", field, f"{field} {what}.")]
    )
