"""The value by which a trial is compared."""

from __future__ import annotations

import math

from jupyter_ext.protocol.trainings import Training


def value_of(training: Training, metric: str) -> float | None:
    """Return the value of a trial, or `None` where it has none: only finite numbers are compared.

    Args:
        training: The trial's training.
        metric: A metric that it logs, of which the last value counts, or a key of the mapping that it returned; empty for the number
            that it returned.
    """
    number = _number(_found(training, metric))
    return number if number is not None and math.isfinite(number) else None


def why_no_value(training: Training, metric: str) -> tuple[str, bool]:
    """Return why a trial has no value, and whether that is one of the code's numbers, so that other trials may well have one."""
    found = _found(training, metric)
    number = _number(found)
    if number is not None:
        return f"{metric or 'its result'} is {number}, which cannot be compared", True
    logged = ", ".join(key for key in training.last if not key.startswith("system/")) or "nothing"
    if metric:
        return f"logged no {metric!r}, by which trials are compared; it logged: {logged}", False
    return (
        f"returned {training.output!r:.80}, which is no number to compare; return one, or name a metric "
        f"that the code logs: --metric (it logged: {logged})",
        False,
    )


def _found(training: Training, metric: str) -> object:
    if not metric:
        return training.output
    point = training.last.get(metric)
    if point is not None:
        return point.value
    return training.output.get(metric) if isinstance(training.output, dict) else None


def _number(found: object) -> float | None:
    """Return a number as it is, NaN and infinities too, which JSON has as texts."""
    if isinstance(found, bool) or not isinstance(found, int | float | str):
        return None
    try:
        return float(found)
    except (ValueError, OverflowError):
        return None
