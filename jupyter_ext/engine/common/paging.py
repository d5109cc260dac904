"""Places in lists that are newest first, from which a page goes on in either direction."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

T = TypeVar("T")

Place = tuple[str, str]
"""The time and id of an item: ids settle the order of what was made in the same instant."""


class Cursor(NamedTuple):
    """Where a page goes on.

    Attributes:
        place: Of an item at the edge of another page.
        newer: Whether the page lies before that item in the list (newer, as lists are newest first), else behind it.
    """

    place: Place
    newer: bool = False


def window(
    items: Sequence[T],
    place: Callable[[T], Place],
    cursor: Cursor | None,
    limit: int,
    *,
    oldest_first: bool = False,
) -> list[T]:
    """Return at most `limit` items next to a cursor, on its side, in the order of the list.

    Args:
        items: Sorted by `place`, descending unless `oldest_first`.
        place: Returns where an item stands.
        cursor: Where to go on; `None` for the beginning.
        limit: At most so many.
        oldest_first: Whether the list is ascending.
    """
    if cursor is None:
        return list(items[:limit])
    wants_larger = cursor.newer != oldest_first
    found = [
        item for item in items if (place(item) > cursor.place if wants_larger else place(item) < cursor.place)
    ]
    return found[-limit:] if cursor.newer else found[:limit]
