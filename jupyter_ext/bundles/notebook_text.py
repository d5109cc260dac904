"""What a cell needs of the cells above it, told from their texts where there is no kernel to ask.

Rule: only what is the same each time it is executed is taken along: imports, definitions and literals. A name that is
made in any other way is missing, and is named.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from jupyter_ext.bundles.names import free_names
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

_DEFINITIONS = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
_IMPORTS = ast.Import | ast.ImportFrom
_COMMAND = re.compile(r"^\s*[%!?]|\?\s*$")
_OF_THE_NOTEBOOK = {"In", "Out", "display", "exit", "get_ipython", "quit"}


@dataclass(frozen=True)
class CellText:
    """A cell above the one that is run: its text, and what tracebacks call it."""

    text: str
    label: str


@dataclass(frozen=True)
class Needed:
    """What a cell takes along.

    Attributes:
        cells: The parts of cells above it that it needs, in their order, with every line at its number.
        missing: Names that only a running kernel has.
    """

    cells: tuple[CellText, ...]
    missing: tuple[str, ...]


def needed_of(source: str, before: Sequence[CellText], given: Iterable[str] = ()) -> Needed:
    """Find what a text reads of the cells above it.

    Args:
        source: The text, which is Python.
        before: The cells above it, the first one first; those that are not Python are passed over.
        given: Names that it gets in another way.
    """
    found = [_Bindings(cell) for cell in before]
    kept: dict[int, set[ast.stmt]] = {}
    missing: set[str] = set()
    seen = {*given, *_OF_THE_NOTEBOOK}
    waiting = sorted(free_names(source))
    while waiting:
        name = waiting.pop()
        if name in seen:
            continue
        seen.add(name)
        place = next((i for i in reversed(range(len(found))) if name in found[i].statements), None)
        if place is None:
            if not _is_pythons(name):
                missing.add(name)
        elif _is_same_each_time(found[place].statements[name]):
            kept.setdefault(place, set()).add(found[place].statements[name])
            waiting += sorted(free_names(ast.unparse(found[place].statements[name])))
        else:
            missing.add(name)
    strangers = missing - {name for cell in found for name in cell.statements}
    stars = {i: cell.statements["*"] for i, cell in enumerate(found) if "*" in cell.statements}
    if stars and strangers:  # they may come with an `import *`
        missing -= strangers
        for place, statement in stars.items():
            kept.setdefault(place, set()).add(statement)
    cells = tuple(CellText(found[i].only(kept[i]), before[i].label) for i in sorted(kept))
    return Needed(cells, tuple(sorted(missing)))


def _is_pythons(name: str) -> bool:
    return hasattr(builtins, name) or name.startswith("__")


class _Bindings:
    """The last top-level statement of a cell that binds each name.

    Args:
        cell: The cell; notebook commands in it stand for empty lines.
    """

    def __init__(self, cell: CellText) -> None:
        self._lines = ["" if _COMMAND.search(line) else line for line in cell.text.splitlines()]
        if cell.text.lstrip().startswith("%%"):
            self._lines = []
        self.statements: dict[str, ast.stmt] = {}
        self._num_on_line: Counter[int] = Counter()
        try:
            tree = ast.parse("\n".join(self._lines))
        except (SyntaxError, ValueError, RecursionError):
            return
        for statement in tree.body:
            self._num_on_line.update(range(statement.lineno, (statement.end_lineno or 0) + 1))
            self.statements.update(dict.fromkeys(_bound_by(statement), statement))

    def only(self, statements: set[ast.stmt]) -> str:
        """Return the text with these statements alone, each on its own lines."""
        lines = [""] * len(self._lines)
        for node in sorted(statements, key=lambda one: (one.lineno, one.col_offset)):
            first = min([node.lineno, *(one.lineno for one in getattr(node, "decorator_list", []))]) - 1
            if self._num_on_line[node.lineno] > 1 or self._num_on_line[node.end_lineno or 0] > 1:
                lines[first] += f"{ast.unparse(node)}; "
            else:
                lines[first : node.end_lineno] = self._lines[first : node.end_lineno]
        return "\n".join(lines).rstrip() + "\n"


def _bound_by(statement: ast.stmt) -> Iterator[str]:
    """Yield the names that a top-level statement binds or changes."""
    if isinstance(statement, _DEFINITIONS):
        yield statement.name
        return
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load):
            yield node.id
        elif isinstance(node, _DEFINITIONS):
            yield node.name
        elif isinstance(node, _IMPORTS):
            yield from ((alias.asname or alias.name).partition(".")[0] for alias in node.names)


def _is_same_each_time(statement: ast.stmt) -> bool:
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        return statement.value is not None and literal_of(statement.value) is not UNKNOWN
    return isinstance(statement, _DEFINITIONS | _IMPORTS)
