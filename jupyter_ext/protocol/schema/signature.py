"""The inputs that `train`'s signature declares, read from source text without running any of it.

Source: Cog's mapping of signatures to `TrainingInput`, docs of `cog.Input`.
"""

from __future__ import annotations

import ast
import copy
from dataclasses import dataclass, field
from typing import Any, Literal, Optional, cast

from pydantic import Field, PydanticUserError, create_model

from jupyter_ext.protocol.schema.annotations import CONSTRAINTS, INPUT_CALLS, Constraints, last_name, type_of
from jupyter_ext.protocol.schema.inputs import Parameter, TrainingInput
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

_NUMBER_CONSTRAINTS = {"ge", "le", "gt", "lt"}


def from_source(source: str, entry: str = "train", method: str = "train") -> TrainingInput | None:
    """Read the inputs of function `entry` out of source text.

    A class of that name stands for its method `method`, as in a Cog project.

    Returns:
        The inputs, or `None` where the text defines no such thing at its top level: it is a plain script.

    Raises:
        SyntaxError: The text is not Python.
    """
    tree = ast.parse(source)
    function = find_function(tree, entry)
    found = function or find_method(tree, entry, method)
    if found is None:
        return None
    _Inliner(tree).visit(found.args)
    return _from_function(found, is_method=function is None)


def find_function(tree: ast.Module, entry: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Find the last top-level definition of function `entry`."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == entry:
            return node
    return None


def find_method(tree: ast.Module, entry: str, method: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    """Find a method of the last top-level definition of class `entry`."""
    for node in reversed(tree.body):
        if isinstance(node, ast.ClassDef) and node.name == entry:
            return find_function(ast.Module(node.body, []), method)
    return None


def with_constants(tree: ast.Module) -> ast.Module:
    """Return a copy of a text in which names of literal constants are replaced by these."""
    found: ast.Module = _Inliner(tree).visit(copy.deepcopy(tree))
    return found


class _Inliner(ast.NodeTransformer):
    """Puts the literals of a module's constants, such as `SIZES = [1, 2]`, where a signature names them."""

    def __init__(self, tree: ast.Module) -> None:
        self._constants = {
            node.targets[0].id: node.value
            for node in tree.body
            if isinstance(node, ast.Assign)
            and len(node.targets) == 1
            and isinstance(node.targets[0], ast.Name)
            and literal_of(node.value) is not UNKNOWN
        }

    def visit_Name(self, node: ast.Name) -> ast.expr:
        return self._constants.get(node.id, node) if isinstance(node.ctx, ast.Load) else node


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


@dataclass
class _Declared:
    """What a default says of its parameter."""

    required: bool
    value: Any = UNKNOWN
    constraints: dict[str, object] = field(default_factory=dict)
    choices: Any = None


def _parameter(argument: ast.arg, default: ast.expr | None) -> Parameter:
    declared = _declared(default)
    constraints = declared.constraints
    if argument.annotation is not None:
        kind = type_of(argument.annotation, constraints)
        text = ast.unparse(argument.annotation)
    else:
        kind, text = _guess(declared.value)
    if isinstance(declared.choices, list | tuple) and declared.choices:
        kind = Literal[tuple(declared.choices)]
        text = f"one of {', '.join(map(repr, declared.choices))}"
    if declared.value is None and kind is not Any:
        kind = Optional[kind]  # noqa: UP045  a value, not an annotation
    asked = cast("Constraints", constraints)
    if not _usable(kind, asked):
        asked = {}
    return Parameter(argument.arg, kind, text, declared.required, declared.value, asked)


def _declared(default: ast.expr | None) -> _Declared:
    if default is None:
        return _Declared(required=True)
    if not isinstance(default, ast.Call) or last_name(default.func) not in INPUT_CALLS:
        return _Declared(required=False, value=literal_of(default))
    words = {word.arg: literal_of(word.value) for word in default.keywords if word.arg}
    value = literal_of(default.args[0]) if default.args else words.get("default", UNKNOWN)
    required = (not default.args and "default" not in words) or value is Ellipsis
    constraints = {
        name: words[name] for name in CONSTRAINTS if words.get(name, UNKNOWN) not in (UNKNOWN, None)
    }
    pattern = words.get("regex", words.get("pattern"))
    if isinstance(pattern, str):
        constraints["pattern"] = pattern
    return _Declared(required, value, constraints, words.get("choices"))


def _usable(kind: Any, constraints: Constraints) -> bool:
    """Return whether pydantic can apply these constraints to this type; `ge` on a string, say, it cannot."""
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
