"""Log text as a person reads it."""

from __future__ import annotations


def fold(text: str) -> str:
    """Keep of each line what a terminal would show at its end: a progress bar's last state, not all of them."""
    if "\r" not in text:
        return text
    return "\n".join(_last_state(line) for line in text.replace("\r\n", "\n").split("\n"))


def _last_state(line: str) -> str:
    states = [state for state in line.split("\r") if state]
    return states[-1] if states else ""
