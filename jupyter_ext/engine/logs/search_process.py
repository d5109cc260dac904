"""Search a file line by line: a program of its own, so that an expression that never ends can be killed. Standard library only.

Usage: python -I -S search_process.py FILE QUERY      QUERY is JSON: text, is_regex, has_case, level

Writes lines of JSON: `{"kind": "hits", "hits": [[line, offset, text], …], "scanned", "size", "total"}` as it goes on, and at the
end the same with the kind `done`; or `{"kind": "problem", "detail"}`. Lines are counted from 0, offsets are the bytes at which they begin.
"""

import json
import re
import resource
import sys
import time

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


def search(path: str, first: "re.Pattern[str]", level: "re.Pattern[str] | None") -> None:
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
            line = _search_piece(data[:end], line, state, first, level)
            state.tell()
        if rest:
            _search_piece(rest, line, state, first, level)
        state.tell("done")


def _search_piece(
    data: bytes, line: int, state: _Search, first: "re.Pattern[str]", level: "re.Pattern[str] | None"
) -> int:
    """Search whole lines; return the number of the line after them."""
    text = data.decode("utf-8", "replace")
    is_simple = len(text) == len(data)
    at, number, offset = 0, line, state.scanned
    while (match := first.search(text, at)) is not None:
        start = text.rfind("\n", 0, match.start()) + 1
        end = text.find("\n", match.start())
        end = len(text) if end < 0 else end
        between = text[at:start]
        number += between.count("\n")
        offset += len(between) if is_simple else len(between.encode("utf-8", "replace"))
        found = text[start:end]
        if level is None or level.search(found) is not None:
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
        wanted = re.compile(LEVELS[level], re.IGNORECASE) if level else None
        first = re.compile(text, flags) if text else wanted
        if first is not None:
            search(path, first, wanted if text else None)
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
