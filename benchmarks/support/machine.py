"""What the figures were measured on, and how busy it was: no figure says much without."""

from __future__ import annotations

import os
import platform
import subprocess
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Machine:
    """The machine when the benchmarks began.

    Args:
        num_cores: Cores that this process may use.
        load: Load averages over 1, 5 and 15 minutes: how many processes ran or wanted to.
        memory_gib: All of it.
        available_gib: What was available of it.
        commit: The commit measured, with `+` where files were changed.
    """

    num_cores: int
    load: tuple[float, float, float]
    memory_gib: float
    available_gib: float
    cpu: str
    system: str
    python: str
    torch: str
    commit: str

    @property
    def is_busy(self) -> bool:
        """Tell whether others used much of it."""
        return self.load[0] > 0.25 * self.num_cores

    def __str__(self) -> str:
        return (
            f"{self.num_cores} cores ({self.cpu}), load {' '.join(f'{value:.2f}' for value in self.load)}, "
            f"{self.available_gib:.1f} of {self.memory_gib:.1f} GiB available, {self.system}, "
            f"Python {self.python}, torch {self.torch}, commit {self.commit}"
        )


def look() -> Machine:
    """Describe the machine as it is now."""
    memory = psutil.virtual_memory()
    return Machine(
        num_cores=len(os.sched_getaffinity(0)),
        load=os.getloadavg(),
        memory_gib=round(memory.total / 2**30, 1),
        available_gib=round(memory.available / 2**30, 1),
        cpu=_cpu(),
        system=f"{platform.system()} {platform.release()}",
        python=platform.python_version(),
        torch=version("torch"),
        commit=_commit(),
    )


def _cpu() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """Return the commit's short id; empty outside of a repository."""
    command = ["git", "-C", str(Path(__file__).parent), "describe", "--always", "--dirty=+", "--exclude=*"]
    try:
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    except FileNotFoundError:
        return ""
