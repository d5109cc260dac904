"""What a sweep is to do, and what came of it, as they are stored."""

from __future__ import annotations

from typing import Literal, NotRequired, TypedDict

from jupyter_ext.client.requests.place import RayPlace
from jupyter_ext.client.sweeps.space import DimensionJSON

Direction = Literal["minimize", "maximize"]


class PlanJSON(TypedDict):
    """What a sweep is to do, as the inputs of the training that drives it.

    Attributes:
        trials: How many trials in all.
        parallel: At most so many at a time.
        metric: What is compared: a metric's name; empty for what `train()` returns.
        direction: Which is better.
        space: What is varied.
        fixed: The other inputs.
        model: Owner and name of the code's model.
        version: The code.
        workers: How many processes each trial has.
        ray: Where on a Ray cluster each trial runs; for on this machine `None`, or not there.
        prune: Whether a trial that does worse than half of the others is ended early.
        seed: Of the choice of inputs, or `None`.
    """

    trials: int
    parallel: int
    metric: str
    direction: Direction
    space: dict[str, DimensionJSON]
    fixed: dict[str, object]
    model: str
    version: str
    workers: int
    prune: bool
    seed: int | None
    ray: NotRequired[RayPlace | None]


class TrialJSON(TypedDict):
    """One trial in the result of a sweep."""

    trial: int
    training: str | None
    state: str
    value: float | None
    input: dict[str, object]


class ResultJSON(TypedDict):
    """The result of a sweep."""

    best: TrialJSON | None
    trials: list[TrialJSON]
