"""Lists of things that have a name, tags and a time, filtered and sorted as Decthings' `get…s` methods do."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NotRequired, TypedDict, TypeVar

from jupyter_ext.engine.api.decthings.rpc.calls import Call, Invalid
from jupyter_ext.ipc.decthings.dataset_reader import Tag


class Owner(TypedDict):
    """A user."""

    userId: str
    username: str


LOCAL_OWNER: Owner = {"userId": "local", "username": "local"}
"""Everything here belongs to the user who runs the engine."""

_DEFAULT_LIMIT = 20
T = TypeVar("T")


class ListItem(TypedDict):
    """What every thing in a list has; `createdAt` in milliseconds since 1970."""

    id: str
    name: str
    createdAt: int
    tags: NotRequired[list[Tag]]


_SORTS: dict[str, Callable[[ListItem], tuple[int | str, str]]] = {
    "createdAt": lambda shown: (shown["createdAt"], shown["id"]),
    "name": lambda shown: (shown["name"], shown["id"]),
}


def page(call: Call, items: Sequence[T], show: Callable[[T], ListItem], result: str) -> dict[str, object]:
    """Return a page of a list.

    Args:
        call: `offset`, `limit`, `filter` (`owners`, `ids`, `tags`, `names`, `searchName`), `sort`, `sortDirection`.
        items: All of them, oldest first.
        show: Gives the JSON of one.
        result: The name of the list in the answer.
    """
    offset, limit = call.integer("offset", 0), call.integer("limit", _DEFAULT_LIMIT)
    wanted = call.object("filter")
    found = [shown for shown in map(show, items) if _fits(shown, wanted)]
    sort = call.optional_text("sort") or "createdAt"
    if sort not in _SORTS:
        raise Invalid("sort", f"is {sort!r}, but must be createdAt or name")
    direction = call.optional_text("sortDirection") or "desc"
    if direction not in ("asc", "desc"):
        raise Invalid("sortDirection", f"is {direction!r}, but must be asc or desc")
    found.sort(key=_SORTS[sort], reverse=direction == "desc")
    return {result: found[offset : offset + limit], "total": len(found), "offset": offset, "limit": limit}


def tags_of(value: Any) -> list[Tag]:
    """Read tags."""
    if value is None:
        return []
    if not isinstance(value, list):
        raise Invalid("tags", "must be a list")
    for item in value:
        if not (
            isinstance(item, dict) and isinstance(item.get("tag"), str) and isinstance(item.get("value"), str)
        ):
            raise Invalid("tags", "must be a list of {tag, value}, both texts")
    return [{"tag": item["tag"], "value": item["value"]} for item in value]


def _fits(shown: ListItem, wanted: Mapping[str, Any]) -> bool:
    ids, owners, names, tags = (wanted.get(key) for key in ("ids", "owners", "names", "tags"))
    search = wanted.get("searchName")
    return (
        (ids is None or shown["id"] in ids)
        and (owners is None or LOCAL_OWNER["userId"] in owners)
        and (names is None or shown["name"] in names)
        and (tags is None or all(tag in shown.get("tags", []) for tag in tags))
        and (not search or str(search).lower() in shown["name"].lower())
    )
