"""Debug sessions over HTTP and WebSocket, for notebooks, widgets and whoever has no Unix socket to call on.

Source: docs/architecture/12-debug-sessions.md.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import contextlib
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.openapi import documented
from jupyter_ext.engine.api.http.requests import answer, as_whole_number, json_object, whole_number
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.api.native.sources import is_json, read_source, session_bundle
from jupyter_ext.engine.common.lab_pages import LabPages
from jupyter_ext.engine.sessions.event_stream import FILES, Printed, SessionEvents, Stream
from jupyter_ext.engine.sessions.launch_request import DEFAULT_INACTIVE_S, SessionLaunch
from jupyter_ext.engine.sessions.pending_code import MAX_BUNDLE_BYTES
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.sessions import DebugSession, SessionEnd, SessionLog, SessionMessage

_DEFAULT_LOG_BYTES = 1 << 20
_MAX_WAIT_S = 60.0
_STATUS_OF = {
    "invalid_parameter": 422, "not_offered": 422, "unknown_op": 404, "model_not_found": 404, "training_not_found": 404,
    "state_not_found": 404, "state_key_not_found": 404, "no_failure": 409, "training_not_running": 409,
    "interrupted": 409, "exception": 422, "busy": 409,
}  # fmt: skip


class DebugSessionsAPI:
    """Routes under `/native/sessions`.

    Args:
        sessions: All sessions.
        python: The interpreter for whoever names none.
        pages: Where JupyterLab is.
    """

    def __init__(self, sessions: DebugSessionService, python: str, pages: LabPages) -> None:
        self._sessions = sessions
        self._python = python
        self._pages = pages

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        one = "/native/sessions/{id}"
        return [
            Route("/native/session-code", self.add_code, methods=["POST"]),
            Route("/native/sessions", self.sessions, methods=["GET"]),
            Route("/native/sessions", self.launch, methods=["POST"]),
            Route(one, self.get, methods=["GET"]),
            Route(one, self.delete, methods=["DELETE"]),
            Route(f"{one}/code", self.replace_code, methods=["POST"]),
            Route(f"{one}/terminate", self.terminate, methods=["POST"]),
            Route(f"{one}/call", self.call, methods=["POST"]),
            Route(f"{one}/logs", self.logs, methods=["GET"]),
            Route(f"{one}/stacks", self.stacks, methods=["GET"]),
            WebSocketRoute(f"{one}/stream", self.stream),
        ]

    async def add_code(self, request: Request) -> Response:
        """Keep a bundle of code, or what a page says of a source, until a session takes it: 201."""
        if is_json(request):
            source = await read_source(request)
            bundle = await session_bundle(source)
            content = {
                "id": await self._sessions.add_code(bundle.data),
                "name": bundle.name,
                "missing": bundle.unknown_names,
                "cwd": source.directory,
                "python": source.interpreter,
            }
            return answer(content, 201)
        if int(request.headers.get("content-length", 0)) > MAX_BUNDLE_BYTES:
            raise Problem(413, "Too large", "A code bundle may hold 2 GiB; send larger data with a call.")
        return answer({"id": await self._sessions.add_code(await request.body())}, 201)

    @documented(query=("running",))
    async def sessions(self, request: Request) -> Response:
        """List sessions, newest first; with `running=1` only those that have not ended."""
        running_only = request.query_params.get("running") == "1"
        return answer({"sessions": [self._plain(one) for one in self._sessions.list(ended=not running_only)]})

    @documented(answer=DebugSession)
    async def launch(self, request: Request) -> Response:
        """Launch a session: 201, at once or once it is ready within `wait_s`."""
        body = await json_object(request)
        launched = await self._sessions.launch(_launch_of(body, self._python))
        wait_s = _seconds(body.get("wait_s", 0.0), "wait_s")
        return answer(
            self._plain(await self._sessions.wait_ready(launched.id, min(wait_s, _MAX_WAIT_S))), 201
        )

    @documented(answer=DebugSession, query=("wait_s",))
    async def get(self, request: Request) -> Response:
        """Return a session; with `wait_s`, once it is ready or that long has passed."""
        session_id = request.path_params["id"]
        wait_s = _seconds(request.query_params.get("wait_s", "0"), "wait_s")
        if wait_s:
            return answer(self._plain(await self._sessions.wait_ready(session_id, min(wait_s, _MAX_WAIT_S))))
        return answer(self._plain(self._sessions.get(session_id)))

    async def delete(self, request: Request) -> Response:
        """Forget a session that has ended: 204."""
        await self._sessions.delete(request.path_params["id"])
        return Response(status_code=204)

    async def replace_code(self, request: Request) -> Response:
        """Replace a session's code; its models live on."""
        body = await json_object(request)
        try:
            return answer(await self._sessions.replace_code(request.path_params["id"], str(body.get("code"))))
        except CallError as error:
            return _refused(error)

    @documented(answer=DebugSession)
    async def terminate(self, request: Request) -> Response:
        """End a session: 200 with it as it is then."""
        return answer(self._plain(await self._sessions.terminate(request.path_params["id"])))

    async def call(self, request: Request) -> Response:
        """Call a session: `{op, params, blobs}`; blobs are base64, in both directions."""
        body = await json_object(request)
        params = body.get("params") or {}
        if not isinstance(body.get("op"), str) or not isinstance(params, dict):
            raise Problem(422, "Invalid value", "op must be a text and params an object.")
        try:
            blobs = [base64.b64decode(blob, validate=True) for blob in body.get("blobs") or []]
        except (binascii.Error, TypeError) as error:
            raise Problem(422, "Invalid value", f"blobs must be base64: {error}.") from error
        try:
            result, found = await self._sessions.call(
                request.path_params["id"], body["op"], params, blobs, after_end=True
            )
        except CallError as error:
            return _refused(error)
        return answer({"result": result, "blobs": [base64.b64encode(blob).decode() for blob in found]})

    @documented(query=("stream", "offset", "tail"))
    async def logs(self, request: Request) -> Response:
        """Return a piece of what it printed: `stream` stdout or stderr, from `offset`, or the last `tail` lines."""
        record = self._sessions.record(request.path_params["id"])
        stream = request.query_params.get("stream", "stdout")
        if stream not in FILES:
            raise Problem(422, "Invalid value", f"stream={stream!r} is neither stdout nor stderr.")
        path = record.session_dir / FILES["stderr" if stream == "stderr" else "stdout"]
        offset = whole_number(request.query_params.get("offset"), "offset", 0)
        tail = request.query_params.get("tail")
        num_lines = None if tail is None else whole_number(tail, "tail", 0)
        return answer(await asyncio.to_thread(_piece, path, offset, num_lines))

    async def stacks(self, request: Request) -> Response:
        """Return where each thread stands, also where the session answers nothing."""
        return answer({"text": await self._sessions.stacks(request.path_params["id"])})

    async def stream(self, socket: WebSocket) -> None:
        """Stream a session: its state now and whenever it changes, what it prints, its exit.

        `stdout` and `stderr` in the query are the bytes that the viewer has; without them it gets what is printed from now.
        """
        await socket.accept()
        offsets: dict[Stream, int] = {}
        for stream in FILES:
            offset = as_whole_number(socket.query_params.get(stream, ""))
            if offset is not None:
                offsets[stream] = offset
        events = SessionEvents(self._sessions, socket.path_params["id"], offsets)
        await send_until_gone(socket, lambda: _send_all(socket, events, self._pages))

    def _plain(self, session: DebugSession) -> dict[str, Any]:
        return self._pages.session(session).model_dump(mode="json")


