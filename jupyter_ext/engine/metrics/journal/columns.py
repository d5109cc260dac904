"""Points of one series as numpy columns: the form in which all that reads, seals and serves them hands them on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_ext.ipc.late_import import late

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Room = NDArray[np.float64]
    """Where points are read into: shape (3, n) for the steps, values and times (Unix s) of n of them."""
else:
    np = late("numpy")
    Floats = Ints = Room = Any

_MAX_TIME_S = 9e9


class Columns(NamedTuple):
    """Points of one series in the order they came: float64 `steps`, `values`, `times` (Unix s, whole microseconds)
    and int64 `ordinals` (each point's number in its stream), all of length n.
    """

    steps: Floats
    values: Floats
    times: Floats
    ordinals: Ints

    def __len__(self) -> int:
        return len(self.values)

    def part(self, start: int, stop: int) -> Columns:
        """Return the points from `start` to before `stop`, as views."""
        steps, values, times, ordinals = self
        return Columns(steps[start:stop], values[start:stop], times[start:stop], ordinals[start:stop])


def join(parts: Iterable[Columns]) -> Columns:
    """Join points of one series, in the order of their ordinals."""
    parts = list(parts)
    if len(parts) == 1:
        return parts[0]
    if not parts:
        return Columns(np.empty(0), np.empty(0), np.empty(0), np.empty(0, np.int64))
    steps, values, times = (np.concatenate([part[column] for part in parts]) for column in range(3))
    ordinals = np.concatenate([part.ordinals for part in parts])
    if (ordinals[1:] > ordinals[:-1]).all():
        return Columns(steps, values, times, ordinals)
    order = np.argsort(ordinals, kind="stable")
    return Columns(steps[order], values[order], times[order], ordinals[order])


def clean_times(times: Floats) -> Floats:
    """Round to microseconds, which Parquet keeps, so that a point is the same before and after it is sealed."""
    finite = np.nan_to_num(times, nan=0.0, posinf=_MAX_TIME_S, neginf=-_MAX_TIME_S)
    rounded: Floats = np.rint(np.clip(finite, -_MAX_TIME_S, _MAX_TIME_S) * 1e6) / 1e6
    return rounded
