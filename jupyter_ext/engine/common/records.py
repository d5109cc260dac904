"""The records that the engine keeps as small JSON files, read so that no file ever keeps it from starting.

Rule: every file of the data directory is read through `load` or `read_record`. Unknown keys are ignored: a newer version may
have written them. A file that cannot be read is set aside: it stays where it is, is not used, and is reported in one line
(`health`). Before another record takes its name it is renamed, so that nothing is ever written over.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Container, Iterator
from functools import cache
from pathlib import Path
from typing import Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from jupyter_ext.engine.common import health
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.json_values import clean_text

T = TypeVar("T")

_NOT_THERE = (FileNotFoundError, NotADirectoryError)
_NOT_A_RECORD = (ValueError, TypeError, KeyError, AttributeError, IndexError, OverflowError, RecursionError)


def load(path: Path, make: Callable[[Any], T]) -> T | None:
    """Return the record in a file, or `None` where there is no file or it was set aside.

    Args:
        path: The file.
        make: Makes the record of what the file says, or raises what a wrong type, key or value makes it raise.
    """
    try:
        content = json.loads(path.read_bytes())
        record = make(content)
    except _NOT_THERE:
        return None
    except OSError as error:
        set_aside(path, error.strerror or str(error))
        return None
    except _NOT_A_RECORD as error:
        set_aside(path, why(error))
        return None
    health.clear(str(path))
    return record


def read_record(path: Path, kind: type[T]) -> T | None:
    """Return a dataclass, TypedDict or model read from a file; see `load`."""
    return load(path, lambda content: parse(kind, content))


def parse(kind: type[T], content: Any) -> T:
    """Check JSON against a dataclass, TypedDict or model; unknown keys are ignored.

    Raises:
        ValueError: A key is missing or a value is of the wrong type.
    """
    return cast("T", _adapter(kind).validate_python(content))  # type: ignore[arg-type]


def is_there(path: Path) -> bool:
    """Tell whether something lies at a path, even if it cannot be read."""
    return os.path.lexists(path)


def set_aside(path: Path, reason: str) -> None:
    """Report a file that is not used; it stays where it is."""
    health.report(str(path), f"{clean_text(str(path))} cannot be read ({reason}) and is left out.")


def replace(path: Path, content: object, *, is_synced: bool = True) -> None:
    """Write a record. What lies there and was set aside is kept beside it as `<name>.unreadable`.

    Args:
        path: The record's file.
        content: What JSON can carry.
        is_synced: Whether to wait for the disk.

    Raises:
        OSError: It cannot be written.
    """
    if is_there(path) and (health.is_reported(str(path)) or path.is_dir()):
        move_aside(path)
    write_json(path, content, is_synced=is_synced)


def move_aside(path: Path) -> Path:
    """Rename what lies at a path to `<name>.unreadable`, so that something else can take its place.

    Returns:
        Where it is now.

    Raises:
        OSError: It cannot be renamed.
    """
    kept = _free_name(path)
    os.replace(path, kept)
    health.clear(str(path))
    return kept


def directories(
    parent: Path, is_name: Callable[[str], bool], but: Container[str] = frozenset()
) -> Iterator[Path]:
    """Yield the directories with a name of the form that our own have, sorted; whatever else lies there is ignored.

    Args:
        parent: Where they are.
        is_name: Tells whether a name has that form.
        but: Names that are passed over without a look.
    """
    try:
        names = sorted(os.listdir(parent))
    except _NOT_THERE:
        return
    except OSError as error:
        set_aside(parent, error.strerror or str(error))
        return
    for name in names:
        if name not in but and is_name(name) and (parent / name).is_dir():
            yield parent / name


def why(error: Exception) -> str:
    """Say in one short line what is wrong with a record."""
    if isinstance(error, ValidationError):
        first = error.errors(include_url=False, include_input=False)[0]
        return f"{'.'.join(map(str, first['loc'])) or 'it'}: {first['msg']}"
    if isinstance(error, UnicodeDecodeError):
        return "it is not UTF-8"
    if isinstance(error, json.JSONDecodeError):
        return "it is not JSON"
    if isinstance(error, RecursionError):
        return "it is nested too deep"
    if isinstance(error, KeyError):
        return f"{error.args[0]!r} is missing"
    return clean_text(f"{type(error).__name__}: {error}".splitlines()[0][:200])


def _free_name(path: Path) -> Path:
    number = 0
    while True:
        name = path.with_name(f"{path.name}.unreadable{number or ''}")
        if not os.path.lexists(name):
            return name
        number += 1


@cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)
