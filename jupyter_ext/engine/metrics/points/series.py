"""One metric of one rank: its points, from wherever they are, and the overview of any range of them.

Rule: steps and times are kept as they came; they may repeat or decrease. So a range on either is never found by
bisection: a bucket says what it spans, and one that a border of the range cuts is looked into.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple

from jupyter_ext.engine.metrics.journal.columns import Columns, Room
from jupyter_ext.engine.metrics.points.point_source import GrowingPoints, PointSource
from jupyter_ext.engine.metrics.points.pyramid import (
    BUCKET_POINTS,
    Buckets,
    Floats,
    Points,
    Pyramid,
    candidates,
    decimate,
    summarize,
)
from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
else:
    np = late("numpy")

Axis = Literal["step", "time"]
Raw = tuple[Floats, Floats, Floats]
"""float64 steps, values and times (Unix s), each of length n."""

_SEALED_DETAIL = 4
"""Sealed points are read back when less than one bucket for so many of the wanted ones is known."""


class Point(NamedTuple):
    """One real point; `time` in Unix seconds."""

    step: float
    value: float
    time: float


@dataclass
class Block:
    """The points that came from journal `number`: `count` of them from number `start` of the series on."""

    number: int
    start: int
    count: int
    source: PointSource

    @property
    def stop(self) -> int:
        """Number in the series of the first point after this block."""
        return self.start + self.count


class Series:
    """One series.

    Args:
        index: Its number on the wire.
        key: The metric's name.
        stream: The rank as text, or `system`.

    Attributes:
        count: Points so far.
        last: The newest point, or `None`.
        num_nonfinite: Values so far that are NaN or infinite.
        first_nonfinite_step: Step of the first of them, or `None`.
        extremes: Smallest and largest finite value so far, or `None`.
    """

    def __init__(self, index: int, key: str, stream: str) -> None:
        self.index = index
        self.key = key
        self.stream = stream
        self.count = 0
        self.first: Point | None = None
        self.last: Point | None = None
        self.num_nonfinite = 0
        self.first_nonfinite_step: float | None = None
        self.extremes: tuple[float, float] | None = None
        self._pyramid = Pyramid()
        self._blocks: list[Block] = []
        self._growing: GrowingPoints | None = None
        self._summarized = 0

    def append(self, number: int, columns: Columns) -> None:
        """Add points that were read from journal `number`."""
        n = len(columns)
        if not n:
            return
        if self._growing is None or self._blocks[-1].number != number:
            self.end_block()
            self._growing = GrowingPoints()
            self._blocks.append(Block(number, self.count, 0, self._growing))
        self._growing.append(columns.steps, columns.values, columns.times)
        self._blocks[-1].count += n
        self.count += n
        last = Point(float(columns.steps[-1]), float(columns.values[-1]), float(columns.times[-1]))
        if self.first is None:
            self.first = Point(float(columns.steps[0]), float(columns.values[0]), float(columns.times[0]))
        self.last = last
        if n == 1:
            self._note_value(float(columns.steps[0]), float(columns.values[0]))
        else:
            finite = np.isfinite(columns.values)
            self._note_extremes(columns.values[finite])
            nonfinite = np.flatnonzero(~finite)
            if len(nonfinite):
                self._note_nonfinite(len(nonfinite), float(columns.steps[nonfinite[0]]))
        whole = (self.count - self._summarized) // BUCKET_POINTS * BUCKET_POINTS
        if whole:
            self._summarize(self._summarized + whole)

    def end_block(self) -> None:
        """Say that no more points come from the journal read so far. Buckets never span two journals."""
        if self._growing is None:
            return
        if self._summarized < self.count:
            self._summarize(self.count)
        self._growing.trim()
        self._growing = None

    def append_sealed(self, number: int, source: PointSource, summary: SeriesSummary) -> None:
        """Add points that are sealed already, without reading them."""
        self.end_block()
        buckets = summary.buckets.copy()
        for name in (buckets["start"], buckets["low"]["index"], buckets["high"]["index"]):
            name += self.count
        self._blocks.append(Block(number, self.count, summary.num_points, source))
        self.count += summary.num_points
        self._pyramid.append(buckets)
        self._summarized = self.count
        self._note(summary.first, summary.last)
        for edge in ("low", "high"):
            values = buckets[edge]["value"]
            self._note_extremes(values[np.isfinite(values)])
        if summary.num_nonfinite:
            self._note_nonfinite(summary.num_nonfinite, summary.first_nonfinite_step)

    def seal(self, number: int, source: PointSource) -> None:
        """Free the points of journal `number`; from now on they are read from `source`."""
        if self._blocks and self._blocks[-1].number == number:
            self.end_block()
        for block in reversed(self._blocks):
            if block.number == number:
                block.source = source
                return

    def read(self, start: int = 0, stop: int | None = None) -> Points:
        """Return all points from number `start` to before `stop`."""
        stop = self.count if stop is None else stop
        room = np.empty((3, stop - start))
        self.read_into(start, stop, room)
        return Points(np.arange(start, stop, dtype=np.int64), *room)

    def read_into(self, start: int, stop: int, room: Room) -> None:
        """Copy all points from number `start` to before `stop` into `room`, which is as long."""
        for block in self._blocks:
            first, end = max(start, block.start), min(stop, block.stop)
            if first < end:
                to = room[:, first - start : end - start]
                block.source.read(first - block.start, end - block.start, to)

    def overview(
        self,
        buckets: int | None = None,
        lo: float | None = None,
        hi: float | None = None,
        axis: Axis = "step",
    ) -> Overview:
        """Choose real points of a range: all of them, or at most `2 * buckets` with every spike.

        Args:
            buckets: From 1; `None` for all points.
            lo: Smallest step or time (Unix s) of the range; `None` without limit.
            hi: Largest, inclusive.
            axis: What `lo` and `hi` are.
        """
        return Overview(_Range(self, lo, hi, axis), buckets)

    def is_in_memory(self, start: int, stop: int) -> bool:
        """Tell whether these points can be had without opening a segment."""
        return all(
            block.source.is_in_memory for block in self._blocks if block.start < stop and block.stop > start
        )

    def _summarize(self, stop: int) -> None:
        points = self.read(self._summarized, stop)
        self._pyramid.append(summarize(points.steps, points.values, points.times, self._summarized))
        self._summarized = stop

    def _note(self, first: Point, last: Point) -> None:
        self.first = self.first or first
        self.last = last

    def _note_value(self, step: float, value: float) -> None:
        """Note one value, which numpy would take ten times as long for."""
        if not math.isfinite(value):
            self._note_nonfinite(1, step)
        elif self.extremes is None:
            self.extremes = (value, value)
        elif not self.extremes[0] <= value <= self.extremes[1]:
            self.extremes = (min(value, self.extremes[0]), max(value, self.extremes[1]))

    def _note_extremes(self, finite: Floats) -> None:
        if len(finite):
            low, high = float(finite.min()), float(finite.max())
            if self.extremes is not None:
                low, high = min(low, self.extremes[0]), max(high, self.extremes[1])
            self.extremes = (low, high)

    def _note_nonfinite(self, count: int, first_step: float | None) -> None:
        if not self.num_nonfinite:
            self.first_nonfinite_step = first_step
        self.num_nonfinite += count


class SeriesSummary(NamedTuple):
    """What is known of a block's points without reading them; `buckets` count from the block's first point."""

    num_points: int
    first: Point
    last: Point
    num_nonfinite: int
    first_nonfinite_step: float | None
    buckets: Buckets


def summary_of(steps: Floats, values: Floats, times: Floats) -> SeriesSummary:
    """Sum up a block of n > 0 points."""
    nonfinite = np.flatnonzero(~np.isfinite(values))
    return SeriesSummary(
        len(values),
        Point(float(steps[0]), float(values[0]), float(times[0])),
        Point(float(steps[-1]), float(values[-1]), float(times[-1])),
        len(nonfinite),
        float(steps[nonfinite[0]]) if len(nonfinite) else None,
        summarize(steps, values, times),
    )


class _Range:
    """Which points of a series lie in a range: whole buckets, and single points where a border cuts one."""

    def __init__(self, series: Series, lo: float | None, hi: float | None, axis: Axis) -> None:
        self._series = series
        lowest = series._pyramid.lowest
        open_part = (series._summarized, series.count)
        self._is_whole = lo is None and hi is None
        if self._is_whole:
            self._inside = np.arange(len(lowest))
            cut: list[tuple[int, int]] = []
            self._single = [series.read(*open_part)]
        else:
            self._lo, self._hi, self._axis = -np.inf if lo is None else lo, np.inf if hi is None else hi, axis
            low, high = lowest[f"{axis}_min"], lowest[f"{axis}_max"]
            inside = (low >= self._lo) & (high <= self._hi)
            outside = (high < self._lo) | (low > self._hi)
            self._inside = np.flatnonzero(inside)
            cut = _spans(lowest, np.flatnonzero(~inside & ~outside))
            self._single = [self._filter(series.read(*span)) for span in (*cut, open_part)]
        self._lowest = lowest
        self.count = int(lowest["count"][self._inside].sum()) + sum(
            len(points.values) for points in self._single
        )

    def all(self) -> Points:
        """Return every point of the range."""
        spans = _spans(self._lowest, self._inside)
        return _merge([*(self._series.read(*span) for span in spans), *self._single])

    def read_into(self, room: Room) -> None:
        """Copy every point of the range into `room`, which is as long."""
        if self._is_whole:
            self._series.read_into(0, self._series.count, room)
        else:
            _copy(self.all(), room)

    def decimated(self, buckets: int) -> Points:
        """Return at most `2 * buckets` points, from buckets where they are fine enough, else from the points."""
        spans = _spans(self._lowest, self._inside)
        in_memory = all(self._series.is_in_memory(*span) for span in spans)
        if len(self._inside) < (buckets if in_memory else buckets / _SEALED_DETAIL):
            return decimate(self.all(), buckets)
        parts = [*self._single, *self._ends(spans)]
        runs = np.split(self._inside, np.flatnonzero(np.diff(self._inside) != 1) + 1)
        for run in runs:
            share = -(-buckets * len(run) // len(self._inside))
            covered = self._series._pyramid.cover(int(run[0]), int(run[-1]) + 1, share)
            parts += [candidates(part) for part in covered if len(part)]
        return decimate(_merge(parts), buckets)

    def _ends(self, spans: list[tuple[int, int]]) -> list[Points]:
        """Return the first and the last point of the whole buckets; those of the series are known without reading."""
        series, ends = self._series, []
        for index in (spans[0][0], spans[-1][1] - 1):
            known = series.first if index == 0 else series.last if index == series.count - 1 else None
            if known is None:
                ends.append(series.read(index, index + 1))
            else:
                ends.append(Points(np.array([index]), *(np.array([number]) for number in known)))
        return ends

    def _filter(self, points: Points) -> Points:
        x = points.steps if self._axis == "step" else points.times
        return points.take((x >= self._lo) & (x <= self._hi))


class Overview:
    """What is shown of a range. Where that is all of it, the points are read when they are asked for, to where they are wanted.

    Attributes:
        num_in_range: Points that the range has.
        num_points: Those that are shown.
        decimated: Whether these are not all.
    """

    def __init__(self, chosen: _Range, buckets: int | None) -> None:
        self._chosen = chosen
        self.num_in_range = chosen.count
        self.decimated = buckets is not None and chosen.count > 2 * buckets
        self._fewer = chosen.decimated(buckets) if buckets is not None and self.decimated else None
        self.num_points = chosen.count if self._fewer is None else len(self._fewer.values)

    @property
    def points(self) -> Points:
        """The points."""
        return self._chosen.all() if self._fewer is None else self._fewer

    def read_into(self, room: Room) -> None:
        """Copy the points into `room`, which is as long."""
        if self._fewer is None:
            self._chosen.read_into(room)
        else:
            _copy(self._fewer, room)


def _copy(points: Points, room: Room) -> None:
    room[0], room[1], room[2] = points[1:]


def _spans(lowest: Buckets, which: NDArray[np.intp]) -> list[tuple[int, int]]:
    """Join neighbouring buckets to spans of point numbers (start, stop)."""
    if not len(which):
        return []
    runs = np.split(which, np.flatnonzero(np.diff(which) != 1) + 1)
    return [
        (int(lowest["start"][run[0]]), int(lowest["start"][run[-1]] + lowest["count"][run[-1]]))
        for run in runs
    ]


def _merge(parts: Iterable[Points]) -> Points:
    """Join points, ascending by index, each once."""
    parts = [part for part in parts if len(part.values)]
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Points(np.empty(0, np.int64), np.empty(0), np.empty(0), np.empty(0))
    joined = Points(*(np.concatenate([part[column] for part in parts]) for column in range(4)))
    indices, first = np.unique(joined.indices, return_index=True)
    return (
        joined
        if len(indices) == len(joined.indices) and (first[1:] > first[:-1]).all()
        else joined.take(first)
    )
