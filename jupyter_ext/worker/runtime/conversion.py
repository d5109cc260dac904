"""JSON values as what a signature declares: tuples, sets, keys that are no text, dates, enums, dataclasses. Standard library only."""

from __future__ import annotations

import contextlib
import dataclasses
import datetime
import decimal
import enum
import functools
import inspect
import types
import typing
from typing import Any

_TIMES = (datetime.datetime, datetime.date, datetime.time)
_NON_FINITE = {"NaN": float("nan"), "Infinity": float("inf"), "-Infinity": float("-inf")}


def declared_types(function: Any) -> dict[str, Any]:
    """Return the types that a function declares; those that cannot be told are missing."""
    while isinstance(function, functools.partial):
        function = function.func
    if not inspect.isroutine(function) and not inspect.isclass(function):
        function = type(function).__call__
    try:
        return typing.get_type_hints(function)
    except Exception:  # noqa: BLE001  an annotation may name what is not there, or raise: then it says nothing
        return {}


def as_declared(name: str, value: Any, kind: Any) -> Any:
    """Return a value as its declared type; what needs no change or is not understood stays as it is.

    Args:
        name: The input, for messages.
        value: What JSON carried, or a value as it was given.
        kind: The type.

    Raises:
        ValueError: It is none of an enum's members.
    """
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in (typing.Union, types.UnionType):
        return _as_one_of(name, value, inner)
    if isinstance(value, list):
        return _as_collection(name, value, origin or kind, inner)
    if isinstance(value, dict):
        return _as_mapping(name, value, kind, origin, inner)
    return _as_plain(name, value, kind) if isinstance(kind, type) else value


def _as_one_of(name: str, value: Any, kinds: tuple[Any, ...]) -> Any:
    if value is None or any(isinstance(kind, type) and type(value) is kind for kind in kinds):
        return value
    for kind in kinds:
        with contextlib.suppress(ValueError, TypeError, ArithmeticError):
            changed = as_declared(name, value, kind)
            if changed is not value:
                return changed
    return value


def _as_collection(name: str, value: list[Any], kind: Any, inner: tuple[Any, ...]) -> Any:
    if kind is tuple and inner and inner[-1] is not Ellipsis:
        kinds = [*inner, *[Any] * (len(value) - len(inner))]
        return tuple(as_declared(name, item, one) for item, one in zip(value, kinds, strict=False))
    items = [as_declared(name, item, inner[0]) for item in value] if inner else value
    return kind(items) if kind in (tuple, set, frozenset) else items


def _as_mapping(name: str, value: dict[Any, Any], kind: Any, origin: Any, inner: tuple[Any, ...]) -> Any:
    if origin is dict and len(inner) == 2:
        return {_as_key(key, inner[0]): as_declared(name, item, inner[1]) for key, item in value.items()}
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        kinds = declared_types(kind)
        return kind(**{key: as_declared(name, item, kinds.get(key, Any)) for key, item in value.items()})
    return value


def _as_key(key: Any, kind: Any) -> Any:
    """Return a key of JSON, which is always text, as its type."""
    if not isinstance(key, str) or kind is str:
        return key
    if kind is bool:
        return {"True": True, "False": False, "true": True, "false": False}.get(key, key)
    with contextlib.suppress(ValueError, TypeError):
        return kind(key) if kind in (int, float) else as_declared(key, key, kind)
    return key


def _as_plain(name: str, value: Any, kind: type) -> Any:
    if isinstance(value, kind) and kind is not object:
        return value
    if issubclass(kind, enum.Enum):
        return _member(name, value, kind)
    if isinstance(value, str):
        if kind is float and value in _NON_FINITE:
            return _NON_FINITE[value]
        if kind in _TIMES:
            return kind.fromisoformat(value)
        if kind in (decimal.Decimal, complex):
            return kind(value)
        if kind is bytes:
            return value.encode("utf-8", "surrogateescape")
    if isinstance(value, int | float) and not isinstance(value, bool):
        if kind is datetime.timedelta:
            return datetime.timedelta(seconds=value)
        if kind is decimal.Decimal:
            return decimal.Decimal(str(value))
    return value


def _member(name: str, value: Any, kind: type[enum.Enum]) -> enum.Enum:
    """Find an enum's member by its value or its name, also one of a class that was defined anew."""
    if isinstance(value, enum.Enum):
        value = value.name
    with contextlib.suppress(ValueError):
        return kind(value)
    if isinstance(value, str) and value in kind.__members__:
        return kind[value]
    names = ", ".join(kind.__members__)
    raise ValueError(f"input {name}={value!r} is none of {kind.__name__}: {names}")
