"""The engine about itself: info, stop, drain, listen, warm environments."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Protocol

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import json_object, parse_json
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.idle_time import IdleTime
from jupyter_ext.engine.common.lab_pages import LabPages, LabServer
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.counts import counted, counted_runs
from jupyter_ext.protocol.problems import InvalidField, Problem
from jupyter_ext.protocol.trainings import EngineInfo


class Work(Protocol):
    """What there is to do."""

    @property
    def trainings(self) -> int:
        """How many trainings run."""

    @property
    def sessions(self) -> int:
        """How many debug sessions run."""

    @property
    def fetching(self) -> int:
        """How many models are being downloaded."""


class Ports(Protocol):
    """The engine's ports."""

    @property
    def token_file(self) -> Path:
        """Where the token of the loopback port is."""

    async def listen(self, port: int) -> tuple[str, str]:
        """Open the loopback port; return its URL and token."""

    async def listen_as_pieces(self) -> str:
        """Open a port in Pieces' range; return its URL."""


class EngineControl(Protocol):
    """What these routes ask of the engine."""

    @property
    def work(self) -> Work:
        """What there is to do now."""

    @property
    def ports(self) -> Ports:
        """Its ports."""

    @property
    def idle(self) -> IdleTime:
        """How long it stays without work."""

    @property
    def pages(self) -> LabPages:
        """Where JupyterLab is."""

    def info(self) -> EngineInfo:
        """Describe it."""

    def end(self, reason: str) -> None:
        """Begin to end it."""

    def warm(self, python: str) -> None:
        """Begin to warm an interpreter."""


class EngineAPI:
    """Routes under `/native` that concern the engine."""

    def __init__(self, engine: EngineControl) -> None:
        self._engine = engine

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/native/engine", self.info, methods=["GET"]),
            Route("/native/engine", self.change, methods=["PATCH"]),
            Route("/native/engine/stop", self.stop, methods=["POST"]),
            Route("/native/engine/drain", self.drain, methods=["POST"]),
            Route("/native/engine/listen", self.listen, methods=["POST"]),
            Route("/native/environments", self.warm, methods=["POST"]),
            Route("/native/page", self.page, methods=["POST"]),
        ]

    @documented(answer=EngineInfo)
    async def info(self, request: Request) -> Response:
        """Describe the engine."""
        return JSONResponse(
            self._engine.info().model_dump(mode="json"), headers={"Cache-Control": "no-store"}
        )

    @documented(answer=EngineInfo)
    async def change(self, request: Request) -> Response:
        """Set how long the engine stays without work or viewers: `idle_s`, or null for what the environment says."""
        body = await json_object(request)
        if set(body) != {"idle_s"}:
            named = ", ".join(sorted(set(body) - {"idle_s"})) or "nothing"
            raise Problem(422, "Invalid value", f"idle_s can be changed, not {named[:200]}.")
        try:
            await asyncio.to_thread(self._engine.idle.set, body["idle_s"])
        except InvalidInput as error:
            raise Problem(
                422, "Invalid value", str(error), [InvalidField("value", "idle_s", str(error))]
            ) from None
        return await self.info(request)

    async def stop(self, request: Request) -> Response:
        """End the engine: 202; 409 while trainings or downloads run, unless `force` is given."""
        work = self._engine.work
        running, fetching = counted_runs(work.trainings, work.sessions), work.fetching
        forced = (await _body(request)).get("force")
        if running and not forced:
            detail = (
                f"There are {running} running; they would go on without an engine. `%engine stop --force`."
            )
            raise Problem(409, "Work in flight", detail)
        if fetching and not forced:
            detail = (
                f"There are {counted(fetching, 'model')} being downloaded; the next engine would go on with them. "
                "`%engine stop --force`."
            )
            raise Problem(409, "Work in flight", detail)
        self._engine.end("asked to stop")
        return JSONResponse({"active": work.trainings, "sessions": work.sessions}, 202)

    async def drain(self, request: Request) -> Response:
        """End the engine and leave every training to its successor: 202."""
        self._engine.end("making way for another engine")
        work = self._engine.work
        return JSONResponse({"active": work.trainings, "sessions": work.sessions}, 202)

    async def listen(self, request: Request) -> Response:
        """Open the loopback port."""
        body = await _body(request)
        if body.get("pieces") is True:
            return await self._listen_as_pieces()
        port = body.get("port", 0)
        if not isinstance(port, int) or isinstance(port, bool) or not 0 <= port <= 65535:
            raise Problem(422, "Invalid value", f"port={port!r} is not a port number; 0 takes a free one.")
        try:
            url, token = await self._engine.ports.listen(port)
        except OSError as error:
            detail = (
                f"Port {port} cannot be opened: {error.strerror or error}. Take another, or 0 for a free one."
            )
            raise Problem(409, "Port not available", detail) from error
        content = {"url": url, "token": token, "token_file": str(self._engine.ports.token_file)}
        return JSONResponse(content, headers={"Cache-Control": "no-store"})

    async def _listen_as_pieces(self) -> Response:
        try:
            url = await self._engine.ports.listen_as_pieces()
        except OSError as error:
            raise Problem(409, "Port not available", str(error)) from error
        return JSONResponse({"url": url}, headers={"Cache-Control": "no-store"})

    async def warm(self, request: Request) -> Response:
        """Warm an interpreter: 202."""
        python = (await _body(request)).get("python")
        self._engine.warm(str(python))
        return JSONResponse({}, 202)

    async def page(self, request: Request) -> Response:
        """Learn from a Jupyter server where its JupyterLab is: 204."""
        try:
            server = LabServer.model_validate(await _body(request))
        except ValueError as error:
            raise Problem(
                422, "Invalid value", f"This is no Jupyter server: {records.why(error)}."
            ) from error
        self._engine.pages.tell(server)
        return Response(status_code=204)


async def _body(request: Request) -> dict[str, object]:
    data = await request.body()
    if not data:
        return {}
    body = parse_json(data)
    return body if isinstance(body, dict) else {}
