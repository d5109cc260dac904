"""Following one session after another to its end: what it tells itself over its channel, and how it ended, from its shim's file.

Rule: nothing is concluded from a silence.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from pathlib import Path
from typing import Any, cast

from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.sessions import archive
from jupyter_ext.engine.sessions.outcome import ending
from jupyter_ext.engine.sessions.record import SessionRecord
from jupyter_ext.ipc import json_values
from jupyter_ext.ipc.channel import AsyncConnection, CallError, ChannelClosed
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.ipc.payloads.session_messages import SessionEvent
from jupyter_ext.ipc.payloads.session_reports import LOAD_FILE, SessionReport

log = logging.getLogger(__name__)


RECONCILE_INTERVAL_S = 1.0
CONNECT_INTERVAL_S = 0.01
LOOK_INTERVAL_S = 0.05
_SOCKET_ENDINGS = (".call", ".sock", ".dap", ".k-1", ".k-2", ".k-3", ".k-4", ".k-5")


class SessionFollower:
    """Keeps the records of sessions true while they run.

    Args:
        socket_dir: Where sessions have their sockets, which are removed at the end.
        pubsub: Whoever watches a session is notified here, by the session's id.
    """

    def __init__(self, socket_dir: Path, pubsub: PubSub[Any]) -> None:
        self._socket_dir = socket_dir
        self._pubsub = pubsub
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def close(self) -> None:
        """Stop following; every session goes on."""
        for task in self._tasks.values():
            task.cancel()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)

    def begin(self, record: SessionRecord) -> None:
        """Follow a session from now on, to its end."""
        task = asyncio.create_task(self._follow(record), name=f"session {record.id}")
        self._tasks[record.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(record.id, None))

    async def _follow(self, record: SessionRecord) -> None:
        reconciling = asyncio.create_task(self._until_ended(record), name=f"end of {record.id}")
        try:
            while not reconciling.done():
                listening = asyncio.create_task(self._listen(record))
                await asyncio.wait({listening, reconciling}, return_when=asyncio.FIRST_COMPLETED)
                listening.cancel()
                await asyncio.gather(listening, return_exceptions=True)
                if not reconciling.done():
                    await asyncio.sleep(CONNECT_INTERVAL_S)
            reconciling.result()
        finally:
            reconciling.cancel()
            if record.connection is not None:
                record.connection.close()
        record.reported = await asyncio.to_thread(archive.complete, record.session_dir, record.reported)
        self.end(record)

    async def _until_ended(self, record: SessionRecord) -> None:
        """Return when the session's files say that it is over; they are looked at when its channel is closed, and each second."""
        while ending(record.process) is None:
            looked_at = time.monotonic()
            while time.monotonic() - looked_at < RECONCILE_INTERVAL_S:
                await asyncio.sleep(LOOK_INTERVAL_S)
                if record.connection is None or record.connection.closed:
                    break

    async def _listen(self, record: SessionRecord) -> None:
        """Connect, and take over what the session says of itself until it stops."""
        while not (record.session_dir / "answers").exists():
            await asyncio.sleep(CONNECT_INTERVAL_S)
        try:
            record.connection = await AsyncConnection.open(record.calls)
            async with contextlib.aclosing(record.connection.stream("watch")) as items:
                async for event, _ in items:
                    if event.get("kind") == "session":
                        self._take(record, cast("SessionEvent", event)["session"])
        except (ChannelClosed, CallError) as error:
            log.info("session %s: %s", record.id, error)

    def _take(self, record: SessionRecord, reported: SessionReport) -> None:
        record.reported = json_values.clean(reported)
        if reported["ready"] and not record.ready.is_set():
            self.take_load(record)
            if record.status == "starting":
                record.move("running")
                record.started_at = time.time()
            record.ready.set()
        self._pubsub.notify(record.id)

    def take_load(self, record: SessionRecord) -> None:
        """Take over whether the code that a session began with could be loaded."""
        loaded = read_json(record.session_dir / LOAD_FILE)
        if isinstance(loaded, dict) and loaded.get("ok") is False and record.num_codes == 1:
            error = loaded.get("error")
            record.code_error = json_values.clean(error) if isinstance(error, dict) else {"code": "internal"}

    def end(self, record: SessionRecord) -> None:
        """Take over that a session is over, as its files say."""
        record.exit = ending(record.process)
        record.move("ended")
        records.replace(record.session_dir / "last.json", record.reported)
        for suffix in _SOCKET_ENDINGS:
            (self._socket_dir / f"{record.id}{suffix}").unlink(missing_ok=True)
        record.ready.set()
        record.over.set()
        self._pubsub.notify(record.id, ended=True)
        log.info("session %s ended: %s", record.id, record.exit and record.exit.message)
