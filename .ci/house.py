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
MAX_LOOSE_DICTS = 3.0
"""`dict[str, Any]` and `Mapping[str, Any]` per 1,000 lines. Payloads of a known shape have a type at the module that owns them."""
MAX_COLUMNS = 110
MAX_LONG_LINES = 0.5
"""Per cent of the lines of TypeScript: what the formatter cannot break, such as a path of an icon."""
MAX_MODULE_LINES = 400
MAX_TEST_MODULE_LINES = 450
LONG_MODULES = {
    "widgets/src/wire/types.generated.ts": (800, "generated from jupyter_ext/protocol"),
    "tests/integration/engine/test_server_extension.py": (
        880,
        "one server for all; each of its routes is a few lines",
    ),
    "tests/unit/metrics/serving/test_run_store.py": (744, "one table of calls and answers of one class"),
    "tests/unit/models/test_model_service.py": (
        683,
        "one service with fakes, and each of its calls in each state",
    ),
    "tests/unit/models/test_download_faults.py": (
        588,
        "one download, and every way in which a hub can fail it",
    ),
}
"""Modules that may be longer, how long, and why: a list to be made shorter."""
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
_TESTS = ("tests/", "widgets/tests/")


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
    tests = [path for path in paths if path.endswith((".py", ".ts")) and path.startswith(_TESTS)]
    functions = [function for path in python for function in _functions(path)]
    lines = sum(_num_lines(path) for path in python)
    yield Row("Python modules", str(len(python)))
    yield Row("lines of Python", f"{lines:,}")
    yield _folders("largest flat folder", python + scripts)
    yield _folders("largest flat folder of tests", tests)
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
    test_lines = sum(_num_lines(path) for path in tests if path.endswith(".py"))
    yield Row("test lines / source lines", f"{test_lines / lines:.2f}")
    yield _long_lines(scripts)
    yield _long_modules("longest module, lines", python + scripts, MAX_MODULE_LINES)
    yield _long_modules("longest module of tests, lines", tests, MAX_TEST_MODULE_LINES)
    yield _exceptions(paths)


def _folders(name: str, paths: list[str]) -> Row:
    sizes = Counter(str(PurePosixPath(path).parent) for path in paths if not path.endswith("__init__.py"))
    largest, size = sizes.most_common(1)[0]
    over = tuple(f"{folder} {count}" for folder, count in sizes.items() if count > MAX_MODULES_IN_A_FOLDER)
    return Row(f"{name} ({largest})", str(size), f"<= {MAX_MODULES_IN_A_FOLDER}", over)


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
    rate = 100 * long / len(rows)
    over = (f"{long} of {len(rows)} lines",) if rate > MAX_LONG_LINES else ()
    return Row(
        f"TypeScript lines over {MAX_COLUMNS} columns", f"{rate:.1f} %", f"<= {MAX_LONG_LINES:.1f} %", over
    )


def _long_modules(name: str, paths: list[str], limit: int) -> Row:
    """Find the modules that are longer than they may be; `LONG_MODULES` names those that may be longer than most."""
    sizes = {path: _num_lines(path) for path in paths}
    over = tuple(f"{path} {size}" for path, size in sizes.items() if size > _limit(path, limit))
    longest = max(size for path, size in sizes.items() if path not in LONG_MODULES)
    return Row(name, str(longest), f"<= {limit}", over)


def _limit(path: str, limit: int) -> int:
    return LONG_MODULES[path][0] if path in LONG_MODULES else limit


def _exceptions(paths: list[str]) -> Row:
    """Count the exceptions; one that is needed no longer has to go, so that nobody grows into it."""
    limits = {path: MAX_TEST_MODULE_LINES if path.startswith(_TESTS) else MAX_MODULE_LINES for path in paths}
    needed = {path for path in LONG_MODULES if path in limits and _num_lines(path) > limits[path]}
    over = tuple(f"{path} needs no exception" for path in LONG_MODULES if path not in needed)
    return Row("longer modules that are named with a reason", str(len(LONG_MODULES)), "", over)


def _num_lines(path: str) -> int:
    return (ROOT / path).read_bytes().count(b"\n")


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
