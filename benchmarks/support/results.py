"""What a run of the benchmarks leaves: a dated JSON file, written anew with every row, and the same table as text."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks.support.machine import Machine
from benchmarks.support.rows import Row

RESULTS = Path(__file__).parents[1] / "results"
NOISE = 1.2
"""Two runs on a quiet machine differ by up to this factor."""


@dataclass
class Ended:
    """How one benchmark went.

    Args:
        load: The machine's load average over a minute when it began.
        took_s: Its duration, seconds.
        failure: Why it has not given all its rows; `None` where it has.
        output: The last of what it printed, kept where it failed.
    """

    name: str
    load: float
    took_s: float = 0.0
    failure: str | None = None
    output: str = ""
    rows: list[Row] = field(default_factory=list)


@dataclass
class Results:
    """One run of the benchmarks."""

    began_at: str
    machine: Machine
    benchmarks: list[Ended] = field(default_factory=list)

    def save(self, path: Path) -> None:
        """Write it whole or not at all."""
        told = {
            "began_at": self.began_at,
            "machine": asdict(self.machine),
            "benchmarks": [
                {**vars(ended), "rows": [row.to_json() for row in ended.rows]} for ended in self.benchmarks
            ],
        }
        part = path.with_suffix(".part")
        part.write_text(json.dumps(told, indent=1))
        part.replace(path)


def new_path() -> Path:
    """Return a path that is dated now and free, in a folder that is there."""
    RESULTS.mkdir(exist_ok=True)
    stamp = f"{datetime.now():%Y-%m-%d-%H%M%S}"
    path = RESULTS / f"{stamp}.json"
    return path if not path.exists() else RESULTS / f"{stamp}-{os.getpid()}.json"


def load(path: Path) -> Results:
    """Read what `save` wrote."""
    told: dict[str, Any] = json.loads(path.read_text())
    benchmarks = [
        Ended(**{**ended, "rows": [Row.from_json(row) for row in ended["rows"]]})
        for ended in told["benchmarks"]
    ]
    return Results(told["began_at"], Machine(**told["machine"]), benchmarks)


@dataclass(frozen=True)
class Change:
    """How a row stands to the same row of an earlier run: by its ratio to the peer, or by its figure without one."""

    before_text: str
    text: str
    is_worse: bool = False


class Earlier:
    """The rows of an earlier run, to be found by those of this one."""

    def __init__(self, results: Results) -> None:
        self._rows = {
            (ended.name, row.name, row.peer): row for ended in results.benchmarks for row in ended.rows
        }
        self._seen: set[tuple[str, str, str]] = set()

    def change(self, benchmark: str, row: Row) -> Change:
        """Return how a row has changed."""
        key = benchmark, row.name, row.peer
        self._seen.add(key)
        before = self._rows.get(key)
        if before is None or before.is_left_out or row.is_left_out:
            return Change("", "" if row.is_left_out else "new")
        if row.ratio is not None and before.ratio is not None:
            was, is_, unit = before.ratio, row.ratio, "x"
        else:
            was, is_, unit = before.measured, row.measured, f" {row.unit}"
        if was == is_:
            return Change(f"{was:,.3g}{unit}".rstrip(), "the same")
        factor = is_ / was if was > 0 and is_ > 0 else float("inf")
        is_higher_better = row.goal is not None and row.goal.sign == ">="
        improved = (is_ > was) == is_higher_better
        text = f"{100 * (is_ / was - 1):+.0f} %" if was else f"from 0 to {is_:,.3g}"
        is_noise = max(factor, 1 / factor if factor else float("inf")) <= NOISE
        if not is_noise and row.goal is not None:
            text += " better" if improved else " WORSE"
        return Change(
            f"{was:,.3g}{unit}".rstrip(), text, not is_noise and not improved and row.goal is not None
        )

    def gone(self, benchmarks: set[str]) -> list[str]:
        """Return the rows of these benchmarks that the earlier run had and this one has not."""
        return [
            f"{name}: {row}{f' beside {peer}' if peer else ''}"
            for name, row, peer in self._rows
            if name in benchmarks and (name, row, peer) not in self._seen
        ]
