"""Annotations of source text as types that pydantic understands, without running any of it.

Source: Cog's mapping of signatures to `TrainingInput`.
"""

from __future__ import annotations

import ast
import types
from pathlib import Path
from typing import Any, Literal, Optional, TypedDict, Union

from pydantic import SecretStr

from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

INPUT_CALLS = {"Input", "Field"}
CONSTRAINTS = ("ge", "le", "gt", "lt", "min_length", "max_length", "description")


class Constraints(TypedDict, total=False):
    """What pydantic is asked of a value besides its type, as the code says it."""

    ge: float
    gt: float
    le: float
    lt: float
    min_length: int
    max_length: int
    pattern: str
    description: str


_ANNOTATED_CALLS = {
    "Gt": "gt",
    "Ge": "ge",
    "Lt": "lt",
    "Le": "le",
    "MinLen": "min_length",
    "MaxLen": "max_length",
}
_PLAIN_TYPES: dict[str, object] = {
    "Any": Any,
    "File": Path,
    "Path": Path,
    "Secret": SecretStr,
    "SecretStr": SecretStr,
    "bool": bool,
    "bytes": Any,
    "dict": dict,
    "float": float,
    "int": int,
    "list": list,
    "object": Any,
    "str": str,
    "tuple": tuple,
}


def last_name(node: ast.expr) -> str:
    """Return the name that an expression ends in: `Input` of `cog.Input`; of others an empty text."""
    if isinstance(node, ast.Attribute):
        return node.attr
    return node.id if isinstance(node, ast.Name) else ""


def type_of(node: ast.expr, constraints: dict[str, object]) -> Any:
    """Turn an annotation into a type; what is not known becomes `Any`. Constraints found go into `constraints`."""
    if isinstance(node, ast.Constant):
        if node.value is None:
            return type(None)
        if isinstance(node.value, str):
            try:
                return type_of(ast.parse(node.value, mode="eval").body, constraints)
            except SyntaxError:
                return Any
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return Union[type_of(node.left, constraints), type_of(node.right, constraints)]  # noqa: UP007  a value, not an annotation
    if isinstance(node, ast.Subscript):
        return _resolve_subscript(node, constraints)
    return _PLAIN_TYPES.get(last_name(node), Any)


def _resolve_subscript(node: ast.Subscript, constraints: dict[str, object]) -> Any:
    name = last_name(node.value)
    items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        values = tuple(literal_of(item) for item in items)
        return Any if UNKNOWN in values else Literal[values]
    if name == "Annotated":
        for item in items[1:]:
            _read_annotated(item, constraints)
        return type_of(items[0], constraints)
    inner = [type_of(item, {}) for item in items]
    if name == "Optional":
        return Optional[inner[0]]  # noqa: UP045  a value, not an annotation
    if name == "Union":
        return Union[tuple(inner)]  # noqa: UP007  a value, not an annotation
    if name in {"list", "List", "Sequence", "Iterable"}:
        return types.GenericAlias(list, (inner[0],))
    if name in {"dict", "Dict", "Mapping"} and len(inner) == 2:
        return types.GenericAlias(dict, tuple(inner))
    if name in {"tuple", "Tuple"}:
        return tuple
    return Any


def _read_annotated(node: ast.expr, constraints: dict[str, object]) -> None:
    if not isinstance(node, ast.Call):
        return
    name = last_name(node.func)
    if name in _ANNOTATED_CALLS and node.args:
        constraints[_ANNOTATED_CALLS[name]] = literal_of(node.args[0])
    elif name in INPUT_CALLS:
        for word in node.keywords:
            if word.arg in CONSTRAINTS and (value := literal_of(word.value)) is not UNKNOWN:
                constraints[word.arg] = value
