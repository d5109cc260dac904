"""Progress that a training shows as a bar: tqdm's text in its log. Pure: text in, numbers out.

Of several bars the first is followed until it is full: with nested loops that is the outer one, with one bar an epoch each in
its turn. Bars are told apart by their totals, as descriptions change from step to step.

Source: tqdm's docs, `bar_format`: `{desc}: {percentage}%|{bar}| {n}/{total} [{elapsed}<{remaining}, {rate}]`.
"""

from __future__ import annotations

import re

_TAIL_CHARACTERS = 2_000
"""A bar may be cut by the end of a piece of log; so much of it waits for the next piece."""
_LOOKED_CHARACTERS = 8_192
"""Of a flood of log only the beginning and the end are looked at: what a bar said in between is past."""
_NUMBER = r"\d+(?:\.\d+)?[kMGTPEZY]?"
_BAR = re.compile(rf"\d{{1,3}}%\|[^|\r\n]*\|\s*({_NUMBER})/({_NUMBER})\s*\[")
_COUNT = re.compile(r"(?:^|[\r\n]|: )(\d+)[A-Za-z]+ \[(?:\d+:)?\d\d:\d\d, ")
"""A bar without a total: `45it [00:10,  4.50it/s]`."""
_COLOURS = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_SCALES = {letter: 1000.0**power for power, letter in enumerate("kMGTPEZY", 1)}


class ProgressBars:
    """What the bars of one log say."""

    def __init__(self) -> None:
        self._tail = ""
        self._total: float | None = None
        self._is_full = False

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
        self._tail = text[max(text.rfind("\r"), text.rfind("\n"), len(text) - _TAIL_CHARACTERS, 0) :]
        if "[" not in text:
            return None
        found: tuple[float, float | None] | None = None
        for match in _BAR.finditer(text):
            current, total = _number(match[1]), _number(match[2])
            if self._total is None or self._is_full or total == self._total:
                self._total, self._is_full = total, current >= total
                found = current, total
        if found is None and self._total is None:
            for match in _COUNT.finditer(text):
                found = float(match[1]), None
        return found


def _number(text: str) -> float:
    return float(text[:-1]) * _SCALES[text[-1]] if text[-1] in _SCALES else float(text)
