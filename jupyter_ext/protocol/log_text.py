"""Log text as a person reads it."""

from __future__ import annotations

import re

_BAR = re.compile(r"^.*?: {1,4}(?=\d{1,3}%\|)", re.MULTILINE)
"""tqdm's description before a bar, as in `Epoch 1:  50%|#####     | 5/10`."""


def fold(text: str) -> str:
    """Keep of each line what a terminal would show at its end: a progress bar's last state, not all of them."""
    if "\r" not in text:
        return text
    return "\n".join(_last_state(line) for line in text.replace("\r\n", "\n").split("\n"))


def plain(text: str) -> str:
    """Fold bars and take their descriptions off, so that the official clients' progress parsers read them.

    Source: Replicate's clients look for lines that begin with `NN%|…| a/b`.
    """
    return _BAR.sub("", fold(text))


def _last_state(line: str) -> str:
    states = [state for state in line.split("\r") if state]
    return states[-1] if states else ""
