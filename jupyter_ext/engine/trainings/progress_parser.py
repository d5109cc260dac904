"""Progress that a training shows as a bar: tqdm's text in its log. Pure: text in, numbers out.

Of several bars the first is followed until it is full: with nested loops that is the outer one, with one bar an epoch each in
its turn. Bars are told apart by the line they are drawn on (tqdm moves the cursor up again after a nested one) and by
their totals, as descriptions change from step to step.

Source: tqdm's docs, `bar_format`: `{desc}: {percentage}%|{bar}| {n}/{total} [{elapsed}<{remaining}, {rate}]`.
"""

from __future__ import annotations

import re
from typing import NamedTuple

_TAIL_CHARACTERS = 2_000
"""A bar may be cut by the end of a piece of log; so much of it waits for the next piece."""
_LOOKED_CHARACTERS = 8_192
"""Of a flood of log only the beginning and the end are looked at: what a bar said in between is past."""
_NUMBER = r"\d+(?:\.\d+)?[kMGTPEZY]?"
_BAR = re.compile(rf"\d{{1,3}}%\|[^|\r\n]*\|\s*({_NUMBER})/({_NUMBER})\s*\[[^\r\n\x1b]*((?:\x1b\[A)*)")
_UP = "\x1b[A"
_COUNT = re.compile(r"(?:^|[\r\n]|: )(\d+)[A-Za-z]+ \[(?:\d+:)?\d\d:\d\d, ")
"""A bar without a total: `45it [00:10,  4.50it/s]`."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*[B-Za-z]")
"""All but "one line up", which tells on which line a bar was drawn."""
_SCALES = {letter: 1000.0**power for power, letter in enumerate("kMGTPEZY", 1)}


class _Followed(NamedTuple):
    """The bar that is followed."""

    current: float = 0.0
    total: float | None = None
    line: int = 0
    is_full: bool = False
    nested: float | None = None
    """The total of the bar that was drawn last, where that is nested in it."""


class ProgressBars:
    """What the bars of one log say."""

    def __init__(self) -> None:
        self._tail = ""
        self._settled = _Followed()
        """Without the bars of the tail, which come again: what follows a bar tells on which line it was drawn."""
        self._told: tuple[float, float | None] | None = None

    def feed(self, text: str) -> tuple[float, float | None] | None:
        """Take in the next piece of log.

        Returns:
            Where the followed bar now is, and of how many, if the piece says so.
        """
        text = self._tail + text
        if len(text) > 2 * _LOOKED_CHARACTERS:
            text = f"{text[:_LOOKED_CHARACTERS]}\n{text[-_LOOKED_CHARACTERS:]}"
        if "\x1b" in text:
            text = _COLOURS.sub("", text)
        tail_at = max(text.rfind("\r"), text.rfind("\n"), len(text) - _TAIL_CHARACTERS, 0)
        self._tail = text[tail_at:]
        if "[" not in text:
            return None
        followed = self._settled
        matches = list(_BAR.finditer(text))
        for match in matches:
            if match.start() < tail_at:
                followed = self._settled = _after(followed, match)
            else:
                followed = _after(followed, match)
        if followed.total is not None:
            now = followed.current, followed.total
            is_news = now != self._told
            self._told = now
            return now if is_news else None
        if matches or not (counts := _COUNT.findall(text)):
            return None
        return float(counts[-1]), None


def _after(followed: _Followed, match: re.Match[str]) -> _Followed:
    """Return which bar is followed once this one was seen: it, or the same as before."""
    current, total, line = _number(match[1]), _number(match[2]), match[3].count(_UP)
    is_same = total == followed.total and line == followed.line
    if is_same and followed.nested == total and current >= total and followed.current + 1 < current:
        return (
            followed  # tqdm draws a nested bar that is left standing on the outer one's line, once it is full
        )
    is_next = followed.is_full and line <= followed.line
    if followed.total is None or is_same or is_next or line < followed.line:
        return _Followed(current, total, line, current >= total)
    return followed._replace(nested=total if line > followed.line else None)


def _number(text: str) -> float:
    return float(text[:-1]) * _SCALES[text[-1]] if text[-1] in _SCALES else float(text)
