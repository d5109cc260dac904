"""The options that a script reads from its command line, told from its text without running it.

They become a signature in source text, so that form, checks and columns treat them as any other inputs, and for each
input the way to write it on the command line. What cannot be told is left out: `is_complete` says whether there may be more.

Source: the documentation of argparse, click, typer, tyro, and HfArgumentParser of transformers.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypedDict

from jupyter_ext.protocol.schema.annotations import last_name
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of

Form = Literal["value", "list", "repeated", "flag", "no-flag", "on-off", "text-bool", "count", "positional"]
"""How an input is written: `--lr 1`, `--sizes 1 2`, `--tag a --tag b`, `--fast` where true, `--no-fast` where false, either
of `--fast` and `--no-fast`, `--fast true`, `-v` so many times, or without a name."""


class OptionSpelling(TypedDict):
    """How one input is written on the command line."""

    flag: str
    off: str
    form: Form


@dataclass(frozen=True)
class Option:
    """One option: its input's name, its parameter in source text, and how it is written."""

    name: str
    parameter: str
    flag: str
    form: Form
    off: str = ""
    flags: tuple[str, ...] = ()

    @property
    def spelling(self) -> OptionSpelling:
        """How it is written, for the worker."""
        return {"flag": self.flag, "off": self.off, "form": self.form}


@dataclass(frozen=True)
class ScriptOptions:
    """All options that could be read."""

    options: tuple[Option, ...]
    is_complete: bool = True

    def signature(self, entry: str) -> str:
        """Return text that defines a function with the same inputs."""
        required = [option.parameter for option in self.options if " = " not in option.parameter]
        others = [option.parameter for option in self.options if " = " in option.parameter]
        rest = [] if self.is_complete else ["**others"]
        named = ["*", *required, *others] if self.options else []
        return f"def {entry}({', '.join([*named, *rest])}): ...\n"

    def spellings(self) -> dict[str, OptionSpelling]:
        """Return how each input is written."""
        return {option.name: option.spelling for option in self.options}


def read_options(tree: ast.Module) -> ScriptOptions | None:
    """Read a script's options, or return `None` where it reads none that we understand."""
    for read in (_argparse, _hf_arguments, _tyro, _typer, _click):
        if (found := read(tree)) is not None:
            unique = {option.name: option for option in found.options if option.name.isidentifier()}
            return replace(found, options=tuple(unique.values()))
    return None


# -- argparse ---------------------------------------------------------------------------------------------------------


def _argparse(tree: ast.Module) -> ScriptOptions | None:
    calls = [*_calls(tree)]
    if not any(last_name(call.func) == "ArgumentParser" for call in calls):
        return None
    parsing = [call for call in calls if last_name(call.func) in ("parse_args", "parse_known_args")]
    if not parsing or any(_reads_no_command_line(call) for call in parsing):
        return None
    if any(last_name(call.func) == "add_subparsers" for call in calls):
        return ScriptOptions((), is_complete=False)
    defaults: dict[str | None, ast.expr] = {}
    for call in calls:
        if last_name(call.func) == "set_defaults":
            defaults.update({word.arg: word.value for word in call.keywords})
    added = [call for call in calls if last_name(call.func) == "add_argument"]
    options = [_argparse_option(call, defaults) for call in added]
    known = [option for option in options if option is not None]
    in_loops = any(last_name(call.func) in ("add_arguments", "add_argparse_args") for call in calls)
    return ScriptOptions(tuple(known), is_complete=len(known) == len(options) and not in_loops)


def _reads_no_command_line(call: ast.Call) -> bool:
    """Whether a call of `parse_args` is given its words, such as `[]`, so that `sys.argv` is not looked at."""
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "args")]
    return any(isinstance(one, ast.List | ast.Tuple) for one in given)


def _argparse_option(call: ast.Call, defaults: dict[str | None, ast.expr]) -> Option | None:
    flags = [literal_of(one) for one in call.args]
    words = {word.arg: word.value for word in call.keywords}
    if not flags or not all(isinstance(flag, str) for flag in flags) or None in words:
        return None
    action = _action(words.get("action"))
    if action in ("help", "version"):
        return None
    long = next((flag for flag in flags if flag.startswith("--")), flags[0])
    is_positional = not flags[0].startswith("-")
    dest = _text(words.get("dest")) or long.lstrip("-").replace("-", "_")
    default = defaults.get(dest, words.get("default"))
    is_required = literal_of(words["required"]) is True if "required" in words else is_positional
    several = "nargs" in words and literal_of(words["nargs"]) != "?"
    if is_positional and "nargs" in words and literal_of(words["nargs"]) in ("?", "*"):
        is_required = False
    kind, form, off = _argparse_form(action, long, words, several=several)
    if kind == "bool":
        default = default or ast.Constant(action == "store_false")
    parameter = _parameter(dest, kind, default, words, is_required=is_required)
    return Option(
        dest,
        parameter,
        "" if is_positional else long,
        "positional" if is_positional else form,
        off,
        tuple(flags),
    )


