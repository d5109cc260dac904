"""What this process takes of memory, as the kernel counts it. Standard library only."""

from __future__ import annotations

import os
import sys


def rollup(pid: int | None = None) -> dict[str, int]:
    """Return `rss`, `pss` and `private` memory in bytes.

    PSS counts a page that n processes map as 1/n; private is what the end of the process gives back at the least.

    Args:
        pid: Another process of this user; by default this one.
    """
    found = {"Rss": 0, "Pss": 0, "Private_Clean": 0, "Private_Dirty": 0}
    try:
        with open(f"/proc/{pid or os.getpid()}/smaps_rollup", encoding="ascii") as file:
            next(file)
            for line in file:
                name, _, rest = line.partition(":")
                if name in found:
                    found[name] = int(rest.split()[0]) * 1024
    except (OSError, StopIteration, ValueError):
        return {"rss": 0, "pss": 0, "private": 0}
    private = found["Private_Clean"] + found["Private_Dirty"]
    return {"rss": found["Rss"], "pss": found["Pss"], "private": private}


def device_bytes(device: str) -> int | None:
    """Return what torch has taken of a CUDA device in this process, bytes."""
    torch = sys.modules.get("torch")
    if torch is None or not device.startswith("cuda"):
        return None
    return int(torch.cuda.memory_reserved(torch.device(device)))
