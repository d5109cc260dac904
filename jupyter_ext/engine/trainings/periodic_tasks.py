"""What is done for running trainings once a second: measure them, have the disk keep what they wrote, seal what is full.

And once, after the engine's start: seal what an engine before it left unsealed. Nobody waits for that.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring.gpus import Gpus
from jupyter_ext.engine.trainings.monitoring.sealer import Sealer
from jupyter_ext.engine.trainings.monitoring.system_metrics import INTERVAL_S, SystemSampler
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.store_cache import StoreCache
from jupyter_ext.ipc import processes
from jupyter_ext.ipc.journal_format import parse_journal_name
from jupyter_ext.ipc.run_files import read_start

_LOOK_AT = 200
"""Runs that are looked at in one go."""

log = logging.getLogger(__name__)


class PeriodicTasks:
    """Looks after the runs in `records`, which somebody else fills."""

    def __init__(
        self, runs_dir: Path, records: Mapping[str, Record], stores: StoreCache, sealer: Sealer
    ) -> None:
        self._runs_dir = runs_dir
        self._records = records
        self._stores = stores
        self._sealer = sealer
        self._samplers: dict[str, SystemSampler] = {}
        self._gpus = Gpus()

    async def run(self) -> None:
        """Do it once a second, for ever."""
        try:
            await self._seal_what_was_left()
            while True:
                await asyncio.sleep(INTERVAL_S)
                try:
                    await self._once()
                except Exception:  # the edge of a background task: one bad second must not end it
                    log.exception("housekeeping failed; trying again")
        finally:
            self._gpus.close()

    async def _seal_what_was_left(self) -> None:
        """Look through all runs, some at a time."""
        try:
            names = sorted(await asyncio.to_thread(os.listdir, self._runs_dir))
            for first in range(0, len(names), _LOOK_AT):
                for name in await asyncio.to_thread(
                    _unsealed, self._runs_dir, names[first : first + _LOOK_AT]
                ):
                    if name not in self._records:
                        self._sealer.seal(self._runs_dir / name, final=True)
        except Exception:  # the edge: the next engine looks again
            log.exception("runs could not be looked through for what is unsealed")

    async def _once(self) -> None:
        records = list(self._records.values())
        for gone in set(self._samplers) - {record.id for record in records}:
            self._samplers.pop(gone).close()
        for record in records:
            start = read_start(record.run_dir)
            if start is not None and record.id not in self._samplers and record.status == "processing":
                self._samplers[record.id] = SystemSampler(record.run_dir, start["worker"]["pid"])
        stores = [self._stores.get(record.id) for record in records if not record.is_queued]
        self._stores.close_old()
        await asyncio.to_thread(_sample_and_sync, list(self._samplers.values()), self._gpus, stores)
        for record in records:
            if _has_rotated(record.run_dir):
                self._sealer.seal(record.run_dir)


def _unsealed(runs_dir: Path, names: Sequence[str]) -> list[str]:
    """Name the runs of these that are over and were not sealed, because an engine ended before it could."""
    found = []
    for name in names:
        with contextlib.suppress(OSError):  # no directory, or gone
            files = os.listdir(runs_dir / name)
            if "training.json" not in files:
                continue
            if any(parse_journal_name(file) for file in files) or _is_cut(runs_dir / name / "segments"):
                found.append(name)
    return found


def _is_cut(segments: Path) -> bool:
    """Tell whether a sealing ended before it had merged all."""
    try:
        names = os.listdir(segments)
    except FileNotFoundError:
        return False
    return any(
        name.endswith(".tmp") or (name.startswith("metrics-") and name.endswith(".parquet")) for name in names
    )


def _has_rotated(run_dir: Path) -> bool:
    """Tell whether a process of the run has begun another journal, so that the one before can be sealed."""
    streams = [path.stem.rpartition("-")[0] for path in run_dir.glob("metrics-*.jnl")]
    return len(streams) > len(set(streams))


def _sample_and_sync(samplers: list[SystemSampler], gpus: Gpus, stores: list[RunStore]) -> None:
    used = gpus.use() if samplers else None
    children = processes.children_of_all() if samplers else {}
    for sampler in samplers:
        sampler.sample(used, children)
    for store in stores:
        store.sync()
