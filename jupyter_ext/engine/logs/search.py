"""Search a log in a process of its own, which is killed when nobody waits for it any more.

Rule: neither a large file nor an expression that never ends holds up the engine: both are somebody else's CPU time, bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncGenerator
from dataclasses import asdict, dataclass
from pathlib import Path

from jupyter_ext.engine.logs import search_process
from jupyter_ext.engine.logs.streams import STREAMS
from jupyter_ext.protocol.problems import Problem

MAX_TEXT = 1_000
LEVELS = tuple(search_process.LEVELS)
_MAX_AT_ONCE = 4
_LINE_BYTES = 16 << 20

_running = 0


@dataclass(frozen=True)
class Query:
    """What is searched for: lines that hold a text or match an expression, and that are of a level, a stream or a rank if given."""

    text: str
    is_regex: bool = False
    has_case: bool = False
    level: str | None = None
    stream: str | None = None
    rank: int | None = None

    def check(self) -> None:
        """Refuse what is no query.

        Raises:
            Problem: It is none.
        """
        if not self.text and self.level is None and self.stream is None and self.rank is None:
            raise Problem(
                422, "Invalid value", "q is empty; say what to search for, or a level, stream or rank."
            )
        if len(self.text) > MAX_TEXT:
            raise Problem(
                422,
                "Invalid value",
                f"q has {len(self.text)} characters; at most {MAX_TEXT} are searched for.",
            )
        if self.level is not None and self.level not in LEVELS:
            raise Problem(422, "Invalid value", f"level={self.level!r:.40} is none of {', '.join(LEVELS)}.")
        if self.stream is not None and self.stream not in STREAMS:
            raise Problem(
                422, "Invalid value", f"stream={self.stream!r:.40} is none of {', '.join(STREAMS)}."
            )


async def search(path: Path, query: Query) -> AsyncGenerator[str, None]:
    """Yield messages of what is found, as JSON, as `search_process` writes them.

    Args:
        path: The log.
        query: A query that was checked.

    Raises:
        Problem: Too many searches are going on.
    """
    global _running
    if _running >= _MAX_AT_ONCE:
        raise Problem(429, "Busy", f"{_MAX_AT_ONCE} searches are going on; try again when one is over.")
    _running += 1
    try:
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-I", "-S", search_process.__file__, str(path), json.dumps(asdict(query)),
            stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL,
            limit=_LINE_BYTES,
        )  # fmt: skip
        assert process.stdout is not None
        try:
            last = ""
            async for line in process.stdout:
                last = line.decode()
                yield last
            if await process.wait() != 0 and '"done"' not in last[:40]:
                seconds = search_process.CPU_S
                detail = f"The search took more than {seconds} s of computing and was given up; make the expression simpler."
                yield json.dumps({"kind": "problem", "detail": detail})
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    finally:
        _running -= 1
