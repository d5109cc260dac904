"""Print the figures of the checkout one stands in: how large its rooms are and how cleanly they are kept.

Usage: python .ci/house.py [--check]

With `--check` it ends with 1 where a limit is passed, and names what passes it.
"""

from __future__ import annotations

import ast
import re
import statistics
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import grimp

ROOT = Path.cwd()
MAX_MODULES_IN_A_FOLDER = 20
MAX_FUNCTION_LINES = 60
MAX_COMPLEXITY = 15
MAX_LOOSE_DICTS = 5.0
"""`dict[str, Any]` and `Mapping[str, Any]` per 1,000 lines. Payloads of a known shape have a type at the module that owns them."""
MAX_COLUMNS = 110
_LOOSE = re.compile(r"\b(?:dict|Mapping)\[str, Any\]")
_BRANCHES = (
    ast.If,
    ast.For,
    ast.AsyncFor,
    ast.While,
    ast.ExceptHandler,
    ast.IfExp,
    ast.comprehension,
    ast.Assert,
    ast.match_case,
)
_PRODUCT = ("jupyter_ext/", "widgets/jupyter_ext_widgets/")
_SCRIPTS = ("widgets/src/", "labextension/src/")


@dataclass(frozen=True)
class Function:
    """A function of the product."""

    place: str
    lines: int
    complexity: int


@dataclass(frozen=True)
class Row:
    """A figure, and what passes its limit."""

    name: str
    value: str
    limit: str = ""
    over: tuple[str, ...] = ()


def main(check: bool) -> int:
    """Print the table; return the exit code."""
    rows = list(figures())
    width = max(len(row.name) for row in rows)
    for row in rows:
        print(f"{row.name:<{width}}  {row.value:>8}  {row.limit}")
    passed = [(row.name, place) for row in rows for place in row.over]
    if check:
        for name, place in passed:
            print(f"over the limit: {name}: {place}", file=sys.stderr)
    return 1 if check and passed else 0


def figures() -> Iterator[Row]:
    """Measure the tree, as git knows it."""
    tracked = subprocess.check_output(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    paths = [path for path in tracked.splitlines() if (ROOT / path).is_file()]
    python = [path for path in paths if path.endswith(".py") and path.startswith(_PRODUCT)]
    scripts = [path for path in paths if path.endswith(".ts") and path.startswith(_SCRIPTS)]
    tests = [path for path in paths if path.endswith(".py") and path.startswith("tests/")]
    functions = [function for path in python for function in _functions(path)]
    lines = sum(_num_lines(path) for path in python)
    yield Row("Python modules", str(len(python)))
    yield Row("lines of Python", f"{lines:,}")
    yield _folders(python + scripts)
    yield _rings()
    yield Row("median and 95th percentile of a function, lines", _spread(functions))
    yield Row(
        "longest function, lines",
        str(max(function.lines for function in functions)),
        f"<= {MAX_FUNCTION_LINES}",
        tuple(f"{each.place} {each.lines}" for each in functions if each.lines > MAX_FUNCTION_LINES),
    )
    yield Row(
        "highest cyclomatic complexity",
        str(max(function.complexity for function in functions)),
        f"<= {MAX_COMPLEXITY}",
        tuple(f"{each.place} {each.complexity}" for each in functions if each.complexity > MAX_COMPLEXITY),
    )
    yield _loose_dicts(python, lines)
    test_lines = sum(_num_lines(path) for path in tests)
    yield Row("test lines / source lines", f"{test_lines / lines:.2f}")
    yield _long_lines(scripts)
    yield Row("modules over 400 lines", str(sum(_num_lines(path) > 400 for path in python + scripts)))


def _folders(paths: list[str]) -> Row:
    sizes = Counter(str(PurePosixPath(path).parent) for path in paths if not path.endswith("__init__.py"))
    largest, size = sizes.most_common(1)[0]
    over = tuple(f"{folder} {count}" for folder, count in sizes.items() if count > MAX_MODULES_IN_A_FOLDER)
    return Row(f"largest flat folder ({largest})", str(size), f"<= {MAX_MODULES_IN_A_FOLDER}", over)


def _rings() -> Row:
    """Count the packages that import each other in a ring, type-only imports included."""
    sys.path.insert(0, str(ROOT))
    graph = grimp.build_graph("jupyter_ext", include_external_packages=False, cache_dir=None)
    ringed: list[str] = []
    for package in ("jupyter_ext.engine", "jupyter_ext.client", "jupyter_ext.worker"):
        siblings = sorted(graph.find_children(package))
        needs = {
            each: {other for other in siblings if other != each and _imports(graph, each, other)}
            for each in siblings
        }
        ringed += [each for each in siblings if each in _reachable(needs, each)]
    return Row("packages in a ring", str(len(ringed)), "<= 0", tuple(ringed))


def _imports(graph: grimp.ImportGraph, importer: str, imported: str) -> bool:
    inside = {importer} | graph.find_descendants(importer)
    targets = {imported} | graph.find_descendants(imported)
    return any(graph.find_modules_directly_imported_by(module) & targets for module in inside)


def _reachable(needs: dict[str, set[str]], start: str) -> set[str]:
    found: set[str] = set()
    waiting = list(needs[start])
    while waiting:
        each = waiting.pop()
        if each not in found:
            found.add(each)
            waiting += needs[each]
    return found


def _functions(path: str) -> Iterator[Function]:
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines = (node.end_lineno or node.lineno) - node.lineno + 1
            yield Function(f"{path}:{node.lineno} {node.name}", lines, _complexity(node))


def _complexity(node: ast.AST) -> int:
    """Count the ways through a function, after McCabe, boolean operators included."""
    found = 1
    for each in ast.walk(node):
        if isinstance(each, _BRANCHES):
            found += 1
        elif isinstance(each, ast.BoolOp):
            found += len(each.values) - 1
    return found


def _spread(functions: list[Function]) -> str:
    lines = sorted(function.lines for function in functions)
    return f"{statistics.median(lines):.0f} / {lines[int(len(lines) * 0.95)]}"


def _loose_dicts(python: list[str], lines: int) -> Row:
    counts = {path: len(_LOOSE.findall((ROOT / path).read_text())) for path in python}
    rate = 1000 * sum(counts.values()) / lines
    worst = sorted(counts, key=lambda path: -counts[path])[:10]
    over = tuple(f"{path} {counts[path]}" for path in worst) if rate > MAX_LOOSE_DICTS else ()
    return Row("dict[str, Any] per 1,000 lines", f"{rate:.1f}", f"<= {MAX_LOOSE_DICTS:.1f}", over)


def _long_lines(scripts: list[str]) -> Row:
    rows = [line for path in scripts for line in (ROOT / path).read_text().splitlines()]
    long = sum(len(line) > MAX_COLUMNS for line in rows)
    return Row(f"TypeScript lines over {MAX_COLUMNS} columns", f"{100 * long / len(rows):.1f} %")


def _num_lines(path: str) -> int:
    return (ROOT / path).read_bytes().count(b"\n")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
