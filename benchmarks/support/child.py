"""`python -m benchmarks.support.child NAME FD`: run one benchmark and write each row to a file descriptor as a line of JSON."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from importlib import import_module

from benchmarks.support.rows import Row


def main(name: str, rows_fd: int) -> None:
    """Run a benchmark; an exception of it ends this process."""
    os.set_inheritable(rows_fd, False)
    with open(rows_fd, "w", buffering=1) as rows:

        def tell(row: Row) -> None:
            print(json.dumps(row.to_json()), file=rows)

        run = import_module(f"benchmarks.{name}").run
        if inspect.isasyncgenfunction(run):
            asyncio.run(_tell_each(run(), tell))
        else:
            for row in run():
                tell(row)


async def _tell_each(rows: AsyncIterator[Row], tell: Callable[[Row], None]) -> None:
    async for row in rows:
        tell(row)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
