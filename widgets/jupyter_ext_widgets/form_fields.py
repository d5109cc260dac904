"""Which control a form gives each input of `train()`, read from its schema. No widget library is imported here.

Rule: a control never narrows what may be typed. A slider is a quick way to common values beside a text box that takes
all that the signature allows.
"""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from jupyter_ext.protocol.training_input import TrainingInput

LOG_WORDS = ("lr", "rate", "decay", "eps", "epsilon")
"""An input with one of these words in its name is thought of in powers of ten."""
LOG_DECADES = 3
"""So are bounds that span as many."""
_ASSUMED_DECADES = 3
"""A logarithmic slider without bounds reaches as far down and up from the default."""
_MAX_SLIDER_STOPS = 10_000

Kind = Literal["text", "choice", "checkbox", "path"]


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

    @property
    def text(self) -> str:
        """The default as one would type it."""
        return text_of(self.default) if self.has_default else ""


def fields_of(training_input: TrainingInput) -> list[FormField]:
    """Give a field for each input, in the order of the signature."""
    properties = training_input.json_schema()["properties"]
    return [
        _field(name, _without_null(schema), parameter.type_text, parameter.required)
        for parameter in training_input.parameters
        for name, schema in ((parameter.name, properties[parameter.name]),)
    ]


def text_of(value: Any) -> str:
    """Write a value as one would type it after `-i name=`."""
    return value if isinstance(value, str) else repr(value)


def changed(fields: list[FormField], values: Mapping[str, Any]) -> dict[str, Any]:
    """Give the values that differ from the defaults."""
    return {
        item.name: values[item.name]
        for item in fields
        if item.name in values and not (item.has_default and _same(values[item.name], item.default))
    }


def magic_line(start: str, values: Mapping[str, Any]) -> str:
    """Write the magic that starts the same: `%%train digits -i lr=0.001`."""
    return " ".join([start, *(f"-i {name}={shlex.quote(text_of(value))}" for name, value in values.items())])


def call_line(function: str, values: Mapping[str, Any]) -> str:
    """Write the call that starts the same: `jx.train(fit, lr=0.001)`."""
    return f"jx.train({', '.join([function, *(f'{name}={value!r}' for name, value in values.items())])})"


def _same(value: Any, default: Any) -> bool:
    return bool(value == default) and isinstance(value, bool) == isinstance(default, bool)


def _field(name: str, schema: Mapping[str, Any], type_text: str, required: bool) -> FormField:
    has_default = "default" in schema and not required
    default = schema.get("default")
    choices = tuple(schema["enum"]) if "enum" in schema else ((schema["const"],) if "const" in schema else ())
    kind: Kind = "text"
    if choices:
        kind = "choice"
    elif schema.get("type") == "boolean" and has_default and isinstance(default, bool):
        kind = "checkbox"
    elif schema.get("format") in ("path", "file-path", "directory-path"):
        kind = "path"
    slider = _slider(name, schema, default if has_default else None) if kind == "text" else None
    parts = [str(schema.get("description") or ""), type_text, _bounds_text(schema)]
    tooltip = " · ".join(part for part in parts if part)
    return FormField(name, kind, type_text, required, default, has_default, tooltip, choices, slider)


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """Give `int | None` the schema of `int`: an empty box stands for the default."""
    kinds = [item for item in schema.get("anyOf", ()) if item.get("type") != "null"]
    return {**schema, **kinds[0]} if len(kinds) == 1 else schema


def _slider(name: str, schema: Mapping[str, Any], default: Any) -> Slider | None:
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


def _bounds_text(schema: Mapping[str, Any]) -> str:
    signs = {"minimum": "≥", "exclusiveMinimum": ">", "maximum": "≤", "exclusiveMaximum": "<"}
    return ", ".join(f"{sign} {schema[key]:g}" for key, sign in signs.items() if key in schema)
