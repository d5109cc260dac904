"""Make a bundle of a cell or a function, with the notebook's names that it uses, by value.

Rule: what cannot travel is refused by name before anything starts. Nothing of the cell is executed here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import io
import json
import linecache
import symtable
import textwrap
import types
import zipfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext.errors import CannotTravel, InvalidInput
from jupyter_ext.protocol.resources import Captured
from jupyter_ext.protocol.training_input import TrainingInput, find_function, from_source

ENTRY = "train"
_NOT_CAPTURED = {"In", "Out", "exit", "quit", "get_ipython", "open", "display", "_", "__", "___"}
_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """Code ready to travel."""

    name: str
    data: bytes
    captured: tuple[Captured, ...]
    training_input: TrainingInput | None
    """Its inputs, or `None` for a script."""
    unknown_names: tuple[str, ...] = ()
    """Names that neither the code, the notebook nor Python defines: a NameError to come."""


def capture_cell(
    text: str,
    namespace: Mapping[str, Any],
    name: str,
    inputs: Iterable[str] = (),
    label_of: Callable[[str], str] = str,
) -> Bundle:
    """Make a bundle of a cell that defines `train(...)`, or of a plain script.

    Args:
        text: The cell without its magic line.
        namespace: The notebook's names.
        name: What the user calls the training.
        inputs: Names of inputs; a script finds them as variables, so they are not captured.
        label_of: Gives what to call a file of code in a traceback, such as `Cell In[5]`.

    Raises:
        InvalidInput: The cell is not Python.
        CannotTravel: It uses a name of the notebook that cannot be sent.
    """
    source = "\n" + text  # line 1 is the magic's own, so line numbers are those that the notebook shows
    tree = _parse(source, text)
    is_script = find_function(tree, ENTRY) is None
    free = sorted(_free_names(source))
    skip = set(inputs) if is_script else set()
    found = {key: namespace[key] for key in free if key in namespace and key not in _NOT_CAPTURED | skip}
    unknown = [key for key in free if key not in found and key not in skip and not hasattr(builtins, key)]
    packed = _pack(found)
    manifest = {
        "kind": "script" if is_script else "cell",
        "name": name,
        "entry": ENTRY,
        "label": f"Cell {name}",
        "source": "code.py",
    }
    return _bundle(
        manifest,
        {"code.py": source.encode(), **packed.files},
        packed,
        None if is_script else from_source(source, ENTRY),
        label_of,
        () if _has_star_import(tree) else tuple(key for key in unknown if not key.startswith("__")),
    )


def capture_function(function: Any, name: str | None = None, label_of: Callable[[str], str] = str) -> Bundle:
    """Make a bundle of a function.

    Args:
        function: A plain function, also one defined in the notebook.
        name: What to call the training; by default the function's name.
        label_of: Gives what to call a file of code in a traceback.

    Raises:
        InvalidInput: It is no function.
        CannotTravel: It uses a name that cannot be sent.
    """
    if not inspect.isfunction(function):
        raise InvalidInput(
            f"{_short(function)} is a {type(function).__name__}, not a function; pass a function."
        )
    import cloudpickle

    used = {
        key: function.__globals__[key]
        for key in sorted(_global_names(function.__code__))
        if key in function.__globals__ and function.__module__ == "__main__"
    }
    packed = _pack(used)
    try:
        data = cloudpickle.dumps(function, protocol=5)
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        raise CannotTravel(f"{function.__name__}() cannot travel to the worker: {error}.") from None
    signature = _signature_text(function)
    packed.filenames.add(function.__code__.co_filename)
    manifest = {
        "kind": "function",
        "name": name or function.__name__.strip("<>"),
        "entry": function.__name__ if function.__name__.isidentifier() else ENTRY,
        "label": name or function.__name__,
        "signature": "signature.py",
    }
    return _bundle(
        manifest,
        {"signature.py": signature.encode(), "function.pkl": data},
        packed,
        from_source(signature, str(manifest["entry"])),
        label_of,
    )


def capture_model(
    text: str,
    namespace: Mapping[str, Any],
    name: str,
    label_of: Callable[[str], str] = str,
    entry: str = "",
) -> Bundle:
    """Make a bundle of a cell that defines a model, for a debug session.

    Args:
        text: The cell without its magic line.
        namespace: The notebook's names.
        name: What the user calls the session.
        label_of: Gives what to call a file of code in a traceback.
        entry: The name in the cell that models are made from; by default `model`, or the last class.

    Raises:
        InvalidInput: The cell is not Python.
        CannotTravel: It uses a name of the notebook that cannot be sent.
    """
    source = "\n" + text
    tree = _parse(source, text)
    free = sorted(_free_names(source))
    found = {key: namespace[key] for key in free if key in namespace and key not in _NOT_CAPTURED}
    unknown = [key for key in free if key not in found and not hasattr(builtins, key)]
    packed = _pack(found)
    manifest = {"kind": "model", "name": name, "entry": entry, "label": f"Cell {name}", "source": "code.py"}
    return _bundle(
        manifest,
        {"code.py": source.encode(), **packed.files},
        packed,
        None,
        label_of,
        () if _has_star_import(tree) else tuple(key for key in unknown if not key.startswith("__")),
    )


def capture_object(thing: Any, name: str, label_of: Callable[[str], str] = str) -> Bundle:
    """Make a bundle of a class, an instance, an executor or a function, for a debug session.

    Raises:
        CannotTravel: It, or something that it uses, cannot be sent.
    """
    import cloudpickle

    try:
        data = cloudpickle.dumps(thing, protocol=5)
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        raise CannotTravel(f"{name} cannot travel to the session: {_one_line(error)}.") from None
    packed = _Packed([Captured(name=name, type=type(thing).__name__, bytes=len(data))], {}, set(), {})
    kind = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    packed.filenames.update(_filenames_below(kind))
    manifest = {"kind": "object", "name": name, "entry": name, "label": name}
    return _bundle(manifest, {"object.pkl": data}, packed, None, label_of)


def capture_factory(factory: Any, label_of: Callable[[str], str] = str) -> bytes:
    """Make a bundle of what builds a module: a class or a function, also one defined in the notebook.

    Args:
        factory: A callable without required arguments; `functools.partial` gives it some.
        label_of: Gives what to call a file of code in a traceback.

    Raises:
        InvalidInput: It is no such thing.
        CannotTravel: It uses a name that cannot be sent.
    """
    if not callable(factory) or not (
        inspect.isclass(factory) or inspect.isroutine(factory) or isinstance(factory, functools.partial)
    ):
        raise InvalidInput(
            f"factory={_short(factory)} is a {type(factory).__name__}; give the class of the module, or a function "
            "that builds one."
        )
    import cloudpickle

    inner = factory.func if isinstance(factory, functools.partial) else factory
    name = getattr(inner, "__name__", "factory")
    try:
        data = cloudpickle.dumps(factory, protocol=5)
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        raise CannotTravel(f"{name} cannot travel to the model's process: {_one_line(error)}.") from None
    packed = _Packed([], {}, _filenames_below(inner), {})
    manifest = {"kind": "function", "name": name, "entry": name, "label": name}
    return _bundle(manifest, {"function.pkl": data}, packed, None, label_of).data


# -- names ----------------------------------------------------------------------------------------------------------


@dataclass
class _Packed:
    captured: list[Captured]
    imports: dict[str, str]
    filenames: set[str]
    files: dict[str, bytes]


def _pack(found: Mapping[str, Any]) -> _Packed:
    """Pickle values with one memo, so that what they share stays shared; modules travel as imports."""
    packed = _Packed([], {}, set(), {})
    values = {}
    for name, value in found.items():
        if isinstance(value, types.ModuleType):
            packed.imports[name] = value.__name__
        else:
            values[name] = value
    if not values:
        return packed
    import cloudpickle

    buffer = io.BytesIO()
    pickler = cloudpickle.Pickler(buffer, protocol=5)
    pickler.dump(list(values))
    for name, value in values.items():
        before = buffer.tell()
        try:
            pickler.dump(value)
        except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
            raise CannotTravel(
                f"{name!r} ({type(value).__name__}) cannot travel to the worker: {_one_line(error)}. "
                f"Make it inside {ENTRY}() instead."
            ) from None
        packed.captured.append(Captured(name=name, type=type(value).__name__, bytes=buffer.tell() - before))
        packed.filenames.update(_filenames_of(value))
    packed.files["names.pkl"] = buffer.getvalue()
    return packed


def _filenames_of(value: Any) -> set[str]:
    """Name the files that a notebook-defined function's or class's code is in, for its tracebacks."""
    functions = [value] if inspect.isfunction(value) else []
    if inspect.isclass(value) and value.__module__ == "__main__":
        functions = [item for item in vars(value).values() if inspect.isfunction(item)]
    return {function.__code__.co_filename for function in functions}


def _filenames_below(value: Any) -> set[str]:
    """Name the files of notebook code that a function or class uses, and of what that uses in turn."""
    found: set[str] = set()
    seen: set[int] = set()
    waiting = [value]
    while waiting:
        item = waiting.pop()
        if id(item) in seen or getattr(item, "__module__", None) != "__main__":
            continue
        seen.add(id(item))
        found |= _filenames_of(item)
        functions = [item] if inspect.isfunction(item) else []
        if inspect.isclass(item):
            waiting += item.__mro__
            functions = [part for part in vars(item).values() if inspect.isfunction(part)]
        for function in functions:
            names = _global_names(function.__code__)
            waiting += [function.__globals__[name] for name in names if name in function.__globals__]
    return found


def _free_names(source: str) -> set[str]:
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
    return read - defined


def _global_names(code: types.CodeType) -> set[str]:
    """Name the globals that code may read, nested functions included."""
    names = set(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names |= _global_names(constant)
    return names


def _has_star_import(tree: ast.Module) -> bool:
    return any(
        isinstance(node, ast.ImportFrom) and any(alias.name == "*" for alias in node.names)
        for node in ast.walk(tree)
    )


# -- text -----------------------------------------------------------------------------------------------------------


def _parse(source: str, text: str) -> ast.Module:
    try:
        return ast.parse(source)
    except SyntaxError as error:
        line = (error.text or "").strip()
        if line.startswith(("%", "!", "?")) or line.endswith("?"):
            reason = (
                f"{line!r} is a notebook command, which a training cannot run; put it into a cell of its own"
            )
        else:
            reason = f"{error.msg} in `{line}`" if line else str(error.msg)
        raise InvalidInput(f"line {error.lineno} of the cell: {reason}.") from None


def _signature_text(function: types.FunctionType) -> str:
    """Give text that defines a function of the same signature: its source, or a stub where there is none."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source)
        if find_function(tree, function.__name__) is not None:
            return source
    except (OSError, TypeError, SyntaxError):
        pass  # no source to be had: the stub below says as much as the function object knows
    parts = []
    for parameter in inspect.signature(function).parameters.values():
        prefix = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**"}.get(parameter.kind.name, "")
        default = "" if parameter.default is parameter.empty else f"={_literal_or_name(parameter.default)}"
        parts.append(f"{prefix}{parameter.name}{default}")
    name = function.__name__ if function.__name__.isidentifier() else ENTRY
    return f"def {name}({', '.join(parts)}): ...\n"


