"""Whether a training in a service's list is the one that a create asked for whose answer was lost.

Rule: what cannot be told is told to be unclear. A training that runs twice costs its user more than a look at a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from jupyter_ext.engine.services.replicate.clock import parse_time

Judgement = Literal["ours", "other", "unclear"]

_SKEW = timedelta(minutes=1)
"""Between the clock that an answer's `Date` shows and the one that a training's `created_at` was read from."""
_UNKNOWN_SKEW = timedelta(days=1)
"""Between our clock and that of a service which does not show it."""


@dataclass(frozen=True)
class Wanted:
    """A training that a service is asked for; `asked_at` is Unix time by our own clock."""

    model: str
    version: str
    destination: str | None
    inputs: Mapping[str, object]
    asked_at: float

    def judge(self, item: Mapping[str, object], ahead_s: float | None, claimed: Set[str]) -> Judgement:
        """Tell whether a listed training is this one.

        Args:
            item: The training as the service lists it.
            ahead_s: How far the service's clock is ahead of ours, seconds, if it is known.
            claimed: Ids of trainings that are other runs of this engine.
        """
        if item.get("id") in claimed:
            return "other"
        parts: list[Judgement] = [
            _same(item.get("model"), self.model),
            _same(item.get("version"), self.version),
            _same_inputs(item.get("input"), self.inputs),
            self._is_new(item.get("created_at"), ahead_s),
        ]
        return "other" if "other" in parts else "unclear" if "unclear" in parts else "ours"

    def is_before(self, item: Mapping[str, object], ahead_s: float | None) -> bool:
        """Tell whether a listed training was certainly made earlier, and so all that come after it in the list."""
        return self._is_new(item.get("created_at"), ahead_s) == "other"

    def _is_new(self, text: Any, ahead_s: float | None) -> Judgement:
        created = parse_time(text)
        if created is None:
            return "unclear"
        asked = datetime.fromtimestamp(self.asked_at + (ahead_s or 0.0), UTC)
        if created >= asked - _SKEW:
            return "ours"
        return "unclear" if ahead_s is None and created >= asked - _UNKNOWN_SKEW else "other"


def _same(told: Any, wanted: str) -> Judgement:
    return "unclear" if told is None else "ours" if told == wanted else "other"


def _same_inputs(told: Any, given: Mapping[str, object]) -> Judgement:
    """Compare inputs: a service may add defaults, and show stars for a secret."""
    if not isinstance(told, Mapping):
        return "unclear"
    judgement: Judgement = "ours"
    for name, value in given.items():
        if name in told and told[name] == value:
            continue
        if isinstance(value, str) and isinstance(told.get(name), str):
            if set(told[name]) <= {"*"}:
                continue
            if value.startswith(("http:", "https:", "data:")):  # a file, which it may have moved
                judgement = "unclear"
                continue
        return "other" if name in told else "unclear"
    return judgement
