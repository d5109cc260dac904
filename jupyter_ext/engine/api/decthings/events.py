"""Events of debug sessions for the WebSockets that subscribed to them.

Rules: output that nobody has heard yet goes to the first subscriber; a later one hears what comes from then on. What is
owed at once is sent before the answer to the subscription, the exit always after it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Mapping
from typing import Any

from jupyter_ext.engine.api.decthings.rpc.calls import Call, Refusal
from jupyter_ext.engine.api.decthings.rpc.connection import Connection
from jupyter_ext.engine.api.decthings.sessions import details, gone
from jupyter_ext.engine.sessions.event_stream import FILES, Printed, SessionEvents
from jupyter_ext.engine.sessions.files import SessionMeta
from jupyter_ext.engine.sessions.service import DebugSessionService
from jupyter_ext.ipc.channel import CallError
from jupyter_ext.ipc.payloads.session_messages import AttachAnswer
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.sessions import DebugSession, SessionExit

log = logging.getLogger(__name__)

MAX_UNHEARD_BYTES = 1 << 20
"""Of output that nobody has heard, the last of it."""
_CATCH_UP_S = 5.0
_READ_BYTES = 1 << 16


class SessionSubscriptions:
    """Who hears of which session, and the tunnels to sessions' debuggers."""

    def __init__(self, service: DebugSessionService) -> None:
        self._service = service
        self._heard: set[str] = set()
        self._listeners: dict[str, set[Connection]] = {}
        self._inspectors: dict[str, asyncio.StreamWriter] = {}
        self._opening = asyncio.Lock()
        self._reading: set[asyncio.Task[None]] = set()

    async def subscribe(self, call: Call, session_id: str) -> None:
        """Send a session's events over the call's connection; returns once what is owed at once was sent.

        Raises:
            Refusal: There is no such session, or the call came over HTTP, which carries no events.
        """
        try:
            record = self._service.record(session_id)
        except Problem as problem:
            raise gone(problem) from problem
        if call.connection is None:
            return
        sizes = {stream: _size(record.session_dir / name) for stream, name in FILES.items()}
        offsets = dict(sizes)
        if session_id not in self._heard:
            self._heard.add(session_id)
            offsets = {stream: max(0, size - MAX_UNHEARD_BYTES) for stream, size in sizes.items()}
        events = SessionEvents(self._service, session_id, offsets, max_behind_bytes=None)
        caught_up = asyncio.Event()
        task = asyncio.create_task(self._send(call, events, sizes, caught_up), name=f"events of {session_id}")
        call.connection.unsubscribe(session_id)
        call.connection.subscribe(session_id, task)
        self._listeners.setdefault(session_id, set()).add(call.connection)
        caught = asyncio.create_task(caught_up.wait())
        await asyncio.wait({caught, task}, timeout=_CATCH_UP_S, return_when=asyncio.FIRST_COMPLETED)
        caught.cancel()

    async def _send(
        self, call: Call, events: SessionEvents, sizes: dict[Any, int], caught_up: asyncio.Event
    ) -> None:
        connection, session_id, initialized = call.connection, events.session_id, False
        assert connection is not None
        try:
            async with contextlib.aclosing(events.events()) as stream:
                async for event in stream:
                    about = {"debugSessionId": session_id}
                    if isinstance(event, Printed):
                        await connection.event("Debug", event.stream, about, event.data)
                    elif isinstance(event, SessionExit):
                        caught_up.set()
                        await call.replied.wait()
                        reason = exit_reason(event, self._service.record(session_id).meta)
                        await connection.event("Debug", "exit", {**about, "reason": reason})
                    elif not initialized and is_initialized(event):
                        initialized = True
                        await connection.event("Debug", "initialized", about)
                    if all(events.offsets[stream] >= size for stream, size in sizes.items()):
                        caught_up.set()
        finally:
            self._listeners.get(session_id, set()).discard(connection)

    # -- the debugger -----------------------------------------------------------------------------------------------

    async def inspect(self, session_id: str, data: memoryview) -> None:
        """Send bytes to a session's debugger, which speaks the Debug Adapter Protocol.

        Raises:
            Refusal: It has none.
        """
        try:
            record = self._service.record(session_id)
        except Problem as problem:
            raise gone(problem) from problem
        if not record.meta.get("remoteInspector", True):
            raise Refusal("not_remote_inspector")
        async with self._opening:
            writer = self._inspectors.get(session_id)
            if writer is None or writer.is_closing():
                writer = await self._open(session_id)
        writer.write(bytes(data))
        await writer.drain()

    async def _open(self, session_id: str) -> asyncio.StreamWriter:
        try:
            place, _ = await self._service.call(session_id, "attach", answer=AttachAnswer)
            reader, writer = await asyncio.open_unix_connection(place["socket"])
        except Problem as problem:
            raise gone(problem) from problem
        except (CallError, OSError) as error:
            log.info("no debugger in session %s: %s", session_id, error)
            raise Refusal("not_remote_inspector") from error
        self._inspectors[session_id] = writer
        task = asyncio.create_task(self._pump(session_id, reader, writer), name=f"debugger of {session_id}")
        self._reading.add(task)
        task.add_done_callback(self._reading.discard)
        return writer

    async def _pump(
        self, session_id: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        try:
            while data := await reader.read(_READ_BYTES):
                for connection in list(self._listeners.get(session_id, ())):
                    about = {"debugSessionId": session_id}
                    await connection.event("Debug", "remoteInspectorData", about, data)
        except (ConnectionError, RuntimeError) as error:
            log.info("the debugger of session %s stopped: %r", session_id, error)
        finally:
            self._inspectors.pop(session_id, None)
            writer.close()


def is_initialized(session: DebugSession) -> bool:
    """Return whether a session's code was loaded and its functions can be called."""
    return session.status == "running" and session.code_error is None


def exit_reason(exit: SessionExit, meta: SessionMeta) -> Mapping[str, object]:
    """Return why a session ended, as the wire has it."""
    if exit.code == "requested":
        if meta.get("launcherTerminated"):
            return {"code": "launcher_terminated"}
        return {"code": "terminated_on_request"}
    if exit.code == "inactive":
        return {"code": "inactive_timeout"}
    if exit.code == "exception":
        text = exit.exception.text if exit.exception is not None else exit.message
        return {"code": "exception", "exceptionDetails": details({"code": "exception", "message": text})}
    if exit.code == "exited":
        how = {"exitCode": exit.exit_code, "signal": None if exit.signal is None else str(exit.signal)}
        given = {name: value for name, value in how.items() if value is not None}
        return {"code": "code_terminated", **given, "oom": exit.oom}
    return {"code": "unknown"}


def _size(path: Any) -> int:
    return int(path.stat().st_size) if path.exists() else 0
