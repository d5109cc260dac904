"""The mean of several runs' curves and how far they scatter, as the page computes it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

_MAX_POINTS = 400


class MeanCurve(NamedTuple):
    """A mean curve and its band of one standard deviation (of the runs, n in the denominator)."""

    x: NDArray[np.float64]
    mean: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]


def mean_curve(curves: Sequence[tuple[NDArray[np.float64], NDArray[np.float64]]]) -> MeanCurve:
    """Average curves over x: between its points each is a straight line, outside of them it has no say.

    Args:
        curves: x and y of each, ascending in x; points that are not finite are left out.
    """
    clean = [(x[kept], y[kept]) for x, y in curves if (kept := np.isfinite(x) & np.isfinite(y)).any()]
    grid = np.unique(np.concatenate([x for x, _ in clean])) if clean else np.empty(0)
    if len(grid) > _MAX_POINTS:
        stride = (len(grid) - 1) / (_MAX_POINTS - 1)
        grid = grid[np.floor(np.arange(_MAX_POINTS) * stride + 0.5).astype(int)]
    if not len(grid):
        return MeanCurve(grid, grid, grid, grid)
    rows = np.array([_interpolated(grid, x, y) for x, y in clean])
    mean = np.nanmean(rows, axis=0)
    spread = np.nanstd(rows, axis=0)
    return MeanCurve(grid, mean, mean - spread, mean + spread)


def _interpolated(
    grid: NDArray[np.float64], x: NDArray[np.float64], y: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Interpolate; of points at one x the last holds there."""
    last = np.append(x[1:] != x[:-1], True)
    values: NDArray[np.float64] = np.interp(grid, x[last], y[last], left=np.nan, right=np.nan)
    return values
