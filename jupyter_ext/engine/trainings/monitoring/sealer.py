"""Seal journals into Parquet in a short process of its own, so that its libraries' memory never stays here.

Rules: one process at a time seals what waits, many runs of it together, as its libraries take longer to load than a run to
seal; so it begins when no more runs have ended for a moment. A process that fails or is killed is tried again, each run by itself, so that one that cannot be sealed keeps back no
other.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from collections import deque
from pathlib import Path

log = logging.getLogger(__name__)

NUM_TOGETHER = 64
"""Runs sealed by one process."""
SETTLE_S = 1.0
"""Runs that end within so long of each other are sealed together."""
MAX_SETTLE_S = 15.0
"""The first of them waits no longer for the others."""
MAX_ATTEMPTS = 3
"""Then a run's journals stay as they are until the next engine; nothing of them is lost."""

Job = tuple[Path, bool]
"""A run's directory, and whether the run is over."""


class Sealer:
    """Seals the runs that it is asked to."""

    def __init__(self) -> None:
        self._waiting: deque[Job] = deque()
        self._attempts: dict[Job, int] = {}
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
        if (run_dir, final) not in self._attempts:
            self._attempts[run_dir, final] = 0
            self._waiting.append((run_dir, final))
            self._idle.clear()
            self._is_news.set()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until nothing is left to seal."""
        if self._waiting:
            self._hurry.set()
        try:
            async with asyncio.timeout(timeout_s):
                await self._idle.wait()
        except TimeoutError:
            log.info("runs are left to be sealed by the next engine")

    async def close(self) -> None:
        """Stop working. A sealing that is cut is done again by the next engine."""
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
                exit_code = await self._seal(there) if there else 0
                for job in jobs:
                    self._done(job, exit_code if job in there else 0)
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

    async def _seal(self, jobs: list[Job]) -> int:
        """Seal some runs in one process; return its exit code."""
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "jupyter_ext.engine.metrics.sealing",
            *(str(run_dir) for run_dir, _ in jobs),
            *(["--final"] if jobs[0][1] else []),
            stdin=asyncio.subprocess.DEVNULL,
            cwd="/",
            start_new_session=True,
        )
        try:
            return await process.wait()
        except asyncio.CancelledError:
            if process.returncode is None:
                process.terminate()
                await process.wait()
            raise

    def _done(self, job: Job, exit_code: int) -> None:
        """Forget what was sealed, and put what was not at the end of the queue."""
        attempts = self._attempts.pop(job) + 1
        if not exit_code:
            return
        if attempts < MAX_ATTEMPTS:
            self._attempts[job] = attempts
            self._waiting.append(job)
        else:
            log.error("sealing %s failed with exit code %s; its journals stay", job[0], exit_code)
