"""The inputs of a training: a pydantic model that validates them and gives the JSON schema (`TrainingInput`) of forms.

Source: Replicate's words for `invalid_fields`. How a signature becomes one is in `signature`.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, create_model

from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.problems import InvalidField
from jupyter_ext.protocol.schema.annotations import Constraints
from jupyter_ext.protocol.schema.json_schema import PropertySchema
from jupyter_ext.protocol.schema.literals import UNKNOWN, parse_literal

_WORDS = {
    "missing": "required",
    "extra_forbidden": "additional_property_not_allowed",
    "greater_than": "number_gt",
    "greater_than_equal": "number_gte",
    "less_than": "number_lt",
    "less_than_equal": "number_lte",
    "literal_error": "enum",
    "string_pattern_mismatch": "pattern",
    "string_too_short": "string_gte",
    "string_too_long": "string_lte",
}


@dataclass(frozen=True)
class Parameter:
    """One input: its type as pydantic understands it, default and constraints."""

    name: str
    type: Any
    type_text: str
    required: bool
    default: Any = UNKNOWN
    constraints: Constraints = field(default_factory=Constraints)

    @property
    def is_secret(self) -> bool:
        """Whether its values may be written nowhere."""
        return "Secret" in self.type_text


@dataclass(frozen=True)
class TrainingInput:
    """All inputs of one training."""

    parameters: tuple[Parameter, ...]
    takes_any: bool = False
    entry: str = "train"
    """The function's name, for messages."""

    @cached_property
    def model(self) -> type[BaseModel]:
        """The pydantic model that validates."""
        fields: dict[str, Any] = {}
        for parameter in self.parameters:
            default = (
                ... if parameter.required else (None if parameter.default is UNKNOWN else parameter.default)
            )
            fields[parameter.name] = (parameter.type, Field(default, **parameter.constraints))
        config = ConfigDict(extra="allow" if self.takes_any else "forbid", protected_namespaces=())
        return create_model("TrainingInput", __config__=config, **fields)

    def json_schema(self) -> JsonObject:
        """Return the JSON schema, with Cog's `x-order` on each property."""
        schema: JsonObject = self.model.model_json_schema()
        properties = cast("dict[str, JsonObject]", schema.get("properties", {}))
        for order, parameter in enumerate(self.parameters):
            entry = properties[parameter.name]
            entry["x-order"] = order
            if not parameter.required and parameter.default is UNKNOWN:
                entry.pop("default", None)
        return schema

    def properties(self) -> dict[str, PropertySchema]:
        """Return the schema of each input by its name."""
        return cast("dict[str, PropertySchema]", self.json_schema().get("properties", {}))

    def validate(self, given: Mapping[str, object]) -> tuple[JsonObject, list[InvalidField]]:
        """Check inputs.

        Returns:
            The inputs as JSON values in their declared types, only those given, secrets as stars; and what is
            wrong, if anything is.
        """
        try:
            checked = self.model.model_validate(dict(given))
        except ValidationError as error:
            return {}, [self._explain(item, given) for item in error.errors()]
        except (
            TypeError
        ) as error:  # a constraint that cannot be applied to what was given for an untyped input
            return {}, [InvalidField("type", "input", _decapitalize(str(error)))]
        return checked.model_dump(mode="json", exclude_unset=True), []

    def secrets(self, given: Mapping[str, object]) -> JsonObject:
        """Return those of valid inputs that are secret, in clear: for the worker's memory and nowhere else."""
        checked = self.model.model_validate(dict(given))
        return {
            parameter.name: _reveal(getattr(checked, parameter.name))
            for parameter in self.parameters
            if parameter.is_secret and parameter.name in checked.model_fields_set
        }

    def forgotten_secrets(self, stored: Mapping[str, object], given: Mapping[str, object]) -> list[str]:
        """Name the secrets that an earlier run had, which are kept nowhere, and that are not given anew."""
        return [
            parameter.name
            for parameter in self.parameters
            if parameter.is_secret and stored.get(parameter.name) and parameter.name not in given
        ]

    def parse_text(self, texts: Mapping[str, str]) -> dict[str, object]:
        """Turn `-i name=text` of a magic into values: a literal where the type takes one, the text otherwise."""
        return {name: self._parse_one(name, text) for name, text in texts.items()}

    def _parse_one(self, name: str, text: str) -> Any:
        literal = parse_literal(text)
        if name not in {parameter.name for parameter in self.parameters}:
            return literal
        for candidate in (literal, text):
            try:
                self.model.__pydantic_validator__.validate_assignment(
                    self.model.model_construct(), name, candidate
                )
            except ValidationError:
                continue
            return candidate
        return literal

    def _explain(self, item: Any, given: Mapping[str, object]) -> InvalidField:
        name = ".".join(str(part) for part in item["loc"])
        where = f"input.{name}"
        word = _WORDS.get(item["type"], "type")
        if word == "required":
            wanted = next(p.type_text for p in self.parameters if p.name == name)
            return InvalidField(word, where, f"{name} ({wanted}) is required; give it as {name}=…")
        names = [parameter.name for parameter in self.parameters]
        if word == "additional_property_not_allowed":
            close = difflib.get_close_matches(name, names, n=1)
            hint = f"did you mean {close[0]!r}?" if close else f"it takes {', '.join(names) or 'no inputs'}"
            return InvalidField(word, where, f"{self.entry}() has no input {name!r}; {hint}")
        value = given.get(str(item["loc"][0]))
        if any(p.is_secret and p.name == item["loc"][0] for p in self.parameters):
            return InvalidField(word, where, f"{name}: {_decapitalize(item['msg'])}")
        return InvalidField(word, where, f"{name}={_short(value)}: {_decapitalize(item['msg'])}")


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return [_reveal(item) for item in value]
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _decapitalize(text: str) -> str:
    return text[:1].lower() + text[1:]
