"""The whole curve of a resumed training: its own points after those of the runs before it.

Rule: of an earlier run, what it logged after the checkpoint is hidden, never deleted: asked for by its own id, it is
all there. A point counts as logged after the checkpoint when it is later in time and its step lies beyond the
checkpoint's. Where the later run has begun a series again, the earlier one ends there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

from jupyter_ext.engine.metrics.points.series import Axis
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.ipc.late_import import late
from jupyter_ext.protocol.metrics_codec import SeriesColumns, decode_columns, encode_columns

if TYPE_CHECKING:
    import numpy as np
else:
    np = late("numpy")


@dataclass(frozen=True)
class Link:
    """One run of a resumed curve and up to where it counts: `None` for the last run, all of which does."""

    store: RunStore
    step: float | None = None
    """Step of the checkpoint that the next run went on from."""
    saved_at: float | None = None
    """Unix time at which that checkpoint was saved."""


class Query(NamedTuple):
    """What part of the curve is asked for; see `RunStore.columns`."""

    keys: Sequence[str] | None = None
    buckets: int | None = None
    axis: Axis = "step"
    lo: float | None = None
    hi: float | None = None


def columns(lineage: Sequence[Link], query: Query) -> bytes:
    """Encode the joined series of resumed runs as columns (JXC1).

    Args:
        lineage: Runs, the oldest first.
        query: What is asked for; `buckets` bounds what each run gives of each series.
    """
    own = lineage[-1]
    head, last = decode_columns(own.store.columns(query.keys, query.buckets, query.axis, query.lo, query.hi))
    infos: dict[tuple[str, str], dict[str, Any]] = {
        (item["key"], item["rank"]): item for item in head["series"]
    }
    parts = {(item.key, item.rank): [item] for item in last}
    starts = _first_steps(own.store)
    for link in reversed(lineage[:-1]):
        ends = _ends(link, starts)
        old_infos, old = _until(link.store, ends, query)
        for info, item in zip(old_infos, old, strict=True):
            name = item.key, item.rank
            if name not in infos:
                infos[name] = {**info, "index": len(infos), "n": 0, "count": 0}
            infos[name]["count"] += info["count"]
            infos[name]["decimated"] = infos[name]["decimated"] or info["decimated"]
            parts.setdefault(name, []).insert(0, item)
        for name, step in _first_steps(link.store).items():
            starts[name] = min(step, starts.get(name, math.inf))
    joined = [_join(name, items) for name, items in parts.items()]
    for item in joined:
        infos[item.key, item.rank]["n"] = len(item.values)
    return encode_columns({**head, "series": [infos[item.key, item.rank] for item in joined]}, joined)


def _first_steps(store: RunStore) -> dict[tuple[str, str], float]:
    """Return the first step of each series."""
    _, found = decode_columns(store.columns(buckets=1))
    return {(item.key, item.rank): float(item.steps[0]) for item in found if len(item.steps)}


def _ends(link: Link, starts: dict[tuple[str, str], float]) -> dict[tuple[str, str], float]:
    """Give, of each series that goes on after the checkpoint, the Unix time of its first hidden point."""
    assert link.step is not None
    _, after = decode_columns(link.store.columns(axis="time", lo=link.saved_at))
    ends = {}
    for item in after:
        limit = starts.get((item.key, item.rank), math.inf)
        hidden = np.flatnonzero((item.steps > link.step) | (item.steps >= limit))
        if len(hidden):
            ends[item.key, item.rank] = float(item.times[hidden[0]])
    for name, step in starts.items():
        restarted_at = _restart_time(link.store, name, step)
        if restarted_at is not None:
            ends[name] = min(restarted_at, ends.get(name, math.inf))
    return ends


def _restart_time(store: RunStore, name: tuple[str, str], step: float) -> float | None:
    """Return the Unix time from which on a series has only steps that the later run has too, if there is such a time."""
    repeated = _one(store, name, axis="step", lo=step)
    if repeated is None or not len(repeated.times):
        return None
    since = float(repeated.times.min())
    rest = _one(store, name, axis="time", lo=since)
    return since if rest is not None and len(rest.times) == len(repeated.times) else None


def _one(store: RunStore, name: tuple[str, str], *, axis: Axis, lo: float) -> SeriesColumns | None:
    _, found = decode_columns(store.columns([name[0]], axis=axis, lo=lo))
    return next((item for item in found if (item.key, item.rank) == name), None)


def _until(
    store: RunStore, ends: dict[tuple[str, str], float], query: Query
) -> tuple[list[dict[str, Any]], list[SeriesColumns]]:
    """Return the points of a range, each series up to its end. Where all is asked for, the pyramid is used."""
    if query.lo is None and query.hi is None:
        hi = {end: math.nextafter(end, -math.inf) for end in {*ends.values()}}
        infos, found = [], []
        for end in {ends.get(name, math.inf) for name in _names(store)}:
            head, some = decode_columns(store.columns(query.keys, query.buckets, "time", None, hi.get(end)))
            for info, item in zip(head["series"], some, strict=True):
                if ends.get((item.key, item.rank), math.inf) == end and len(item.values):
                    infos.append(info)
                    found.append(item)
        return infos, found
    head, some = decode_columns(store.columns(query.keys, None, query.axis, query.lo, query.hi))
    infos, found = [], []
    for info, item in zip(head["series"], some, strict=True):
        visible = item.times < ends.get((item.key, item.rank), math.inf)
        if visible.any():
            infos.append({**info, "count": int(visible.sum())})
            found.append(_thin(_take(item, visible), query.buckets))
    return infos, found


def _names(store: RunStore) -> list[tuple[str, str]]:
    return [(info.key, info.rank) for info in store.series_infos()]


def _take(item: SeriesColumns, which: Any) -> SeriesColumns:
    return replace(item, steps=item.steps[which], values=item.values[which], times=item.times[which])


def _thin(item: SeriesColumns, buckets: int | None) -> SeriesColumns:
    """Keep of each of so many parts the point with the smallest and the one with the largest value."""
    n = len(item.values)
    if buckets is None or n <= 2 * buckets:
        return item
    kept = {0, n - 1}
    for part in np.array_split(np.arange(n), buckets):
        values = np.nan_to_num(item.values[part])
        kept.update((int(part[values.argmin()]), int(part[values.argmax()])))
    return _take(item, np.array(sorted(kept)))


def _join(name: tuple[str, str], items: list[SeriesColumns]) -> SeriesColumns:
    return SeriesColumns(
        items[-1].index,
        *name,
        np.concatenate([item.steps for item in items]),
        np.concatenate([item.values for item in items]),
        np.concatenate([item.times for item in items]),
    )
