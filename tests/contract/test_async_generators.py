"""An async generator that is left early is closed there and then, not when the loop finds time for it.

A `return` or an error inside `async for item in stream():` leaves the generator suspended, with its connections open; the
event loop closes it later, or never if the loop ends first. `contextlib.aclosing` is the rule, and this is its check.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import jupyter_ext

SOURCES = {
    path: ast.parse(path.read_text()) for path in sorted(Path(jupyter_ext.__file__).parent.rglob("*.py"))
}


def test_every_generator_of_ours_is_closed_where_it_is_left() -> None:
    own = {
        function.name
        for tree in SOURCES.values()
        for function in ast.walk(tree)
        if isinstance(function, ast.AsyncFunctionDef) and _is_generator(function)
    }
    assert {"follow", "messages"} <= own
    bare = [
        f"{path}:{call.lineno}"
        for path, tree in SOURCES.items()
        for call in _iterated_calls(tree)
        if _name(call) in own
    ]
    assert bare == []


def _is_generator(function: ast.AsyncFunctionDef) -> bool:
    is_manager = any("contextmanager" in ast.dump(decorator) for decorator in function.decorator_list)
    return not is_manager and any(isinstance(node, ast.Yield) for node in ast.walk(function))


def _iterated_calls(tree: ast.Module) -> Iterator[ast.Call]:
    for node in ast.walk(tree):
        is_async = isinstance(node, ast.AsyncFor) or (isinstance(node, ast.comprehension) and node.is_async)
        if is_async and isinstance(node.iter, ast.Call):
            yield node.iter


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
