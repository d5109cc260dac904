"""`python -m benchmarks [NAME …]`: run all benchmarks, or those named, and print each row when it comes.

Every module of this folder is a benchmark: it has a docstring and `run()`, a generator of rows, asynchronous or not. What
benchmarks share is in `support/`.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from benchmarks.support import layout, machine, one, results, scale
from benchmarks.support.results import Change, Earlier, Ended, Results
from benchmarks.support.rows import Row

ASKED_FOR = frozenset({"gpu", "growth"})
"""Measured only where they are named: one wants a GPU, the other half an hour."""
ALL_WELL, GOAL_MISSED, USAGE, CRASHED = 0, 1, 2, 3


def known() -> list[str]:
    """Return the names of all benchmarks."""
    return sorted(path.stem for path in Path(__file__).parent.glob("*.py") if path.stem != "__main__")


def usual() -> list[str]:
    """Return the names of those that are run where none is named."""
    return [name for name in known() if name not in ASKED_FOR]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run benchmarks one after another.

    Returns:
        0 if all went well, 1 if a goal was missed, 3 if a benchmark has not given all its rows.
    """
    asked = _parse(arguments)
    if asked.smoke:
        return _smoke(asked.names or usual())
    earlier = Earlier(results.load(asked.compare)) if asked.compare else None
    report = _Report(earlier)
    if asked.show:
        shown = results.load(asked.show)
        report.begin(shown)
        for ended in shown.benchmarks:
            report.name(ended)
            for row in ended.rows:
                report.row(ended.name, row)
        return report.end(shown)
    path = results.new_path()
    run = Results(datetime.now().astimezone().isoformat(timespec="seconds"), machine.look())
    report.begin(run)
    try:
        for name in asked.names or usual():
            _measure(name, run, report, path)
    except KeyboardInterrupt:
        report.say("\nInterrupted.")
        return 130
    finally:
        run.save(path)
        code = report.end(run)
        report.say(f"Saved as {_short(path)} and {path.with_suffix('.txt').name}.")
        path.with_suffix(".txt").write_text(report.text)
    return code


def _smoke(names: Sequence[str]) -> int:
    """Run each as little as it can be, and say only whether it ran to its end."""
    os.environ[scale.VARIABLE] = "1"
    failed = 0
    for name in names:
        ended = Ended(name, load=0.0)
        one.measure(ended, lambda row: None)
        failed += ended.failure is not None
        print(f"{name}: {ended.failure or f'{len(ended.rows)} rows'} ({ended.took_s:g} s)", flush=True)
        if ended.failure:
            print("".join(f"  | {line}\n" for line in ended.output.splitlines()[-25:]), end="", flush=True)
    return CRASHED if failed else ALL_WELL


def _measure(name: str, run: Results, report: _Report, path: Path) -> None:
    ended = Ended(name, load=round(os.getloadavg()[0], 2))
    run.benchmarks.append(ended)
    report.name(ended)

    def on_row(row: Row) -> None:
        report.row(name, row)
        run.save(path)

    one.measure(ended, on_row)
    if ended.failure:
        report.say(f"  {ended.failure} Its other rows are missing.")
    run.save(path)


class _Report:
    """What is printed, kept to be written to a file as well."""

    def __init__(self, earlier: Earlier | None) -> None:
        self.text = ""
        self._earlier = earlier
        self._worse: list[str] = []

    def say(self, text: str) -> None:
        self.text += text + "\n"
        print(text, flush=True)

    def begin(self, run: Results) -> None:
        self.say(f"{run.began_at}: {run.machine}")
        if run.machine.is_busy:
            self.say("The machine was busy when this began: read ratios, and those with care.")
        self.say(layout.head(self._earlier is not None))

    def name(self, ended: Ended) -> None:
        self.say(f"{ended.name} (load {ended.load:.2f})")

    def row(self, benchmark: str, row: Row) -> None:
        change: Change | None = None
        if self._earlier is not None:
            change = self._earlier.change(benchmark, row)
            if change.is_worse:
                self._worse.append(f"{benchmark}: {row.name}")
        self.say("  " + layout.line(row, change))

    def end(self, run: Results) -> int:
        """Sum up, and return the exit code."""
        rows = [row for ended in run.benchmarks for row in ended.rows]
        missed = [
            f"{ended.name}: {row.name} beside {row.peer}, {row.ratio:.3g}x for {row.goal}"
            if row.ratio is not None and row.goal is not None and row.goal.unit == "x"
            else f"{ended.name}: {row.name}, {row.measured:,.4g} for {row.goal}"
            for ended in run.benchmarks
            for row in ended.rows
            if row.met is False
        ]
        num_met = sum(row.met is True for row in rows)
        self.say(f"\n{len(rows)} rows; {num_met} goals met, {len(missed)} missed.")
        for text in missed:
            self.say(f"  missed: {text}")
        for text in self._worse:
            self.say(f"  worse than before: {text}")
        if self._earlier is not None:
            for text in self._earlier.gone({ended.name for ended in run.benchmarks}):
                self.say(f"  not measured this time: {text}")
        failed = [ended for ended in run.benchmarks if ended.failure]
        for ended in failed:
            self.say(f"\nCRASHED: {ended.name}, after {len(ended.rows)} rows. {ended.failure}")
            self.say("".join(f"  | {line}\n" for line in ended.output.splitlines()[-25:]).rstrip())
        return CRASHED if failed else GOAL_MISSED if missed else ALL_WELL


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure jupyter-ext beside its peers."
    )
    parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"{', '.join(known())}; where none is given, all but {' and '.join(sorted(ASKED_FOR))}",
    )
    parser.add_argument("--compare", type=Path, metavar="FILE", help="show changes against these results")
    parser.add_argument("--show", type=Path, metavar="FILE", help="measure nothing, print these results")
    parser.add_argument(
        "--smoke", action="store_true", help="measure nothing, show that each still runs to its end"
    )
    asked = parser.parse_args(arguments)
    if unknown := sorted(set(asked.names) - set(known())):
        parser.error(f"there is no benchmark {', '.join(unknown)}; there are {', '.join(known())}")
    for path in (asked.compare, asked.show):
        if path is not None and not path.is_file():
            parser.error(f"there is no file {path}")
    return asked


def _short(path: Path) -> str:
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


if __name__ == "__main__":
    sys.exit(main())
