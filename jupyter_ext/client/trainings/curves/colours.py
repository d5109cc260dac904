"""Which colour a series or a run has, the same as in the page."""

from __future__ import annotations

from collections.abc import Iterable

PALETTE = ("#0f6cbd", "#d1570a", "#0b8a68", "#a04a8e", "#9a7400", "#3a9bd9", "#6b6b6b")
"""After Okabe and Ito (https://jfly.uni-koeln.de/color/), darkened for contrast with a white page."""
DASHES = ("solid", "dot", "dash", "dashdot")


def style_of(number: int) -> tuple[str, str]:
    """Return the colour and the dash pattern of a number: past the palette's end the pattern changes."""
    return PALETTE[number % len(PALETTE)], DASHES[number // len(PALETTE) % len(DASHES)]


def run_colours(ids: Iterable[str], num_colours: int = len(PALETTE)) -> dict[str, int]:
    """Return a number for each run, for `style_of`.

    Each asks for the colour that its id names; where an older one has it, it takes the next that is free. So a newer run
    never changes the colour of an older one.

    Args:
        ids: Ids of trainings, which begin with their time.
        num_colours: Of the palette.
    """
    used = [0] * num_colours
    found = {}
    for training_id in sorted(ids):
        colour, least = _hash(training_id) % num_colours, min(used)
        while used[colour] > least:
            colour = (colour + 1) % num_colours
        found[training_id] = colour + num_colours * used[colour]
        used[colour] += 1
    return found


def _hash(text: str) -> int:
    """FNV-1a over the characters, 32 bits."""
    value = 0x811C9DC5
    for letter in text:
        value = ((value ^ ord(letter)) * 0x01000193) & 0xFFFFFFFF
    return value
