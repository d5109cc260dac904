"""What a notebook keeps of a training: enough to draw it where nothing is alive, and bounded whatever the training holds.

Rule: an output is kept several times, as content, in the widget's state and in every saved version of a notebook; so nothing in
it grows with the data. A live view asks the engine for the whole.
"""

from __future__ import annotations

from typing import Any

from jupyter_ext.protocol import trainings

MAX_TEXT_CHARS = 4000
MAX_ITEMS = 100
MAX_METRICS = 200
_MAX_DEPTH = 8
_FREE = ("input", "output")
"""What may be of any form, so that a list may end in a text."""


def snapshot(training: trainings.Training) -> dict[str, object]:
    """Return a training as JSON, without its log, with the beginnings of what is long in it."""
    found: dict[str, object] = training.model_dump(mode="json", exclude={"logs"})
    return {name: bounded(value, says_so=name in _FREE) for name, value in found.items()}


def bounded(value: Any, depth: int = 0, *, says_so: bool = True) -> Any:
    """Return a JSON value with the beginnings of its long texts and lists; of a long text also the end, where errors say most.

    Args:
        value: Any JSON.
        depth: How deep it lies.
        says_so: Whether a list that was cut says how much is missing, as one more item.
    """
    if isinstance(value, str):
        if len(value) <= MAX_TEXT_CHARS:
            return value
        half = MAX_TEXT_CHARS // 2
        return f"{value[:half]}\n… {len(value) - 2 * half:,} characters …\n{value[-half:]}"
    if not isinstance(value, list | dict):
        return value
    if depth == _MAX_DEPTH:
        return "…"
    if isinstance(value, list):
        items = [bounded(item, depth + 1, says_so=says_so) for item in value[:MAX_ITEMS]]
        is_whole = len(value) <= MAX_ITEMS or not says_so
        return items if is_whole else [*items, f"… {len(value) - MAX_ITEMS:,} more"]
    kept = list(value.items())[:MAX_METRICS]
    return {bounded(name): bounded(item, depth + 1, says_so=says_so) for name, item in kept}
