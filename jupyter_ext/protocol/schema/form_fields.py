"""Which control a form gives each input of `train()`, read from its schema, and what its text means.

Rule: a control never narrows what may be typed. A slider is a quick way to common values beside a text box that takes
all that the signature allows.
"""

from __future__ import annotations

import json
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_ext.protocol.schema.inputs import Parameter, TrainingInput
from jupyter_ext.protocol.schema.json_schema import PropertySchema
from jupyter_ext.protocol.schema.literals import parse_literal

LOG_WORDS = ("lr", "rate", "decay", "eps", "epsilon")
"""An input with one of these words in its name is thought of in powers of ten."""
LOG_DECADES = 3
"""So are bounds that span as many."""
_ASSUMED_DECADES = 3
"""A logarithmic slider without bounds reaches as far down and up from the default."""
_MAX_SLIDER_STOPS = 10_000

Kind = Literal["text", "choice", "choices", "checkbox", "path", "paths", "list", "secret"]
"""`choices`, `paths` and `list` are of inputs that take several values."""
_PATH_FORMATS = ("path", "file-path", "directory-path")


@dataclass(frozen=True)
class Slider:
    """A slider beside a text box; `log` has powers of ten evenly spaced."""

    low: float
    high: float
    step: float
    scale: Literal["integer", "linear", "log"]


@dataclass(frozen=True)
class FormField:
    """One input in a form."""

    name: str
    kind: Kind
    type_text: str
    required: bool
    default: Any = None
    has_default: bool = False
    """Whether the default is known without running the code."""
    tooltip: str = ""
    choices: tuple[Any, ...] = ()
    slider: Slider | None = field(default=None)
    nullable: bool = False
    """Whether it takes `None`."""
    description: str = ""

    @property
    def text(self) -> str:
        """The default as one would type it; nothing for `None` and an empty list, which an empty box stands for."""
        if not self.has_default or self.default is None or self.default == []:
            return ""
        return list_text(self.default) if self.kind in ("list", "paths") else text_of(self.default)

    @property
    def placeholder(self) -> str:
        """What an empty box says."""
        example = {"list": ", such as 1, 2", "paths": ", such as a.csv, b.csv"}.get(self.kind, "")
        if self.required:
            return f"{self.type_text}{example}, required"
        if self.nullable and self.has_default:
            return f"{self.type_text}{example}, empty for None"
        return (
            f"{self.type_text}{example}, default {self.text}" if self.text else f"{self.type_text}{example}"
        )


NOT_GIVEN = object()
"""Stands for an input whose default is to be taken."""


def value_of(item: FormField, typed: Any, training_input: TrainingInput) -> Any:
    """Return the value that a control stands for, or `NOT_GIVEN`.

    Args:
        item: The control's field.
        typed: What it holds: a choice or `None`, a list of choices, a truth value, or the text of a box.
        training_input: All inputs, which say of what type they are.
    """
    if item.kind == "choices":
        return list(typed) if typed or item.has_default else NOT_GIVEN
    if item.kind in ("choice", "checkbox"):
        return typed
    if typed == "":  # an empty box stands for None where that may be given, else for the default
        return None if item.nullable and item.has_default else NOT_GIVEN
    match item.kind:
        case "secret":
            return typed
        case "list" | "paths":
            return list_value(typed, of_text=item.kind == "paths" or "str" in item.type_text)
    return training_input.parse_text({item.name: typed})[item.name]


def fields_of(training_input: TrainingInput) -> list[FormField]:
    """Return a field for each input, in the order of the signature."""
    properties = training_input.properties()
    return [_field(parameter, properties[parameter.name]) for parameter in training_input.parameters]


def text_of(value: Any) -> str:
    """Write a value as one would type it after `-i name=`."""
    if isinstance(value, list | dict):
        return json.dumps(value, ensure_ascii=False)  # quotes that a shell-like line need not quote again
    return value if isinstance(value, str) else repr(value)


def list_text(values: Any) -> str:
    """Write a list as a person does: `64, 32`; as a literal where that would mean something else."""
    if not isinstance(values, list | tuple):
        return text_of(values)
    texts = [text_of(value) for value in values]
    plain = all(text == text.strip() and text and not set(text) & set(",[]{}()'\"") for text in texts)
    return ", ".join(texts) if plain and texts else text_of([*values])


def list_value(text: str, *, of_text: bool) -> Any:
    """Read a list as it is typed: `64, 32`, `a, b`, or a literal such as `["a, b", "c"]`.

    Args:
        text: What was typed.
        of_text: Whether its items are texts, so that `1, 2` stays two texts.
    """
    if text.lstrip()[:1] in ("[", "("):
        return parse_literal(text)
    items = [item.strip() for item in text.split(",")]
    if items[-1] == "":
        items.pop()
    return items if of_text else [parse_literal(item) for item in items]


