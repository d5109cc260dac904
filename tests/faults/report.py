"""What a campaign has done and found, as text."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Report:
    """What a campaign has done and found."""

    rounds: Counter[str] = field(default_factory=Counter)
    strikes: Counter[str] = field(default_factory=Counter)
    missed: Counter[str] = field(default_factory=Counter)
    """Victims that were not there at the moment."""
    states: Counter[str] = field(default_factory=Counter)
    trainings: int = 0
    resumed: int = 0
    acknowledged: int = 0
    slowest_recovery_s: float = 0.0
    slowest_recovery_of: str = "none"
    violations: list[str] = field(default_factory=list)

    def recovered(self, seconds: float, what: str) -> None:
        """Remember how long it took from the last strike until everything was told."""
        if seconds > self.slowest_recovery_s:
            self.slowest_recovery_s, self.slowest_recovery_of = seconds, what

    def check(self, is_so: bool, else_say: str) -> None:
        """Note a violation, unless something is so."""
        if not is_so:
            self.violations.append(else_say)

    def lines(self) -> list[str]:
        """Return the report as text."""

        def counts(of: Counter[str]) -> str:
            return ", ".join(f"{name} {number}" for name, number in sorted(of.items())) or "none"

        return [
            f"rounds               {self.rounds.total()} ({counts(self.rounds)})",
            f"trainings            {self.trainings} ({counts(self.states)}), {self.resumed} of them resumed",
            f"strikes              {self.strikes.total()} ({counts(self.strikes)}); not there: {counts(self.missed)}",
            f"acknowledged records {self.acknowledged}, each looked for once and in order",
            f"slowest recovery     {self.slowest_recovery_s:.1f} s from the last strike to all states told ({self.slowest_recovery_of})",
            f"violations           {len(self.violations)}",
            *(f"  {violation}" for violation in self.violations),
        ]
