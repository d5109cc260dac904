"""What of a cell is to be run: its `train(...)`, or the whole of it as a script.

Rule: what the cell does at its top level decides, told from its text. Nothing trains twice, and where there was something
to decide, the cell says what was.
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.literals import UNKNOWN, literal_of
from jupyter_ext.protocol.schema.options import ScriptOptions
from jupyter_ext.protocol.schema.script_options import line_without_command_line, read_options
from jupyter_ext.protocol.schema.signature import find_function, from_source

ENTRY = "train"


@dataclass(frozen=True)
class Entry:
    """What is run of a cell or a file."""

    is_script: bool
    signature: str = ""
    """Text that defines `train` with its inputs, where the text itself only assigns it."""
    options: ScriptOptions | None = None
    """What a script reads from its command line."""
    left_out: tuple[ast.stmt, ...] = ()
    """Statements that stand for the call that we make ourselves."""
    given: Mapping[str, object] = field(default_factory=dict)
    """Inputs that the cell's own call gives."""
    notice: str = ""
    """What a person is told of the choice."""


def choose_entry(
    tree: ast.Module, source: str, inputs: Collection[str] = (), namespace: Mapping[str, object] | None = None
) -> Entry:
    """Decide what is run of a cell.

    Args:
        tree: The cell, parsed.
        source: Its text.
        inputs: Names of the inputs that were given.
        namespace: The notebook's names.

    Raises:
        InvalidInput: It does nothing, or its `train` is nothing that can be called with inputs.
    """
    function = find_function(tree, ENTRY)
    guard = _guard(tree)
    signature = "" if function is not None else _signature_of_alias(tree, namespace)
    if function is None and not signature:
        _refuse_what_does_nothing(tree)
        return _script(tree, inputs, "")
    training_input = from_source(signature or source, ENTRY)
    assert training_input is not None
    calling = [node for node in _main_statements(tree, guard) if _reaches_train(node, tree)]
    if not calling and (guard is None or _binds(training_input, inputs)):
        return Entry(is_script=False, signature=signature)
    own = _own_call(tree, guard, calling, function)
    if own is not None:
        call, given = own
        notice = (
            f"train() is called once, with the inputs; line {call.lineno}, which calls it too, is left out."
        )
        return Entry(is_script=False, left_out=(call,), given=given, notice=notice)
    if inputs and read_options(tree) is None and _binds(training_input, inputs):
        notice = "The inputs given are those of train(), so it is called with them; what calls it otherwise is left out."
        return Entry(is_script=False, signature=signature, left_out=tuple(calling), notice=notice)
    why = 'has `if __name__ == "__main__"`' if guard is not None else "calls train() itself"
    return _script(tree, inputs, f"It runs as a script, from the first line to the last, because it {why}.")


def without(source: str, left_out: Iterable[ast.stmt]) -> str:
    """Return a text in which statements are left out and every other line keeps its number."""
    lines = source.splitlines(keepends=True)
    for node in left_out:
        first, last = node.lineno - 1, (node.end_lineno or node.lineno) - 1
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip())]
        lines[first : last + 1] = [f"{indent}pass\n", *["\n"] * (last - first)]
    return "".join(lines)


def _script(tree: ast.Module, inputs: Collection[str], notice: str) -> Entry:
    options = read_options(tree)
    if options is None:
        words = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        texts = {
            node.value
            for node in ast.walk(tree)
            if isinstance(node, ast.Constant) and isinstance(node.value, str)
        }
        unread = [name for name in inputs if name not in words | texts]
        if unread and (line := line_without_command_line(tree)):
            raise InvalidInput(
                f"Line {line} parses options from a list of its own, so {unread[0]!r} never gets there; write parse_args(), "
                "without the list, so that the options are inputs."
            )
        if unread:
            raise InvalidInput(
                f"Nothing in it reads {unread[0]!r}; a script finds its inputs as variables. "
                "Define train(...) with a parameter of this name, or use the variable."
            )
    return Entry(is_script=True, options=options, notice=notice)


