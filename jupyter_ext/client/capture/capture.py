"""Make a bundle of a cell, a function, a class or an object, with the notebook's names that it uses, by value.

Rule: nothing of the user's code is executed here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import textwrap
import types
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.bundles.entry import ENTRY, choose_entry, stub_arguments
from jupyter_ext.bundles.names import (
    filenames_below,
    free_names,
    global_names,
    has_star_import,
    imported_modules,
)
from jupyter_ext.bundles.script_file import entry_manifest
from jupyter_ext.client.capture.bundle import Packed, make_bundle, pack, pickled, pickled_file
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
