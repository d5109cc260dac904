"""The value by which a trial is compared."""

from __future__ import annotations

import math

from jupyter_ext.protocol.trainings import Training


def value_of(training: Training, metric: str) -> float | None:
    """Return the value of a trial, or `None` where it has none.

    Args:
        training: The trial's training.
        metric: A metric that it logs, of which the last value counts, or a key of the mapping that it returned; empty for the number
            that it returned.
    """
    found: object = training.output
    if metric:
        point = training.last.get(metric)
        returned = found.get(metric) if isinstance(found, dict) else None
        found = returned if point is None else point.value
    if isinstance(found, str):
        try:
            found = float(found)
        except ValueError:
            return None
    if isinstance(found, bool) or not isinstance(found, int | float) or math.isnan(found):
        return None
    return float(found)