def _argparse_form(
    action: str, flag: str, words: dict[str | None, ast.expr], *, several: bool
) -> tuple[str, Form, str]:
    """Return an option's type as text, how it is written, and how its opposite is."""
    match action:
        case "store_true":
            return "bool", "flag", ""
        case "store_false":
            return "bool", "no-flag", flag
        case "BooleanOptionalAction":
            return "bool", "on-off", f"--no-{flag.removeprefix('--')}"
        case "count":
            return "int", "count", ""
    item = _type_text(words.get("type"), words.get("default"))
    if action in ("append", "extend") or several:
        return f"list[{item}]" if item else "list", "repeated" if action == "append" else "list", ""
    return item, "value", ""


def _action(node: ast.expr | None) -> str:
    if node is None:
        return "store"
    value = literal_of(node)
    return value if isinstance(value, str) else last_name(node)


def _type_text(node: ast.expr | None, default: ast.expr | None) -> str:
    """Return the annotation for argparse's and click's `type=`; of what is not known, nothing."""
    if node is None:
        return "" if default is None or isinstance(literal_of(default), str) else _type_of_default(default)
    name = last_name(node.func) if isinstance(node, ast.Call) else last_name(node)
    known = {
        "int": "int",
        "float": "float",
        "str": "str",
        "Path": "Path",
        "INT": "int",
        "FLOAT": "float",
        "STRING": "str",
    }
    return {
        **known,
        "BOOL": "bool",
        "IntRange": "int",
        "FloatRange": "float",
        "FileType": "Path",
        "File": "Path",
    }.get(name, "")


def _type_of_default(default: ast.expr) -> str:
    value = literal_of(default)
    return type(value).__name__ if type(value) in (bool, int, float, str) else ""


# -- click ------------------------------------------------------------------------------------------------------------


def _click(tree: ast.Module) -> ScriptOptions | None:
    commands = [
        function
        for function in _functions(tree)
        if any(last_name(_called(one)) == "command" for one in function.decorator_list)
    ]
    if not commands or not _imports(tree, "click"):
        return None
    if len(commands) > 1 or any(
        last_name(_called(one)) == "group" for function in _functions(tree) for one in function.decorator_list
    ):
        return ScriptOptions((), is_complete=False)
    made = [one for one in commands[0].decorator_list if isinstance(one, ast.Call)]
    declared = [one for one in made if last_name(one.func) in ("option", "argument")]
    options = [_click_option(one) for one in declared]
    known = [option for option in options if option is not None]
    extra = [
        one for one in made if last_name(one.func) not in ("option", "argument", "command", "version_option")
    ]
    return ScriptOptions(tuple(known), is_complete=len(known) == len(options) and not extra)


def _click_option(call: ast.Call) -> Option | None:
    written = [literal_of(one) for one in call.args]
    if not written or not all(isinstance(one, str) for one in written):
        return None
    words: dict[str | None, ast.expr] = {word.arg: word.value for word in call.keywords}
    flags = [one for one in written if one.startswith("-")]
    named = [one for one in written if not one.startswith("-")]
    is_positional = last_name(call.func) == "argument"
    long = next((one for one in flags if one.startswith("--")), (flags or named)[0])
    long, _, off = long.partition("/")
    dest = (named[0] if named else long.lstrip("-")).replace("-", "_").lower()
    default = words.get("default")
    is_flag = bool(off) or ("is_flag" in words and literal_of(words["is_flag"]) is True)
    several = ("multiple" in words and literal_of(words["multiple"]) is True) or "nargs" in words
    kind = "bool" if is_flag else _type_text(words.get("type"), default)
    form: Form = "value"
    if is_flag:
        form, default = "on-off" if off else "flag", default or ast.Constant(value=False)
    elif several:
        kind, form = f"list[{kind}]" if kind else "list", "list" if "nargs" in words else "repeated"
    _add_click_type(words)
    required = (
        literal_of(words["required"]) is True if "required" in words else is_positional and default is None
    )
    parameter = _parameter(dest, kind, default, words, is_required=required)
    return Option(
        dest,
        parameter,
        "" if is_positional else long,
        "positional" if is_positional else form,
        off.strip(),
        tuple(flags),
    )


def _add_click_type(words: dict[str | None, ast.expr]) -> None:
    """Turn click's `Choice([...])` and `IntRange(0, 9)` into the words that argparse and `Input` have."""
    node = words.get("type")
    if not isinstance(node, ast.Call):
        return
    given = {word.arg: word.value for word in node.keywords}
    if last_name(node.func) == "Choice" and node.args:
        words["choices"] = node.args[0]
    if last_name(node.func) in ("IntRange", "FloatRange"):
        bounds = dict(zip(("ge", "le"), node.args, strict=False))
        words.update(bounds)
        words.update(
            {
                {"min": "ge", "max": "le"}[name]: value
                for name, value in given.items()
                if name in ("min", "max")
            }
        )


