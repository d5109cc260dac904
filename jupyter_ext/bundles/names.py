"""Which names and which files code uses, told from its text or its code objects without running it."""

from __future__ import annotations

import ast
import dis
import symtable
import sys
import types

_GLOBAL_STEPS = {"LOAD_GLOBAL", "LOAD_NAME", "LOAD_FROM_DICT_OR_GLOBALS", "STORE_GLOBAL", "DELETE_GLOBAL"}


def free_names(source: str) -> set[str]:
    """Name everything that the text reads from outside of itself."""
    top = symtable.symtable(source, "cell", "exec")
    defined = {
        symbol.get_name() for symbol in top.get_symbols() if symbol.is_assigned() or symbol.is_imported()
    }
    read: set[str] = set()
    tables = [top]
    while tables:
        table = tables.pop()
        tables.extend(table.get_children())
        for symbol in table.get_symbols():
            outer = symbol.is_global() or table is top
            if symbol.is_assigned() and symbol.is_declared_global():
                defined.add(symbol.get_name())
            if symbol.is_referenced() and outer:
                read.add(symbol.get_name())
    return (read - defined) | _names_from_main(source)


def _names_from_main(source: str) -> set[str]:
    """Name what a text imports from `__main__`, the notebook."""
    return {
        alias.name
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.ImportFrom) and node.module == "__main__"
        for alias in node.names
    }


def global_names(code: types.CodeType) -> set[str]:
    """Name the globals that code reads or sets, nested functions included; attributes of the same name are none."""
    names = {str(step.argval) for step in dis.get_instructions(code) if step.opname in _GLOBAL_STEPS}
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= global_names(constant)
    return names


def imported_modules(tree: ast.Module) -> list[types.ModuleType]:
    """Return the modules that a text imports and this process has imported already."""
    names: dict[str, None] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names.update(dict.fromkeys(alias.name for alias in node.names))
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names[node.module] = None
    return [sys.modules[name] for name in names if isinstance(sys.modules.get(name), types.ModuleType)]


def has_star_import(tree: ast.Module) -> bool:
    """Return whether the text imports names that it does not say."""
    return any(
        isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(tree)
    )
