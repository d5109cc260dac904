"""Search a file line by line: a program of its own, so that an expression that never ends can be killed. Standard library only.

Usage: python -I -S search_process.py FILE QUERY      QUERY is JSON: text, is_regex, has_case, level, stream, rank

Writes lines of JSON: `{"kind": "hits", "hits": [[line, offset, text], …], "scanned", "size", "total"}` as it goes on, and at the
end the same with the kind `done`; or `{"kind": "problem", "detail"}`. Lines are counted from 0, offsets are the bytes at which they begin.
"""

import json
import os
import re
import resource
import struct
import sys
import time
from array import array
from bisect import bisect_right

CPU_S = 30
MEMORY_BYTES = 2 << 30
MAX_HITS = 10_000
"""More are counted, not listed."""
SHOWN_CHARACTERS = 400
_PIECE_BYTES = 1 << 20
_TELL_S = 0.1
LEVELS = {
    "error": r"\b(?:error|exception|traceback|critical|fatal|failed)\b|Error\b",
    "warning": r"\bwarn(?:ing)?\b|Warning\b",
    "info": r"\binfo\b",
    "debug": r"\bdebug\b",
}


class _Search:
    """What was found so far, and what of it was told."""

    def __init__(self, size: int) -> None:
        self.size = size
        self.total = 0
        self.scanned = 0
        self._waiting: list[tuple[int, int, str]] = []
        self._told_at = time.monotonic()

    def found(self, line: int, offset: int, text: str) -> None:
        self.total += 1
        if self.total <= MAX_HITS:
            self._waiting.append((line, offset, text[:SHOWN_CHARACTERS]))

    def tell(self, kind: str = "hits") -> None:
        now = time.monotonic()
        if kind == "hits" and now - self._told_at < _TELL_S and len(self._waiting) < 500:
            return
        self._told_at = now
        content = {
            "kind": kind,
            "hits": self._waiting,
            "scanned": self.scanned,
            "size": self.size,
            "total": self.total,
        }
        print(json.dumps(content), flush=True)
        self._waiting = []


class _Filter:
    """What a line has to be besides what it says."""

    def __init__(
        self, path: str, level: "re.Pattern[str] | None", stream: "str | None", rank: "int | None"
    ) -> None:
        self._level = level
        self._rank = _rank_pattern(rank) if rank is not None else None
        self._wants_stderr = stream == "stderr"
        self._spans = _stderr_spans(path) if stream else None

    def takes(self, offset: int, line: str) -> bool:
        if self._level is not None and self._level.search(line) is None:
            return False
        if self._rank is not None and self._rank.match(line) is None:
            return False
        if self._spans is None:
            return True
        begins, ends = self._spans
        place = bisect_right(begins, offset) - 1
        return (place >= 0 and offset < ends[place]) == self._wants_stderr


def _rank_pattern(rank: int) -> "re.Pattern[str]":
    """Match a rank's lines: rank 0's have nothing before them, see `worker.training.log_folding`."""
    return re.compile(rf"\[rank {rank}\] " if rank else r"(?!\[rank \d+\] )")


def _stderr_spans(path: str) -> "tuple[array[int], array[int]]":
    """Read which bytes of a log are stderr's, in order and merged; see `engine.logs.streams`."""
    begins, ends = array("Q"), array("Q")
    try:
        with open(os.path.join(os.path.dirname(path), "stderr.bin"), "rb") as file:
            data = file.read()
    except OSError:
        return begins, ends
    whole = memoryview(data)[: len(data) - len(data) % 16]
    for begin, end in sorted(struct.iter_unpack("<QQ", whole)):
        if ends and begin <= ends[-1]:
            ends[-1] = max(ends[-1], end)
        else:
            begins.append(begin)
            ends.append(end)
    return begins, ends


def search(path: str, first: "re.Pattern[str]", wanted: _Filter) -> None:
    """Search a file and write what is found."""
    with open(path, "rb") as file:
        state = _Search(file.seek(0, 2))
        file.seek(0)
        line, rest = 0, b""
        while piece := file.read(_PIECE_BYTES):
            data = rest + piece
            end = data.rfind(b"\n") + 1
            if end == 0 and len(data) < 4 * _PIECE_BYTES:
                rest = data
                continue
            end = end or len(data)
            rest = data[end:]
            line = _search_piece(data[:end], line, state, first, wanted)
            state.tell()
        if rest:
            _search_piece(rest, line, state, first, wanted)
        state.tell("done")


def _search_piece(data: bytes, line: int, state: _Search, first: "re.Pattern[str]", wanted: _Filter) -> int:
    """Search whole lines; return the number of the line after them."""
    text = data.decode("utf-8", "replace")
    is_simple = len(text) == len(data)
    at, number, offset = 0, line, state.scanned
    while (match := first.search(text, at)) is not None:
        start = text.rfind("\n", 0, match.start()) + 1
        if start == len(text):
            break  # nothing, after the last newline
        end = text.find("\n", match.start())
        end = len(text) if end < 0 else end
        between = text[at:start]
        number += between.count("\n")
        offset += len(between) if is_simple else len(between.encode("utf-8", "replace"))
        found = text[start:end]
        if wanted.takes(offset, found):
            state.found(number, offset, found)
        at = start
        if end >= len(text):
            break
        number += 1
        offset += (end + 1 - at) if is_simple else len(text[at : end + 1].encode("utf-8", "replace"))
        at = end + 1
    state.scanned += len(data)
    return line + data.count(b"\n")


def main() -> int:
    """Search as the arguments say."""
    path, query = sys.argv[1], json.loads(sys.argv[2])
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S + 1))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    level = query.get("level")
    text = query["text"] if query.get("is_regex") else re.escape(query["text"])
    flags = re.MULTILINE | (0 if query.get("has_case") else re.IGNORECASE)
    try:
        of_level = re.compile(LEVELS[level], re.IGNORECASE) if level else None
        first = re.compile(text, flags) if text else of_level or re.compile("^", re.MULTILINE)
        search(path, first, _Filter(path, of_level, query.get("stream"), query.get("rank")))
    except re.error as error:
        print(
            json.dumps(
                {"kind": "problem", "detail": f"{query['text']!r:.100} is no regular expression: {error}."}
            )
        )
    except MemoryError:
        print(
            json.dumps(
                {"kind": "problem", "detail": "The search took too much memory; make the expression simpler."}
            )
        )
    except FileNotFoundError:
        print(json.dumps({"kind": "done", "hits": [], "scanned": 0, "size": 0, "total": 0}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
