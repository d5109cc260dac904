"""`python -m benchmarks [NAME …]`: run all benchmarks, or those named, and print one table."""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path

from benchmarks.rows import Row, print_table

_NOT_BENCHMARKS = {"__init__", "__main__", "rows", "decoder"}


def main() -> int:
    """Run benchmarks one after another; the exit code is 1 if a goal was missed."""
    known = sorted({path.stem for path in Path(__file__).parent.glob("*.py")} - _NOT_BENCHMARKS)
    wanted = sys.argv[1:] or known
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        print(f"There is no benchmark {', '.join(unknown)}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    rows: list[Row] = []
    for name in wanted:
        print(f"{name} …", file=sys.stderr, flush=True)
        rows += import_module(f"benchmarks.{name}").run()
    print_table(rows)
    return 1 if any(row.met is False for row in rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
