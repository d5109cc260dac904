"""Python interpreters kept warm: one zygote per interpreter, with a fresh process as the fallback.

An interpreter may have a second zygote that has more imported (`extra`). It is there to be faster and nothing else:
while it is not warm, or where it cannot become so, the plain one is used.

Rule: what is started here must never depend on the engine's life; shims leave their zygote's session at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal, cast

import psutil

from jupyter_ext.engine.processes.fresh_process import WorkerStartError, spawn, until_claimed
from jupyter_ext.engine.processes.zygote_process import ZygoteProcess, environ_of_zygotes
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc import run_files
from jupyter_ext.ipc.payloads.worker_specs import ForkAnswer, ForkRequest, WorkerSpec, ZygoteState
from jupyter_ext.ipc.start_environment import read_at_start, why_fresh
from jupyter_ext.protocol.trainings import Environment

log = logging.getLogger(__name__)

_READY_TIMEOUT_S = 60.0
_FORK_TIMEOUT_S = 5.0
_STEADY_S = 5.0
"""A zygote that was warm for so long has not failed at its start."""
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 60.0
"""Before the next start: doubled by each crash in a row."""
_LONGEST_UNASKED_S = 8.0
"""After longer pauses a zygote is started only when a run asks for one."""
_KILLED_FROM_OUTSIDE = (-signal.SIGKILL, -signal.SIGTERM)
_CLOSE_WAIT_S = 2.0


class Interpreter:
    """One Python interpreter and its zygote."""

    def __init__(
        self,
        python: str,
        preload: tuple[str, ...],
        on_change: Callable[[], None],
        extra: str | None = None,
        started: ZygoteProcess | None = None,
    ) -> None:
        self.python = python
        self.extra = extra
        self._preload = preload if extra is None else (*preload, extra)
        self._on_change = on_change
        self.state: Literal["starting", "warm", "cold", "failed"] = "starting"
        self.detail: str | None = None
        self.torch: str | None = None
        self.ready_s: float | None = None
        self.used_at = time.monotonic()
        self._process: ZygoteProcess | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._waiting: dict[int, asyncio.Future[ForkAnswer]] = {}
        self._next_id = 0
        self._connected = asyncio.Event()
        """The zygote can be asked, though it may still import."""
        self._ready = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closing = asyncio.Event()
        self._warm_at: float | None = None
        """When the zygote of now became warm."""
        self._num_crashes = 0
        """In a row, of its own, before a zygote was warm for a while."""
        self._retry_at: float | None = None
        """When a zygote that ended at once is tried again; what cannot be forked safely never is."""
        self._started = started
        """A zygote of this interpreter that was started already."""
        self._environ = environ_of_zygotes() if started is None else started.environ

    def describe(self) -> Environment:
        """Describe this interpreter for people."""
        pid = None if self._process is None else self._process.pid
        return Environment(
            python=self.python,
            extra=self.extra,
            state=self.state,
            detail=self.detail,
            torch=self.torch,
            pid=pid,
            ready_s=self.ready_s,
            memory_mib=_memory_mib(pid),
        )

    def warm(self) -> None:
        """Begin to start the zygote, unless it runs or is being started."""
        self.used_at = time.monotonic()
        is_due = self.state != "cold" or (self._retry_at is not None and self.used_at >= self._retry_at)
        if (self._task is None or self._task.done()) and is_due and not self._closing.is_set():
            self._retry_at = None
            self._ready.clear()
            self._task = asyncio.create_task(self._live(), name=f"zygote {self.python}")

    async def start(self, spec: WorkerSpec) -> None:
        """Start a shim with this spec, forked warm where that works, in a fresh process otherwise.

        Returns once a shim has claimed the directory. Two of them may be on their way, where the zygote is late; the second to
        come ends itself.

        Raises:
            WorkerStartError: Neither way works; the start was called off and can no longer begin.
        """
        self.warm()
        run_dir = Path(spec["run_dir"])
        missed = read_at_start(spec.get("environ") or self._environ, self._environ)
        if missed:
            spec = spec.copy()
            spec["notices"] = [why_fresh(missed)]
        elif await self._start_warm(spec, run_dir):
            return
        try:
            await spawn(self.python, spec, run_dir)
        except WorkerStartError:
            if run_files.call_off(run_dir):
                raise
            log.info("%s began after all", run_dir.name)

    async def _start_warm(self, spec: WorkerSpec, run_dir: Path) -> bool:
        """Have the zygote fork a shim, as soon as it can; tell whether that one has begun."""
        asking = asyncio.create_task(self._fork(spec), name=f"fork {run_dir.name}")
        try:
            if not await self._is_forking(asking):
                return False
            async with asyncio.timeout(_FORK_TIMEOUT_S):
                await asking
                await until_claimed(run_dir)
        except (WorkerStartError, TimeoutError, ConnectionError) as error:
            log.warning("fork from %s failed, starting a fresh process: %r", self.python, error)
            if self.extra is not None:
                self._give_up(str(error))
            return False
        finally:
            asking.cancel()
            await asyncio.gather(asking, return_exceptions=True)
        return True

    async def _is_forking(self, asking: asyncio.Task[None]) -> bool:
        """Wait until the zygote has forked or is warm, and so will within a moment; tell whether it is so."""
        ready = asyncio.create_task(self._ready.wait(), name="zygote ready")
        try:
            await asyncio.wait([asking, ready], timeout=_READY_TIMEOUT_S, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
        if not asking.done() and not self._ready.is_set():
            log.warning("zygote of %s is not ready after %s s", self.python, _READY_TIMEOUT_S)
        return asking.done() or self.state == "warm"

    async def close(self) -> None:
        """End the zygote; what it has forked goes on."""
        self._closing.set()
        if self._writer is not None:
            self._writer.close()
        if self._task is not None:
            _, busy = await asyncio.wait([self._task], timeout=_CLOSE_WAIT_S)
            if busy and self._process is not None and self._process.pid is not None:
                self._process.kill()  # in the middle of an import, where it does not look at its socket
                await asyncio.wait([self._task], timeout=_CLOSE_WAIT_S)
            self._task.cancel()

    async def _live(self) -> None:
        """Run one zygote from start to end, and start the next when it ends by accident."""
        while not self._closing.is_set():
            self._set_state("starting")
            self._warm_at = None
            try:
                code = await self._run_once()
            except OSError as error:
                self._become("failed", f"{self.python} cannot be started: {error.strerror or error}")
                return
            if self.state == "cold" or self._closing.is_set():
                return
            self._ready.clear()
            pause_s = self._pause_after(code)
            if not pause_s:
                self._become("starting", "the zygote ended; starting another")
                continue
            why = "was killed" if code in _KILLED_FROM_OUTSIDE else f"ended with code {code}"
            self._become("cold", f"the zygote {why}; runs start in fresh processes for {pause_s:.0f} s")
            if pause_s > _LONGEST_UNASKED_S:
                self._retry_at = time.monotonic() + pause_s
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._closing.wait(), pause_s)
            self._ready.clear()

    def _pause_after(self, code: int) -> float:
        """Return for how many seconds a zygote that ended with this code has no successor.

        One that was killed says nothing of how the next will do, so that a kill is never counted against it.
        """
        if self._warm_at is not None and time.monotonic() - self._warm_at >= _STEADY_S:
            self._num_crashes = 0
            return 0.0
        if code in _KILLED_FROM_OUTSIDE:
            return _FIRST_PAUSE_S
        self._num_crashes += 1
        return min(_FIRST_PAUSE_S * 2.0 ** (self._num_crashes - 1), _LONGEST_PAUSE_S)

    async def _run_once(self) -> int:
        """Run one zygote; return its exit code."""
        process, self._started = self._started, None
        process = process or ZygoteProcess(self.python, self._preload, self._environ)
        self._process = process
        reader, self._writer = await asyncio.open_connection(sock=process.channel)
        self._connected.set()
        try:
            while line := await reader.readline():
                self._receive(json.loads(line))
        except (ConnectionError, ValueError) as error:
            log.warning("lost the zygote of %s: %r", self.python, error)
        finally:
            self._connected.clear()
            self._writer.close()
            for future in self._waiting.values():
                if not future.done():
                    future.set_exception(WorkerStartError("the zygote ended"))
            self._waiting.clear()
            code = await process.wait()
        return code

    def _receive(self, message: ZygoteState | ForkAnswer) -> None:
        if "id" in message:
            answer = cast("ForkAnswer", message)
            future = self._waiting.pop(answer["id"], None)
            if future is not None and not future.done():
                future.set_result(answer)
            return
        self.torch, self.ready_s = message["torch"], message["ready_s"]
        if message["state"] == "warm":
            self._warm_at = time.monotonic()
            self._become("warm", None)
        else:
            self._give_up(message["detail"] or "it cannot be forked")

    def _give_up(self, why: str) -> None:
        """End this zygote for good."""
        instead = "runs start in fresh processes" if self.extra is None else "the plain interpreter is used"
        self._become("cold", f"{why}; {instead}")
        if self._writer is not None:
            self._writer.close()

    def _set_state(self, state: Literal["starting", "warm", "cold", "failed"]) -> None:
        self.state = state

    def _become(self, state: Literal["starting", "warm", "cold", "failed"], detail: str | None) -> None:
        log.info("interpreter %s is %s %s", self.python, state, detail or "")
        self.state, self.detail = state, detail
        if state != "starting":
            self._ready.set()
        self._on_change()

    async def _fork(self, spec: WorkerSpec) -> None:
        await self._connected.wait()
        assert self._writer is not None
        self._next_id += 1
        future: asyncio.Future[ForkAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[self._next_id] = future
        request: ForkRequest = {"op": "fork", "id": self._next_id, "spec": spec}
        self._writer.write(json.dumps(request).encode() + b"\n")
        await self._writer.drain()
        answer = await future
        if "error" in answer:
            raise WorkerStartError(answer["error"])


class Environments:
    """All interpreters of this engine.

    Args:
        preload: Modules that zygotes import.
        on_change: Called when an interpreter's state changes.
        started: A zygote that was started already.
    """

    def __init__(
        self,
        preload: tuple[str, ...],
        on_change: Callable[[], None] = lambda: None,
        started: ZygoteProcess | None = None,
    ) -> None:
        self._preload = preload
        self._started = started
        self._on_change = on_change
        self._interpreters: dict[tuple[str, str | None], Interpreter] = {}

    def get(self, python: str, extra: str | None = None) -> Interpreter:
        """Return the interpreter at a path, warming it.

        Args:
            python: Its path.
            extra: A module that this one's zygote imports besides.

        Raises:
            InvalidInput: There is no such program.
        """
        key = python, extra
        if key not in self._interpreters:
            if not os.path.isabs(python) or not os.access(python, os.X_OK):
                raise InvalidInput(
                    f"{python!r} is no Python interpreter that can be run; give an absolute path."
                )
            started = None
            if self._started is not None and key == (self._started.python, None):
                started, self._started = self._started, None
            self._interpreters[key] = Interpreter(python, self._preload, self._on_change, extra, started)
        interpreter = self._interpreters[key]
        interpreter.warm()
        return interpreter

    def warmest(self, python: str, extra: str) -> Interpreter:
        """Return the interpreter that has a module imported if it is warm, the plain one otherwise.

        Raises:
            InvalidInput: There is no such program.
        """
        found = self._interpreters.get((python, extra))
        return self.get(python, extra if found is not None and found.state == "warm" else None)

    def describe(self) -> list[Environment]:
        """Describe all interpreters."""
        return [interpreter.describe() for interpreter in self._interpreters.values()]

    async def close_unused(self, keep: str, unused_s: float) -> None:
        """End zygotes that nobody used for that long, but for the plain one of the interpreter to keep."""
        for key, interpreter in list(self._interpreters.items()):
            if key != (keep, None) and time.monotonic() - interpreter.used_at > unused_s:
                del self._interpreters[key]
                await interpreter.close()

    async def close(self) -> None:
        """End all zygotes."""
        await asyncio.gather(*(interpreter.close() for interpreter in self._interpreters.values()))


def _memory_mib(pid: int | None) -> float | None:
    if pid is None:
        return None
    try:
        return float(psutil.Process(pid).memory_info().rss) / 2**20
    except psutil.Error:
        return None
