"""The states of a training, and which may follow which. Pure: no I/O, no clock.

Source: Replicate's HTTP API reference, "status" of a training.
"""

from __future__ import annotations

from jupyter_ext.protocol.trainings import Status

TRANSITIONS: dict[Status, frozenset[Status]] = {
    "starting": frozenset({"processing", "failed", "canceled"}),
    "processing": frozenset({"succeeded", "failed", "canceled"}),
    "succeeded": frozenset(),
    "failed": frozenset(),
    "canceled": frozenset(),
}


def path(now: Status, then: Status) -> list[Status]:
    """List the states to pass on the way from one to another, the last being `then`.

    Raises:
        ValueError: No way leads there.
    """
    if then == now:
        return []
    if then in TRANSITIONS[now]:
        return [then]
    if now == "starting" and then in TRANSITIONS["processing"]:
        return ["processing", then]
    raise ValueError(f"a training that is {now!r} cannot become {then!r}")
