"""Make a bundle of a cell, a function, a class or an object, with the notebook's names that it uses, by value.

Rule: nothing of the user's code is executed here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import json
import os
import re
import textwrap
import tokenize
import types
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from jupyter_ext.client.capture.arguments import split_arguments
from jupyter_ext.client.capture.bundle import (
    Bundle,
    Packed,
    make_bundle,
    one_line,
    pack,
    pack_files,
    pickled,
    pickled_file,
)
from jupyter_ext.client.capture.entry import ENTRY, Entry, choose_entry, stub_arguments, without
from jupyter_ext.client.capture.names import (
    filenames_below,
    free_names,
    global_names,
    has_star_import,
    imported_modules,
)
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.signature import find_function, from_source
from jupyter_ext.protocol.trainings import Captured

_NOT_CAPTURED = {"In", "Out", "exit", "quit", "get_ipython", "open", "display", "_", "__", "___"}


def capture_cell(
    text: str,
    namespace: Mapping[str, object],
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
    source, tree = _parse(text)
    entry = choose_entry(tree, source, tuple(inputs), namespace)
    given = set(inputs) if entry.is_script and entry.options is None else set()
    found = entry_manifest(entry, source, name)
    bundle = _bundle_of_text(
        found.manifest, found.source, tree, namespace, given, found.training_input, label_of, found.files
    )
    return replace(bundle, given=entry.given, notice=entry.notice)


@dataclass(frozen=True)
class _EntryParts:
    """What a chosen entry adds to a bundle."""

    manifest: Manifest
    source: str
    training_input: TrainingInput | None
    files: dict[str, bytes]


def entry_manifest(entry: Entry, source: str, name: str, called: str = ENTRY) -> _EntryParts:
    """Return what the worker is to do with a text, its inputs, and the files that say so.

    Args:
        entry: What was chosen.
        source: The text.
        name: What the user calls the training.
        called: What messages call a script that has options.
    """
    manifest: Manifest = {"kind": "script" if entry.is_script else "cell", "name": name, "entry": ENTRY}
    signature = entry.signature
    if entry.options is not None:
        manifest |= {"options": entry.options.spellings(), "entry": called}
        signature = entry.options.signature(called)
    files = {"signature.py": signature.encode()} if signature else {}
    manifest |= {"signature": "signature.py"} if signature else {}
    has_inputs = bool(signature) or not entry.is_script
    training_input = from_source(signature or source, manifest["entry"]) if has_inputs else None
    return _EntryParts(manifest, without(source, entry.left_out), training_input, files)


def capture_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    arguments: Sequence[str] = (),
    inputs: Iterable[str] = (),
) -> Bundle:
    """Make a bundle of a Python file, which runs as `__main__` as if it were started from a command line.

    Args:
        path: The file; its folder comes first on the import path.
        name: What to call the training; by default the file's name.
        arguments: What follows `--`. What the file declares as options become inputs; the rest is passed on as it is.
        inputs: Names of inputs that are given besides.

    Raises:
        InvalidInput: There is no such file, or it is not Python.
    """
    file = Path(path).expanduser().resolve()
    source = _read_script(file)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InvalidInput(f"{file.name}, line {error.lineno}: {error.msg}.") from None
    called = re.sub(r"\W", "_", file.stem)
    try:
        entry = choose_entry(tree, source, tuple(inputs))
    except InvalidInput as error:
        raise InvalidInput(f"{file.name}: {error}") from None
    found = entry_manifest(entry, source, name or file.stem, called if called.isidentifier() else ENTRY)
    given, others = split_arguments(arguments, entry.options, found.training_input)
    if others and not entry.is_script:
        raise InvalidInput(
            f"{file.name} defines train(...), which is called with inputs; give {others[0]!r} as -i name=value."
        )
    manifest = found.manifest | {
        "format": 1,
        "label": file.name,
        "source": "code.py",
        "file": str(file),
        "arguments": others,
        "captured": [],
    }
    files = {**found.files, "code.py": found.source.encode("utf-8", "surrogatepass")}
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(
        manifest["name"],
        pack_files(files),
        (),
        found.training_input,
        given={**entry.given, **given},
        notice=f"{file.name}: {entry.notice}" if entry.notice and not entry.is_script else "",
    )


def _read_script(file: Path) -> str:
    """Read a file as Python does, by its own encoding line.

    Raises:
        InvalidInput: It cannot be read, or is no text.
    """
    if file.suffix == ".ipynb":
        raise InvalidInput(
            f"{file.name} is a notebook; save it as a script: jupyter nbconvert --to script {file.name}"
        )
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file.name} is not Python: {one_line(error)}.") from None


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
    used = {
        key: function.__globals__[key]
        for key in sorted(global_names(function.__code__))
        if key in function.__globals__ and function.__module__ == "__main__"
    }
    packed = pack(used, only_sizes=True)
    problem = f"{function.__name__}() cannot travel to the worker"
    packed.add("function.pkl", pickled_file(function, problem, name or function.__name__))
    signature = _signature_text(function)
    packed.filenames.add(function.__code__.co_filename)
    manifest: Manifest = {
        "kind": "function",
        "name": name or function.__name__.strip("<>"),
        "entry": function.__name__ if function.__name__.isidentifier() else ENTRY,
        "label": name or function.__name__,
        "signature": "signature.py",
    }
    return make_bundle(
        manifest,
        {"signature.py": signature.encode(), **packed.files},
        packed,
        from_source(signature, str(manifest["entry"])),
        label_of,
    )


def capture_model(
    text: str,
    namespace: Mapping[str, object],
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
    source, tree = _parse(text)
    manifest: Manifest = {"kind": "model", "name": name, "entry": entry}
    return _bundle_of_text(manifest, source, tree, namespace, set(), None, label_of)


def capture_object(thing: Any, name: str, label_of: Callable[[str], str] = str) -> Bundle:
    """Make a bundle of a class, an instance, an executor or a function, for a debug session.

    Raises:
        CannotTravel: It, or something that it uses, cannot be sent.
    """
    data = pickled(thing, f"{name} cannot travel to the session")
    packed = Packed([Captured(name=name, type=type(thing).__name__, bytes=len(data))])
    kind = thing if inspect.isclass(thing) or inspect.isfunction(thing) else type(thing)
    packed.filenames.update(filenames_below(kind))
    manifest: Manifest = {"kind": "object", "name": name, "entry": name, "label": name}
    return make_bundle(manifest, {"object.pkl": data}, packed, None, label_of)


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
    inner = factory.func if isinstance(factory, functools.partial) else factory
    name = getattr(inner, "__name__", "factory")
    data = pickled(factory, f"{name} cannot travel to the model's process")
    packed = Packed(filenames=filenames_below(inner))
    manifest: Manifest = {"kind": "function", "name": name, "entry": name, "label": name}
    return make_bundle(manifest, {"function.pkl": data}, packed, None, label_of).data


def _bundle_of_text(
    manifest: Manifest,
    source: str,
    tree: ast.Module,
    namespace: Mapping[str, object],
    given: set[str],
    training_input: TrainingInput | None,
    label_of: Callable[[str], str],
    files: Mapping[str, bytes] | None = None,
) -> Bundle:
    """Make a bundle of a cell's text and what it reads of the notebook, but for names that it is `given`."""
    free = sorted(free_names(source))
    found = {key: namespace[key] for key in free if key in namespace and key not in _NOT_CAPTURED | given}
    unknown = [
        key
        for key in free
        if key not in found and key not in given and not hasattr(builtins, key) and not key.startswith("__")
    ]
    packed = pack(found, str(manifest["name"]), as_file=manifest["kind"] != "model")
    packed.modules += imported_modules(tree)
    return make_bundle(
        {**manifest, "label": f"Cell {manifest['name']}", "source": "code.py"},
        {"code.py": source.encode(), **packed.files, **(files or {})},
        packed,
        training_input,
        label_of,
        () if has_star_import(tree) else tuple(unknown),
    )


def _parse(text: str) -> tuple[str, ast.Module]:
    """Parse a cell without its magic line; line 1 is the magic's own, so line numbers are those of the notebook."""
    source = "\n" + text
    try:
        return source, ast.parse(source)
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
    """Return text that defines a function of the same signature: its source, or a stub where there is none."""
    try:
        source = textwrap.dedent(inspect.getsource(function))
        tree = ast.parse(source)
        if find_function(tree, function.__name__) is not None:
            return source
    except (OSError, TypeError, SyntaxError):
        pass  # no source to be had: the stub below says as much as the function object knows
    name = function.__name__ if function.__name__.isidentifier() else ENTRY
    return f"def {name}({stub_arguments(function)}): ...\n"


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
