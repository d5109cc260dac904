"""Server-sent events: the log and the output of a training or prediction as they come.

Source: HTML standard, "Server-sent events"; the clients know the events `output`, `logs`, `error` and `done` only, want an
`id:` from the first one on, and give up after 30 s of silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from jupyter_ext.engine.api.http.requests import as_whole_number, base_url
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.metrics.serving.run_store import Batch
from jupyter_ext.engine.trainings.event_stream import TrainingStream
from jupyter_ext.engine.trainings.serializer import Serializer
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.protocol.log_text import plain
from jupyter_ext.protocol.trainings import Training

PING_S = 15.0
_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}


class EventsAPI:
    """Routes of event streams. On the loopback port, `TokenRequired` has checked the link or the token."""

    def __init__(self, trainings: TrainingService, pubsub: PubSub[Batch], serializer: Serializer) -> None:
        self._trainings = trainings
        self._pubsub = pubsub
        self._serializer = serializer

    def routes(self) -> list[Route]:
        """List the routes."""
        return [
            Route("/v1/trainings/{id}/stream", self.stream, methods=["GET"]),
            Route("/v1/predictions/{id}/stream", self.stream, methods=["GET"]),
        ]

    async def stream(self, request: Request) -> Response:
        """Stream from the beginning, or from behind `Last-Event-ID`, to the end."""
        run = await self._trainings.get(request.path_params["id"])
        last = request.headers.get("last-event-id", "")
        events = self._events(run.id, base_url(request), as_whole_number(last) or 0)
        return StreamingResponse(with_pings(events), media_type="text/event-stream", headers=_HEADERS)

    async def _events(self, run_id: str, base: str, after_seq: int) -> AsyncGenerator[str, None]:
        seq, ends_line, num_sent = after_seq, True, 0
        async with contextlib.aclosing(self._messages(run_id, after_seq)) as messages:
            async for told in messages:
                seq = max(seq, told["seq"])
                if told["kind"] == "log":
                    text = told["text"]
                    if text.startswith("\r") and not ends_line:
                        text = "\n" + text[1:]  # a bar that is drawn again is a line of its own here
                    ends_line = text.endswith("\n")
                    yield event("logs", plain(text), seq)
                elif told["kind"] == "state":
                    for item in _items(told["training"])[num_sent:]:
                        num_sent += 1
                        yield event("output", _text(item), seq)
        for name, data in self._ending(await self._trainings.get(run_id), base, num_sent):
            yield event(name, data, seq)

    async def _messages(self, run_id: str, after_seq: int) -> AsyncGenerator[dict[str, Any]]:
        """Return the stream's messages but for hello and points; an unknown cursor begins anew."""
        async with contextlib.aclosing(
            TrainingStream(self._trainings, self._pubsub, run_id, after_seq).messages()
        ) as stream:
            async for message in stream:
                told = json.loads(message) if isinstance(message, str) else {"kind": "points"}
                if told["kind"] == "reset" and after_seq:
                    async with contextlib.aclosing(self._messages(run_id, 0)) as messages:
                        async for again in messages:
                            yield again
                    return
                if told["kind"] in ("log", "state", "end"):
                    yield told

    def _ending(self, run: Training, base: str, num_sent: int) -> list[tuple[str, str]]:
        output = self._serializer.training(run, base)["output"]
        if run.status == "succeeded":
            items = output[num_sent:] if num_sent and isinstance(output, list) else [output]
            return [*(("output", _text(item)) for item in items if item is not None), ("done", "{}")]
        if run.status == "canceled":
            return [("done", json.dumps({"reason": "canceled"}))]
        return [("error", run.error or "failed"), ("done", json.dumps({"reason": "error"}))]


def _items(training: dict[str, Any]) -> list[Any]:
    """Return what has come of a running prediction's output."""
    is_running = training["kind"] == "prediction" and training["status"] == "processing"
    return training["output"] or [] if is_running else []


def _text(output: Any) -> str:
    return output if isinstance(output, str) else json.dumps(output)


def event(name: str, data: str, id: int) -> str:
    """Write one event. Whatever a client's line reader may take for the end of a line begins a `data:` line anew."""
    lines = data.splitlines() + ([""] if data.endswith("\n") else []) or [""]
    return f"event: {name}\nid: {id}\n" + "".join(f"data: {line}\n" for line in lines) + "\n"


async def with_pings(events: AsyncGenerator[str, None], ping_s: float = PING_S) -> AsyncGenerator[str, None]:
    """Put a comment into every silence of `ping_s` seconds."""
    following: asyncio.Task[Any] | None = None
    try:
        while True:
            following = following or asyncio.ensure_future(anext(events, None))
            done, _ = await asyncio.wait([following], timeout=ping_s)
            if not done:
                yield ": ping\n\n"
                continue
            item = following.result()
            following = None
            if item is None:
                return
            yield item
    finally:
        if following is not None:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)
        await events.aclose()
