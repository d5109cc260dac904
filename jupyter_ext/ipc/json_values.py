"""What JSON can carry: the boundary at which values of workers, clients, services and files become part of a resource.

Rule: whatever comes out of `clean` can be written as strict JSON in UTF-8 and read back by anybody. Numbers that are not
finite are the texts `NaN`, `Infinity` and `-Infinity`, lone surrogates are U+FFFD, and depth and size are bounded; what was
cut says so where it was.

Standard library only. Source: docs/architecture/02-wire.md, "Values".
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from typing import Any

MAX_DEPTH = 64
"""Lists and objects inside each other. Parsers refuse a hundred or a thousand; nobody reads more than a few."""
MAX_ITEMS = 100_000
"""Elements of all lists and objects of one value together."""
MAX_CHARS = 64 << 20
"""Characters of all texts of one value together."""

_SURROGATE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True)
class Limits:
    """How much of a value is kept.

    Attributes:
        depth: Lists and objects inside each other.
        items: Elements of all lists and objects together.
        chars: Characters of all texts together.
        text_chars: Characters of one text.
    """

    depth: int = MAX_DEPTH
    items: int = MAX_ITEMS
    chars: int = MAX_CHARS
    text_chars: int = MAX_CHARS


WHOLE = Limits()


def clean(value: Any, limits: Limits = WHOLE) -> Any:
    """Return a value that JSON can carry; objects that are neither are returned as they are.

    Args:
        value: Numbers, texts, lists and mappings inside each other.
        limits: How much is kept.
    """
    return bounded(value, limits)[0]


def bounded(value: Any, limits: Limits = WHOLE, path: str = "") -> tuple[Any, list[str]]:
    """Return a value that JSON can carry, and the paths of what was cut of it, such as `output.images.3`.

    Args:
        value: Numbers, texts, lists and mappings inside each other.
        limits: How much is kept.
        path: Where the value stands.
    """
    cleaner = _Cleaner(limits)
    return cleaner.clean(value, path, 0), cleaner.cut


def clean_text(text: str) -> str:
    """Return a text with U+FFFD in place of lone surrogates."""
    return text if text.isascii() else _SURROGATE.sub("\ufffd", text)


def number(value: float) -> float | str:
    """Return a number as JSON can carry it: as it is, or the name of one that is not finite."""
    if math.isfinite(value):
        return value
    return "NaN" if value != value else "Infinity" if value > 0 else "-Infinity"


def dump(value: Any) -> bytes:
    """Write JSON in UTF-8, with whatever JSON cannot carry in its place."""
    try:
        return _dump(value)
    except (ValueError, RecursionError):  # not finite, a surrogate, a ring, too deep
        return _dump(clean(value))


def fault(value: Any, path: str = "") -> tuple[str, str] | None:
    """Return the path of the first thing that no resource can carry and why, or `None` where there is none."""
    try:
        _dump(value)
    except (ValueError, RecursionError):
        return _fault(value, path, 0)
    return _fault(value, path, 0) if _is_deep(value) else None


def _dump(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


def _is_deep(value: Any) -> bool:
    """Tell whether there are more levels than `MAX_DEPTH`, one level after the other."""
    level = [value]
    for _ in range(MAX_DEPTH + 1):
        level = [item for item in level if isinstance(item, dict | list)]
        if not level:
            return False
        level = [inner for item in level for inner in (item.values() if isinstance(item, dict) else item)]
    return True


def _fault(value: Any, path: str, depth: int) -> tuple[str, str] | None:
    if isinstance(value, float) and not math.isfinite(value):
        return path, f"{number(value)} is no finite number"
    if isinstance(value, str) and (found := _SURROGATE.search(value)):
        return path, f"character {found.start() + 1} is half of a surrogate pair (U+{ord(found[0]):04X})"
    if not isinstance(value, dict | list):
        return None
    if depth >= MAX_DEPTH:
        return path, f"is nested deeper than {MAX_DEPTH} levels"
    for key, item in value.items() if isinstance(value, dict) else enumerate(value):
        if isinstance(key, str) and _SURROGATE.search(key):
            return _join(path, clean_text(key)), "its name has half of a surrogate pair"
        if (found_inside := _fault(item, _join(path, key), depth + 1)) is not None:
            return found_inside
    return None


def _name(key: object) -> str:
    """Return a key as JSON writes it."""
    if isinstance(key, str):
        return key
    return (
        {None: "null", True: "true", False: "false"}[key]
        if key is None or isinstance(key, bool)
        else str(key)
    )


def _join(path: str, key: object) -> str:
    return f"{path}.{key}" if path else str(key)


@dataclass
class _Cleaner:
    """Cleans one value, counting what it keeps."""

    limits: Limits
    cut: list[str] = field(default_factory=list)
    items: int = 0
    chars: int = 0

    def clean(self, value: Any, path: str, depth: int) -> Any:
        if isinstance(value, str):
            return self._text(value, path)
        if isinstance(value, float):
            return number(float(value))
        if isinstance(value, dict):
            return self._mapping(value, path, depth)
        if isinstance(value, list | tuple):
            return self._list(value, path, depth)
        return value

    def _text(self, text: str, path: str) -> str:
        room = min(self.limits.text_chars, max(0, self.limits.chars - self.chars))
        if len(text) <= room:
            self.chars += len(text)
            return clean_text(text)
        self.chars += room
        self.cut.append(path)
        return f"{clean_text(text[:room])}… ({len(text):,} characters)"

    def _list(self, values: list[Any] | tuple[Any, ...], path: str, depth: int) -> Any:
        if depth >= self.limits.depth:
            return self._too_deep(path)
        kept: list[Any] = []
        for place, item in enumerate(values):
            if self.items >= self.limits.items:
                self.cut.append(path)
                return [*kept, f"… ({len(values) - place:,} more)"]
            self.items += 1
            kept.append(self.clean(item, _join(path, place), depth + 1))
        return kept

    def _mapping(self, values: dict[Any, Any], path: str, depth: int) -> Any:
        if depth >= self.limits.depth:
            return self._too_deep(path)
        kept: dict[str, Any] = {}
        for key, item in values.items():
            if self.items >= self.limits.items:
                self.cut.append(path)
                kept["…"] = f"({len(values) - len(kept):,} more)"
                return kept
            self.items += 1
            name = clean_text(_name(key))
            while name in kept:
                name += "\ufffd"
            kept[name] = self.clean(item, _join(path, name), depth + 1)
        return kept

    def _too_deep(self, path: str) -> str:
        self.cut.append(path)
        return f"… (nested deeper than {self.limits.depth} levels)"
