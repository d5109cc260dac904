"""One line of the benchmark table: a figure beside a peer or a physical limit measured in the same run, and its goal.

Rule: a time says nothing on another machine, so a goal for a time or a rate is a ratio to the peer. Only what is the
same on every machine, such as bytes per point or lost points, may have a goal in its own unit.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

_MACHINE_DEPENDENT = ("s", "ms", "us", "/s", "M points/s")


@dataclass(frozen=True)
class Goal:
    """A bound on the ratio to the peer (unit `x`), or on the figure itself in a unit that no machine changes."""

    sign: Literal["<=", ">="]
    bound: float
    unit: str = "x"

    def __post_init__(self) -> None:
        if self.unit in _MACHINE_DEPENDENT:
            raise ValueError(f"A goal in {self.unit!r} holds on one machine only; give a peer and a ratio.")

    def __str__(self) -> str:
        return f"{self.sign} {self.bound:,.4g}{'' if self.unit in ('x', '') else ' '}{self.unit}"

    def holds(self, figure: float) -> bool:
        """Tell whether a figure is within the bound."""
        return figure <= self.bound if self.sign == "<=" else figure >= self.bound


def at_most(bound: float, unit: str = "x") -> Goal:
    """Return a goal with an upper bound."""
    return Goal("<=", bound, unit)


def at_least(bound: float, unit: str = "x") -> Goal:
    """Return a goal with a lower bound."""
    return Goal(">=", bound, unit)


@dataclass(frozen=True)
class Row:
    """What was measured.

    Args:
        name: What it is, the same in every run: it is how runs are compared.
        measured: The figure.
        unit: Its unit, which is the peer's too.
        peer: What is beside it; empty where there is nothing.
        peer_measured: The peer's figure.
        goal: What it should reach.
    """

    name: str
    measured: float
    unit: str
    peer: str = ""
    peer_measured: float | None = None
    goal: Goal | None = None

    def __post_init__(self) -> None:
        if self.goal is not None and self.goal.unit == "x" and self.peer_measured is None:
            raise ValueError(f"The goal of {self.name!r} is a ratio, and there is no peer's figure.")

    @classmethod
    def left_out(cls, name: str, why: str) -> Row:
        """Return a row that says why there is no figure: what it needs is not installed, or not here."""
        return cls(name, math.nan, "", f"left out: {why}")

    @property
    def is_left_out(self) -> bool:
        """Tell whether there is no figure."""
        return math.isnan(self.measured)

    @property
    def ratio(self) -> float | None:
        """Return ours over the peer's."""
        return self.measured / self.peer_measured if self.peer_measured else None

    @property
    def met(self) -> bool | None:
        """Tell whether the goal is met; `None` where there is no goal."""
        if self.goal is None:
            return None
        if self.goal.unit != "x":
            return self.goal.holds(self.measured)
        # a peer of exactly 0 leaves no ratio
        return self.goal.holds(self.ratio if self.ratio is not None else float("inf"))

    def to_json(self) -> dict[str, Any]:
        """Return it as it is saved."""
        goal = self.goal and {"sign": self.goal.sign, "bound": self.goal.bound, "unit": self.goal.unit}
        return {
            "name": self.name,
            "measured": None if self.is_left_out else self.measured,
            "unit": self.unit,
            "peer": self.peer,
            "peer_measured": self.peer_measured,
            "ratio": self.ratio,
            "goal": goal,
            "met": self.met,
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Row:
        """Return the row that `to_json` wrote."""
        goal = saved["goal"] and Goal(**saved["goal"])
        return cls(
            saved["name"],
            math.nan if saved["measured"] is None else saved["measured"],
            saved["unit"],
            saved["peer"],
            saved["peer_measured"],
            goal,
        )


def median(values: Sequence[float]) -> float:
    """Return the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
