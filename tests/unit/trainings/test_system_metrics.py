"""CPU, memory, disk and GPU of a run: measured while it lives, and not one point of what is left when it ends."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import psutil
import pytest
from integration_tools import until

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.monitoring.gpus import Gpus, GpuUse
from jupyter_ext.engine.trainings.monitoring.system_metrics import SystemSampler
from jupyter_ext.ipc import processes


def test_an_ended_process_is_not_measured(tmp_path: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdout.readline()
    sampler = SystemSampler(tmp_path, process.pid)
    sampler.sample()
    process.stdin.close()
    until(lambda: os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT), "a zombie")
    sampler.sample()
    process.stdout.close()
    process.wait()
    sampler.sample()
    sampler.close()
    points = last_points(tmp_path)
    assert points["system/memory_mib"] > 1
    assert "system/cpu_percent" not in points
    assert not [key for key in points if "gpu" in key]


def last_points(run_dir: Path) -> dict[str, float]:
    store = RunStore(run_dir)
    store.open()
    while store.ingest() is not None:
        pass
    points = {key: point[1] for key, point in store.last_points("system").items()}
    store.close()
    return points


WRITES = """
import os, subprocess, sys
def write(name, mib):
    with open(name, "wb") as file:
        file.write(os.urandom(mib << 20))
        file.flush()
        os.fsync(file.fileno())
if len(sys.argv) > 2:
    write(sys.argv[1], 3)
    print(flush=True)
    sys.stdin.read(1)
    sys.exit()
child = subprocess.Popen([sys.executable, __file__, sys.argv[1] + ".child", "child"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
child.stdout.readline()
write(sys.argv[1], 5)
print("written", flush=True)
sys.stdin.readline()
child.communicate(b"x")
print("child ended", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("are_given", [False, True])
def test_what_is_written_is_counted_also_by_processes_that_have_ended(
    tmp_path: Path, are_given: bool
) -> None:
    def sample() -> None:
        sampler.sample(None, processes.children_of_all() if are_given else None)

    script = tmp_path / "writes.py"
    script.write_text(WRITES)
    with subprocess.Popen(
        [sys.executable, script, tmp_path / "file"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        sampler = SystemSampler(tmp_path, process.pid)
        process.stdout.readline()
        sample()
        first = last_points(tmp_path)
        process.stdin.write("\n")
        process.stdin.flush()
        process.stdout.readline()
        sample()
        process.stdin.close()
    sampler.close()
    second = last_points(tmp_path)
    assert second["system/disk_write_mib"] >= first["system/disk_write_mib"]
    if not is_in_memory(tmp_path):
        assert first["system/disk_write_mib"] >= 8
    status = os.statvfs(tmp_path)
    assert 0 < second["system/disk_free_gib"] <= status.f_blocks * status.f_frsize / 2**30


def is_in_memory(path: Path) -> bool:
    kinds = {part.mountpoint: part.fstype for part in psutil.disk_partitions(all=True)}
    while str(path) not in kinds:
        path = path.parent
    return kinds[str(path)] in ("tmpfs", "overlay", "9p", "fuse", "gofer")


# -- GPUs --------------------------------------------------------------------------------------------------------------


class FakeNvml(ModuleType):
    """Stands in for NVIDIA's library, at the boundary to the driver."""

    class NVMLError(Exception):
        pass

    def __init__(self, num_gpus: int, driver: bool = True) -> None:
        super().__init__("pynvml")
        self.num_gpus, self.driver, self.is_open = num_gpus, driver, False
        self.memory: dict[int, dict[int, int | None]] = {}
        self.busy: dict[int, list[tuple[int, int, int]]] = {}
        self.cannot_tell = False

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.driver:
            raise self.NVMLError("Driver Not Loaded")
        self.is_open = True

    def nvmlShutdown(self) -> None:  # noqa: N802
        self.is_open = False

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return self.num_gpus

    def nvmlDeviceGetHandleByIndex(self, number: int) -> int:  # noqa: N802
        return number

    def nvmlDeviceGetComputeRunningProcesses(self, handle: int) -> list[Any]:  # noqa: N802
        return [
            SimpleNamespace(pid=pid, usedGpuMemory=used) for pid, used in self.memory.get(handle, {}).items()
        ]

    def nvmlDeviceGetProcessUtilization(self, handle: int, since: int) -> list[Any]:  # noqa: N802
        found = [
            SimpleNamespace(timeStamp=at, pid=pid, smUtil=percent)
            for at, pid, percent in self.busy.get(handle, [])
            if at > since
        ]
        if self.cannot_tell or not found:
            raise self.NVMLError("Not Found")
        return found


def test_memory_and_work_are_summed_over_gpus_and_counted_once(monkeypatch: pytest.MonkeyPatch) -> None:
    nvml = FakeNvml(2)
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    nvml.memory = {0: {7: 100, 8: None}, 1: {7: 50}}
    nvml.busy = {0: [(10, 7, 40), (20, 7, 60), (20, 9, 101)], 1: [(15, 7, 30)]}
    gpus = Gpus()
    assert gpus.use() == {7: GpuUse(150, 80.0), 8: GpuUse(0, 0.0)}
    nvml.busy[0].append((30, 7, 10))
    assert gpus.use() == {7: GpuUse(150, 10.0), 8: GpuUse(0, 0.0)}
    nvml.cannot_tell = True
    assert gpus.use() == {7: GpuUse(150, 0.0), 8: GpuUse(0, 0.0)}
    gpus.close()
    assert not nvml.is_open


@pytest.mark.parametrize(
    "nvml", [None, FakeNvml(0), FakeNvml(1, driver=False)], ids=["library", "GPU", "driver"]
)
def test_without_it_nothing_is_said(monkeypatch: pytest.MonkeyPatch, nvml: FakeNvml | None) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    gpus = Gpus()
    assert gpus.use() is gpus.use() is None
    gpus.close()


def test_a_run_that_uses_a_gpu_has_its_share(tmp_path: Path) -> None:
    me = os.getpid()
    sampler = SystemSampler(tmp_path, me)
    sampler.sample({me + 1: GpuUse(1, 1.0)})
    assert not [key for key in last_points(tmp_path) if "gpu" in key]
    sampler.sample({me: GpuUse(3 << 20, 55.0), me + 1: GpuUse(1 << 30, 99.0)})
    points = last_points(tmp_path)
    assert (points["system/gpu_memory_mib"], points["system/gpu_percent"]) == (3.0, 55.0)
    sampler.sample({})
    assert last_points(tmp_path)["system/gpu_memory_mib"] == 0
    sampler.close()