def _guard(tree: ast.Module) -> ast.If | None:
    """Find `if __name__ == "__main__":`."""
    for node in reversed(tree.body):
        if isinstance(node, ast.If) and ast.unparse(node.test) in (
            "__name__ == '__main__'",
            "'__main__' == __name__",
        ):
            return node
    return None


def _main_statements(tree: ast.Module, guard: ast.If | None) -> list[ast.stmt]:
    """Return what runs at the top level, the guarded part included; definitions only define."""
    defining = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Import | ast.ImportFrom
    running = [node for node in tree.body if node is not guard and not isinstance(node, defining)]
    return [*running, *(guard.body if guard is not None else [])]


def _reaches_train(node: ast.AST, tree: ast.Module) -> bool:
    """Whether a statement calls `train`, by way of functions of the cell too, or hands it to a call."""
    defining = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    functions = {one.name: one for one in tree.body if isinstance(one, defining)}
    waiting, seen = [node], set[str]()
    while waiting:
        for name in _called_names(waiting.pop()):
            if name == ENTRY:
                return True
            if name in functions and name not in seen:
                seen.add(name)
                waiting.append(functions[name])
    return False


def _called_names(node: ast.AST) -> Iterator[str]:
    rebinds = isinstance(node, ast.Assign) and any(
        isinstance(target, ast.Name) and target.id == ENTRY for target in node.targets
    )
    for call in ast.walk(node):
        if not isinstance(call, ast.Call):
            continue
        if isinstance(call.func, ast.Name):
            yield call.func.id
        if not rebinds:  # as in train = torch.compile(train)
            given = [*call.args, *(word.value for word in call.keywords)]
            yield from (one.id for one in given if isinstance(one, ast.Name))


def _own_call(
    tree: ast.Module,
    guard: ast.If | None,
    calling: list[ast.stmt],
    function: ast.FunctionDef | ast.AsyncFunctionDef | None,
) -> tuple[ast.Expr, dict[str, object]] | None:
    """Return the text's own plain call of `train` and what it gives, where ours can stand for it."""
    call = _final_call(tree, guard, calling)
    given = None if call is None or function is None else _literal_arguments(call, function)
    return None if call is None or given is None else (call, given)


def _final_call(tree: ast.Module, guard: ast.If | None, calling: list[ast.stmt]) -> ast.Expr | None:
    """Return the cell's own plain call of `train`, where it is the last thing that the cell does and the only such call."""
    last = tree.body[-1]
    if last is guard and guard is not None:
        last = guard.body[-1]
    if len(calling) != 1 or calling[0] is not last or (guard is not None and last not in guard.body):
        return None
    if guard is not None and len(guard.body) > 1:
        return None
    call = last.value if isinstance(last, ast.Expr) else None
    call = call.value if isinstance(call, ast.Await) else call
    is_plain = isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == ENTRY
    return last if is_plain and isinstance(last, ast.Expr) else None


def _literal_arguments(
    statement: ast.Expr, function: ast.FunctionDef | ast.AsyncFunctionDef
) -> dict[str, object] | None:
    """Return the arguments of a call by name, or `None` where only running it would tell them."""
    call = statement.value.value if isinstance(statement.value, ast.Await) else statement.value
    assert isinstance(call, ast.Call)
    names = [argument.arg for argument in [*function.args.posonlyargs, *function.args.args]]
    if len(call.args) > len(names):
        return None
    pairs = [*zip(names, call.args, strict=False), *((word.arg, word.value) for word in call.keywords)]
    found = {name: literal_of(value) for name, value in pairs if name is not None}
    return None if len(found) < len(pairs) or any(value is UNKNOWN for value in found.values()) else found


def _binds(training_input: TrainingInput, inputs: Collection[str]) -> bool:
    """Whether these inputs are all that `train` needs, and none that it does not take."""
    names = {parameter.name for parameter in training_input.parameters}
    needed = {parameter.name for parameter in training_input.parameters if parameter.required}
    return needed <= set(inputs) and (training_input.takes_any or set(inputs) <= names)