def changed(fields: list[FormField], values: Mapping[str, object]) -> dict[str, object]:
    """Return the values that differ from the defaults."""
    return {
        item.name: values[item.name]
        for item in fields
        if item.name in values and not (item.has_default and _same(values[item.name], item.default))
    }


def magic_line(start: str, values: Mapping[str, object]) -> str:
    """Write the magic that starts the same: `%%train digits -i lr=0.001`; a secret as the variable that may hold it."""
    words = [
        f"-i {name}={{{value.name}}}"
        if isinstance(value, Variable)
        else f"-i {name}={shlex.quote(text_of(value))}"
        for name, value in values.items()
    ]
    return " ".join([start, *words])


def call_line(function: str, values: Mapping[str, object]) -> str:
    """Write the call that starts the same: `jx.train(fit, lr=0.001)`; a secret as the variable that may hold it."""
    return f"jx.train({', '.join([function, *(f'{name}={value!r}' for name, value in values.items())])})"


@dataclass(frozen=True, repr=False)
class Variable:
    """Stands in an equivalent line for a value that must not be written: the notebook's variable of that name."""

    name: str

    def __repr__(self) -> str:
        """Return the name."""
        return self.name


def shown(fields: list[FormField], values: Mapping[str, object]) -> dict[str, object]:
    """Return values as they may be shown: of a secret a variable's name."""
    secret = {item.name for item in fields if item.kind == "secret"}
    return {name: Variable(name) if name in secret else value for name, value in values.items()}


def _same(value: Any, default: Any) -> bool:
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


def _field(parameter: Parameter, whole: PropertySchema) -> FormField:
    name, schema = parameter.name, _without_null(whole)
    nullable = any(item.get("type") == "null" for item in whole.get("anyOf", ()))
    has_default = "default" in schema and not parameter.required
    default = schema.get("default")
    kind, choices = _kind(schema, parameter)
    if kind == "choice" and choices == (True, False) and not nullable and has_default:
        kind, choices = "checkbox", ()
    slider = _slider(name, schema, default if has_default else None) if kind == "text" else None
    description = str(schema.get("description") or "")
    parts = [description, parameter.type_text, _bounds_text(schema)]
    return FormField(
        name,
        kind,
        parameter.type_text,
        parameter.required,
        default,
        has_default,
        " · ".join(part for part in parts if part),
        choices,
        slider,
        nullable,
        description,
    )


def _kind(schema: PropertySchema, parameter: Parameter) -> tuple[Kind, tuple[Any, ...]]:
    """Choose a control by the type, and the values to choose from."""
    several = schema.get("type") == "array"
    item: PropertySchema = schema.get("items", {}) if several else schema
    choices = tuple(item["enum"]) if "enum" in item else ((item["const"],) if "const" in item else ())
    if parameter.is_secret:
        return "secret", ()
    if choices:
        return ("choices" if several else "choice"), choices
    if item.get("format") in _PATH_FORMATS:
        return ("paths" if several else "path"), ()
    if several:
        return "list", ()
    return ("choice", (True, False)) if schema.get("type") == "boolean" else ("text", ())


def _without_null(schema: PropertySchema) -> PropertySchema:
    """Return `int | None` the schema of `int`."""
    kinds = [item for item in schema.get("anyOf", ()) if item.get("type") != "null"]
    return {**schema, **kinds[0]} if len(kinds) == 1 else schema


def _slider(name: str, schema: PropertySchema, default: Any) -> Slider | None:
    if schema.get("type") not in ("integer", "number"):
        return None
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if schema["type"] == "integer":
        if low is None or high is None or high - low > _MAX_SLIDER_STOPS:
            return None
        first = low + ("minimum" not in schema)
        return Slider(first, high - ("maximum" not in schema), 1, "integer")
    named = not set(LOG_WORDS).isdisjoint(name.lower().split("_"))
    positive = isinstance(default, int | float) and default > 0
    if named or _decades(low, high) >= LOG_DECADES:
        return _log_slider(low, high, float(default) if positive else None)
    if low is None or high is None:
        return None
    return Slider(low, high, (high - low) / 200, "linear")


def _log_slider(low: float | None, high: float | None, default: float | None) -> Slider | None:
    reach = 10.0**_ASSUMED_DECADES
    if (high is None or high <= 0) and default is None:
        return None
    top = high if high is not None else (default or 1.0) * reach
    bottom = low if low is not None and low > 0 else min(default or top, top) / reach
    if bottom >= top:
        return None
    return Slider(math.log10(bottom), math.log10(top), 0.05, "log")


def _decades(low: float | None, high: float | None) -> float:
    return math.log10(high / low) if low is not None and high is not None and 0 < low < high else 0.0


def _bounds_text(schema: PropertySchema) -> str:
    bounds = (
        ("≥", schema.get("minimum")),
        (">", schema.get("exclusiveMinimum")),
        ("≤", schema.get("maximum")),
        ("<", schema.get("exclusiveMaximum")),
    )
    return ", ".join(f"{sign} {bound:g}" for sign, bound in bounds if bound is not None)
