"""How long something takes, and how long several things take that are compared. Standard library only."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime
from typing import Any

from benchmarks.support.rows import median


def unix(text: str | None) -> float:
    """Return the Unix time of a timestamp."""
    assert text is not None
    return datetime.fromisoformat(text).timestamp()


def timed(work: Callable[[], Any], rounds: int) -> list[float]:
    """Return the milliseconds of each of some rounds."""
    took = []
    for _ in range(rounds):
        began = time.perf_counter()
        work()
        took.append(1000 * (time.perf_counter() - began))
    return took


def in_turns(*works: Callable[[], Any], rounds: int) -> list[float]:
    """Return the median milliseconds of each, measured in turns: what else the machine does hits all."""
    took = [[timed(work, 1)[0] for work in works] for _ in range(rounds)]
    return [median(times) for times in zip(*took, strict=True)]
