"""Which one a person means by a name or an id: one rule for trainings, sessions, models and what else is listed.

Rule: an exact name, else an exact id, else a beginning of an id of at least six characters that only one has. A full
reference, such as `org/name`, is never the beginning of another. Everything else is refused with what comes close,
because the next thing done with the answer may be to delete it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable
from typing import Any, TypeVar

from jupyter_ext.errors import UnknownId

MIN_PREFIX_CHARS = 6
_MAX_CANDIDATES = 5
_REFERENCE_MARKS = frozenset("/:@")

T = TypeVar("T")


def choose(
    text: str,
    known: Iterable[T],
    *,
    kind: str,
    list_with: str,
    name_of: Callable[[T], str] = lambda one: str(getattr(one, "name", "")),
    id_of: Callable[[T], str] = lambda one: str(getattr(one, "id", "")),
    names_repeat: bool = False,
) -> T:
    """Return the one that a name or an id means.

    Args:
        text: What a person wrote, not empty; see `check_text`.
        known: Those there are, newest first. It is read only as far as needed.
        kind: What they are, for messages: `training`, `model`.
        list_with: The command that lists them, for messages.
        name_of: Returns the name of one.
        id_of: Returns the id of one.
        names_repeat: Whether several may have one name, of which the newest is meant. Otherwise that is ambiguous.

    Raises:
        UnknownId: There is none, or the text fits several; the message lists candidates.
    """
    seen: list[T] = []
    for one in known:
        if names_repeat and name_of(one) == text:
            return one
        seen.append(one)
    begun = [one for one in seen if id_of(one).startswith(text)]
    named = [one for one in seen if name_of(one) == text]
    exact = [one for one in begun if id_of(one) == text]
    is_beginning = len(text) >= MIN_PREFIX_CHARS and not _REFERENCE_MARKS.intersection(text)
    fitting = named or exact or (begun if is_beginning else [])
    if len(fitting) == 1:
        return fitting[0]
    if fitting:
        candidates = _listed(fitting, name_of, id_of)
        raise UnknownId(
            f"{text!r} fits {len(fitting)} {kind}s: {candidates}. Write more of the id.", has_candidates=True
        )
    close = _listed([*begun, *_close(text, seen, begun, name_of, id_of)], name_of, id_of)
    raise UnknownId(
        f"There is no {kind} {text!r}. {_next_step(text, close, list_with, has_begun=bool(begun))}",
        has_candidates=bool(close),
    )


def _next_step(text: str, close: str, list_with: str, *, has_begun: bool) -> str:
    if has_begun and len(text) < MIN_PREFIX_CHARS:
        return f"Of an id, write at least {MIN_PREFIX_CHARS} characters: {close}."
    return f"Close to it: {close}." if close else f"`{list_with}` lists those there are."


def _close(
    text: str, seen: list[T], begun: list[T], name_of: Callable[[T], str], id_of: Callable[[T], str]
) -> list[T]:
    """Return those that contain the text or are spelled like it, without those whose id begins with it."""
    known = [one for one in seen if one not in begun]
    wanted = text.casefold()
    containing = [
        one
        for one in known
        if len(wanted) > 1 and (wanted in name_of(one).casefold() or wanted in id_of(one).casefold())
    ]
    if containing:
        return containing
    by_name: dict[str, T] = {}
    for one in known:
        by_name.setdefault(name_of(one), one)
    return [by_name[name] for name in difflib.get_close_matches(text, by_name, n=_MAX_CANDIDATES)]


def _listed(found: list[T], name_of: Callable[[T], str], id_of: Callable[[T], str]) -> str:
    texts = []
    for one in found[:_MAX_CANDIDATES]:
        name, id = name_of(one), id_of(one)
        texts.append(id if name in ("", id) else f"{name} ({id})")
    more = len(found) - _MAX_CANDIDATES
    return ", ".join(texts) + (f" and {more} more" if more > 0 else "")


def check_text(text: Any, kind: str, list_with: str) -> str:
    """Refuse what no name or id can be: other types, nothing at all, text that no request can carry.

    Raises:
        UnknownId: It is such a thing.
    """
    if not isinstance(text, str) or not text or not text.isprintable():
        raise UnknownId(f"There is no {kind} {text!r}. `{list_with}` lists those there are.")
    return text
