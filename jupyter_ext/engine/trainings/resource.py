"""The resource that clients see of a training that the engine holds; `catalog_rows` makes that of one that is over."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from typing import TypeVar

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.trainings.record import LOCAL, MAX_KEYS, Record
from jupyter_ext.engine.trainings.shortening import shortened
from jupyter_ext.protocol.trainings import (
    Captured,
    Cause,
    Extremes,
    LastPoint,
    Progress,
    StartedFrom,
    Sweep,
    Training,
    Urls,
    metric_value,
)

_T = TypeVar("_T")

JSON_KEPT_S = 0.2
"""A resource is the same for all viewers for so long, unless there is news."""


def json_of(record: Record, complete: Callable[[Training], Training]) -> str:
    """Return the resource as JSON, made once for all who look at about the same time.

    Args:
        record: The training.
        complete: Adds what the resource does not know, such as the address of its page.
    """
    now, news = time.monotonic(), record.news()
    if (
        record.cached_json is None
        or record.cached_json[1] != news
        or now - record.cached_json[0] > JSON_KEPT_S
    ):
        record.cached_json = (now, news, complete(shortened(resource_of(record))).model_dump_json())
    return record.cached_json[2]


def resource_of(record: Record) -> Training:
    """Return the resource; its URLs are paths, which the HTTP layer completes."""
    outcome = record.outcome
    cause = outcome.cause if outcome else None
    return Training(
        id=record.id,
        model=record.spec["model"],
        version=record.spec["version"],
        status=record.status,
        input=record.spec.get("given", record.spec["input"]),
        error=_error_text(cause) if record.status == "failed" else None,
        created_at=record.spec["created_at"],
        started_at=None if record.started_at is None else rfc3339(record.started_at),
        completed_at=rfc3339(outcome.ended_at) if outcome else None,
        output=outcome.output if outcome else list(record.streamed) or None,
        metrics=_durations(record),
        urls=Urls(get=f"/v1/{record.kind}s/{record.id}", cancel=f"/v1/{record.kind}s/{record.id}/cancel"),
        kind=record.kind,
        destination=record.spec.get("destination"),
        name=record.spec["name"],
        progress=_progress(record),
        stop=None if record.is_over else record.stop,
        cause=cause,
        exception=outcome.exception if outcome else None,
        captured=[Captured.model_validate(name) for name in record.spec.get("captured", [])],
        notices=list(record.notices),
        last=_last_points(record),
        recorded=dict(record.recorded),
        extremes=_extremes(record),
        cut=["last", "extremes"]
        if record.curves is not None and record.curves.num_series("0") > MAX_KEYS
        else [],
        silent_s=_silent_s(record),
        checkpoint=record.checkpoint,
        resumed_from=record.resumed_from,
        started_from=_started_from(record),
        deadline=None if record.deadline is None else rfc3339(record.deadline),
        tags=list(record.labels.tags),
        notes=record.labels.notes,
        on=record.spec["remote"]["base_url"]
        if "remote" in record.spec
        else record.spec.get("backend", LOCAL),
        workers=record.spec.get("workers", 1),
        sweep=Sweep.model_validate(record.spec["sweep"]) if "sweep" in record.spec else None,
        alerts=list(record.alerts),
        rules=list(record.rules),
        num_media=sum(record.media.values()),
    )


def _started_from(record: Record) -> StartedFrom | None:
    place = record.spec.get("started_from")
    return None if place is None else StartedFrom(notebook=place["notebook"], cell=place["cell"])


def _last_points(record: Record) -> dict[str, LastPoint]:
    points = {} if record.curves is None else _of_both(record.curves.last_points)
    return {
        key: LastPoint.model_construct(step=step, value=metric_value(value), time=at)
        for key, (step, value, at) in points.items()
    }


def _of_both(ask: Callable[[str, int | None], Mapping[str, _T]]) -> dict[str, _T]:
    """Return what is known of the metrics that the code logs, and of those that are read from its lines."""
    own = ask("0", MAX_KEYS)
    return {**(ask("log", MAX_KEYS - len(own)) if len(own) < MAX_KEYS else {}), **own}


def _extremes(record: Record) -> dict[str, Extremes]:
    found = {} if record.curves is None else _of_both(record.curves.extremes)
    return {key: Extremes.model_construct(min=low, max=high) for key, (low, high) in found.items()}


def _durations(record: Record) -> dict[str, float]:
    if record.outcome is None:
        return {}
    metrics = {"total_time": max(0.0, record.outcome.ended_at - record.spec["created_unix"])}
    if record.started_at is not None:
        metrics["predict_time"] = max(0.0, record.outcome.ended_at - record.started_at)
    return metrics | record.outcome.metrics


def _progress(record: Record) -> Progress | None:
    if record.progress is None:
        return None
    current, total, said_at = record.progress
    if not total or not (math.isfinite(total) and math.isfinite(current)):
        return Progress(current=current, total=total)
    fraction = min(1.0, max(0.0, current / total))
    eta_s = None
    if record.started_at is not None and fraction > 0 and not record.is_over:
        whole_s = (said_at - record.started_at) / fraction
        eta_s = max(0.0, record.started_at + whole_s - time.time())
    return Progress(current=current, total=total, fraction=fraction, eta_s=eta_s)


def _silent_s(record: Record) -> float | None:
    since = record.reported_at or record.started_at
    return None if record.is_over or since is None else max(0.0, time.time() - since)


def _error_text(cause: Cause | None) -> str | None:
    return None if cause is None else cause.message
