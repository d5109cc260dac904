"""What is done for running trainings once a second: measure them, have the disk keep what they wrote, seal what is full."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from jupyter_ext.engine.metrics.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring.gpus import Gpus
from jupyter_ext.engine.trainings.monitoring.sealer import Sealer
from jupyter_ext.engine.trainings.monitoring.system_metrics import INTERVAL_S, SystemSampler
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.store_cache import StoreCache
from jupyter_ext.ipc.run_files import read_start

log = logging.getLogger(__name__)


class PeriodicTasks:
    """Looks after the runs in `records`, which somebody else fills."""

    def __init__(self, records: Mapping[str, Record], stores: StoreCache, sealer: Sealer) -> None:
        self._records = records
        self._stores = stores
        self._sealer = sealer
        self._samplers: dict[str, SystemSampler] = {}
        self._gpus = Gpus()

    async def run(self) -> None:
        """Do it once a second, for ever."""
        try:
            while True:
                await asyncio.sleep(INTERVAL_S)
                try:
                    await self._once()
                except Exception:  # the edge of a background task: one bad second must not end it
                    log.exception("housekeeping failed; trying again")
        finally:
            self._gpus.close()

    async def _once(self) -> None:
        records = list(self._records.values())
        for gone in set(self._samplers) - {record.id for record in records}:
            self._samplers.pop(gone).close()
        for record in records:
            start = read_start(record.run_dir)
            if start is not None and record.id not in self._samplers and record.status == "processing":
                self._samplers[record.id] = SystemSampler(record.run_dir, start["worker"]["pid"])
        stores = [self._stores.get(record.id) for record in records if not record.is_queued]
        await asyncio.to_thread(_sample_and_sync, list(self._samplers.values()), self._gpus, stores)
        for record in records:
            if _has_rotated(record.run_dir):
                self._sealer.seal(record.run_dir)


def unsealed(runs_dir: Path, running: set[str]) -> list[Path]:
    """List the runs that are over and were not sealed, because an engine ended before it could."""
    over = (path.parent for path in runs_dir.glob("*/training.json"))
    return [run_dir for run_dir in over if run_dir.name not in running and any(run_dir.glob("metrics-*.jnl"))]


def _has_rotated(run_dir: Path) -> bool:
    """Tell whether a process of the run has begun another journal, so that the one before can be sealed."""
    streams = [path.stem.rpartition("-")[0] for path in run_dir.glob("metrics-*.jnl")]
    return len(streams) > len(set(streams))


def _sample_and_sync(samplers: list[SystemSampler], gpus: Gpus, stores: list[RunStore]) -> None:
    used = gpus.use() if samplers else None
    for sampler in samplers:
        sampler.sample(used)
    for store in stores:
        store.sync()
