"""CPU, memory, disk and GPU of each run's processes, written to the run's own journal like any metric.

Source of the memory figure: proportional set size (PSS), which counts a page shared by n processes as 1/n, so that
the sum over a run's processes is not inflated by what they share with the warm interpreter.
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterable, Mapping
from pathlib import Path

import psutil

from jupyter_ext.engine.trainings.monitoring.gpus import GpuUse
from jupyter_ext.ipc import processes
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

INTERVAL_S = 1.0


class SystemSampler:
    """Samples one run. Not thread-safe: one caller at a time."""

    def __init__(self, run_dir: Path, worker_pid: int) -> None:
        self._run_dir = run_dir
        self._worker_pid = worker_pid
        self._journal = JournalWriter(run_dir, "system")
        self._cpu_s: dict[int, float] = {}
        self._disk = DiskUse()
        self._used_gpu = False
        self._sampled_at: float | None = None

    def sample(
        self,
        gpus: Mapping[int, GpuUse] | None = None,
        children: Mapping[int, list[int]] | None = None,
    ) -> None:
        """Write one point of each metric under `system/`.

        `memory_mib`; `cpu_percent` (100 = one core busy); `disk_read_mib` and `disk_write_mib` (from and to disks since the
        start, where the system tells); `disk_free_gib` (on the disk of the run's directory); and once a process of the run
        has used a GPU, `gpu_memory_mib` and `gpu_percent` (100 = one GPU busy).

        Args:
            gpus: What each process of the machine uses of its GPUs; `None` where there are none.
            children: The children of each process of the machine, looked for once for all runs; `None` to look now.
        """
        try:
            family = self._family(children)
        except psutil.Error:
            return
        now = time.monotonic()
        memory_bytes, busy_s, cpu_s = 0, 0.0, {}
        for process in family:
            try:
                with process.oneshot():
                    times = process.cpu_times()
                    memory_bytes += _pss(process)
            except psutil.Error:
                continue
            cpu_s[process.pid] = times.user + times.system
            busy_s += cpu_s[process.pid] - self._cpu_s.get(
                process.pid, 0.0 if self._sampled_at else cpu_s[process.pid]
            )
        if memory_bytes == 0:
            return  # it is ending: a zombie has no memory, and saying 0 would be its last word
        values = {"system/memory_mib": memory_bytes / 2**20}
        if self._sampled_at is not None:
            values["system/cpu_percent"] = 100 * max(0.0, busy_s) / (now - self._sampled_at)
        self._cpu_s, self._sampled_at = cpu_s, now
        values |= self._disk.values(family)
        values["system/disk_free_gib"] = _free_bytes(self._run_dir) / 2**30
        values |= self._gpu_values(cpu_s, gpus)
        self._journal.points(values)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()

    def _family(self, children: Mapping[int, list[int]] | None) -> list[psutil.Process]:
        """Return the worker and the processes below it.

        Raises:
            psutil.Error: The worker is gone.
        """
        worker = psutil.Process(self._worker_pid)
        if not children:
            return [worker, *worker.children(recursive=True)]
        family = [worker]
        for pid in processes.below(self._worker_pid, children):
            with contextlib.suppress(psutil.Error):
                family.append(psutil.Process(pid))
        return family

    def _gpu_values(self, pids: Iterable[int], gpus: Mapping[int, GpuUse] | None) -> dict[str, float]:
        used = [] if gpus is None else [gpus[pid] for pid in pids if pid in gpus]
        self._used_gpu = self._used_gpu or bool(used)
        if not self._used_gpu:
            return {}
        return {
            "system/gpu_memory_mib": sum(use.memory_bytes for use in used) / 2**20,
            "system/gpu_percent": sum(use.percent for use in used),
        }


class DiskUse:
    """What a run's processes have read from and written to disks; those that have ended are remembered."""

    def __init__(self) -> None:
        self._bytes: dict[tuple[int, float], tuple[int, int]] = {}
        """Read and written, by pid and start time: pids are used again."""

    def values(self, family: Iterable[psutil.Process]) -> dict[str, float]:
        """Return the totals as metrics, where the system tells them."""
        for process in family:
            try:
                counters = process.io_counters()
                self._bytes[process.pid, process.create_time()] = (counters.read_bytes, counters.write_bytes)
            except (psutil.Error, AttributeError, NotImplementedError):  # macOS does not tell
                continue
        if not self._bytes:
            return {}
        read, written = (sum(of) for of in zip(*self._bytes.values(), strict=True))
        return {"system/disk_read_mib": read / 2**20, "system/disk_write_mib": written / 2**20}


def _free_bytes(directory: Path) -> int:
    status = os.statvfs(directory)
    return status.f_bavail * status.f_frsize


def _pss(process: psutil.Process) -> int:
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.uss)
