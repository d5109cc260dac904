r"""How a run that works on another machine sends its files: as lines of text among others. Standard library only.

    \x1ejx a NAME OFFSET BASE64    bytes of a file that only grows, from OFFSET on
    \x1ejx w NAME OFFSET BASE64    a part of a file that is written as a whole
    \x1ejx W NAME OFFSET BASE64    its last part: only now the file is there

Rule: a line says where its bytes belong, so it does not matter how often it arrives. Whoever reads loses nothing and repeats nothing
by reading from the start again.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

CHUNK_BYTES = 12_000
_KEPT_LINES = 100
_MARK = "\x1ejx "
_LINE = re.compile(r"\x1ejx ([awW]) (\S+) (\d+) ([A-Za-z0-9+/=]*)")
_NAME = re.compile(
    r"metrics-[\w.]+-\d+\.jnl|(?:logs|stacks)\.txt|stderr\.bin|(?:error|output|output_files|exit|worker_start)\.json|stop|polls_stop"
    r"|(?:checkpoints|media|ranks)(?:/[\w-][\w.-]*){1,4}"
)
"""Files that a run may send; what the engine itself writes into the run's directory is not among them."""


class Part(NamedTuple):
    """Bytes of a file; `is_whole` for the last of a file that is written as a whole, `None` for one that grows."""

    name: str
    offset: int
    data: bytes
    is_whole: bool | None


def is_sent(name: str) -> bool:
    """Tell whether a file of a run's directory is sent."""
    return _NAME.fullmatch(name) is not None


def lines_of(name: str, data: bytes, offset: int = 0, *, grows: bool) -> Iterator[str]:
    """Yield the lines that carry a file's bytes.

    Args:
        name: The file, relative to the run's directory.
        data: Its bytes from `offset` on; of one that is written as a whole, all of them.
        offset: Where they belong.
        grows: Whether the file only ever grows.
    """
    starts = range(0, max(1, len(data)), CHUNK_BYTES)
    for start in starts:
        kind = "a" if grows else "W" if start == starts[-1] else "w"
        text = base64.b64encode(data[start : start + CHUNK_BYTES]).decode()
        yield f"{_MARK}{kind} {name} {offset + start} {text}\n"


class LineReader:
    """Takes text in any pieces and yields the parts that whole lines of it carry; all other text is passed over."""

    def __init__(self) -> None:
        self._rest = ""
        self.other: deque[str] = deque(maxlen=_KEPT_LINES)
        """The last lines that carried nothing."""

    def feed(self, text: str) -> Iterator[Part]:
        """Yield what a further piece of text completes."""
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            place = line.find(_MARK)
            found = _LINE.fullmatch(line[place:].rstrip("\r")) if place >= 0 else None
            if found is None or not is_sent(found[2]):
                self.other.append(line)
                continue
            try:
                data = base64.b64decode(found[4], validate=True)
            except binascii.Error:
                continue
            yield Part(found[2], int(found[3]), data, None if found[1] == "a" else found[1] == "W")
