"""What `train()` gave back, summarised. Standard library only.

Rule: a training that has finished never fails for its return value. The summary is JSON within bounds; nothing large is ever
turned into text, and what cannot be read says so in its place.
"""

from __future__ import annotations

import dataclasses
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence, Set
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from itertools import islice
from typing import Any

from jupyter_ext.ipc.json_values import clean_text, number

MAX_DEPTH = 20
MAX_VALUES = 50_000
"""In one summary, containers included."""
MAX_TEXT = 100_000
"""Characters of one text; all texts together take ten times that at most."""
MAX_REPR = 1_000
_MAX_ARRAY = 10_000
_MAX_KEY = 200
_MAX_JSON_INT = 1 << 63


def summarize(value: Any, max_text: int = MAX_TEXT) -> Any:
    """Return a value as JSON: models by field, 0-d tensors as numbers, large arrays by shape, the rest as its repr.

    Paths become absolute text, as whoever reads them is in another directory. Numbers that JSON cannot carry become the texts
    `NaN`, `Infinity` and `-Infinity`, characters that UTF-8 cannot carry U+FFFD.

    Args:
        value: Anything.
        max_text: How long one text may be, characters.
    """
    return _Summary(max_text).of(value, 0)


def is_state_dict(value: Any) -> bool:
    """Tell whether a value is a mapping of names to tensors, as `model.state_dict()` returns it."""
    return (
        isinstance(value, Mapping)
        and len(value) > 0
        and all(isinstance(key, str) and _is_tensor(item) for key, item in value.items())
    )


def shapes(state: Mapping[str, object]) -> dict[str, str]:
    """Return what each tensor of a state dict is, without its numbers."""
    return {clean_text(name): _shape(tensor) for name, tensor in islice(state.items(), MAX_VALUES)}


class _Summary:
    def __init__(self, max_text: int) -> None:
        self._left = MAX_VALUES
        self._max_text = max_text
        self._text_left = 10 * max_text
        self._within: set[int] = set()

    def of(self, value: Any, depth: int) -> Any:
        self._left -= 1
        try:
            return self._one(value, depth)
        except Exception as error:  # noqa: BLE001  a user's object may do anything when it is read
            return f"<{_kind(value)} that cannot be read: {type(error).__name__}>"

    def _one(self, value: Any, depth: int) -> Any:
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, Enum):
            return self.of(value.value, depth + 1)
        for kinds, convert in _PLAIN:
            if isinstance(value, kinds):
                found = convert(value)
                return self.text(found) if isinstance(found, str) else found
        if _is_array(value):
            return self._array(value, depth)
        reader = _reader(value)
        if reader is None:
            return self._repr(value)
        if id(value) in self._within:
            return f"<{_kind(value)} that contains itself>"
        if depth >= MAX_DEPTH:
            return f"<{_kind(value)}, more than {MAX_DEPTH} levels deep>"
        self._within.add(id(value))
        try:
            content = reader(value)
            if isinstance(content, Mapping):
                return self._mapping(content, depth)
            return self._items(content, depth)
        finally:
            self._within.discard(id(value))

    def text(self, text: str) -> str:
        limit = max(0, min(self._max_text, self._text_left))
        kept = text[:limit]
        self._text_left -= len(kept)
        kept = clean_text(kept)
        return kept if len(text) <= limit else f"{kept}… {len(text) - limit:,} more characters"

    def _mapping(self, content: Mapping[Any, Any], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, item in content.items():
            if self._left <= 0:
                found["…"] = f"{len(content) - len(found):,} more"
                break
            found[self._key(key, found)] = self.of(item, depth + 1)
        return found

    def _key(self, key: Any, taken: Mapping[str, object]) -> str:
        """Return the text of a key: its own where it is text or a number, and one that no other key has in any case."""
        try:
            text = (
                key
                if isinstance(key, str)
                else _json_key(self._one(key, MAX_DEPTH) if _is_plain(key) else key)
            )
        except Exception as error:  # noqa: BLE001  a user's object may do anything when it is read
            text = f"<{_kind(key)} that cannot be read: {type(error).__name__}>"
        text = self.text(text[:_MAX_KEY])
        if text not in taken:
            return text
        text = f"{text} ({_kind(key)})"
        number, found = 2, text
        while found in taken:
            number, found = number + 1, f"{text} #{number}"
        return found

    def _items(self, items: Iterable[Any], depth: int) -> list[Any]:
        found: list[Any] = []
        iterator = iter(items)
        for item in islice(iterator, max(0, self._left)):
            if self._left <= 0:
                found.append("… more")
                break
            found.append(self.of(item, depth + 1))
        else:
            if next(iterator, _NOTHING) is not _NOTHING:
                found.append("… more")
        return found

    def _array(self, value: Any, depth: int) -> Any:
        size = math.prod(value.shape)
        if size <= min(_MAX_ARRAY, max(0, self._left)):
            return self.of(value.tolist(), depth)
        return self.text(_shape(value))

    def _repr(self, value: Any) -> str:
        return self.text(repr(value)[:MAX_REPR])


_NOTHING = object()


def _shape(array: Any) -> str:
    kind = f"{type(array).__module__.partition('.')[0]}.{type(array).__name__}"
    return f"<{kind} of {array.dtype}, shape {list(array.shape)}>"


def _int(value: int) -> int | str:
    if -_MAX_JSON_INT <= value < _MAX_JSON_INT:
        return int(value)
    return str(value) if value.bit_length() < 4096 else f"<int of {value.bit_length():,} bits>"


def _bytes(value: Any) -> str:
    size = len(memoryview(value))
    return repr(bytes(value)) if size <= MAX_REPR else f"<{_kind(value)} of {size:,} bytes>"


_PLAIN: tuple[tuple[Any, Callable[[Any], Any]], ...] = (
    (int, _int),
    (float, lambda value: number(float(value))),
    (str, str),
    (os.PathLike, lambda value: os.path.abspath(os.fsdecode(value))),
    ((bytes, bytearray, memoryview), _bytes),
    ((datetime, date, time), lambda value: value.isoformat()),
    ((Decimal, Fraction, timedelta, complex), str),
)


def _json_key(plain: Any) -> str:
    if plain is None:
        return "null"
    if isinstance(plain, bool):
        return "true" if plain else "false"
    return str(plain)


def _is_plain(key: Any) -> bool:
    return isinstance(key, Enum) or _is_array(key) or any(isinstance(key, kinds) for kinds, _ in _PLAIN)


def _is_tensor(value: Any) -> bool:
    return _is_array(value) and callable(getattr(value, "data_ptr", None))


def _is_array(value: Any) -> bool:
    shape = getattr(value, "shape", None)
    return (
        isinstance(shape, tuple)
        and hasattr(value, "dtype")
        and callable(getattr(value, "tolist", None))
        and all(isinstance(length, int) for length in shape)
    )


def _reader(value: Any) -> Callable[[Any], Mapping[Any, Any] | Iterable[Any]] | None:
    """Return what reads a value's content, or `None` for one that is told by its repr."""
    if isinstance(value, Mapping):
        return lambda found: found
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return lambda found: {one.name: getattr(found, one.name) for one in dataclasses.fields(found)}
    if isinstance(value, Sequence | Set) or type(value).__name__ in (
        "dict_keys",
        "dict_values",
        "dict_items",
        "deque",
    ):
        return lambda found: found
    if not isinstance(value, type) and callable(getattr(value, "model_dump", None)):
        return lambda found: found.model_dump()
    return None


def _kind(value: Any) -> str:
    return type(value).__name__
