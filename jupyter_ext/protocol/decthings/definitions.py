"""Parameter definitions: which tensors a model's function or a dataset's key takes, checked before anything is sent or stored.

Source: Decthings' API reference, "ParameterDefinitions"; `required` and `annotations` since October 2024.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from jupyter_ext.ipc.decthings.dataset_reader import KeyDefinition
from jupyter_ext.protocol.decthings.tensors import CODES, Header


class _Wire(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True, populate_by_name=True, defer_build=True)


class Rules(_Wire):
    """What a tensor has to be: sizes, -1 for any, and types, none for any."""

    shape: list[int] = []
    allowed_types: list[str] = Field(default=[], alias="allowedTypes")
    annotations: list[str] = []

    @field_validator("shape")
    @classmethod
    def _sizes(cls, shape: list[int]) -> list[int]:
        if any(size < -1 for size in shape):
            raise ValueError("a size is -1, which is any, or not negative")
        return shape

    @field_validator("allowed_types")
    @classmethod
    def _types(cls, types: list[str]) -> list[str]:
        for name in types:
            if name not in CODES:
                raise ValueError(f"{name!r} is no type; those are {', '.join(CODES)}")
        return types


class ParameterDefinition(_Wire):
    """One parameter, or one key of a dataset."""

    name: str = Field(min_length=1)
    required: bool = True
    rules: Rules = Rules()

    def mismatch(self, type: str, shape: Sequence[int]) -> str | None:
        """Return why a tensor is not what this asks for, or `None` if it is."""
        rules = self.rules
        if rules.allowed_types and type not in rules.allowed_types:
            return f"is {type}, but {' or '.join(rules.allowed_types)} is expected"
        fits = len(shape) == len(rules.shape) and all(
            wanted in (-1, size) for wanted, size in zip(rules.shape, shape, strict=True)
        )
        if not fits:
            wanted = ", ".join("any" if size == -1 else str(size) for size in rules.shape)
            return f"has shape {list(shape)}, but [{wanted}] is expected"
        return None

    def implies(self, other: ParameterDefinition) -> bool:
        """Return whether every tensor that this asks for is also one that `other` asks for."""
        ours, theirs = self.rules, other.rules
        types = not theirs.allowed_types or (
            bool(ours.allowed_types) and set(ours.allowed_types) <= set(theirs.allowed_types)
        )
        return (
            types
            and len(ours.shape) == len(theirs.shape)
            and all(wanted in (-1, size) for wanted, size in zip(theirs.shape, ours.shape, strict=True))
        )

    def wire(self) -> KeyDefinition:
        """Return its JSON."""
        return cast("KeyDefinition", self.model_dump(by_alias=True))


class DefinitionsJson(TypedDict):
    """What the functions of a model take and give, as the wire has it."""

    createState: list[KeyDefinition]
    train: list[KeyDefinition]
    evaluateInput: list[KeyDefinition]
    evaluateOutput: list[KeyDefinition]


class ParameterDefinitions(_Wire):
    """What the functions of a model take and give."""

    create_state: list[ParameterDefinition] = Field(default=[], alias="createState")
    train: list[ParameterDefinition] = []
    evaluate_input: list[ParameterDefinition] = Field(default=[], alias="evaluateInput")
    evaluate_output: list[ParameterDefinition] = Field(default=[], alias="evaluateOutput")

    def wire(self) -> DefinitionsJson:
        """Return its JSON."""
        return cast("DefinitionsJson", self.model_dump(by_alias=True))


class DefinitionError(ValueError):
    """A definition or a parameter is not what it must be.

    Attributes:
        parameter: Which one.
        reason: Why, without its name.
    """

    def __init__(self, parameter: str, reason: str) -> None:
        super().__init__(f"parameter {parameter!r} {reason}")
        self.parameter = parameter
        self.reason = reason


def parse_definitions(content: Any) -> ParameterDefinitions:
    """Read a model's definitions.

    Raises:
        DefinitionError: They are none; the parameter is the place in them, such as `train.0.rules.shape`.
    """
    try:
        return ParameterDefinitions.model_validate(content or {})
    except ValidationError as error:
        raise _first(error) from error


def parse_keys(content: Any) -> list[ParameterDefinition]:
    """Read the keys of a dataset.

    Raises:
        DefinitionError: They are none, or two have one name.
    """
    if not isinstance(content, list) or not content:
        raise DefinitionError("keys", "must be a list of at least one key")
    try:
        keys = [ParameterDefinition.model_validate(item) for item in content]
    except ValidationError as error:
        raise _first(error) from error
    names = [key.name for key in keys]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise DefinitionError("keys", f"has {min(twice)!r} twice")
    return keys


def check(definitions: Iterable[ParameterDefinition], given: Mapping[str, Iterable[Header] | None]) -> None:
    """Make sure that parameters are what a function takes.

    Args:
        definitions: What it takes; without any, it takes everything.
        given: The tensors of each parameter, or `None` where they are not known, as in a dataset.

    Raises:
        DefinitionError: One is missing, unknown, or has a tensor of another type or shape.
    """
    known = {definition.name: definition for definition in definitions}
    if not known:
        return
    for name in given:
        if name not in known:
            raise DefinitionError(name, f"is unknown; the parameters are {', '.join(map(repr, known))}")
    for name, definition in known.items():
        if name not in given and definition.required:
            raise DefinitionError(name, "is missing")
        for index, header in enumerate(given.get(name) or ()):
            reason = definition.mismatch(header.type, header.shape)
            if reason is not None:
                raise DefinitionError(name, f"{reason} (tensor {index})")


def _first(error: ValidationError) -> DefinitionError:
    found = error.errors()[0]
    place = ".".join(str(part) for part in found["loc"]) or "definitions"
    return DefinitionError(place, f"is wrong: {found['msg'].removeprefix('Value error, ')}")
