"""Routes for people who try a loaded model in a page: JSON in, a summary or a text that grows out.

Rule: no tensor passes through the engine. The model's host makes the inputs up and sums the outputs up; a notebook that
wants the tensors talks to the host itself.
Source: docs/architecture/08-models.md.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping
from typing import cast

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from jupyter_ext.engine.api.http.path_ids import model_id
from jupyter_ext.engine.api.http.requests import as_whole_number, json_object
from jupyter_ext.engine.api.http.responses import JSONResponse
from jupyter_ext.engine.api.http.websocket_send import send_json, send_until_gone
from jupyter_ext.engine.models.service.router import ModelRouter
from jupyter_ext.ipc import values
from jupyter_ext.ipc.channel import AsyncConnection, CallError, ChannelClosed
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.worker.model_host.messages import GenerateEnd

CALL_TIMEOUT_S = 100.0
"""How long a page waits; a Jupyter server gives up on a silent answer after 120 s."""
MAX_NEW_TOKENS = 4096
MAX_PROMPT_CHARACTERS = 32_000
_STATUS = {"input": 422, "exception": 422, "unloading": 409, "canceled": 409}


class ModelCallsAPI:
    """Routes that call into loaded models."""

    def __init__(self, models: ModelRouter) -> None:
        self._models = models

    def routes(self) -> list[BaseRoute]:
        """List the routes."""
        return [
            Route("/native/models/{id}/call", self.call, methods=["POST"]),
            WebSocketRoute("/native/models/{id}/generate", self.generate),
        ]

    async def call(self, request: Request) -> Response:
        """Call with texts or made-up tensors, and return a summary of what came out."""
        asked = await json_object(request)
        connection = await self._connect(model_id(request))
        began = time.monotonic()
        try:
            async with asyncio.timeout(CALL_TIMEOUT_S):
                summary, _ = await connection.call("preview", asked)
        except TimeoutError:
            raise Problem(
                504,
                "No answer",
                f"The call took longer than {CALL_TIMEOUT_S:.0f} s and was canceled; make it from a notebook.",
            ) from None
        except (CallError, ChannelClosed) as error:
            raise problem_of(error) from error
        finally:
            connection.close()
        return JSONResponse(
            {"took_s": time.monotonic() - began, **summary}, headers={"Cache-Control": "no-store"}
        )

    async def generate(self, socket: WebSocket) -> None:
        """Send text as the model writes it: `text` events, and at the end `end` or `error`; leaving stops it."""
        await socket.accept()
        await send_until_gone(socket, lambda: self._write(socket))

    async def _write(self, socket: WebSocket) -> None:
        try:
            prompt, options = _asked(socket.query_params)
            tree, blobs = values.encode({"prompt": prompt, "options": options})
            connection = await self._connect(model_id(socket))
        except Problem as problem:
            await send_json(socket, {"kind": "error", "message": problem.detail})
            return
        began, num_tokens = time.monotonic(), 0
        try:
            params = {"value": tree, "for_page": True}
            async with contextlib.aclosing(connection.stream("generate", params, blobs)) as items:
                async for event, event_blobs in items:
                    if "result" in event:  # tokens that make no text are counted there only
                        told = cast("GenerateEnd", event)["result"]
                        num_tokens = values.decode(told["value"], event_blobs)["num_tokens"]
                    else:
                        await send_json(socket, {"kind": "text", "text": event["text"]})
        except (CallError, ChannelClosed) as error:
            await send_json(socket, {"kind": "error", "message": problem_of(error).detail})
        else:
            took_s = time.monotonic() - began
            await send_json(socket, {"kind": "end", "num_tokens": num_tokens, "took_s": took_s})
        finally:
            connection.close()

    async def _connect(self, model_id: str) -> AsyncConnection:
        model = await self._models.provider(model_id).get(model_id)
        if model.source == "service" and model.host is None:
            raise Problem(
                409, "Elsewhere", f"{model.name} runs in a service, which takes no calls from here."
            )
        if model.host is None or model.state != "loaded":
            raise Problem(409, "Not loaded", f"{model.id} is {model.state}; load it first.")
        try:
            return await AsyncConnection.open(model.host.calls)
        except ChannelClosed as error:
            raise problem_of(error) from error


def problem_of(error: CallError | ChannelClosed) -> Problem:
    """Say in one line why a call came to nothing."""
    if isinstance(error, ChannelClosed):
        return Problem(409, "Gone", "The model's process ended during the call; load the model again.")
    payload = error.error
    code = str(payload.get("code"))
    text = " ".join(str(payload.get("message") or code).split())
    if code == "exception":
        text = f"The model raised {payload.get('type', 'an exception')}: {text}"
    return Problem(_STATUS.get(code, 502), "The call failed", text[:600])


def _asked(query: Mapping[str, str]) -> tuple[str, dict[str, int]]:
    prompt, num = query.get("prompt", ""), query.get("max_new_tokens", "60")
    if not prompt.strip():
        raise Problem(422, "Invalid value", "Give a prompt.")
    if len(prompt) > MAX_PROMPT_CHARACTERS:
        raise Problem(
            422,
            "Invalid value",
            f"The prompt has {len(prompt):,} characters; {MAX_PROMPT_CHARACTERS:,} is the most here.",
        )
    wanted = as_whole_number(num)
    if wanted is None or not 1 <= wanted <= MAX_NEW_TOKENS:
        raise Problem(
            422, "Invalid value", f"max_new_tokens must be from 1 to {MAX_NEW_TOKENS}, not {num[:20]!r}."
        )
    return prompt, {"max_new_tokens": wanted}
