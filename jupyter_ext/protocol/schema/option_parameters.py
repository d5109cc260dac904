"""Options that parameters or fields declare: typer, tyro, and HfArgumentParser of transformers."""

from __future__ import annotations

import ast

from jupyter_ext.protocol.schema.annotations import last_name
from jupyter_ext.protocol.schema.option_source import called, calls, copied_text, functions, imports
from jupyter_ext.protocol.schema.options import Form, Option, ScriptOptions


def read_typer(tree: ast.Module) -> ScriptOptions | None:
    """Read the parameters of a single command of typer's."""
    if not imports(tree, "typer"):
        return None
    names = [last_name(call.args[0]) for call in calls(tree) if last_name(call.func) == "run" and call.args]
    decorated = [
        function.name
        for function in functions(tree)
        if any(last_name(called(one)) in ("command", "callback") for one in function.decorator_list)
    ]
    entries = [function for function in functions(tree) if function.name in {*names, *decorated}]
    if len(entries) != 1:
        return ScriptOptions((), is_complete=False) if entries else None
    return ScriptOptions(tuple(_typer_option(*one) for one in _parameters(entries[0])))


def _typer_option(name: str, annotation: ast.expr | None, default: ast.expr | None) -> Option:
    flag, kind = f"--{name.replace('_', '-')}", "" if annotation is None else ast.unparse(annotation)
    marker = _typer_marker(annotation, default)
    parameter = copied_text(name, annotation, default)
    if marker == "Argument" or (default is None and marker != "Option"):
        return Option(name, parameter, "", "positional")
    form: Form = "on-off" if "bool" in kind else "repeated" if "list" in kind.lower() else "value"
    return Option(name, parameter, flag, form, f"--no-{flag[2:]}", (flag,))


def _typer_marker(annotation: ast.expr | None, default: ast.expr | None) -> str:
    """Return `Option` or `Argument` where the parameter says so, in its default or its annotation."""
    nodes = [node for root in (annotation, default) if root is not None for node in ast.walk(root)]
    found = [last_name(node.func) for node in nodes if isinstance(node, ast.Call)]
    return next((name for name in found if name in ("Option", "Argument")), "")


def read_tyro(tree: ast.Module) -> ScriptOptions | None:
    """Read the parameters or fields of what `tyro.cli` is given."""
    given = [call.args[0] for call in calls(tree) if ast.unparse(call.func) == "tyro.cli" and call.args]
    if not given:
        return None
    found = _fields_of(tree, last_name(given[0]))
    if found is None:
        return ScriptOptions((), is_complete=False)
    return ScriptOptions(tuple(_tyro_option(*one) for one in found))


def _tyro_option(name: str, annotation: ast.expr | None, default: ast.expr | None) -> Option:
    flag, kind = f"--{name.replace('_', '-')}", "" if annotation is None else ast.unparse(annotation)
    form: Form = "list" if kind.lower().startswith(("list", "tuple", "sequence")) else "value"
    if kind == "bool":
        form = "on-off"
    return Option(name, copied_text(name, annotation, default), flag, form, f"--no-{flag[2:]}", (flag,))


def read_hf_arguments(tree: ast.Module) -> ScriptOptions | None:
    """Read the fields of the dataclasses that `HfArgumentParser` is given, as far as the text defines them."""
    made = [call for call in calls(tree) if last_name(call.func) == "HfArgumentParser"]
    if not made:
        return None
    node = made[0].args[0] if made[0].args else next((word.value for word in made[0].keywords), None)
    classes = node.elts if isinstance(node, ast.Tuple | ast.List) else [node]
    options: list[Option] = []
    is_complete = True
    for one in classes:
        found = _fields_of(tree, "" if one is None else last_name(one))
        is_complete = is_complete and found is not None
        for name, annotation, default in found or ():
            kind = "" if annotation is None else ast.unparse(annotation)
            form: Form = "list" if kind.lower().startswith("list") else "value"
            form = "text-bool" if "bool" in kind else form
            options.append(
                Option(name, copied_text(name, annotation, default), f"--{name}", form, "", (f"--{name}",))
            )
    return ScriptOptions(tuple(options), is_complete)


def _fields_of(tree: ast.Module, name: str) -> list[tuple[str, ast.expr | None, ast.expr | None]] | None:
    """Return name, annotation and default of what a function of this name takes, or a dataclass of the text has."""
    for node in reversed(tree.body):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name == name:
            return _parameters(node)
        if isinstance(node, ast.ClassDef) and node.name == name:
            inherited: list[tuple[str, ast.expr | None, ast.expr | None]] = []
            for base in node.bases:
                found = _fields_of(tree, last_name(base))
                if found is None:
                    return None
                inherited += found
            fields = [
                item
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            ]
            return inherited + [
                (item.target.id, item.annotation, item.value)
                for item in fields
                if isinstance(item.target, ast.Name)
            ]
    return None


def _parameters(
    function: ast.FunctionDef | ast.AsyncFunctionDef,
) -> list[tuple[str, ast.expr | None, ast.expr | None]]:
    arguments = function.args
    positional = [*arguments.posonlyargs, *arguments.args]
    missing: list[ast.expr | None] = [None] * (len(positional) - len(arguments.defaults))
    pairs = [
        *zip(positional, [*missing, *arguments.defaults], strict=True),
        *zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True),
    ]
    return [(argument.arg, argument.annotation, default) for argument, default in pairs]
