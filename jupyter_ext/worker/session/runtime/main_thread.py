"""The main thread of a session, scheduled: calls, trainings and cells, first come, first served.

Rule: an interrupt reaches the job that it is meant for or nobody. It is a `KeyboardInterrupt` in that job's code;
everything else of the process, the model first of all, stays as it is.
"""

from __future__ import annotations

import asyncio
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import FrameType
from typing import Any

from jupyter_ext.ipc.payloads.session_reports import TurnReport
from jupyter_ext.worker.session.runtime.interrupts import InterruptWatch
from jupyter_ext.worker.session.runtime.kernel import in_call


class UserError(Exception):
    """The user's code raised; `error` is what it raised, with its traceback."""

    def __init__(self, error: BaseException) -> None:
        super().__init__(repr(error))
        self.error = error


class Interrupted(UserError):
    """A job was interrupted, or given up before it began; `error` says where it was."""


@dataclass(eq=False)
class Job:
    """One piece of the user's code that has the main thread, or waits for it.

    Attributes:
        op: What it does, for people.
        subject: The id of the training or model that it concerns, if any.
        wanted: Whether an interrupt was asked for.
    """

    op: str
    subject: str | None = None
    queued_at: float = field(default_factory=time.time)
    started_at: float | None = None
    wanted: bool = False
    armed: bool = False
    task: asyncio.Task[Any] | None = None
    done: threading.Event = field(default_factory=threading.Event)

    def describe(self) -> TurnReport:
        """Describe it for clients."""
        return {
            "op": self.op,
            "subject": self.subject,
            "queued_at": self.queued_at,
            "started_at": self.started_at,
            "interrupting": self.wanted,
        }


class Scheduler:
    """Who has the main thread, and who waits for it.

    Args:
        on_change: Called, in any thread, when somebody came, began or left.
        on_stop: Called in the main thread when the interrupt is the shim's, on its way to end the session.
        is_stopping: Tells whether the session is being ended.
    """

    def __init__(
        self, on_change: Callable[[], None], on_stop: Callable[[], None], is_stopping: Callable[[], bool]
    ) -> None:
        self._on_change = on_change
        self._on_stop = on_stop
        self._is_stopping = is_stopping
        self._main = threading.main_thread()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._lock: asyncio.Lock | None = None
        self._watch: InterruptWatch | None = None
        self.current: Job | None = None
        self.waiting: list[Job] = []

    def begin(self, loop: asyncio.AbstractEventLoop, lock: asyncio.Lock) -> None:
        """Use the loop of the main thread, and the lock that the kernel's cells take as well."""
        self._loop, self._lock = loop, lock
        self._watch = InterruptWatch()

    @property
    def cell_runs(self) -> bool:
        """Whether a cell of a client has the main thread."""
        return self.current is None and self._lock is not None and self._lock.locked()

    @property
    def is_busy(self) -> bool:
        """Whether anything has the main thread or waits for it."""
        return self.current is not None or bool(self.waiting) or self.cell_runs

    def describe_busy(self) -> str:
        """Say what has the main thread, for people."""
        current = self.current
        if current is None:
            return "a cell" if self.cell_runs else "another call"
        since = "" if current.started_at is None else f", since {time.time() - current.started_at:.0f} s"
        return f"{current.op}{f' {current.subject}' if current.subject else ''}{since}"

    def take(self, job: Job, work: Callable[[], Any]) -> asyncio.Future[Any]:
        """Do some work in the main thread when the job's time has come; call it in another thread's loop.

        Args:
            job: The job.
            work: Called in the main thread; where it gives a coroutine, that is awaited there.

        Returns:
            A future of the work's result. It ends with `Interrupted` where the job was, or with what the work raised.
        """
        assert self._loop is not None
        self.waiting.append(job)
        self._on_change()
        future = asyncio.run_coroutine_threadsafe(self._wait_and_run(job, work), self._loop)
        return asyncio.wrap_future(future)

    def interrupt(self, job: Job) -> None:
        """Interrupt a job, or have it never begin; asking again interrupts again."""
        job.wanted = True
        if self.current is job and self._main.ident is not None:
            signal.pthread_kill(self._main.ident, signal.SIGINT)  # also wakes it from a system call
        self._on_change()

    def why_not_interruptible(self) -> str | None:
        """Say why the code that has the main thread cannot be interrupted; `None` where it can, or nothing runs."""
        return None if self._watch is None or not self.is_busy else self._watch.why_not_interruptible()

    def interrupt_cell(self) -> None:
        """Interrupt the cell that has the main thread."""
        if self.cell_runs and self._main.ident is not None:
            signal.pthread_kill(self._main.ident, signal.SIGINT)

    def on_signal(self, number: int, frame: FrameType | None) -> None:
        """Handle SIGINT in the main thread."""
        if self._is_stopping():
            self._on_stop()
            return
        job = self.current
        if job is None or not (job.armed and job.wanted):
            return
        if job.task is not None and asyncio.current_task(self._loop) is not job.task:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(job.task.cancel)
            return
        raise KeyboardInterrupt

    async def _wait_and_run(self, job: Job, work: Callable[[], Any]) -> Any:
        assert self._lock is not None
        try:
            async with self._lock:
                if job.wanted:
                    raise Interrupted(KeyboardInterrupt())
                self.current, job.started_at = job, time.time()
                self.waiting.remove(job)
                self._on_change()
                return await self._run(job, work)
        finally:
            if job in self.waiting:
                self.waiting.remove(job)
            if self.current is job:
                self.current = None
            job.done.set()
            self._on_change()

    async def _run(self, job: Job, work: Callable[[], Any]) -> Any:
        mark = in_call.set(True)
        assert self._watch is not None
        self._watch.restore()  # a cell before may have left its own
        try:
            result = _guarded(job, work)
            if not asyncio.iscoroutine(result):
                return result
            job.task = asyncio.current_task()
            return await _awaited(job, result)
        except asyncio.CancelledError as error:
            raise Interrupted(error) from None
        finally:
            in_call.reset(mark)
            job.armed = False
            self._watch.restore()


def _guarded(job: Job, work: Callable[[], Any]) -> Any:
    """Call `work` so that an interrupt, whenever it comes, ends here."""
    try:
        try:
            job.armed = True
            if job.wanted:
                raise KeyboardInterrupt
            return work()
        finally:
            job.armed = False
    except BaseException as error:  # noqa: BLE001  the edge to the user's code: all of it is theirs to see
        job.armed = False
        raise _user_error(job, error) from None


async def _awaited(job: Job, work: Any) -> Any:
    """Await a coroutine likewise: nothing of the user's may reach the event loop."""
    try:
        try:
            job.armed = True
            return await work
        finally:
            job.armed = False
    except BaseException as error:  # noqa: BLE001  as above
        job.armed = False
        raise _user_error(job, error) from None


def _user_error(job: Job, error: BaseException) -> UserError:
    interrupted = isinstance(error, KeyboardInterrupt) or (
        job.wanted and isinstance(error, asyncio.CancelledError)
    )
    return Interrupted(error) if interrupted else UserError(error)
