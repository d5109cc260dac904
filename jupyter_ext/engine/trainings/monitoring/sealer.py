"""Seal journals into Parquet in a short process of its own, so that its libraries' memory never stays here."""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path

log = logging.getLogger(__name__)


class Sealer:
    """Seals one run after another."""

    def __init__(self) -> None:
        self._waiting: asyncio.Queue[tuple[Path, bool]] = asyncio.Queue()
        self._asked: set[tuple[Path, bool]] = set()
        self._task: asyncio.Task[None] | None = None
        self._idle = asyncio.Event()
        self._idle.set()

    def start(self) -> None:
        """Begin to work; call it in the running event loop."""
        self._task = asyncio.create_task(self._work(), name="sealer")

    def seal(self, run_dir: Path, *, final: bool = False) -> None:
        """Seal what no longer grows in a run; `final` once the run is over. Asking twice is asking once."""
        if (run_dir, final) not in self._asked:
            self._asked.add((run_dir, final))
            self._waiting.put_nowait((run_dir, final))
            self._idle.clear()

    async def wait_idle(self, timeout_s: float) -> None:
        """Wait until nothing is left to seal."""
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
            run_dir, final = await self._waiting.get()
            if not run_dir.is_dir():  # deleted meanwhile
                self._done(run_dir, final)
                continue
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "jupyter_ext.engine.metrics.sealing",
                str(run_dir),
                *(["--final"] if final else []),
                stdin=asyncio.subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
            try:
                if await process.wait():
                    log.error(
                        "sealing %s failed with exit code %s; its journals stay", run_dir, process.returncode
                    )
            except asyncio.CancelledError:
                if process.returncode is None:
                    process.terminate()
                    await process.wait()
                raise
            self._done(run_dir, final)

    def _done(self, run_dir: Path, final: bool) -> None:
        self._asked.discard((run_dir, final))
        if self._waiting.empty():
            self._idle.set()
