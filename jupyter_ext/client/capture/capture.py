"""Make a bundle of a cell, a function, a class or an object, with the notebook's names that it uses, by value.

Rule: nothing of the user's code is executed here.
"""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import Any

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.bundles.entry import choose_entry
from jupyter_ext.bundles.names import (
    free_names,
    global_names,
    has_star_import,
    imported_modules,
)
from jupyter_ext.bundles.script_file import entry_manifest
from jupyter_ext.client.capture.bundle import Packed, make_bundle, pack, pickled, pickled_file
from jupyter_ext.client.capture.callables import called
from jupyter_ext.client.capture.cell_labels import notebook_label
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.protocol.counts import one
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.signature import from_source
from jupyter_ext.protocol.trainings import Captured

_NOT_CAPTURED = {"In", "Out", "exit", "quit", "get_ipython", "open", "display", "_", "__", "___"}
_EVERYWHERE = {*dir(builtins), "exit", "quit", "display"}
"""Names that the worker has, whatever the notebook says of them."""


def capture_cell(
    text: str,
    namespace: Mapping[str, object],
    name: str,
    inputs: Iterable[str] = (),
    label_of: Callable[[str], str] = notebook_label,
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


def capture_function(
    function: Any, name: str | None = None, label_of: Callable[[str], str] = notebook_label
) -> Bundle:
    """Make a bundle of a function, or of something else to be called; see `callables`.

    Args:
        function: A plain function, also one defined in the notebook, a method, an object that can be called, a partial, or a class.
        name: What to call the training; by default the function's name.
        label_of: Gives what to call a file of code in a traceback.

    Raises:
        InvalidInput: It cannot be called, or is not written in Python.
        CannotTravel: It uses a name that cannot be sent.
    """
    found = called(function)
    code = found.function
    used = {
        key: code.__globals__[key]
        for key in sorted(global_names(code.__code__))
        if key in code.__globals__ and code.__globals__.get("__name__") == "__main__"
    }
    packed = pack(used, only_sizes=True)
    problem = f"{found.name}() cannot travel to the worker"
    packed.add("function.pkl", pickled_file(found.thing, problem, name or found.name, packed.filenames))
    signature = found.signature()
    manifest: Manifest = {
        "kind": "function",
        "name": name or found.name.strip("<>"),
        "entry": found.entry,
        "label": name or found.name,
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
    label_of: Callable[[str], str] = notebook_label,
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


def capture_object(thing: Any, name: str, label_of: Callable[[str], str] = notebook_label) -> Bundle:
    """Make a bundle of a class, an instance, an executor or a function, for a debug session.

    Raises:
        InvalidInput: It is plain data, of which no model can be made.
        CannotTravel: It, or something that it uses, cannot be sent.
    """
    if type(thing).__module__ == "builtins" and not (inspect.isclass(thing) or inspect.isroutine(thing)):
        data_type = type(thing).__name__
        raise InvalidInput(
            f"{_short(thing)} is {one(data_type)}, which cannot be debugged; pass a class, a function that makes a model, or a model."
        )
    packed = Packed()
    data = pickled(thing, f"{name} cannot travel to the session", packed.filenames)
    packed.captured.append(Captured(name=name, type=type(thing).__name__, bytes=len(data)))
    manifest: Manifest = {"kind": "object", "name": name, "entry": name, "label": name}
    return make_bundle(manifest, {"object.pkl": data}, packed, None, label_of)


def capture_factory(factory: Any, label_of: Callable[[str], str] = notebook_label) -> bytes:
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
            f"factory={_short(factory)} is {one(type(factory).__name__)}; give the class of the module, or a function "
            "that builds one."
        )
    inner = factory.func if isinstance(factory, functools.partial) else factory
    name = getattr(inner, "__name__", "factory")
    packed = Packed()
    data = pickled(factory, f"{name} cannot travel to the model's process", packed.filenames)
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
        if key not in found and key not in given and key not in _EVERYWHERE and not key.startswith("__")
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


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"
