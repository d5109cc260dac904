"""Search through a whole log: what a line by line search finds, streamed, bounded, and ended when nobody waits."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.logs import search_process
from jupyter_ext.engine.logs.search import Query, search
from jupyter_ext.ipc.run_files import STDERR_MARK, STDERR_MARKS
from jupyter_ext.protocol.problems import Problem


async def find(path: Path, query: Query) -> tuple[list[tuple[int, int, str]], dict[str, Any]]:
    query.check()
    hits: list[tuple[int, int, str]] = []
    message: dict[str, Any] = {}
    async for text in search(path, query):
        message = json.loads(text)
        hits += [tuple(hit) for hit in message.get("hits", ())]
    return hits, message


WORDS = ["loss", "Loss=0.5", "ERROR", "warning:", "ü", "Traceback", "x" * 50, "\r10%|#", ""]


@pytest.mark.parametrize(
    "query",
    [
        Query("loss"),
        Query("loss", has_case=True),
        Query(r"l[o]ss=\d", is_regex=True),
        Query("^ERROR", is_regex=True, has_case=True),
        Query("", level="error"),
        Query("ü", level="warning"),
        Query("(", is_regex=False),
        Query("^", is_regex=True),
    ],
)
async def test_it_finds_what_a_loop_over_the_lines_finds(tmp_path: Path, query: Query) -> None:
    rng = random.Random(0)
    lines = [" ".join(rng.choices(WORDS, k=rng.randrange(6))) for _ in range(3_000)]
    path = tmp_path / "logs.txt"
    path.write_text("\n".join(lines), newline="")
    pattern = re.compile(
        query.text if query.is_regex else re.escape(query.text), 0 if query.has_case else re.IGNORECASE
    )
    level = re.compile(search_process.LEVELS[query.level], re.IGNORECASE) if query.level else re.compile("")
    expected = [(i, line) for i, line in enumerate(lines) if pattern.search(line) and level.search(line)]
    hits, last = await find(path, query)
    assert [(line, text) for line, _, text in hits] == expected
    data = path.read_bytes()
    assert all(data[offset:].startswith(text.encode()) for _, offset, text in hits)
    assert (last["kind"], last["total"], last["scanned"]) == ("done", len(expected), len(data))


async def test_lines_of_a_stream_and_of_a_rank(tmp_path: Path) -> None:
    lines = ["one loss", "[rank 1] two loss", "[rank 12] three", "four loss", "[rank 1] five"]
    path = tmp_path / "logs.txt"
    path.write_text("\n".join(lines) + "\n")
    starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(5)]
    marks = [(starts[i], starts[i] + len(lines[i]) + 1) for i in (4, 1, 3)]
    (tmp_path / STDERR_MARKS).write_bytes(b"".join(STDERR_MARK.pack(*mark) for mark in marks))
    found = {
        query: [line for line, _, _ in (await find(path, query))[0]]
        for query in (
            Query("", stream="stderr"), Query("", stream="stdout"), Query("loss", stream="stderr"),
            Query("", rank=1), Query("", rank=0), Query("loss", rank=1, stream="stderr"), Query("", rank=3),
        )
    }  # fmt: skip
    assert list(found.values()) == [[1, 3, 4], [0, 2], [1, 3], [1, 4], [0, 3], [1], []]
    for wrong in (Query(""), Query("x", stream="both")):
        with pytest.raises(Problem):
            wrong.check()


async def test_more_hits_than_are_listed_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "logs.txt"
    path.write_text("a\n" * 25_000)
    hits, last = await find(path, Query("a"))
    assert (len(hits), last["total"]) == (search_process.MAX_HITS, 25_000)


async def test_a_bad_expression_is_named(tmp_path: Path) -> None:
    (tmp_path / "logs.txt").write_text("a")
    _, last = await find(tmp_path / "logs.txt", Query("(a", is_regex=True))
    assert last["kind"] == "problem"
    assert "'(a' is no regular expression" in last["detail"]


async def test_no_log_has_no_hits(tmp_path: Path) -> None:
    assert (await find(tmp_path / "logs.txt", Query("a")))[1]["total"] == 0


async def test_an_expression_that_never_ends_is_ended_by_who_leaves(tmp_path: Path) -> None:
    path = tmp_path / "logs.txt"
    path.write_text("a" * 5_000 + "!\n")

    async def first() -> str:
        async with contextlib.aclosing(search(path, Query("(a+)+$", is_regex=True))) as messages:
            return await anext(messages)

    with pytest.raises(TimeoutError):
        await asyncio.wait_for(first(), 0.5)
    assert (await find(path, Query("!")))[1]["total"] == 1


@pytest.mark.parametrize("query", [Query(""), Query("x" * 2_000), Query("x", level="loud")])
def test_what_is_no_query_is_refused(query: Query) -> None:
    with pytest.raises(Problem):
        query.check()
