"""Overviews against a brute-force look at all the points."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from jupyter_ext.engine.metrics.journal.columns import Columns, Room
from jupyter_ext.engine.metrics.points.pyramid import (
    BUCKET_POINTS,
    Points,
    Pyramid,
    candidates,
    decimate,
    summarize,
)
from jupyter_ext.engine.metrics.points.series import Axis, Series, summary_of

Floats = NDArray[np.float64]


def made(n: int, seed: int, kind: str) -> Columns:
    rng = np.random.default_rng(seed)
    steps = {
        "regular": np.arange(n, dtype=float),
        "repeated": np.arange(n, dtype=float) // 3,
        "resumed": np.where(np.arange(n) < n // 2, np.arange(n), np.arange(n) - n // 4).astype(float),
        "shuffled": rng.permutation(n).astype(float),
        "nan": np.where(rng.random(n) < 0.01, np.nan, np.arange(n)),
    }[kind]
    values = rng.standard_normal(n).cumsum()
    values[rng.random(n) < 0.02] = np.nan
    values[rng.random(n) < 0.01] = np.inf
    if n > 300:
        values[100:250] = np.nan  # whole buckets of them
    times = 1.7e9 + rng.random(n).cumsum()
    return Columns(steps, values, times, np.arange(n))


def series_of(columns: Columns, randomly: random.Random, *, blocks: int = 1) -> Series:
    """Append in pieces of random size, from several journals."""
    series = Series(0, "loss", "0")
    start, n = 0, len(columns)
    while start < n:
        size = randomly.choice([1, 2, 63, 64, 65, 1000, 20_000])
        number = min(blocks - 1, start * blocks // n)
        series.append(number, columns.part(start, min(n, start + size)))
        start += size
    return series


def in_range(columns: Columns, lo: float | None, hi: float | None, axis: Axis) -> NDArray[np.intp]:
    x = columns.steps if axis == "step" else columns.times
    keep = np.ones(len(x), bool) if lo is None and hi is None else ~np.isnan(x)
    with np.errstate(invalid="ignore"):
        if lo is not None:
            keep &= x >= lo
        if hi is not None:
            keep &= x <= hi
    return np.flatnonzero(keep)


def assert_real(points: Points, columns: Columns) -> None:
    assert (np.diff(points.indices) > 0).all()
    for got, whole in zip(points[1:], columns[:3], strict=True):
        np.testing.assert_array_equal(got, whole[points.indices])


@pytest.mark.parametrize("kind", ["regular", "repeated", "resumed", "shuffled", "nan"])
@pytest.mark.parametrize("n", [1, 63, 64, 65, 1000, 40_000])
def test_any_overview_has_real_points_both_ends_and_every_spike(kind: str, n: int) -> None:
    randomly = random.Random(n)
    columns = made(n, n, kind)
    series = series_of(columns, randomly, blocks=3)
    assert series.count == n
    assert series.num_nonfinite == int((~np.isfinite(columns.values)).sum())
    for _ in range(30):
        axis: Axis = randomly.choice(["step", "time"])
        x = columns.steps if axis == "step" else columns.times
        bounds = sorted(float(v) for v in np.nan_to_num(x[[randomly.randrange(n), randomly.randrange(n)]]))
        lo, hi = randomly.choice([(None, None), (bounds[0], bounds[1]), (bounds[0], None), (None, bounds[1])])
        buckets = randomly.choice([1, 2, 7, 100, 1000])
        expected = in_range(columns, lo, hi, axis)
        got = series.overview(buckets, lo, hi, axis)
        assert got.num_in_range == len(expected)
        assert_real(got.points, columns)
        room = np.full((3, got.num_points), -1.0)
        got.read_into(room)
        np.testing.assert_array_equal(room, np.stack(got.points[1:]))
        assert np.isin(got.points.indices, expected).all()
        if len(expected) <= 2 * buckets:
            assert not got.decimated
            assert got.points.indices.tolist() == expected.tolist()
            continue
        assert got.decimated
        assert len(got.points.values) <= 2 * buckets
        assert (got.points.indices[0], got.points.indices[-1]) == (expected[0], expected[-1])
        inner = columns.values[expected[1:-1]]
        inner = inner[np.isfinite(inner)]
        if buckets > 1 and len(inner):
            assert inner.max() in got.points.values
            assert inner.min() in got.points.values


def test_every_spike_of_one_point_is_seen_at_every_zoom() -> None:
    n = 300_000
    values = np.zeros(n)
    spikes = np.random.default_rng(0).choice(np.arange(1, n - 1), 20, replace=False)
    values[spikes] = np.arange(1, 21)
    series = Series(0, "loss", "0")
    series.append(0, Columns(np.arange(n, dtype=float), values, np.arange(n, dtype=float), np.arange(n)))
    for buckets in (500, 1000):
        got = series.overview(buckets)
        groups = np.unique(spikes * (buckets - 1) // n)
        assert len(np.intersect1d(got.points.indices, spikes)) >= len(groups) - 2
    for spike in spikes:
        zoomed = series.overview(50, float(spike) - 5000, float(spike) + 5000)
        assert spike in zoomed.points.indices or values[zoomed.points.indices].max() > values[spike]


def test_a_series_that_became_nan_is_still_drawn() -> None:
    n = 10_000
    values = np.where(np.arange(n) < 5000, 1.0, np.nan)
    series = Series(0, "loss", "0")
    series.append(0, Columns(np.arange(n) * 2.0, values, np.arange(n, dtype=float), np.arange(n)))
    got = series.overview(20).points
    assert np.isnan(got.values).sum() >= 8
    assert (series.num_nonfinite, series.first_nonfinite_step) == (5000, 10_000.0)


def test_without_buckets_all_points_come() -> None:
    columns = made(5000, 1, "resumed")
    series = series_of(columns, random.Random(1))
    got = series.overview()
    assert (got.num_in_range, got.decimated) == (5000, False)
    assert_real(got.points, columns)
    assert len(got.points.values) == 5000


class Counted:
    """A sealed block whose reads are counted."""

    is_in_memory = False

    def __init__(self, columns: Columns) -> None:
        self.columns = columns
        self.points_read = 0

    def read(self, start: int, stop: int, room: Room) -> None:
        self.points_read += stop - start
        room[:] = self.columns.part(start, stop)[:3]


@pytest.mark.parametrize("by", ["seal", "append_sealed"])
def test_sealed_points_are_read_only_where_a_range_cuts_a_bucket(by: str) -> None:
    columns = made(200_000, 3, "regular")
    halves = columns.part(0, 100_000), columns.part(100_000, 200_000)
    series, sources = Series(0, "loss", "0"), [Counted(half) for half in halves]
    for number, (half, source) in enumerate(zip(halves, sources, strict=True)):
        if by == "seal":
            series.append(number, half)
            series.seal(number, source)
        else:
            series.append_sealed(number, source, summary_of(half.steps, half.values, half.times))
    live = Series(0, "loss", "0")
    for number, half in enumerate(halves):
        live.append(number, half)
    live.end_block()
    for source in sources:
        source.points_read = 0
    np.testing.assert_array_equal(series.overview(500).points, live.overview(500).points)
    assert [source.points_read for source in sources] == [0, 0]
    got, expected = (one.overview(500, 1234, 187_654) for one in (series, live))
    np.testing.assert_array_equal(got.points, expected.points)
    assert got.num_in_range == 187_654 - 1234 + 1
    assert sum(source.points_read for source in sources) <= 2 * BUCKET_POINTS + 2
    exact = series.overview(500, 99_800, 100_200)
    assert exact.points.steps.tolist() == list(range(99_800, 100_201))
    assert series.last == live.last
    assert (series.num_nonfinite, series.first_nonfinite_step) == (
        live.num_nonfinite,
        live.first_nonfinite_step,
    )


def test_levels_cover_a_run_of_buckets_once() -> None:
    n = 64 * 1000
    values = np.random.default_rng(0).standard_normal(n)
    x = np.arange(n, dtype=float)
    pyramid = Pyramid()
    for start in range(0, n, 640):
        part = slice(start, start + 640)
        pyramid.append(summarize(x[part], values[part], x[part], start))
    randomly = random.Random(0)
    for _ in range(200):
        first, last = sorted(randomly.sample(range(1001), 2))
        covered = np.concatenate(pyramid.cover(first, last, randomly.randrange(1, 300)))
        assert covered["start"][0] == first * 64
        assert (covered["start"][1:] == covered["start"][:-1] + covered["count"][:-1]).all()
        assert covered["start"][-1] + covered["count"][-1] == last * 64
        points = candidates(covered)
        assert points.values.max() == values[first * 64 : last * 64].max()
        assert points.values.min() == values[first * 64 : last * 64].min()


@pytest.mark.parametrize("n", [3, 5, 6, 7, 100, 999])
@pytest.mark.parametrize("buckets", [1, 2, 3, 49])
def test_decimate_never_gives_more_than_asked(n: int, buckets: int) -> None:
    rng = np.random.default_rng(n)
    x: Any = np.arange(n)
    points = Points(x, x.astype(float), rng.standard_normal(n), x.astype(float))
    kept = decimate(points, buckets)
    assert len(kept.values) <= 2 * buckets
    assert kept.indices[0] == 0
    assert kept.indices[-1] == n - 1
