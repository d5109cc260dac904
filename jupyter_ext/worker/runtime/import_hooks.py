"""Do something with a module as soon as the user's code imports it. Standard library only.

Rule: a hook that fails never fails the import, and a module that is never imported costs nothing.
"""

from __future__ import annotations

import importlib.abc
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

_Hook = Callable[[ModuleType], None]


def when_imported(name: str, hook: _Hook) -> None:
    """Call `hook` with the module of this name: now if it is there, else once it is imported."""
    module = sys.modules.get(name)
    if module is not None:
        _call(hook, module)
        return
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    _finder.hooks.setdefault(name, []).append(hook)


class _Finder(importlib.abc.MetaPathFinder):
    """Finds nothing itself: it has the others find, and looks on while their loader works."""

    def __init__(self) -> None:
        self.hooks: dict[str, list[_Hook]] = {}

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        hooks = self.hooks.pop(fullname, None)
        if hooks is None:
            return None
        for finder in sys.meta_path:
            find = getattr(finder, "find_spec", None)
            if finder is self or find is None:
                continue
            spec: ModuleSpec | None = find(fullname, path, target)
            if spec is not None:
                if spec.loader is not None:
                    _run_after(spec.loader, hooks)
                return spec
        return None


def _run_after(loader: importlib.abc.Loader, hooks: list[_Hook]) -> None:
    execute = loader.exec_module

    def exec_module(module: ModuleType) -> None:
        execute(module)
        for hook in hooks:
            _call(hook, module)

    loader.exec_module = exec_module  # type: ignore[method-assign]


def _call(hook: _Hook, module: ModuleType) -> None:
    try:
        hook(module)
    except Exception:  # noqa: BLE001  a library of another version must not keep the user's code from running
        traceback.print_exc()


_finder = _Finder()