def _literal_or_name(value: Any) -> str:
    return repr(value) if isinstance(value, int | float | str | bool | type(None)) else "unknown()"


def _bundle(
    manifest: dict[str, Any],
    files: dict[str, bytes],
    packed: _Packed,
    training_input: TrainingInput | None,
    label_of: Callable[[str], str],
    unknown: tuple[str, ...] = (),
) -> Bundle:
    sources, labels = {}, {}
    for number, filename in enumerate(sorted(packed.filenames)):
        lines = (
            [] if Path(filename).exists() and "ipykernel" not in filename else linecache.getlines(filename)
        )
        if lines:
            sources[filename] = f"sources/{number}.py"
            labels[filename] = label_of(filename)
            files[f"sources/{number}.py"] = "".join(lines).encode()
    manifest |= {
        "format": 1,
        "imports": packed.imports,
        "captured": [item.model_dump() for item in packed.captured],
        "sources": sources,
        "labels": labels,
    }
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(manifest["name"], pack_files(files), tuple(packed.captured), training_input, unknown)


def pack_files(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """Make a bundle's bytes: the same for the same files.

    Args:
        files: Content by path within the bundle.
        modes: Permission bits by path that are to be kept.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in sorted(files.items()):
            member = zipfile.ZipInfo(path, _ZIP_TIME)
            member.external_attr = (0o600 | (modes or {}).get(path, 0)) << 16
            archive.writestr(member, data)
    return buffer.getvalue()


def _one_line(error: Exception) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
