"""Modules that code uses: which of them a worker can import, and what of them is not as their files say.

Rule: what import finds by its name travels as that name; a module that was loaded from a path or made by hand travels by
value, and so does what is defined in it. What was changed in a module that is imported anew is told.
"""

from __future__ import annotations

import ast
import contextlib
import importlib.machinery
import os
import sys
import sysconfig
import types
from collections.abc import Iterable, Iterator
from typing import Any

from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

_MAX_TOLD = 3
_NOT_SOURCE = (importlib.machinery.ExtensionFileLoader, importlib.machinery.SourcelessFileLoader)
_LIBRARIES = tuple({sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")})


def is_importable(module: types.ModuleType) -> bool:
    """Whether importing a module's name finds this module: it does not where it was loaded from a path, or made by hand."""
    name, spec = module.__name__, getattr(module, "__spec__", None)
    if spec is None:
        return name == "__main__"
    if spec.origin in (None, "built-in", "frozen") or isinstance(spec.loader, _NOT_SOURCE):
        return True  # a namespace package has no origin either
    parent = sys.modules.get(name.rpartition(".")[0])
    places = sys.path if parent is None else getattr(parent, "__path__", [])
    last = name.rpartition(".")[2]
    try:
        expected = [os.path.abspath(os.path.join(place, last)) for place in places]
    except FileNotFoundError:  # the notebook's folder was deleted
        expected = [os.path.join(place, last) for place in places if place]
    if any(spec.origin in (f"{path}.py", os.path.join(path, "__init__.py")) for path in expected):
        return True
    return bool(_found_origin(name, parent) == spec.origin)


def _found_origin(name: str, parent: types.ModuleType | None) -> str | None:
    """Return the file that importing a name would load, also by finders such as those of editable installs."""
    path = None if parent is None else getattr(parent, "__path__", None)
    for finder in sys.meta_path:
        with contextlib.suppress(Exception):  # a finder of somebody's own may raise anything
            found = finder.find_spec(name, path)
            if found is not None:
                return found.origin
    return None


@contextlib.contextmanager
def by_value() -> Iterator[None]:
    """Have cloudpickle send what is defined in modules that cannot be imported by value, until the end of the block."""
    import cloudpickle

    registered = []
    known: list[object] = list(sys.modules.values())  # anybody may have put anything there
    for module in known:
        if not isinstance(module, types.ModuleType) or module.__name__ == "__main__" or _is_library(module):
            continue
        if sys.modules.get(module.__name__) is module and not is_importable(module):
            cloudpickle.register_pickle_by_value(module)
            registered.append(module)
    try:
        yield
    finally:
        for module in registered:
            with contextlib.suppress(ValueError):
                cloudpickle.unregister_pickle_by_value(module)


def _is_library(module: types.ModuleType) -> bool:
    """Whether a module belongs to Python, to what is installed, or was made by one of those."""
    file = getattr(module, "__file__", None)
    if isinstance(file, str):
        return file.startswith(_LIBRARIES)
    parent = sys.modules.get(module.__name__.partition(".")[0])
    if parent is None or parent is module:
        return getattr(module, "__spec__", None) is not None
    return getattr(parent, "__spec__", None) is not None


def changes(modules: Iterable[types.ModuleType]) -> list[str]:
    """Tell what of a person's own modules is not as their files say, because the worker imports the files.

    Returns:
        One line for each module with changes.
    """
    notices = []
    for module in modules:
        file = getattr(module, "__file__", None)
        is_ours = module.__name__.partition(".")[0] == "jupyter_ext"
        if is_ours or _is_library(module) or not isinstance(file, str) or not is_importable(module):
            continue
        try:
            with open(file, encoding="utf-8") as opened:
                tree = ast.parse(opened.read())
        except (OSError, SyntaxError, ValueError, RecursionError, SystemError):
            continue  # what cannot be read cannot be compared
        found = _changed_names(module, tree, file)
        if found:
            more = f" and {len(found) - _MAX_TOLD} more" if len(found) > _MAX_TOLD else ""
            names = ", ".join(f"{module.__name__}.{name}" for name in found[:_MAX_TOLD])
            notices.append(
                f"{names}{more}: the notebook has another value than {os.path.basename(file)} says now, and the training "
                "imports the file. If the notebook's counts, give it as an input, or write it into the file."
            )
    return notices


def _changed_names(module: types.ModuleType, tree: ast.Module, file: str) -> list[str]:
    """Name what the module has that its text does not say: other literals, other functions, and names of no statement."""
    said = _Said(tree)
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("__")
        and not isinstance(value, types.ModuleType)
        and said.is_changed(name, value, file)
    ]


class _Said:
    """What a module's text says of its names.

    Args:
        tree: The text, parsed.
    """

    def __init__(self, tree: ast.Module) -> None:
        nodes = list(ast.walk(tree))
        functions = ast.FunctionDef | ast.AsyncFunctionDef
        stored = [node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)]
        aliases = [
            one for node in nodes if isinstance(node, ast.Import | ast.ImportFrom) for one in node.names
        ]
        self._defined = {node.name for node in nodes if isinstance(node, functions | ast.ClassDef)}
        self._defined.update(stored, ((one.asname or one.name).partition(".")[0] for one in aliases))
        self._functions = {
            node.name for node in tree.body if isinstance(node, functions) and not node.decorator_list
        }
        self._literals = {
            name: value for name, value in _literals(tree) if stored.count(name) == 1 and value is not UNKNOWN
        }

    def is_changed(self, name: str, value: object, file: str) -> bool:
        """Return whether a name's value is another one than the text gives it."""
        if name in self._literals:
            return not _same(value, self._literals[name])
        if name in self._functions:
            code = getattr(value, "__code__", None)
            return code is None or code.co_filename != file
        return name not in self._defined and "*" not in self._defined


def _literals(tree: ast.Module) -> Iterator[tuple[str, Any]]:
    """Yield the names that a text gives a value at its top level, with that where it is a literal."""
    for node in tree.body:
        if isinstance(node, ast.Assign) and len(node.targets) == 1 and isinstance(node.targets[0], ast.Name):
            yield node.targets[0].id, literal_of(node.value)


def _same(value: Any, literal: Any) -> bool:
    try:
        return type(value) is type(literal) and bool(value == literal)
    except Exception:  # noqa: BLE001  whatever a user's __eq__ raises
        return False
