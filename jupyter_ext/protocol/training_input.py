"""The inputs of a training, read from `train`'s signature without running any of its code.

A signature becomes a pydantic model, which validates inputs and gives the JSON schema (`TrainingInput`) that forms are
drawn from. Only the source text is looked at, so that the engine never executes user code.

Source: Cog's mapping of signatures to `TrainingInput`, docs of `cog.Input`; Replicate's words for `invalid_fields`.
"""

from __future__ import annotations

import ast
import difflib
import json
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Optional, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    PydanticUserError,
    SecretStr,
    ValidationError,
    create_model,
)

from jupyter_ext.protocol.problems import InvalidField

_PLAIN_TYPES: dict[str, Any] = {
    "Any": Any,
    "File": Path,
    "Path": Path,
    "Secret": SecretStr,
    "SecretStr": SecretStr,
    "bool": bool,
    "bytes": bytes,
    "dict": dict,
    "float": float,
    "int": int,
    "list": list,
    "object": Any,
    "str": str,
    "tuple": tuple,
}
_INPUT_CALLS = {"Input", "Field"}
_CONSTRAINTS = ("ge", "le", "gt", "lt", "min_length", "max_length", "description")
_NUMBER_CONSTRAINTS = {"ge", "le", "gt", "lt"}
_ANNOTATED_CALLS = {
    "Gt": "gt",
    "Ge": "ge",
    "Lt": "lt",
    "Le": "le",
    "MinLen": "min_length",
    "MaxLen": "max_length",
}
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


class _Unknown:
    """A default that only running the code would tell."""


UNKNOWN = _Unknown()


