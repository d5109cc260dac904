"""Counts in sentences."""

from __future__ import annotations


def counted(number: int, word: str) -> str:
    """Return a count with its word, such as `1 training` or `2 trainings`."""
    return f"{number} {word}" if number == 1 else f"{number} {word}s"


def one(word: str) -> str:
    """Return a word with its article, such as `an int` or `a list`."""
    return f"an {word}" if word[:1].lower() in "aeio" or word.startswith("un") else f"a {word}"


def counted_runs(trainings: int, sessions: int) -> str:
    """Return what runs, such as `2 trainings and 1 debug session`; an empty text where nothing does."""
    counts = ((trainings, "training"), (sessions, "debug session"))
    return " and ".join(counted(number, word) for number, word in counts if number)
