"""One line of the benchmark table, and how it is printed."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Row:
    """What was measured, beside a peer or a physical limit measured in the same run."""

    name: str
    measured: float
    unit: str
    peer: str
    peer_measured: float | None
    goal: str
    met: bool | None = None

    @property
    def ratio(self) -> float | None:
        """Give ours over the peer's."""
        return self.measured / self.peer_measured if self.peer_measured else None


def median(values: Sequence[float]) -> float:
    """Give the median."""
    return statistics.median(values)


def percentile(values: Sequence[float], share: float) -> float:
    """Give the value below which a share of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def print_table(rows: Sequence[Row]) -> None:
    """Print all rows as one table."""
    cells = [["what", "measured", "beside", "its figure", "ratio", "goal", ""]]
    cells += [
        [
            row.name,
            f"{row.measured:,.4g} {row.unit}",
            row.peer,
            "" if row.peer_measured is None else f"{row.peer_measured:,.4g} {row.unit}",
            "" if row.ratio is None else f"{row.ratio:.3g}x",
            row.goal,
            {True: "met", False: "MISSED", None: ""}[row.met],
        ]
        for row in rows
    ]
    widths = [max(len(line[column]) for line in cells) for column in range(len(cells[0]))]
    for line in cells:
        print("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())