def _signature_of_alias(tree: ast.Module, namespace: Mapping[str, object] | None) -> str:
    """Return the signature of `train = fit`, `train = partial(fit, 3)` or `train = lambda …`, or nothing where it is no function.

    `train = load("train.csv")` is the name of data.
    """
    found = [
        node.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and any(isinstance(target, ast.Name) and target.id == ENTRY for target in node.targets)
    ]
    if not found:
        return ""
    value = found[-1]
    if isinstance(value, ast.Lambda):
        return f"def {ENTRY}({ast.unparse(value.args)}): ...\n"
    if isinstance(value, ast.Call):
        made_from = value.args[0] if value.args else None
        is_function = (
            isinstance(made_from, ast.Name) and _arguments_of(made_from.id, tree, namespace) is not None
        )
        return f"def {ENTRY}(**inputs): ...\n" if is_function else ""
    arguments = _arguments_of(value.id, tree, namespace) if isinstance(value, ast.Name) else None
    return "" if arguments is None else f"def {ENTRY}({arguments}): ...\n"


def _arguments_of(name: str, tree: ast.Module, namespace: Mapping[str, object] | None) -> str | None:
    """Return the parameters of a function of the cell or the notebook, in source text."""
    function = find_function(tree, name)
    if function is not None:
        return ast.unparse(function.args)
    value = (namespace or {}).get(name)
    return stub_arguments(value) if inspect.isfunction(value) else None


def stub_arguments(function: Callable[..., object], said: ast.arguments | None = None) -> str:
    """Return the parameters of something to be called in source text.

    Args:
        function: What is called.
        said: The parameters as its source says them, where that is known: those have annotations, and defaults that are no literals.
    """
    annotations, defaults = ({}, {}) if said is None else _said(said)
    parts, is_by_name = [], False
    for parameter in inspect.signature(function).parameters.values():
        prefix = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        if parameter.kind is parameter.KEYWORD_ONLY and not is_by_name:
            parts.append("*")
        is_by_name = is_by_name or parameter.kind in (parameter.VAR_POSITIONAL, parameter.KEYWORD_ONLY)
        annotation = annotations.get(parameter.name, "")
        default = ""
        if parameter.default is not parameter.empty:
            default = f"={_literal(parameter.default) or defaults.get(parameter.name, 'unknown()')}"
        parts.append(f"{prefix}{parameter.name}{annotation}{default}")
    return ", ".join(parts)


def _said(arguments: ast.arguments) -> tuple[dict[str, str], dict[str, str]]:
    """Return the annotations and the defaults of parameters by name, as text."""
    by_place = [*arguments.posonlyargs, *arguments.args]
    annotations = {
        one.arg: f": {ast.unparse(one.annotation)}"
        for one in (*by_place, *arguments.kwonlyargs)
        if one.annotation is not None
    }
    given = zip(reversed(by_place), reversed(arguments.defaults), strict=False)
    named = zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
    defaults = {one.arg: ast.unparse(value) for one, value in (*given, *named) if value is not None}
    return annotations, defaults


def _literal(value: object) -> str:
    """Return a default as text where it is a literal, or an empty text."""
    return repr(value) if isinstance(value, int | float | str | bool | type(None)) else ""


def _refuse_what_does_nothing(tree: ast.Module) -> None:
    """Refuse a text without code, and one that only defines things, none of which is called `train`."""
    if not tree.body:
        raise InvalidInput("There is no code in it; write train(...) or a script.")
    defining = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    defined = [node.name for node in tree.body if isinstance(node, defining)]
    if not defined or not all(isinstance(node, defining) or _only_names(node) for node in tree.body):
        return
    if ENTRY in defined:
        raise InvalidInput(
            "class train: a training calls a function; define train(...), which makes the object and calls it."
        )
    raise InvalidInput(
        f"It defines {', '.join(defined[:5])} and calls nothing, so nothing would run; "
        "call it there, or name the function train."
    )


def _only_names(node: ast.stmt) -> bool:
    """Whether a statement only imports, documents or names a literal."""
    if isinstance(node, ast.Expr):
        return isinstance(node.value, ast.Constant)
    if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
        return literal_of(node.value) is not UNKNOWN
    return isinstance(node, ast.Import | ast.ImportFrom | ast.Pass)
