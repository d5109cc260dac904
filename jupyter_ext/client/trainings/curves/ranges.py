"""How far a plot's y axis goes, as the page computes it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_PAD_SHARE = 0.06
_QUANTILES = (0.05, 0.95)
_WHISKER = 1.0


def extent_of(
    values: NDArray[np.float64], *, log: bool = False, ignore_outliers: bool = False
) -> tuple[float, float] | None:
    """Return the range of the finite values with some room, in data units; `None` where there are none.

    Args:
        values: What is seen.
        log: Whether the axis is logarithmic: values that are not positive have no place on it.
        ignore_outliers: End one distance between the 5 % and 95 % quantiles beyond these.
    """
    seen = values[np.isfinite(values)]
    if log:
        seen = np.log10(seen[seen > 0])
    if not len(seen):
        return None
    low, high = float(seen.min()), float(seen.max())
    if ignore_outliers:
        lower, upper = np.quantile(seen, _QUANTILES)
        reach = _WHISKER * (upper - lower)
        low, high = max(low, float(lower - reach)), min(high, float(upper + reach))
    if low == high == 0 and not log:
        return 0.0, 1.0
    pad = _PAD_SHARE * (high - low) if high > low else 0.5 if log else abs(low) * 0.2 or 1.0
    return (10 ** (low - pad), 10 ** (high + pad)) if log else (low - pad, high + pad)
