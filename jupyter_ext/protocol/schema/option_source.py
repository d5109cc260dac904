"""What readers of options share: finding calls in a text, and writing one parameter as source text."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from jupyter_ext.protocol.schema.annotations import last_name
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

_CALLS = {"Option", "Argument", "field", "Field"}
_BOUNDS = {"min": "ge", "max": "le", "ge": "ge", "le": "le", "gt": "gt", "lt": "lt"}


def parameter_text(
    name: str,
    kind: str,
    default: ast.expr | None,
    words: dict[str | None, ast.expr],
    *,
    is_required: bool,
) -> str:
    """Return an option as a parameter in source text."""
    given = [] if is_required else [ast.unparse(default) if default is not None else "None"]
    choices = words.get("choices")
    if choices is not None and isinstance(literal_of(choices), list | tuple | set):
        given.append(f"choices={list(literal_of(choices))!r}")
    if text := text_of(words.get("help")):
        given.append(f"description={text!r}")
    given += [f"{name}={ast.unparse(words[name])}" for name in ("ge", "le") if name in words]
    typed = f"{name}: {kind}" if kind else name
    if is_required and not given:
        return typed
    default_is_known = is_required or default is None or literal_of(default) is not UNKNOWN
    if not default_is_known:
        given[0] = "unknown()"
        return f"{typed} = unknown()" if len(given) == 1 else f"{typed} = Input({', '.join(given)})"
    return f"{typed} = Input({', '.join(['...', *given] if is_required else given)})"


def copied_text(name: str, annotation: ast.expr | None, default: ast.expr | None) -> str:
    """Return a parameter or a field as it is written, with what `Option(...)` or `field(...)` says of it."""
    typed = name if annotation is None else f"{name}: {ast.unparse(_plain_annotation(annotation))}"
    if default is None:
        return typed
    if not isinstance(default, ast.Call) or last_name(default.func) not in _CALLS:
        return f"{typed} = {ast.unparse(default)}"
    words: dict[str | None, ast.expr] = {word.arg: word.value for word in default.keywords}
    value = default.args[0] if default.args else words.get("default")
    if value is None and "default_factory" in words:
        return f"{typed} = unknown()"
    is_required = value is None or literal_of(value) is Ellipsis
    given = ["..." if value is None or is_required else ast.unparse(value)]
    if text := text_of(words.get("help")) or _help_of(words.get("metadata")):
        given.append(f"description={text!r}")
    given += [f"{_BOUNDS[word]}={ast.unparse(node)}" for word, node in words.items() if word in _BOUNDS]
    return f"{typed} = Input({', '.join(given)})"


def _help_of(metadata: ast.expr | None) -> str:
    """Return what `field(metadata={"help": …})` says."""
    found = None if metadata is None else literal_of(metadata)
    return str(found.get("help", "")) if isinstance(found, dict) else ""


def _plain_annotation(node: ast.expr) -> ast.expr:
    """Return the type of `Annotated[type, typer.Option(...)]` alone: its words are not those of our `Input`."""
    if (
        isinstance(node, ast.Subscript)
        and last_name(node.value) == "Annotated"
        and isinstance(node.slice, ast.Tuple)
    ):
        return node.slice.elts[0]
    return node


def text_of(node: ast.expr | None) -> str:
    """Return a literal text, or nothing where it is none."""
    value = UNKNOWN if node is None else literal_of(node)
    return value if isinstance(value, str) else ""


def calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a text in its order."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    yield from sorted(found, key=lambda node: (node.lineno, node.col_offset))


def functions(tree: ast.Module) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Return the functions that a text defines at its top level."""
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def called(node: ast.expr) -> ast.expr:
    """Return what a decorator is, without its arguments."""
    return node.func if isinstance(node, ast.Call) else node


def imports(tree: ast.Module, module: str) -> bool:
    """Whether a text imports a package or something of it."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == module for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module:
            return True
    return False
