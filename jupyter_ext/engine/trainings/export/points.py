"""All points of a run in pieces, so that neither memory nor the event loop feels how many there are.

Rule: a store is used on the event loop only, and one that nobody looks at may be closed; so it is asked for again for each piece.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import TYPE_CHECKING, NamedTuple

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np

    from jupyter_ext.engine.metrics.points.pyramid import Floats
else:
    np = late("numpy")

PIECE_POINTS = 16_384
"""Written in some 25 ms of CPU time at most, of which the event loop gets its share."""
_READ_S = 0.01
"""A piece ends after so long, whatever it has."""


class Stretch(NamedTuple):
    """Points of one series that follow each other: steps, values and times (Unix s), of one length."""

    key: str
    rank: str
    steps: Floats
    values: Floats
    times: Floats


async def pieces(store_of: Callable[[], Awaitable[RunStore]]) -> AsyncGenerator[list[Stretch], None]:
    """Read all points that a run has now, by rank, name and in the order in which they came.

    Args:
        store_of: Gives the run's opened store, from which points can be read.

    Raises:
        Problem: The run was deleted meanwhile.
    """
    store = await store_of()
    ranks = sorted({info.rank for info in store.series_infos()})
    waiting = [(rank, key, n) for rank in ranks for key, n in sorted(store.num_points(rank).items())]
    waiting.reverse()
    done = 0  # points of the series that is read
    while waiting:
        store = await store_of()
        piece: list[Stretch] = []
        room, ends_at = PIECE_POINTS, time.monotonic() + _READ_S
        while waiting and room and (not piece or time.monotonic() < ends_at):
            rank, key, count = waiting[-1]
            stop = min(count, done + room)
            points = store.points(rank, key, done, stop)
            piece.append(Stretch(key, rank, points.steps, points.values, points.times))
            room -= stop - done
            done = stop
            if done == count:
                waiting.pop()
                done = 0
        yield piece
        await asyncio.sleep(0)
