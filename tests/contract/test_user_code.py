"""The user's code is compiled as Python would compile it: none of our own `from __future__` imports reaches it."""

from __future__ import annotations

import ast
from pathlib import Path

SOURCES = Path(__file__).parents[2] / "jupyter_ext"


def test_everything_that_is_compiled_inherits_nothing_of_ours() -> None:
    """`compile` without `dont_inherit` gives the user's dataclasses text in the place of their types."""
    calls = [
        (path, node)
        for path in SOURCES.rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "compile"
    ]
    assert calls
    inheriting = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path, node in calls
        if not any(keyword.arg == "dont_inherit" for keyword in node.keywords)
    ]
    assert inheriting == []


def _is_compiled(given: ast.expr, tree: ast.Module) -> bool:
    """Tell whether an expression is a call of `compile`, or a name of what one has returned."""
    if isinstance(given, ast.Name):
        values = [
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == given.id
        ]
        return bool(values) and all(_is_compiled(value, tree) for value in values)
    return isinstance(given, ast.Call) and getattr(given.func, "id", "") == "compile"


def test_code_is_not_given_as_text_to_exec_or_eval() -> None:
    """Text is compiled on the way, and then inherits."""
    texts = [
        f"{path.relative_to(SOURCES)}:{node.lineno}"
        for path in SOURCES.rglob("*.py")
        for tree in [ast.parse(path.read_text(encoding="utf-8"))]
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id in ("exec", "eval")
        and not _is_compiled(node.args[0], tree)
    ]
    assert texts == []
