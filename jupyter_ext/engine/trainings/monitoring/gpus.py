"""What each process uses of the NVIDIA GPUs of this machine. Without the library, a driver or a GPU: nothing, silently.

The library is optional: `pip install jupyter-ext[gpu]` (nvidia-ml-py) in the environment that the engine runs in.

Source: NVIDIA's NVML reference: nvmlDeviceGetComputeRunningProcesses, nvmlDeviceGetProcessUtilization. In a container that
does not share the host's process ids they name others than ours, and nothing is shown.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from importlib import import_module
from typing import Any

log = logging.getLogger(__name__)


@dataclass
class GpuUse:
    """One process over all GPUs: memory in bytes, busy in percent, 100 being one GPU's processors all the time."""

    memory_bytes: int = 0
    percent: float = 0.0


class Gpus:
    """All GPUs. Blocks for about a millisecond per GPU; one caller at a time."""

    def __init__(self) -> None:
        self._nvml: Any = None
        self._handles: list[Any] | None = None
        self._seen_us: list[int] = []

    def use(self) -> dict[int, GpuUse] | None:
        """Return what each process that uses a GPU uses, by pid; `None` where there is no GPU."""
        if self._handles is None:
            self._handles = self._open()
            self._seen_us = [0] * len(self._handles)
        if not self._handles:
            return None
        found: dict[int, GpuUse] = {}
        for number, handle in enumerate(self._handles):
            for pid, memory_bytes in self._memory(handle):
                found.setdefault(pid, GpuUse()).memory_bytes += memory_bytes
            for pid, percent in self._busy(number, handle).items():
                found.setdefault(pid, GpuUse()).percent += percent
        return found

    def close(self) -> None:
        """Let go of the library."""
        if self._handles:
            self._nvml.nvmlShutdown()
        self._handles = []

    def _open(self) -> list[Any]:
        try:
            self._nvml = import_module("pynvml")
            self._nvml.nvmlInit()
            return [self._nvml.nvmlDeviceGetHandleByIndex(n) for n in range(self._nvml.nvmlDeviceGetCount())]
        except ImportError:
            return []
        except self._nvml.NVMLError as error:
            log.info("no GPU is measured: %s", error)
            return []

    def _memory(self, handle: Any) -> list[tuple[int, int]]:
        try:
            running = self._nvml.nvmlDeviceGetComputeRunningProcesses(handle)
        except self._nvml.NVMLError:
            return []
        return [(process.pid, process.usedGpuMemory or 0) for process in running]

    def _busy(self, number: int, handle: Any) -> dict[int, float]:
        """Return the mean of what was sampled since the last time, by pid; the driver samples several times a second."""
        try:
            samples = self._nvml.nvmlDeviceGetProcessUtilization(handle, self._seen_us[number])
        except self._nvml.NVMLError:  # nothing was busy since then, or this GPU cannot tell (MIG)
            return {}
        values: dict[int, list[int]] = {}
        for sample in samples:
            if sample.timeStamp > self._seen_us[number] and 0 <= sample.smUtil <= 100:
                values.setdefault(sample.pid, []).append(sample.smUtil)
        self._seen_us[number] = max([self._seen_us[number], *(sample.timeStamp for sample in samples)])
        return {pid: sum(of) / len(of) for pid, of in values.items()}
