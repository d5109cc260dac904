"""Find the files in what a function returned: wherever a `Path` stands, in lists, dicts and fields. Standard library only.

output_files.json    the places, each a list of keys and indexes into output.json
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Iterator, Mapping
from typing import Any

NAME = "output_files.json"
MAX_FILES = 1000
_MAX_DEPTH = 20

Place = list[str | int]


def places(output: Any) -> list[Place]:
    """Return where in a value paths of files stand, at most `MAX_FILES` of them."""
    found: list[Place] = []
    for place in _walk(output, [], set()):
        found.append(place)
        if len(found) == MAX_FILES:
            break
    return found


def _walk(value: Any, place: Place, within: set[int]) -> Iterator[Place]:
    if isinstance(value, os.PathLike):
        yield place
        return
    if len(place) >= _MAX_DEPTH or id(value) in within:
        return
    items: Iterator[tuple[Any, Any]]
    if isinstance(value, Mapping):
        items = iter(value.items())
    elif isinstance(value, list | tuple):
        items = iter(enumerate(value))
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        items = ((field.name, getattr(value, field.name, None)) for field in dataclasses.fields(value))
    elif callable(getattr(value, "model_dump", None)) and isinstance(vars(value), dict):
        items = iter(list(vars(value).items()))
    else:
        return
    for key, item in items:
        if isinstance(key, str | int):
            yield from _walk(item, [*place, key], within | {id(value)})