# -- typer, tyro, HfArgumentParser: parameters and fields are the options ---------------------------------------------


def _typer(tree: ast.Module) -> ScriptOptions | None:
    if not _imports(tree, "typer"):
        return None
    names = [last_name(call.args[0]) for call in _calls(tree) if last_name(call.func) == "run" and call.args]
    decorated = [
        function.name
        for function in _functions(tree)
        if any(last_name(_called(one)) in ("command", "callback") for one in function.decorator_list)
    ]
    entries = [function for function in _functions(tree) if function.name in {*names, *decorated}]
    if len(entries) != 1:
        return ScriptOptions((), is_complete=False) if entries else None
    options = []
    for name, annotation, default in _parameters(entries[0]):
        flag = f"--{name.replace('_', '-')}"
        marker = _typer_marker(annotation, default)
        is_argument = marker == "Argument" or (default is None and marker != "Option")
        kind = "" if annotation is None else ast.unparse(annotation)
        form: Form = "repeated" if "list" in kind.lower() else "value"
        if "bool" in kind:
            form = "on-off"
        parameter = _copied(name, annotation, default)
        options.append(
            Option(
                name,
                parameter,
                "" if is_argument else flag,
                "positional" if is_argument else form,
                f"--no-{flag[2:]}",
                (flag,),
            )
        )
    return ScriptOptions(tuple(options))


def _typer_marker(annotation: ast.expr | None, default: ast.expr | None) -> str:
    """Return `Option` or `Argument` where the parameter says so, in its default or its annotation."""
    nodes = [node for root in (annotation, default) if root is not None for node in ast.walk(root)]
    found = [last_name(node.func) for node in nodes if isinstance(node, ast.Call)]
    return next((name for name in found if name in ("Option", "Argument")), "")


def _tyro(tree: ast.Module) -> ScriptOptions | None:
    given = [call.args[0] for call in _calls(tree) if ast.unparse(call.func) == "tyro.cli" and call.args]
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
    return Option(name, _copied(name, annotation, default), flag, form, f"--no-{flag[2:]}", (flag,))


def _hf_arguments(tree: ast.Module) -> ScriptOptions | None:
    made = [call for call in _calls(tree) if last_name(call.func) == "HfArgumentParser"]
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
                Option(name, _copied(name, annotation, default), f"--{name}", form, "", (f"--{name}",))
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


# -- source text of one parameter -------------------------------------------------------------------------------------

_CALLS = {"Option", "Argument", "field", "Field"}
_BOUNDS = {"min": "ge", "max": "le", "ge": "ge", "le": "le", "gt": "gt", "lt": "lt"}


def _parameter(
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
    if text := _text(words.get("help")):
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


def _copied(name: str, annotation: ast.expr | None, default: ast.expr | None) -> str:
    """Return a parameter or a field as it is written, with what `Option(...)` or `field(...)` says of it."""
    typed = name if annotation is None else f"{name}: {ast.unparse(_plain_annotation(annotation))}"
    if default is None:
        return typed
    if not isinstance(default, ast.Call) or last_name(default.func) not in _CALLS:
        return f"{typed} = {ast.unparse(default)}"
    words = {word.arg: word.value for word in default.keywords}
    value = default.args[0] if default.args else words.get("default")
    if value is None and "default_factory" in words:
        return f"{typed} = unknown()"
    is_required = value is None or literal_of(value) is Ellipsis
    metadata = literal_of(words["metadata"]) if "metadata" in words else None
    text = _text(words.get("help")) or (str(metadata.get("help", "")) if isinstance(metadata, dict) else "")
    given = ["..." if value is None or is_required else ast.unparse(value)]
    given += [f"description={text!r}"] if text else []
    given += [f"{_BOUNDS[word]}={ast.unparse(node)}" for word, node in words.items() if word in _BOUNDS]
    return f"{typed} = Input({', '.join(given)})"


def _plain_annotation(node: ast.expr) -> ast.expr:
    """Return the type of `Annotated[type, typer.Option(...)]` alone: its words are not those of our `Input`."""
    if (
        isinstance(node, ast.Subscript)
        and last_name(node.value) == "Annotated"
        and isinstance(node.slice, ast.Tuple)
    ):
        return node.slice.elts[0]
    return node


def _text(node: ast.expr | None) -> str:
    value = UNKNOWN if node is None else literal_of(node)
    return value if isinstance(value, str) else ""


# -- walking ----------------------------------------------------------------------------------------------------------


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    """Yield the calls of a text in its order."""
    found = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
    yield from sorted(found, key=lambda node: (node.lineno, node.col_offset))


def _functions(tree: ast.Module) -> Iterable[ast.FunctionDef | ast.AsyncFunctionDef]:
    return [node for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def _called(node: ast.expr) -> ast.expr:
    return node.func if isinstance(node, ast.Call) else node


def _imports(tree: ast.Module, module: str) -> bool:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import) and any(alias.name.split(".")[0] == module for alias in node.names):
            return True
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == module:
            return True
    return False
