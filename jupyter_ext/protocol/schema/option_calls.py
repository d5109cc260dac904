"""Options that calls declare: argparse's `add_argument` and click's decorators."""

from __future__ import annotations

import ast
from collections.abc import Mapping

from jupyter_ext.protocol.schema.annotations import last_name
from jupyter_ext.protocol.schema.literals import literal_of
from jupyter_ext.protocol.schema.option_source import (
    called,
    calls,
    functions,
    imports,
    parameter_text,
    text_of,
)
from jupyter_ext.protocol.schema.options import Form, Option, ScriptOptions


def read_argparse(tree: ast.Module) -> ScriptOptions | None:
    """Read what `parser.add_argument(...)` adds."""
    by_name: dict[str, list[ast.Call]] = {}
    for call in calls(tree):
        by_name.setdefault(last_name(call.func), []).append(call)
    parsing = [*by_name.get("parse_args", ()), *by_name.get("parse_known_args", ())]
    if "ArgumentParser" not in by_name or not parsing or any(map(reads_no_command_line, parsing)):
        return None
    if "add_subparsers" in by_name:
        return ScriptOptions((), is_complete=False)
    defaults = {word.arg: word.value for call in by_name.get("set_defaults", ()) for word in call.keywords}
    options = [_argparse_option(call, defaults) for call in by_name.get("add_argument", ())]
    known = [option for option in options if option is not None]
    is_complete = len(known) == len(options) and not _is_extended_elsewhere(tree)
    return ScriptOptions(tuple(known), is_complete)


def _is_extended_elsewhere(tree: ast.Module) -> bool:
    """Whether other code than this text adds options: the parser has parents, or is handed to a function of elsewhere."""
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    parsers = _parser_names(tree)
    for call in calls(tree):
        words = {word.arg for word in call.keywords}
        given = {
            one.id
            for one in (*call.args, *(word.value for word in call.keywords))
            if isinstance(one, ast.Name)
        }
        name = last_name(call.func)
        if (name == "ArgumentParser" and "parents" in words) or (parsers & given and name not in own):
            return True
    return False


def _parser_names(tree: ast.Module) -> set[str]:
    """Return the names that parsers are kept in."""
    assigned = [
        node for node in ast.walk(tree) if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)
    ]
    made = [node for node in assigned if last_name(called(node.value)) == "ArgumentParser"]
    return {target.id for node in made for target in node.targets if isinstance(target, ast.Name)}


def reads_no_command_line(call: ast.Call) -> bool:
    """Return whether a call of `parse_args` is given its words, such as `[]`, so that `sys.argv` is not looked at."""
    given = [*call.args[:1], *(word.value for word in call.keywords if word.arg == "args")]
    return any(isinstance(one, ast.List | ast.Tuple) or _is_text(one) for one in given)


def _is_text(node: ast.expr) -> bool:
    """Whether an expression is a text of the code, or such a text split into words."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr == "split":
        node = node.func.value
    return isinstance(literal_of(node), str)


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
    dest = text_of(words.get("dest")) or long.lstrip("-").replace("-", "_")
    default = defaults.get(dest, words.get("default"))
    count = literal_of(words["nargs"]) if "nargs" in words else None
    is_required = _is_true(words, "required") or (is_positional and count not in ("?", "*"))
    kind, form, off = _argparse_form(action, long, words, several=count not in (None, "?"))
    if kind == "bool":
        default = default or ast.Constant(action == "store_false")
    parameter = parameter_text(dest, kind, default, words, is_required=is_required)
    return Option(dest, parameter, *_place(long, form, is_positional=is_positional), off, tuple(flags))


def _place(flag: str, form: Form, *, is_positional: bool) -> tuple[str, Form]:
    return ("", "positional") if is_positional else (flag, form)


def _is_true(words: Mapping[str | None, ast.expr], name: str) -> bool:
    return name in words and literal_of(words[name]) is True


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


def read_click(tree: ast.Module) -> ScriptOptions | None:
    """Read the options of a single `@click.command()`."""
    commands = [
        function
        for function in functions(tree)
        if any(last_name(called(one)) == "command" for one in function.decorator_list)
    ]
    if not commands or not imports(tree, "click"):
        return None
    if len(commands) > 1 or any(
        last_name(called(one)) == "group" for function in functions(tree) for one in function.decorator_list
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
    flags, named = _parted(written)
    is_positional = last_name(call.func) == "argument"
    long, _, off = next((one for one in flags if one.startswith("--")), (flags or named)[0]).partition("/")
    dest = (named[0] if named else long.lstrip("-")).replace("-", "_").lower()
    kind, form = _click_form(words, has_off=bool(off))
    default = words.get("default") or (ast.Constant(value=False) if kind == "bool" else None)
    _add_click_type(words)
    is_needed = is_positional and default is None and "required" not in words
    is_required = is_needed or _is_true(words, "required")
    parameter = parameter_text(dest, kind, default, words, is_required=is_required)
    place = _place(long, form, is_positional=is_positional)
    return Option(dest, parameter, *place, off.strip(), tuple(flags))


def _parted(written: list[str]) -> tuple[list[str], list[str]]:
    """Return what begins with a dash, and what does not."""
    return [one for one in written if one.startswith("-")], [
        one for one in written if not one.startswith("-")
    ]


def _click_form(words: Mapping[str | None, ast.expr], *, has_off: bool) -> tuple[str, Form]:
    """Return an option's type as text, and how it is written."""
    if has_off or _is_true(words, "is_flag"):
        return "bool", "on-off" if has_off else "flag"
    item = _type_text(words.get("type"), words.get("default"))
    if "nargs" in words or _is_true(words, "multiple"):
        return f"list[{item}]" if item else "list", "list" if "nargs" in words else "repeated"
    return item, "value"


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
