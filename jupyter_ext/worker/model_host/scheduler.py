"""Calls wait here for the one thread that computes: in order, together where they fit, each one interruptible.

Rule: only the thread in `work` touches the model; an interrupt reaches the call it is meant for, or none.
"""

from __future__ import annotations

import asyncio
import functools
import signal
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from jupyter_ext.ipc import values
from jupyter_ext.ipc.frames import Buffer
from jupyter_ext.worker.model_host import preview as model_preview
from jupyter_ext.worker.model_host.inference import Inference, Request, Stopped
from jupyter_ext.worker.model_host.tensor_io import BadInput

MAX_TOGETHER = 32
"""Calls in one batch."""
Answer = tuple[Mapping[str, object], Sequence[Buffer]]


class Job:
    """One call on its way. `polls` tells that it looks for its cancel between steps."""

    def __init__(self, compute: Callable[[Inference], Any] | None, polls: bool) -> None:
        self._compute = compute
        self.polls = polls
        self.args: list[Any] = []
        self.kwargs: dict[str, Any] = {}
        self.request: Request | None = None
        self.canceled = False
        self.settle: Callable[[Answer | BaseException], None] = lambda outcome: None

    @classmethod
    def call(cls, args: list[Any], kwargs: dict[str, Any]) -> Job:
        """Make a call of the module."""
        job = cls(None, False)
        job.args, job.kwargs = args, kwargs
        return job

    @classmethod
    def generate(cls, prompt: Any, options: dict[str, Any], tell: Callable[[str, int], None]) -> Job:
        """Make a generation that tells its text as it comes."""
        job = cls(None, True)
        job._compute = lambda inference: inference.generate(prompt, options, tell, lambda: job.canceled)
        return job

    @classmethod
    def preview(cls, asked: Mapping[str, object]) -> Job:
        """Make a call with inputs that are made up here, whose results are summed up here."""
        job = cls(None, False)

        def compute(inference: Inference) -> Any:
            try:
                args = model_preview.arguments(asked)
            except model_preview.BadRequest as error:
                raise BadInput(str(error)) from None
            result = inference.call(inference.prepare(args, {}), lambda: job.canceled)
            texts = args[0] if "texts" in asked else ()
            return {"outputs": model_preview.summaries(result, texts)}

        job._compute, job.polls = compute, True
        return job

    def prepare(self, inference: Inference) -> Any:
        """Make ready to compute; give the key of what it can be computed together with, or `None`."""
        if self._compute is not None:
            return None
        if self.request is None:
            self.request = inference.prepare(self.args, self.kwargs)
            self.polls = self.request.texts is not None
        return inference.batch_key(self.request)

    def run(self, inference: Inference) -> Any:
        """Compute it alone."""
        if self._compute is not None:
            return self._compute(inference)
        assert self.request is not None
        return inference.call(self.request, lambda: self.canceled)


class Computer:
    """The queue and the thread that works on it."""

    def __init__(self, inference: Inference) -> None:
        self._inference = inference
        self._queue: deque[Job] = deque()
        self._wake = threading.Semaphore(0)
        self._current: list[Job] = []
        self._interrupting = False
        self._reason: str | None = None
        self._over = False

    # -- on the loop's thread ---------------------------------------------------------------------------------------

    def submit(self, job: Job, loop: asyncio.AbstractEventLoop) -> asyncio.Future[Any]:
        """Queue a call; the future gives its answer, or the exception that it ended with as a value."""
        future: asyncio.Future[Any] = loop.create_future()

        def settle(outcome: Answer | BaseException) -> None:
            loop.call_soon_threadsafe(_set, future, outcome)

        job.settle = settle
        self._queue.append(job)
        self._wake.release()
        return future

    def cancel(self, job: Job) -> None:
        """Have a call end at its next look, or at once where it has not begun."""
        job.canceled = True
        try:
            self._queue.remove(job)
        except ValueError:
            return
        job.settle(Stopped())

    def is_computing(self, job: Job) -> bool:
        """Tell whether the thread is at this call."""
        return job in self._current

    def interrupt(self, job: Job) -> bool:
        """Interrupt a call that is being computed, unless others are computed with it; tell whether to go on waiting."""
        if not self.is_computing(job):
            return False
        if all(other.canceled for other in self._current):
            self._interrupting = True
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)
        return True

    def end(self, reason: str) -> None:
        """Have `work` return once it is idle."""
        self._reason, self._over = reason, True
        self._wake.release()

    # -- on the main thread -----------------------------------------------------------------------------------------

    def work(self) -> str | None:
        """Compute calls until the end; give its reason, or `None` where the process was told to stop."""
        signal.signal(signal.SIGINT, self._on_interrupt)
        try:
            while not self._over:
                self._wake.acquire()
                jobs = self._take()
                if jobs:
                    self._run(jobs)
        except KeyboardInterrupt:
            return None
        return self._reason

    def _on_interrupt(self, *_: object) -> None:
        """Interrupt the call that is canceled; without one, this is the shim that stops the process."""
        if self._interrupting:
            self._interrupting = False
            if self._current:
                raise KeyboardInterrupt
            return
        self._over = True
        raise KeyboardInterrupt

    def _take(self) -> list[Job]:
        """Take the first call, and with it what waits and can be computed together."""
        try:
            first = self._queue.popleft()
        except IndexError:
            return []
        key = self._key(first)
        if key is None:
            return [first]
        jobs = [first]
        for job in list(self._queue):
            if len(jobs) == MAX_TOGETHER:
                break
            if self._key(job) == key:
                try:
                    self._queue.remove(job)
                except ValueError:  # canceled meanwhile
                    continue
                jobs.append(job)
        return jobs

    def _key(self, job: Job) -> Any:
        try:
            return job.prepare(self._inference)
        except Exception:  # noqa: BLE001  it is raised again where it is computed
            return None

    def _run(self, jobs: list[Job]) -> None:
        if len(jobs) > 1:
            outcomes = self._guard(jobs, lambda: self._together(jobs))
            if not isinstance(outcomes, BaseException):
                for job, outcome in zip(jobs, outcomes, strict=True):
                    job.settle(outcome)
                return
            if self._over:
                return
        for job in jobs:
            alone = functools.partial(self._alone, job)
            job.settle(Stopped() if job.canceled else self._guard([job], alone))

    def _alone(self, job: Job) -> Answer:
        job.prepare(self._inference)
        return _encode(job.run(self._inference))

    def _together(self, jobs: list[Job]) -> list[Answer]:
        requests = [job.request for job in jobs if job.request is not None]
        canceled = lambda: all(job.canceled for job in jobs)  # noqa: E731  one line, used once
        return [_encode(result) for result in self._inference.call_batch(requests, canceled)]

    def _guard(self, jobs: list[Job], compute: Callable[[], Any]) -> Any:
        """Compute; give the exception as a value. The end of the process goes through."""
        try:
            try:
                self._current = jobs
                return compute()
            finally:
                self._current = []
        except KeyboardInterrupt as error:
            self._current = []
            if self._over:
                raise
            return error
        except BaseException as error:  # noqa: BLE001  the edge to the user's module
            return error


def _set(future: asyncio.Future[Any], outcome: Answer | BaseException) -> None:
    if not future.done():
        future.set_result(outcome)


def _encode(result: Any) -> Answer:
    tree, blobs = values.encode(result)
    return {"value": tree}, blobs
