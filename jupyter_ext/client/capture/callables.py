"""What can be trained besides a plain function: a method, an object that can be called, a partial, a class with `train()`.

Rule: each has a plain function at its bottom, which has the code, the names and the source; the signature is that of what is called.
"""

from __future__ import annotations

import ast
import functools
import inspect
import textwrap
import types
from dataclasses import dataclass
from typing import Any

from jupyter_ext.bundles.entry import ENTRY, stub_arguments
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.counts import one
from jupyter_ext.protocol.schema.signature import find_function


@dataclass(frozen=True)
class Called:
    """Something to be called in a training.

    Attributes:
        thing: What travels.
        function: The plain function at its bottom.
        name: What a person would call it.
    """

    thing: Any
    function: types.FunctionType
    name: str

    @property
    def entry(self) -> str:
        """What it is called in its signature's text: a name that can be written."""
        return self.name if self.name.isidentifier() else ENTRY

    def signature(self) -> str:
        """Return text that defines a function of the same signature: its source, or a stub of it."""
        said = _definition(self.function)
        if said is not None and self.thing is self.function:
            return said[0]
        signed = self.thing
        if inspect.isclass(signed):
            signed = functools.partial(self.function, None)  # the instance that it is called on
        arguments = stub_arguments(signed, None if said is None else said[1].args)
        return f"def {self.entry}({arguments}): ...\n"


def called(thing: Any) -> Called:
    """Return what there is to be called.

    Raises:
        InvalidInput: It cannot be called, or is not written in Python.
    """
    function, name = _bottom(thing)
    if not inspect.isfunction(function):
        hint = "pass a function, a method, an object that can be called, or a class with train()"
        raise InvalidInput(f"{_short(thing)} is {one(type(thing).__name__)} that cannot be trained; {hint}.")
    return Called(thing, function, name)


def parameter_names(thing: object) -> list[str]:
    """Name the inputs of something to be called; none where it cannot be."""
    try:
        found = called(thing)
        signature = inspect.signature(found.function if inspect.isclass(thing) else found.thing)
    except (InvalidInput, TypeError, ValueError):
        return []
    variable = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    names = [one.name for one in signature.parameters.values() if one.kind not in variable]
    return names[1:] if inspect.isclass(thing) else names


def _bottom(thing: Any) -> tuple[Any, str]:
    """Return the plain function of something to be called, or whatever else is there, and a name for it."""
    inner = getattr(thing, "__wrapped__", None)
    if inspect.isfunction(thing):
        is_of_elsewhere = inspect.isfunction(inner) and _module_of(inner) != _module_of(thing)
        return (
            _bottom(inner) if is_of_elsewhere else (thing, thing.__name__)
        )  # such as what torch.compile makes
    if inspect.ismethod(thing):
        return _bottom(thing.__func__)
    if isinstance(thing, functools.partial):
        return _bottom(thing.func)
    if not inspect.isclass(thing) and callable(thing) and inner is not None and inner is not thing:
        return _bottom(inner)  # such as what lru_cache makes
    kind = thing if inspect.isclass(thing) else type(thing)
    method = inspect.getattr_static(kind, "train" if kind is thing else "__call__", None)
    return method, kind.__name__


def _module_of(function: types.FunctionType) -> object:
    """Return the module whose names a function uses; its `__module__` may be copied from what it wraps."""
    return function.__globals__.get("__name__")


def _definition(function: types.FunctionType) -> tuple[str, ast.FunctionDef | ast.AsyncFunctionDef] | None:
    """Return a function's source text and its definition there; `None` where there is none to be had."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        found = find_function(ast.parse(source), function.__name__)
    except (OSError, TypeError, SyntaxError):
        return None
    return None if found is None else (source, found)


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
