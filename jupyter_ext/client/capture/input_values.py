"""Inputs on their way to a worker: as JSON, which everybody can read, and as they are where JSON cannot say it.

Rule: a value arrives as what it was, or is refused by the input's name. What JSON says exactly, or a signature tells how to
read, goes as JSON alone; everything else is pickled into the bundle beside a JSON form that lists and tables show.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import json
import math
import os
import pickle
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from jupyter_ext.bundles.bundle import Bundle, LargeFile, added
from jupyter_ext.client.capture.bundle import pickled
from jupyter_ext.client.capture.large import Spool
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.schema.inputs import TrainingInput

FILE = "inputs.pkl"
_MAX_DEPTH = 40
_MAX_SHOWN_CHARS = 20_000
"""Of what is longer, the JSON form shows the beginning; the whole travels beside it."""
_MAX_DESCRIPTION_CHARS = 200


@dataclass(frozen=True)
class _Form:
    """A value as JSON.

    Attributes:
        json: What lists and tables show.
        is_exact: Whether reading the JSON gives the value again, type and all.
        is_description: Whether it only says what the value is.
    """

    json: Any
    is_exact: bool = True
    is_description: bool = False


def json_inputs(inputs: Mapping[str, object]) -> dict[str, object]:
    """Return inputs as JSON, for where nothing else can travel: a service, or code that is kept already.

    Raises:
        InvalidInput: One has no JSON form.
    """
    found = {}
    for name, value in inputs.items():
        form = _form(value)
        if form.is_description:
            raise InvalidInput(
                f"{name}={form.json}: a {type(value).__name__} cannot be sent here; give numbers, text, lists or a path."
            )
        found[name] = form.json
    return found


def with_inputs(bundle: Bundle, inputs: Mapping[str, object]) -> tuple[Bundle, dict[str, object]]:
    """Return a bundle that has what JSON cannot say of its inputs, and the inputs as JSON.

    Raises:
        CannotTravel: An input cannot be pickled; it is named.
    """
    found: dict[str, object] = {}
    exact: dict[str, tuple[str, bytes]] = {}
    for name, value in inputs.items():
        if _is_declared_secret(name, bundle.training_input):
            found[name] = _revealed(value)
            continue
        if _holds_secret(value):
            raise InvalidInput(
                f"{name} holds a secret, but nothing says that it is one, so it would be kept in clear; declare it: "
                f"{name}: SecretStr."
            )
        is_open = _is_open(name, bundle.training_input)
        form = _form(value)
        if is_open and form.is_exact and len(shown := json.dumps(form.json)) > _MAX_SHOWN_CHARS:
            form = _Form(_beginning(value, shown), is_exact=False)
        if form.is_description or (is_open and not form.is_exact):
            problem = f"input {name!r} ({type(value).__name__}) cannot travel to the worker"
            data = pickled(_absolute(value), problem, set())
            exact[name] = (json.dumps(form.json), data)
        found[name] = form.json
    return (_added(bundle, exact) if exact else bundle), found


def _added(bundle: Bundle, exact: Mapping[str, tuple[str, bytes]]) -> Bundle:
    spool = Spool(bundle.name)
    pickle.Pickler(spool, protocol=5).dump(dict(exact))
    content = spool.finish()
    if isinstance(content, LargeFile):
        return dataclasses.replace(bundle, large={**bundle.large, FILE: content})
    return dataclasses.replace(bundle, data=added(bundle.data, FILE, content))


def _is_declared_secret(name: str, training_input: TrainingInput | None) -> bool:
    parameters = training_input.parameters if training_input is not None else ()
    return any(parameter.name == name and parameter.is_secret for parameter in parameters)


def _holds_secret(value: Any, depth: int = 0) -> bool:
    """Return whether a value, or something in it, hides itself as a secret."""
    if depth > _MAX_DEPTH:
        return False
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return any(
            _holds_secret(getattr(value, one.name, None), depth + 1) for one in dataclasses.fields(value)
        )
    if isinstance(value, Mapping):
        return any(_holds_secret(item, depth + 1) for item in value.values())
    if isinstance(value, list | tuple | set | frozenset):
        return any(_holds_secret(item, depth + 1) for item in value)
    return _reveals(value)


def _reveals(value: Any) -> bool:
    return not isinstance(value, type) and callable(getattr(value, "get_secret_value", None))


def _revealed(value: Any) -> Any:
    reveal = getattr(value, "get_secret_value", None)
    if callable(reveal):
        return reveal()
    return [_revealed(item) for item in value] if isinstance(value, list | tuple) else value


def _is_open(name: str, training_input: TrainingInput | None) -> bool:
    """Whether the signature leaves open what an input is, so that nothing tells how to read its JSON."""
    parameters = training_input.parameters if training_input is not None else ()
    kinds = [parameter.type for parameter in parameters if parameter.name == name]
    return not kinds or any(_leaves_open(kind) for kind in kinds)


def _leaves_open(kind: Any) -> bool:
    return kind in (Any, list, dict, tuple) or any(_leaves_open(one) for one in get_args(kind))


def _form(value: Any, depth: int = 0) -> _Form:
    """Return a value as JSON."""
    if depth > _MAX_DEPTH:
        return _described(value)
    if value is None or type(value) in (bool, int):
        return _Form(value)
    if type(value) is str:
        clean = value.encode("utf-8", "surrogatepass").decode("utf-8", "replace")
        return _Form(clean, is_exact=clean == value)
    if type(value) is float:
        if math.isfinite(value):
            return _Form(value)
        return _Form("NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity", is_exact=False)
    if callable(getattr(value, "get_secret_value", None)):
        return _Form(value.get_secret_value())
    if callable(item := getattr(value, "item", None)) and getattr(value, "ndim", None) == 0:
        return _form(item(), depth + 1)  # a number of numpy's or a tensor without dimensions is a number
    return _form_of_object(value, depth)


def _form_of_object(value: Any, depth: int) -> _Form:
    if isinstance(value, os.PathLike):
        return _Form(_absolute_path(os.fspath(value)), is_exact=False)
    if isinstance(value, enum.Enum):
        form = _form(value.value, depth + 1)
        return _Form(value.name if form.is_description else form.json, is_exact=False)
    if isinstance(value, str | int | float) and type(value).__mro__[1] is not object:
        plain = next(kind for kind in (str, int, float) if isinstance(value, kind))
        return _Form(_form(plain(value), depth + 1).json, is_exact=False)
    if isinstance(value, datetime.datetime | datetime.date | datetime.time):
        return _Form(value.isoformat(), is_exact=False)
    if isinstance(value, datetime.timedelta):
        return _Form(value.total_seconds(), is_exact=False)
    if isinstance(value, decimal.Decimal | complex):
        return _Form(str(value), is_exact=False)
    if isinstance(value, list | tuple | set | frozenset | range):
        return _form_of_items(value, depth)
    if isinstance(value, Mapping):
        return _form_of_mapping(value, depth)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
        return _Form(_form_of_mapping(fields, depth).json, is_exact=False)
    return _described(value)


def _form_of_items(value: Iterable[Any], depth: int) -> _Form:
    items = list(value)
    if isinstance(value, set | frozenset):
        items.sort(key=lambda item: (type(item).__name__, repr(item)))
    forms = [_form(item, depth + 1) for item in items]
    is_exact = type(value) is list and all(form.is_exact for form in forms)
    return _Form([form.json for form in forms], is_exact, any(form.is_description for form in forms))


def _form_of_mapping(value: Mapping[Any, Any], depth: int) -> _Form:
    keys = {key: key if type(key) is str else _description(_form(key, depth + 1).json) for key in value}
    forms = {keys[key]: _form(item, depth + 1) for key, item in value.items()}
    is_exact = type(value) is dict and all(type(key) is str for key in value)
    is_exact = (
        is_exact
        and all(form.is_exact for form in forms.values())
        and all(_form(key).is_exact for key in value)
    )
    described = any(form.is_description for form in forms.values()) or len(forms) < len(value)
    return _Form({_form(key).json: form.json for key, form in forms.items()}, is_exact, described)


def _described(value: Any) -> _Form:
    return _Form(_description(value), is_exact=False, is_description=True)


def _description(value: Any) -> str:
    """Return what a value is in a line: its shape and type where it is an array, else the beginning of its repr."""
    if isinstance(value, str):
        return value
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is not None and not isinstance(value, type):
        kind = "" if dtype is None else f" {str(dtype).removeprefix('torch.')}"
        return f"{type(value).__name__}{kind} {list(shape)}"
    try:
        text = " ".join(repr(value).split())
    except Exception:  # noqa: BLE001  whatever a user's __repr__ raises
        text = f"<{type(value).__name__}>"
    text = text.encode("utf-8", "replace").decode()
    return text if len(text) <= _MAX_DESCRIPTION_CHARS else f"{text[: _MAX_DESCRIPTION_CHARS - 1]}…"


def _beginning(value: Any, shown: str) -> Any:
    """Return the beginning of what is too long to be shown whole."""
    if isinstance(value, str):
        return f"{value[:_MAX_DESCRIPTION_CHARS]}… ({len(value):,} characters)"
    return f"{shown[:_MAX_DESCRIPTION_CHARS]}… ({len(value):,} items)"


def _absolute_path(path: Any) -> Any:
    try:
        return os.path.abspath(path)
    except FileNotFoundError:
        raise InvalidInput(
            f"{os.fspath(path)!r} lies in the notebook's folder, which was deleted; go to another one first: %cd ~"
        ) from None


def _absolute(value: Any, above: tuple[int, ...] = ()) -> Any:
    """Return paths as absolute ones: the worker may have a directory of its own. What contains itself stays as it is there."""
    if isinstance(value, Path):
        return type(value)(_absolute_path(value))
    if type(value) not in (list, tuple, dict) or id(value) in above:
        return value
    above = (*above, id(value))
    if type(value) is dict:
        return {key: _absolute(item, above) for key, item in value.items()}
    return type(value)(_absolute(item, above) for item in value)
