"""Smooth a curve as the page does: exponentially (TensorBoard's), by a Gaussian, or by a running mean."""

from __future__ import annotations

import math
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

Smoothing = Literal["ema", "gaussian", "mean"]

_SMOOTHING_SAMPLES = 1000
"""Smoothing is felt alike on a short and a long run: above this many samples its reach grows with the run."""
_GAUSSIAN_REACH = 3.0
"""A Gaussian is cut off after so many standard deviations."""
_MAX_BUCKETS = 800


def smooth(
    values: NDArray[np.float64], weights: NDArray[np.float64], kind: Smoothing, weight: float
) -> NDArray[np.float64]:
    """Smooth values of which each stands for some samples.

    All kinds reach equally far: the exponential average forgets by 1/e, the Gaussian has its standard deviation, and the
    running mean its half width at `-1 / ln(weight)` samples. A value that is not finite stays a gap.

    Args:
        values: Means of the samples; NaN is a gap.
        weights: How many samples each stands for.
        kind: Which.
        weight: Weight of the past per sample, from 0 (none) to below 1.

    Raises:
        ValueError: The weight is out of range, or there is no such kind.
    """
    given: object = weight
    if not isinstance(given, int | float) or not 0 <= given < 1:
        raise ValueError(f"smoothing={weight!r}; give the weight of the past, from 0 (none) to below 1.")
    if kind not in get_args(Smoothing):
        raise ValueError(f"smoothing_kind={kind!r}; there are: {', '.join(get_args(Smoothing))}.")
    if weight == 0 or not len(values):
        return values.copy()
    scale = min(1.0, _SMOOTHING_SAMPLES / float(weights.sum()))
    if kind == "ema":
        return _exponential(values, weights, weight, scale)
    return _windowed(values, weights, -1 / (math.log(weight) * scale), kind)


def _exponential(
    values: NDArray[np.float64], weights: NDArray[np.float64], weight: float, scale: float
) -> NDArray[np.float64]:
    smoothed = np.full(len(values), np.nan)
    average, bias = 0.0, 1.0
    for i, value in enumerate(values):
        if math.isfinite(value):
            keep = weight ** (weights[i] * scale)
            average = average * keep + value * (1 - keep)
            bias *= keep
            smoothed[i] = average / (1 - bias) if bias < 1 else average
    return smoothed


def _windowed(
    values: NDArray[np.float64], weights: NDArray[np.float64], reach: float, kind: Smoothing
) -> NDArray[np.float64]:
    radius = _GAUSSIAN_REACH * reach if kind == "gaussian" else reach
    at = np.cumsum(weights) - weights / 2
    known = np.isfinite(values)
    smoothed = np.full(len(values), np.nan)
    for i in np.flatnonzero(known):
        first, last = np.searchsorted(at, at[i] - radius), np.searchsorted(at, at[i] + radius, "right")
        near = slice(int(first), int(last))
        factors = weights[near] * known[near]
        if kind == "gaussian":
            factors = factors * np.exp(-0.5 * ((at[near] - at[i]) / reach) ** 2)
        smoothed[i] = (factors * np.where(known[near], values[near], 0)).sum() / factors.sum()
    return smoothed


def bucket_means(
    x: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Divide a curve into at most 800 buckets, as the page holds it.

    Returns:
        The last x, the mean of the finite values (NaN where there is none) and the number of samples of each bucket.
    """
    size = 1
    while len(values) > size * _MAX_BUCKETS:
        size *= 2
    starts = np.arange(0, len(values), size)
    finite = np.isfinite(values)
    sums = np.add.reduceat(np.where(finite, values, 0.0), starts) if len(values) else np.empty(0)
    counts = np.add.reduceat(finite.astype(float), starts) if len(values) else np.empty(0)
    with np.errstate(invalid="ignore", divide="ignore"):
        means = np.where(counts > 0, sums / counts, np.nan)
    ends = np.minimum(starts + size, len(values)) - 1
    return x[ends], means, (ends - starts + 1).astype(float)
