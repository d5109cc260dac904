"""Smallest and largest point of every 64, 512, 4,096 … points of a series, so that no zoom has to look at them all.

Rule: what a bucket keeps are real points with their own step and time, never averages; so a spike of one point is
seen at every zoom. Non-finite values are counted but are neither smallest nor largest, unless there is nothing else.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Buckets = NDArray[np.void]
    """Structured, of dtype `bucket()`, shape (n,)."""
else:
    np = late("numpy")
    Floats = Ints = Buckets = Any


BUCKET_POINTS = 64
LEVEL_FACTOR = 8

_POINT = [("index", "<i8"), ("step", "<f8"), ("value", "<f8"), ("time", "<f8")]
_BUCKET = [
    ("start", "<i8"),  # number in the series of its first point
    ("count", "<i8"),
    ("num_nonfinite", "<i8"),
    ("low", _POINT),
    ("high", _POINT),
    ("step_min", "<f8"),  # NaN where any step is: such a bucket has to be looked into
    ("step_max", "<f8"),
    ("time_min", "<f8"),
    ("time_max", "<f8"),
]


@functools.cache
def bucket() -> np.dtype[np.void]:
    """Return the type of one bucket."""
    return np.dtype(_BUCKET)


class Points(NamedTuple):
    """Chosen points of one series, all of length n, ascending by `indices` (a point's number in its series)."""

    indices: Ints
    steps: Floats
    values: Floats
    times: Floats

    def take(self, which: NDArray[Any] | slice) -> Points:
        """Return those at the positions, or under the mask, `which`."""
        return Points(self.indices[which], self.steps[which], self.values[which], self.times[which])


def summarize(steps: Floats, values: Floats, times: Floats, first_index: int = 0) -> Buckets:
    """Make the lowest level: a bucket for each 64 points, the last one of what is left.

    Args:
        steps: float64, n.
        values: float64, n.
        times: float64, n, Unix seconds.
        first_index: Number in the series of the first point.
    """
    whole = len(values) // BUCKET_POINTS * BUCKET_POINTS
    shape = (-1, BUCKET_POINTS)
    made = [
        _rows(
            steps[:whole].reshape(shape),
            values[:whole].reshape(shape),
            times[:whole].reshape(shape),
            first_index,
        )
    ]
    if whole < len(values):
        rest = slice(whole, None)
        made.append(_rows(steps[None, rest], values[None, rest], times[None, rest], first_index + whole))
    return np.concatenate(made)


def _rows(steps: Floats, values: Floats, times: Floats, first_index: int) -> Buckets:
    """Make one bucket of each row."""
    num, width = values.shape
    made: Buckets = np.empty(num, bucket())
    if not num:
        return made
    made["start"] = first_index + width * np.arange(num)
    made["count"] = width
    finite = np.isfinite(values)
    made["num_nonfinite"] = width - finite.sum(axis=1)
    rows = np.arange(num)
    for name, column in (
        ("low", np.where(finite, values, np.inf).argmin(axis=1)),
        ("high", np.where(finite, values, -np.inf).argmax(axis=1)),
    ):
        point = made[name]
        point["index"] = made["start"] + column
        point["step"], point["value"], point["time"] = (
            array[rows, column] for array in (steps, values, times)
        )
    for axis, array in (("step", steps), ("time", times)):
        made[f"{axis}_min"], made[f"{axis}_max"] = array.min(axis=1), array.max(axis=1)
    return made


def combine(children: Buckets) -> Buckets:
    """Make a bucket of each 8; what is left over of them is not used."""
    num = len(children) // LEVEL_FACTOR
    rows = children[: num * LEVEL_FACTOR].reshape(num, LEVEL_FACTOR)
    made: Buckets = np.empty(num, bucket())
    if not num:
        return made
    made["start"] = rows["start"][:, 0]
    for name in ("count", "num_nonfinite"):
        made[name] = rows[name].sum(axis=1)
    every = np.arange(num)
    low, high = rows["low"]["value"], rows["high"]["value"]
    made["low"] = rows["low"][every, np.where(np.isfinite(low), low, np.inf).argmin(axis=1)]
    made["high"] = rows["high"][every, np.where(np.isfinite(high), high, -np.inf).argmax(axis=1)]
    for axis in ("step", "time"):
        made[f"{axis}_min"], made[f"{axis}_max"] = (
            rows[f"{axis}_min"].min(axis=1),
            rows[f"{axis}_max"].max(axis=1),
        )
    return made


class Pyramid:
    """The levels of one series, lowest first. Grows at its end only."""

    def __init__(self) -> None:
        self._levels: list[_Growing] = [_Growing()]

    @property
    def lowest(self) -> Buckets:
        """The buckets of (mostly) 64 points."""
        return self._levels[0].buckets

    def append(self, buckets: Buckets) -> None:
        """Add buckets of the lowest level."""
        self._levels[0].append(buckets)
        for level in range(1, len(self._levels) + 1):
            below = self._levels[level - 1]
            done = len(self._levels[level]) if level < len(self._levels) else 0
            made = combine(below.buckets[done * LEVEL_FACTOR :])
            if not len(made):
                return
            if level == len(self._levels):
                self._levels.append(_Growing())
            self._levels[level].append(made)

    def cover(self, start: int, stop: int, at_least: int) -> list[Buckets]:
        """Cover lowest buckets `start` to before `stop`, as coarsely as leaves `at_least` buckets."""
        level, width = 0, 1
        while level + 1 < len(self._levels) and (stop - start) // (width * LEVEL_FACTOR) >= at_least:
            level, width = level + 1, width * LEVEL_FACTOR
        first = -(-start // width)
        last = min(stop // width, len(self._levels[level]))
        if first >= last:
            return [self.lowest[start:stop]]
        edges = self.lowest[start : first * width], self.lowest[last * width : stop]
        return [edges[0], self._levels[level].buckets[first:last], edges[1]]


def candidates(buckets: Buckets) -> Points:
    """Return the smallest and the largest point of each bucket, in the order in which they came; one where they are the same."""
    both = np.concatenate((buckets["low"], buckets["high"]))
    indices, first = np.unique(both["index"], return_index=True)
    both = both[first]
    return Points(indices, both["step"].copy(), both["value"].copy(), both["time"].copy())


def decimate(points: Points, buckets: int) -> Points:
    """Keep the first, the last, and of each bucket between them the smallest and the largest.

    Args:
        points: n points.
        buckets: At most twice as many points are kept, from 1.
    """
    n = len(points.values)
    if n <= 2 * buckets:
        return points
    inner = n - 2
    edges = 1 + np.arange(buckets) * inner // max(1, buckets - 1)
    keep = [np.array([0, n - 1])]
    if buckets > 1:
        starts, ends = edges[:-1], edges[1:]
        finite = np.isfinite(points.values)
        keep += [
            _first_of_each(np.where(finite, points.values, np.inf), starts, ends, np.minimum),
            _first_of_each(np.where(finite, points.values, -np.inf), starts, ends, np.maximum),
        ]
    return points.take(np.unique(np.concatenate(keep)))


def _first_of_each(values: Floats, starts: Ints, ends: Ints, extreme: np.ufunc) -> Ints:
    """Return the position of the first extreme value of each range."""
    best = extreme.reduceat(values[: ends[-1]], starts)
    hits = np.flatnonzero(values[starts[0] : ends[-1]] == np.repeat(best, ends - starts)) + starts[0]
    positions: Ints = hits[np.searchsorted(hits, starts)]
    return positions


class _Growing:
    """An array of buckets that doubles its room."""

    def __init__(self) -> None:
        self._room: Buckets = np.empty(8, bucket())
        self._length = 0

    def __len__(self) -> int:
        return self._length

    @property
    def buckets(self) -> Buckets:
        return self._room[: self._length]

    def append(self, buckets: Buckets) -> None:
        length = self._length + len(buckets)
        if length > len(self._room):
            room: Buckets = np.empty(max(length, len(self._room) * 3 // 2), bucket())
            room[: self._length] = self.buckets
            self._room = room
        self._room[self._length : length] = buckets
        self._length = length
