"""Seal journals into Parquet in a short process of its own, so that its libraries' memory never stays here.

Rules: one process at a time seals what waits, many runs of it together, as its libraries take longer to load than a run to
seal; so it begins when no more runs have ended for a moment. A run that it did not seal, failed or killed, is tried again by
itself, so that one that cannot be sealed keeps back no other; then after pauses that grow, as disks are made room on, and
`%engine doctor` says so meanwhile.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import deque
from pathlib import Path

from jupyter_ext.engine.common import health

log = logging.getLogger(__name__)

NUM_TOGETHER = 64
"""Runs sealed by one process."""
SETTLE_S = 1.0
"""Runs that end within so long of each other are sealed together."""
MAX_SETTLE_S = 15.0
"""The first of them waits no longer for the others."""
MAX_ATTEMPTS = 3
"""Then a run's journals stay as they are for a while; nothing of them is lost."""
MAX_ATTEMPTS_LATER = 2
"""After a pause: once beside others, once by itself."""
FIRST_PAUSE_S, MAX_PAUSE_S = 60.0, 3600.0
"""Each pause is twice the one before it."""
_HEALTH_KEY = "sealing"

Job = tuple[Path, bool]
"""A run's directory, and whether the run is over."""


class Sealer:
    """Seals the runs that it is asked to."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._attempts: dict[Job, int] = {}
        """Of what waits or is worked on."""
        self._pauses: dict[Job, float] = {}
        """How long those that could not be sealed were last left alone."""
        self._timers: dict[Job, asyncio.TimerHandle] = {}
        """Of those that are left alone now."""
        self._is_news = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()
        self._hurry = asyncio.Event()
        """Somebody waits for all of it."""

    def start(self) -> None:
        """Begin to work; call it in the running event loop."""
        self._task = asyncio.create_task(self._work(), name="sealer")

    def seal(self, run_dir: Path, *, final: bool = False) -> None:
        """Seal what no longer grows in a run; `final` once the run is over. Asking twice is asking once."""
        if (run_dir, final) not in self._attempts and (run_dir, final) not in self._timers:
            self._enqueue((run_dir, final))

    def _enqueue(self, job: Job) -> None:
        self._timers.pop(job, None)
        self._attempts[job] = 0
        self._waiting.append(job)
        self._idle.clear()
        self._is_news.set()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until nothing is left to seal but what could not be, and is tried again later."""
        if self._waiting:
            self._hurry.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.info("runs are left to be sealed by the next engine")

    async def close(self) -> None:
        """Stop working. A sealing that is cut is done again by the next engine."""
        for timer in self._timers.values():
            timer.cancel()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _work(self) -> None:
        while True:
            await self._is_news.wait()
            await self._settle()
            while self._waiting:
                jobs = self._next()
                there = [job for job in jobs if job[0].is_dir()]  # others were deleted meanwhile
                sealed = await self._seal(there) if there else set()
                for job in jobs:
                    self._done(job, job in sealed or job not in there)
            self._idle.set()
            self._hurry.clear()
            self._is_news.clear()

    async def _settle(self) -> None:
        """Let more runs end, unless enough have or somebody waits."""
        until, num_before = time.monotonic() + MAX_SETTLE_S, 0
        while num_before < len(self._waiting) < NUM_TOGETHER and time.monotonic() < until:
            num_before = len(self._waiting)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SETTLE_S):
                    await self._hurry.wait()
                    return

    def _next(self) -> list[Job]:
        """Take what the next process seals: a run that failed before by itself, else all of one kind that wait."""
        jobs = [self._waiting.popleft()]
        is_final = jobs[0][1]
        while self._waiting and len(jobs) < NUM_TOGETHER and not self._attempts[jobs[0]]:
            if self._waiting[0][1] != is_final or self._attempts[self._waiting[0]]:
                break
            jobs.append(self._waiting.popleft())
        return jobs

    async def _seal(self, jobs: list[Job]) -> set[Job]:
        """Seal some runs in one process; return those that it has sealed."""
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "jupyter_ext.engine.metrics.sealed.sealing",
                *(str(run_dir) for run_dir, _ in jobs),
                *(["--final"] if jobs[0][1] else []),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.PIPE,
                cwd="/",
                start_new_session=True,
            )
        except OSError as error:  # no process, descriptor or memory is left; there may be later
            log.warning("a sealing could not be started: %s", error)
            return set()
        try:
            told, _ = await process.communicate()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.terminate()
                await process.communicate()  # to the pipe's end, which closes it
            raise
        sealed = {int(line) for line in told.split(b"\n")[:-1] if line.isdigit()}
        return {job for number, job in enumerate(jobs) if number in sealed}

    def _done(self, job: Job, is_sealed: bool) -> None:
        """Forget what was sealed, and put what was not at the end of the queue, or aside for a while."""
        attempts = self._attempts.pop(job) + 1
        if is_sealed:
            if self._pauses.pop(job, None) is not None:
                self._tell()
        elif attempts < (MAX_ATTEMPTS_LATER if job in self._pauses else MAX_ATTEMPTS):
            self._attempts[job] = attempts
            self._waiting.append(job)
        else:
            pause_s = min(MAX_PAUSE_S, 2 * self._pauses.get(job, FIRST_PAUSE_S / 2))
            self._pauses[job] = pause_s
            self._timers[job] = self._later(pause_s, job)
            log.error(
                "sealing %s failed; its journals stay, and it is tried again in %.0f s", job[0], pause_s
            )
            self._tell()

    def _later(self, pause_s: float, job: Job) -> asyncio.TimerHandle:
        return asyncio.get_running_loop().call_later(pause_s, self._enqueue, job)

    def _tell(self) -> None:
        """Say what could not be sealed, until it is."""
        if not self._pauses:
            health.clear(_HEALTH_KEY)
            return
        first = next(iter(self._pauses))[0].name
        others = len({run_dir for run_dir, _ in self._pauses}) - 1
        health.report(
            _HEALTH_KEY,
            f"The numbers of run {first}{f' and {others} others' if others else ''} could not be packed yet. None is lost, and it is "
            "tried again, at least once an hour; `%engine log` says why.",
        )
