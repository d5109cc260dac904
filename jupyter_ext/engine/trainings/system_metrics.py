"""CPU and memory of each run's processes, written to the run's own journal like any metric.

Source of the memory figure: proportional set size (PSS), which counts a page shared by n processes as 1/n, so that
the sum over a run's processes is not inflated by what they share with the warm interpreter.
"""

from __future__ import annotations

import time
from pathlib import Path

import psutil

from jupyter_ext.worker.journal import JournalWriter

INTERVAL_S = 1.0


class SystemSampler:
    """Samples one run. Not thread-safe: one caller at a time."""

    def __init__(self, run_dir: Path, worker_pid: int) -> None:
        self._worker_pid = worker_pid
        self._journal = JournalWriter(run_dir, "system")
        self._cpu_s: dict[int, float] = {}
        self._sampled_at: float | None = None

    def sample(self) -> None:
        """Write one point: `system/cpu_percent` (100 = one core busy) and `system/memory_mib`."""
        try:
            worker = psutil.Process(self._worker_pid)
            family = [worker, *worker.children(recursive=True)]
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
        self._journal.points(values)

    def close(self) -> None:
        """Close the journal."""
        self._journal.close()


def _pss(process: psutil.Process) -> int:
    info = process.memory_full_info()
    return int(getattr(info, "pss", 0) or info.uss)
