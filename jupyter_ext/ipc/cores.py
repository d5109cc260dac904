"""How many cores a process may really use: those of its affinity, within its control group's quota. Standard library only.

Source: Linux' docs, "cgroup-v2" (`cpu.max`) and "CFS Bandwidth Control" (`cpu.cfs_quota_us`).
"""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_KEPT_S = 5.0
"""A quota is read again after so long at the latest: reading it takes dozens of small files."""


def usable_cores() -> int:
    """Return how many cores this process may use, at least 1; a part of a core does not count."""
    return within(allowed_cores(), _own_quota(int(time.monotonic() // _KEPT_S)))


def within(allowed: int, quota: float | None) -> int:
    """Return the whole cores that both an affinity and a quota leave, at least 1."""
    return max(1, allowed if quota is None else min(allowed, int(quota)))


def allowed_cores() -> int:
    """Return how many cores the affinity of this process names."""
    try:
        return len(os.sched_getaffinity(0)) or 1
    except (AttributeError, OSError):
        return os.cpu_count() or 1


def quota_cores(groups: str, root: Path = _CGROUP_ROOT) -> float | None:
    """Return how many cores the control groups of a process leave it, or `None` where there is no quota.

    Args:
        groups: Content of `/proc/self/cgroup`: lines of `number:controllers:group`.
        root: Where control groups are mounted.
    """
    quotas = []
    for line in groups.splitlines():
        number, _, rest = line.partition(":")
        controllers, _, group = rest.partition(":")
        if number == "0":
            quotas += [_quota_v2(folder) for folder in _up(root, group)]
        elif "cpu" in controllers.split(","):
            for name in (controllers, "cpu", "cpu,cpuacct"):
                quotas += [_quota_v1(folder) for folder in _up(root / name, group)]
    return min((quota for quota in quotas if quota is not None), default=None)


def _up(root: Path, group: str) -> list[Path]:
    """List the folders of a group and of those above it: the narrowest counts. A container may see its own at the top only."""
    folder = root / group.strip("/")
    return [folder, *(above for above in folder.parents if above == root or root in above.parents)]


def _quota_v2(folder: Path) -> float | None:
    try:
        quota, period = (folder / "cpu.max").read_text().split()
        return None if quota == "max" else _ratio(int(quota), int(period))
    except (OSError, ValueError):
        return None


def _quota_v1(folder: Path) -> float | None:
    try:
        quota, period = (int((folder / f"cpu.cfs_{name}_us").read_text()) for name in ("quota", "period"))
    except (OSError, ValueError):
        return None
    return _ratio(quota, period)


def _ratio(quota: int, period: int) -> float | None:
    return quota / period if quota > 0 and period > 0 else None


@lru_cache(maxsize=1)
def _own_quota(_period: int) -> float | None:
    """Return the quota of this process as it was when it was first asked for in this period of `_KEPT_S`."""
    return quota_cores(_own_groups())


def _own_groups() -> str:
    try:
        return Path("/proc/self/cgroup").read_text()
    except OSError:
        return ""
