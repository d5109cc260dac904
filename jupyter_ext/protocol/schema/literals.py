"""Literals: of source text that is not run, and of what a person typed."""

from __future__ import annotations

import ast
import json
from typing import Any


class _Unknown:
    """A default that only running the code would tell."""


UNKNOWN = _Unknown()


def literal_of(node: ast.expr) -> Any:
    """Return the value of an expression that is a literal, else `UNKNOWN`."""
    try:
        return ast.literal_eval(node)
    except (ValueError, SyntaxError, TypeError):
        return UNKNOWN


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
