"""The only writer of a debug session's state: launches, terminates and adopts sessions; `SessionFollower` follows them.

Rule: what a session does it tells itself, over a channel; how it ended its shim tells, in a file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import shutil
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, cast

from typing_extensions import TypeVar

from jupyter_ext.config import Locations
from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.pubsub import PubSub, Subscriber
from jupyter_ext.engine.processes.fresh_process import WorkerStartError
from jupyter_ext.engine.processes.interpreters import Environments
from jupyter_ext.engine.sessions import archive, launch_request
from jupyter_ext.engine.sessions.follower import CONNECT_INTERVAL_S, SessionFollower
from jupyter_ext.engine.sessions.launch_request import SessionLaunch
from jupyter_ext.engine.sessions.pending_code import PendingCode
from jupyter_ext.engine.sessions.record import Reported, SessionRecord
from jupyter_ext.engine.sessions.recovery import recovered
from jupyter_ext.ids import is_training_id
from jupyter_ext.ipc.channel import AsyncConnection, CallError, ChannelClosed
from jupyter_ext.ipc.cores import usable_cores
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.payloads.session_messages import CodeChange, SessionParams
from jupyter_ext.ipc.run_files import read_exit
from jupyter_ext.protocol.problems import Problem, not_found
from jupyter_ext.protocol.sessions import DebugSession

log = logging.getLogger(__name__)

A = TypeVar("A", default=JsonObject)

TERMINATE_ANSWER_S = 10.0
"""A terminate is answered with the end, which the stop ladder brings within this time."""
KEEP_ENDED = 200
"""Sessions that have ended and are still listed; files of older ones are removed."""


class DebugSessionService:
    """All debug sessions of this engine.

    Args:
        where: The directories.
        environments: The interpreters to start sessions in.
        pubsub: Whoever watches a session is notified here, by the session's id.
    """

    def __init__(self, where: Locations, environments: Environments, pubsub: PubSub[Any]) -> None:
        self._sessions_dir = where.sessions_dir
        self._socket_dir = where.socket_dir
        self._environments = environments
        self._pubsub = pubsub
        self._follower = SessionFollower(where.socket_dir, pubsub)
        self._bundles = PendingCode(where.sessions_dir / ".code")
        self._records: dict[str, SessionRecord] = {}
        self._draining = False

    @property
    def num_active(self) -> int:
        """Count the sessions that have not ended."""
        return sum(record.exit is None for record in self._records.values())

    async def open(self) -> None:
        """Adopt what runs, and end what ended while no engine was there."""
        self._sessions_dir.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(self._bundles.clear)
        for session_dir in sorted(self._sessions_dir.iterdir()):
            if not is_training_id(session_dir.name):
                continue
            try:
                await self._adopt(session_dir)
            except (OSError, ValueError, TypeError, KeyError) as error:
                records.set_aside(session_dir, records.why(error))  # it harms no other
                self._records.pop(session_dir.name, None)
        await self._forget_oldest()

    async def _adopt(self, session_dir: Path) -> None:
        record = records.load(session_dir / "spec.json", partial(recovered, session_dir))
        if record is None:
            return
        self._follower.take_load(record)
        self._records[record.id] = record
        if read_exit(session_dir) is not None:
            last: Reported = records.load(session_dir / "last.json", dict) or {}
            record.reported = last or await asyncio.to_thread(archive.complete, session_dir, {})
            self._follower.end(record)
        else:
            self._follower.begin(record)

    async def close(self) -> None:
        """Stop following; every session goes on."""
        self._draining = True
        await self._follower.close()

    async def add_code(self, bundle: bytes) -> str:
        """Keep a bundle of code until a session takes it; returns its id.

        Raises:
            Problem: The bytes are no bundle.
        """
        return await asyncio.to_thread(self._bundles.add, bundle)

    async def launch(self, request: SessionLaunch) -> DebugSession:
        """Launch a session and return at once; `wait_ready` waits until it answers.

        Raises:
            Problem: The request is wrong, or this engine is making way for another.
        """
        if self._draining:
            raise Problem(503, "The engine is ending", "This engine is making way for another; try again.")
        if request.inactive_s is not None and not request.inactive_s > 0:
            raise Problem(
                422, "Invalid value", f"inactive_s={request.inactive_s} is not above 0; null is for never."
            )
        interpreter = self._environments.get(request.python)
        record = await asyncio.to_thread(
            launch_request.prepare, request, self._sessions_dir, self._socket_dir, self._bundles
        )
        self._records[record.id] = record
        self._pubsub.notify(record.id)
        num_threads = max(1, usable_cores() // max(1, self.num_active))
        spec = launch_request.worker_spec(record, request, num_threads)
        with contextlib.suppress(WorkerStartError):  # its files say why, and so its exit does
            await record.process.start(interpreter, spec)
        self._follower.begin(record)
        await self._forget_oldest()
        return record.resource()

    async def replace_code(self, session_id: str, code: str) -> CodeChange:
        """Replace a session's code; its models live on. Gives what `load_code` answers.

        Raises:
            Problem: There is no such session or code.
            CallError: The code raised.
        """
        record = self.record(session_id)
        number = record.num_codes
        record.num_codes += 1
        target = record.session_dir / "code" / str(number)
        await asyncio.to_thread(self._bundles.take, code, target)
        reported, _ = await self.call(session_id, "load_code", {"directory": str(number)}, answer=CodeChange)
        record.code_error = None
        self._pubsub.notify(session_id)
        return reported

    def record(self, session_id: str) -> SessionRecord:
        """Return a session as it is held here.

        Raises:
            Problem: There is none with this id.
        """
        record = self._records.get(session_id)
        if record is None:
            raise not_found("debug session", session_id, "`%debug_sessions` lists those there are.")
        return record

    def get(self, session_id: str) -> DebugSession:
        """Return a session.

        Raises:
            Problem: There is none with this id.
        """
        return self.record(session_id).resource()

    async def wait_ready(self, session_id: str, timeout_s: float = 60.0) -> DebugSession:
        """Return a session once it answers and its code was loaded, or it has ended, or time is up."""
        record = self.record(session_id)
        try:
            async with asyncio.timeout(timeout_s):
                await record.ready.wait()
        except TimeoutError:
            log.warning("session %s is not ready after %s s", session_id, timeout_s)
        return record.resource()

    async def terminate(self, session_id: str) -> DebugSession:
        """End a session: its models tidy up, then the stop ladder. Gives it as it is then.

        Raises:
            Problem: There is none with this id.
        """
        record = self.record(session_id)
        if record.exit is not None:
            return record.resource()
        began = time.monotonic()
        while not record.process.stop() and record.exit is None:
            if time.monotonic() - began > TERMINATE_ANSWER_S:
                break
            await asyncio.sleep(0.02)  # it is being forked right now
        if record.connection is not None and not record.connection.closed:
            leaving = asyncio.create_task(self._shut_down(record.connection))
            leaving.add_done_callback(lambda task: task.cancelled() or task.exception())
        try:
            async with asyncio.timeout(TERMINATE_ANSWER_S):
                await record.over.wait()
        except TimeoutError:
            log.warning("session %s is still ending", session_id)
        return record.resource()

    async def stacks(self, session_id: str) -> str:
        """Return where each thread of a session stands now, by a signal: it needs no answer, not even a living interpreter.

        Raises:
            Problem: There is no such session, or it has ended.
        """
        record = self.record(session_id)
        text = None if record.exit is not None else await record.process.stacks()
        if text is None:
            raise Problem(409, "Not running", f"Session {record.spec['name']} ({session_id}) is not running.")
        return text

    async def delete(self, session_id: str) -> None:
        """Forget a session that has ended, and delete its files.

        Raises:
            Problem: There is none with this id, or it has not ended.
        """
        record = self.record(session_id)
        if record.exit is None:
            detail = f"Session {record.spec['name']} ({session_id}) runs; `%debug_session {session_id} terminate` ends it."
            raise Problem(409, "Still running", detail)
        del self._records[session_id]
        self._pubsub.notify(session_id)
        await asyncio.to_thread(shutil.rmtree, record.session_dir, True)

    async def call(
        self,
        session_id: str,
        op: str,
        params: Mapping[str, object] | None = None,
        blobs: Sequence[Any] = (),
        *,
        answer: type[A] | None = None,
        after_end: bool = False,
    ) -> tuple[A, list[memoryview]]:
        """Call a session; see `worker/session/dispatcher.py` for what it can be asked.

        A call to one that is just starting waits until it answers and its code was loaded. With `after_end`,
        `archive` answers what it can of one that has ended.

        Raises:
            Problem: There is no such session, or it has ended, before or during the call.
            CallError: The session refused the call, or its code failed.
        """
        record = self.record(session_id)
        await self._answering(record)
        if record.exit is None:
            try:
                assert record.connection is not None
                told, found = await record.connection.call(op, params, blobs)
                return cast("A", told), found
            except ChannelClosed:
                await _ended_or_back(record)
        if after_end and record.exit is not None and archive.can_answer(op):
            trainings = {one.id: one for one in record.resource().trainings}
            asked = cast("SessionParams", params or {})
            left, found = await asyncio.to_thread(archive.answer, record.session_dir, trainings, op, asked)
            return cast("A", left), found
        raise self._gone(record)

    def list(self, *, ended: bool = True) -> list[DebugSession]:
        """List sessions, newest first."""
        records = [record for record in self._records.values() if ended or record.exit is None]
        return [record.resource() for record in reversed(records)]

    def find(self, session_id: str) -> DebugSession | None:
        """Return a session, or `None` where there is none with this id."""
        record = self._records.get(session_id)
        return None if record is None else record.resource()

    @asynccontextmanager
    async def watch(self, session_id: str) -> AsyncIterator[Subscriber[Any]]:
        """Be notified when a session changes or ends."""
        self.record(session_id)
        subscriber = self._pubsub.subscribe(session_id)
        try:
            yield subscriber
        finally:
            self._pubsub.unsubscribe(session_id, subscriber)

    # -- one session's life ---------------------------------------------------------------------------------------

    async def _answering(self, record: SessionRecord) -> None:
        await record.ready.wait()
        began = time.monotonic()
        while record.exit is None and (record.connection is None or record.connection.closed):
            if time.monotonic() - began > TERMINATE_ANSWER_S:
                raise Problem(
                    503, "No answer", f"Session {record.id} does not answer; its stacks may say why."
                )
            await asyncio.sleep(CONNECT_INTERVAL_S)

    async def _shut_down(self, connection: AsyncConnection) -> None:
        """Let the session's models tidy up; the stop ladder is on its way all the same."""
        try:
            await connection.call("shutdown")
        except (ChannelClosed, CallError) as error:
            log.info("a session went: %s", error)

    def _gone(self, record: SessionRecord) -> Problem:
        reason = "It does not answer." if record.exit is None else record.exit.message
        return Problem(
            410, "Session ended", f"Session {record.spec['name']} ({record.id}) has ended: {reason}"
        )

    async def _forget_oldest(self) -> None:
        over = [record.id for record in self._records.values() if record.exit is not None]
        for session_id in over[: max(0, len(over) - KEEP_ENDED)]:
            await self.delete(session_id)


async def _ended_or_back(record: SessionRecord) -> None:
    """Wait a moment for the reason why a channel closed."""
    deadline = time.monotonic() + TERMINATE_ANSWER_S
    while record.exit is None and time.monotonic() < deadline:
        await asyncio.sleep(CONNECT_INTERVAL_S)