async def _send_all(socket: WebSocket, events: SessionEvents, pages: LabPages) -> None:
    async with contextlib.aclosing(events.events()) as stream:
        async for event in stream:
            if isinstance(event, DebugSession):
                message: Any = SessionMessage(session=pages.session(event))
            elif isinstance(event, Printed):
                text = event.data.decode(errors="replace")
                message = SessionLog(
                    stream=event.stream,
                    offset=event.offset,
                    next_offset=event.next_offset,
                    skipped=event.skipped,
                    text=text,
                )
            else:
                message = SessionEnd(exit=event)
            await send_json(socket, message.model_dump(mode="json"))


def _launch_of(body: dict[str, Any], python: str) -> SessionLaunch:
    environ, paths, inactive_s = (
        body.get("environ"),
        body.get("sys_path"),
        body.get("inactive_s", DEFAULT_INACTIVE_S),
    )
    return SessionLaunch(
        name=str(body.get("name") or "session")[:200],
        python=str(body.get("python") or python),
        code=None if body.get("code") is None else str(body["code"]),
        cwd=str(body["cwd"]) if body.get("cwd") else None,
        sys_path=tuple(map(str, paths)) if isinstance(paths, list) else None,
        environ={str(name): str(value) for name, value in environ.items()}
        if isinstance(environ, dict)
        else None,
        inactive_s=None if inactive_s is None else _seconds(inactive_s, "inactive_s"),
    )


def _piece(path: Path, offset: int, num_lines: int | None) -> dict[str, Any]:
    size = path.stat().st_size
    start = max(0, size - _DEFAULT_LOG_BYTES) if num_lines is not None else max(0, min(offset, size))
    with open(path, "rb") as file:
        file.seek(start)
        data = file.read(_DEFAULT_LOG_BYTES)
    next_offset = start + len(data)
    if num_lines is not None:
        data = b"".join(data.splitlines(keepends=True)[-num_lines:] if num_lines else [])
    text = data.decode(errors="replace")
    return {"text": text, "offset": next_offset - len(data), "next_offset": next_offset, "size": size}


def _seconds(given: Any, name: str) -> float:
    try:
        seconds = float(given)
    except (TypeError, ValueError):
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise Problem(422, "Invalid value", f"{name}={given!r} is not a number of seconds from 0 on.")
    return seconds


def _refused(error: CallError) -> Response:
    """Answer with what the session said, as it said it."""
    content = error.error
    status = _STATUS_OF.get(str(content.get("code")), 500)
    body = {
        "title": str(content.get("code")),
        "detail": str(error),
        "status": status,
        "error": content,
    }
    return JSONResponse(body, status, {"Cache-Control": "no-store"}, media_type="application/problem+json")