@dataclass(frozen=True)
class Parameter:
    """One input: its type as pydantic understands it, default and constraints."""

    name: str
    type: Any
    type_text: str
    required: bool
    default: Any = UNKNOWN
    constraints: Mapping[str, Any] = field(default_factory=dict)

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

    def json_schema(self) -> dict[str, Any]:
        """Give the JSON schema, with Cog's `x-order` on each property."""
        schema = self.model.model_json_schema()
        for order, parameter in enumerate(self.parameters):
            entry = schema["properties"][parameter.name]
            entry["x-order"] = order
            if not parameter.required and parameter.default is UNKNOWN:
                entry.pop("default", None)
        return schema

    def validate(self, given: Mapping[str, Any]) -> tuple[dict[str, Any], list[InvalidField]]:
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

    def secrets(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Give those of valid inputs that are secret, in clear: for the worker's memory and nowhere else."""
        checked = self.model.model_validate(dict(given))
        return {
            parameter.name: _reveal(getattr(checked, parameter.name))
            for parameter in self.parameters
            if parameter.is_secret and parameter.name in checked.model_fields_set
        }

    def forgotten_secrets(self, stored: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
        """Name the secrets that an earlier run had, which are kept nowhere, and that are not given anew."""
        return [
            parameter.name
            for parameter in self.parameters
            if parameter.is_secret and stored.get(parameter.name) and parameter.name not in given
        ]

    def parse_text(self, texts: Mapping[str, str]) -> dict[str, Any]:
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

    def _explain(self, item: Any, given: Mapping[str, Any]) -> InvalidField:
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


def from_source(source: str, entry: str = "train") -> TrainingInput | None:
    """Read the inputs of function `entry` out of source text.

    A class of that name stands for its `train` method, as in a Cog project.

    Returns:
        The inputs, or `None` where the text defines no such thing at its top level: it is a plain script.

    Raises:
        SyntaxError: The text is not Python.
    """
    tree = ast.parse(source)
    function = find_function(tree, entry)
    method = None if function is not None else _find_method(tree, entry)
    found = function or method
    if found is None:
        return None
    _Inliner(tree).visit(found.args)
    return _from_function(found, is_method=method is not None)


def find_function(tree: ast.Module, entry: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Find the last top-level definition of function `entry`."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry:
            return node
    return None


def _find_method(tree: ast.Module, entry: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == entry:
            return find_function(ast.Module(node.body, []), "train")
    return None


class _Inliner(ast.NodeTransformer):
    """Puts the literals of a module's constants, such as `SIZES = [1, 2]`, where a signature names them."""

    def __init__(self, tree: ast.Module) -> None:
        self._constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and _literal(node.value) is not UNKNOWN
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node)


def parse_literal(text: str) -> Any:
    """Read a Python or JSON literal; any other text stands for itself."""
    spelled = {"true": True, "false": False, "null": None, "none": None}.get(text.lower(), UNKNOWN)
    if spelled is not UNKNOWN:
        return spelled
    for parse in (ast.literal_eval, json.loads):
        try:
            return parse(text)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            continue
    return text


def _from_function(
    function: ast.FunctionDef | ast.AsyncFunctionDef, *, is_method: bool = False
) -> TrainingInput:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    defaults: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*defaults, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    if is_method:
        del pairs[0]  # self
    parameters = tuple(_parameter(argument, default) for argument, default in pairs)
    return TrainingInput(parameters, arguments.kwarg is not None, function.name)


def _parameter(argument: ast.arg, default: ast.expr | None) -> Parameter:
    constraints: dict[str, Any] = {}
    choices: Any = None
    required, value = default is None, UNKNOWN
    if isinstance(default, ast.Call) and _last_name(default.func) in _INPUT_CALLS:
        words = {word.arg: _literal(word.value) for word in default.keywords if word.arg}
        value = _literal(default.args[0]) if default.args else words.get("default", UNKNOWN)
        required = (not default.args and "default" not in words) or value is Ellipsis
        constraints = {
            name: words[name] for name in _CONSTRAINTS if words.get(name, UNKNOWN) not in (UNKNOWN, None)
        }
        pattern = words.get("regex", words.get("pattern"))
        if isinstance(pattern, str):
            constraints["pattern"] = pattern
        choices = words.get("choices")
    elif default is not None:
        value = _literal(default)
    if argument.annotation is not None:
        kind = _resolve(argument.annotation, constraints)
        text = ast.unparse(argument.annotation)
    else:
        kind, text = _guess(value)
    if isinstance(choices, list | tuple) and choices:
        kind, text = Literal[tuple(choices)], f"one of {', '.join(map(repr, choices))}"
    if value is None and kind is not Any:
        kind = Optional[kind]  # noqa: UP045  a value, not an annotation
    if not _usable(kind, constraints):
        constraints = {}
    return Parameter(argument.arg, kind, text, required, value, constraints)


def _reveal(value: Any) -> Any:
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    if isinstance(value, list):
        return [_reveal(item) for item in value]
    return value


def _usable(kind: Any, constraints: Mapping[str, Any]) -> bool:
    """Tell whether pydantic can apply these constraints to this type; `ge` on a string, say, it cannot."""
    if kind not in (int, float, Any, int | None, float | None) and _NUMBER_CONSTRAINTS.intersection(
        constraints
    ):
        return False
    try:
        create_model("Probe", probe=(kind, Field(**constraints)))
    except (PydanticUserError, TypeError, ValueError):
        return False
    return True


def _guess(default: Any) -> tuple[Any, str]:
    for kind in (bool, int, float, str):
        if type(default) is kind:
            return kind, kind.__name__
    return Any, "any value"


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return UNKNOWN


def _last_name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def _resolve(node: ast.expr, constraints: dict[str, Any]) -> Any:
    """Turn an annotation into a type; what is not known becomes `Any`. Constraints found go into `constraints`."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return type(None)
        if isinstance(node.value, str):
            try:
                return _resolve(ast.parse(node.value, mode="eval").body, constraints)
            except SyntaxError:
                return Any
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[_resolve(node.left, constraints), _resolve(node.right, constraints)]  # noqa: UP007
    if isinstance(node, ast.Subscript):
        return _resolve_subscript(node, constraints)
    return _PLAIN_TYPES.get(_last_name(node), Any)


def _resolve_subscript(node: ast.Subscript, constraints: dict[str, Any]) -> Any:
    name = _last_name(node.value)
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        values = tuple(_literal(item) for item in items)
        return Any if UNKNOWN in values else Literal[values]
    if name == "Annotated":
        for item in items[1:]:
            _read_annotated(item, constraints)
        return _resolve(items[0], constraints)
    inner = [_resolve(item, {}) for item in items]
    if name == "Optional":
        return Optional[inner[0]]  # noqa: UP045  a value, not an annotation
    if name == "Union":
        return Union[tuple(inner)]  # noqa: UP007
    if name in {"list", "List", "Sequence", "Iterable"}:
        return types.GenericAlias(list, (inner[0],))
    if name in {"dict", "Dict", "Mapping"} and len(inner) == 2:
        return types.GenericAlias(dict, tuple(inner))
    if name in {"tuple", "Tuple"}:
        return tuple
    return Any


def _read_annotated(node: ast.expr, constraints: dict[str, Any]) -> None:
    if not isinstance(node, ast.Call):
        return
    name = _last_name(node.func)
    if name in _ANNOTATED_CALLS and node.args:
        constraints[_ANNOTATED_CALLS[name]] = _literal(node.args[0])
    elif name in _INPUT_CALLS:
        for word in node.keywords:
            if word.arg in _CONSTRAINTS and (value := _literal(word.value)) is not UNKNOWN:
                constraints[word.arg] = value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


def _decapitalize(text: str) -> str:
    return text[:1].lower() + text[1:]
