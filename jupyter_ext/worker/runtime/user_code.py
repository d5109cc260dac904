"""The user's code as it travelled from the notebook: a cell, a function, a script or a folder, and the names it takes along.

Standard library only; names are unpickled by cloudpickle's pickles, which need cloudpickle in the user's environment.

    code/manifest.json      kind, entry, file and arguments of a script, its options, label, source file, labels and sources of further files, which of them go before, imports
    code/<source>.py        the cell, with the line numbers that the notebook shows
    code/names.pkl          names of the notebook, by value
    code/function.pkl       the function of `jx.train(fn)`
    code/inputs.pkl         inputs that JSON cannot say, by name: the JSON that stands for one, and its pickle
    code/folder/…           the files of a Cog project; see `cog_project`
"""

from __future__ import annotations

import ast
import asyncio
import builtins
import importlib
import inspect
import json
import linecache
import os
import pickle
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import IO, Any

from jupyter_ext.ipc.bundle_manifest import OptionSpelling
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.worker.runtime import old_paths
from jupyter_ext.worker.runtime.command_line import words_of

_OF_THE_MODULE = frozenset(
    {"__builtins__", "__doc__", "__file__", "__loader__", "__name__", "__package__", "__spec__"}
)
"""Names that each module has for itself: a spawned child's `__name__` is not the notebook's."""


class UserCode:
    """One unpacked bundle."""

    def __init__(self, directory: Path) -> None:
        old_paths.install()
        self.directory = directory
        manifest = read_json(directory / "manifest.json")
        self.kind: str = manifest["kind"]
        self.entry: str = manifest["entry"]
        self.method: str = manifest.get("method", "train")
        """What is called where the entry is a class."""
        self.streams: bool = manifest.get("streams", False)
        """Whether items of a generator are told as they come: those of a prediction."""
        self.source_name: str = (manifest.get("source") or "").removeprefix("folder/")
        self._source = directory / manifest["source"] if manifest.get("source") else None
        self.file: str | None = manifest.get("file")
        """The file that this is the text of, where it is that of a file."""
        self._arguments: list[str] = manifest.get("arguments", [])
        self._options: dict[str, OptionSpelling] | None = manifest.get("options")
        self._imports: dict[str, str] = manifest.get("imports", {})
        self.labels: dict[str, str] = dict(manifest.get("labels", {}))
        if self._source is not None:
            self.labels[self.file or str(self._source)] = manifest["label"]
        sources = {
            filename: (directory / copy).read_text(encoding="utf-8")
            for filename, copy in manifest.get("sources", {}).items()
        }
        for filename, text in sources.items():
            _remember_source(filename, text)
        self._before = {filename: sources[filename] for filename in manifest.get("before", [])}

    def load(self, main: ModuleType) -> None:
        """Put the notebook's names into `main`; a cell that defines the entry is executed there too."""
        vars(builtins).setdefault("display", _display)
        for alias, name in self._imports.items():
            module = importlib.import_module(name)
            setattr(main, alias, module)
        names = self.directory / "names.pkl"
        if names.exists():
            with unpickling_into(main, names) as unpickler:
                for name in unpickler.load():
                    value = unpickler.load()  # one memo for all: what was shared stays shared
                    if name not in _OF_THE_MODULE:
                        vars(main)[name] = value
        for filename, text in self._before.items():
            execute(text, filename, main)
        if self.file is not None:
            root, package = package_of(self.file, self._source)
            sys.path.insert(0, root)
            if package:
                main.__dict__["__package__"] = package
            sys.argv = [self.file, *self._arguments]
        if self.kind == "cell":
            self.execute(main)

    def exact_inputs(self, inputs: Mapping[str, object]) -> dict[str, Any]:
        """Return inputs as they were given, where JSON only stands for them and was not changed since."""
        path = self.directory / "inputs.pkl"
        if not path.exists():
            return dict(inputs)
        given: dict[str, tuple[str, bytes]] = pickle.loads(path.read_bytes())
        same = {name for name in inputs if name in given and json.loads(given[name][0]) == inputs[name]}
        return {name: pickle.loads(given[name][1]) if name in same else inputs[name] for name in inputs}

    def run_as_script(self, main: ModuleType, inputs: Mapping[str, object]) -> None:
        """Execute a script with its inputs: as its command line where it reads one, else as variables."""
        if self._options is None:
            vars(main).update(inputs)
        else:
            sys.argv += words_of(inputs, self._options)
        self.execute(main)

    def execute(self, main: ModuleType) -> None:
        """Execute the cell's text in `main`."""
        if self._source is None:
            raise ValueError("this code has no source text to execute")
        text = self._source.read_text(encoding="utf-8")
        filename = self.file or str(self._source)
        if self.file is not None:
            main.__dict__["__file__"] = filename  # a cell has none, and code tells by that where it is
            _remember_source(filename, text)  # the file may have been changed since
        execute(text, filename, main)

    def function(self, main: ModuleType) -> Any:
        """Return the function to call."""
        if self.kind == "function":
            with unpickling_into(main, self.directory / "function.pkl") as unpickler:
                return unpickler.load()
        return main.__dict__[self.entry]


def package_of(file: str, source: Path | None) -> tuple[str, str]:
    """Return where imports of a script begin, and the package that it is a module of.

    A script with relative imports runs as `python -m package.script` would, any other one as `python script.py`: with its folder
    first on the path, and in no package.

    Args:
        file: The script.
        source: Its text as it travelled.
    """
    folder = os.path.dirname(file)
    levels = (
        0 if source is None else _relative_levels(source.read_text(encoding="utf-8", errors="surrogatepass"))
    )
    parts: list[str] = []
    while levels and (len(parts) < levels or os.path.exists(os.path.join(folder, "__init__.py"))):
        folder, name = os.path.split(folder)
        if not name.isidentifier():
            return os.path.dirname(file), ""
        parts.insert(0, name)
    return folder, ".".join(parts)


def _relative_levels(text: str) -> int:
    """Return how many packages up a text imports from: 1 for `from . import x`, 0 where it has no relative import."""
    nodes = ast.walk(ast.parse(text))
    return max((node.level for node in nodes if isinstance(node, ast.ImportFrom)), default=0)


def new_main() -> ModuleType:
    """Make the `__main__` in which the user's code runs."""
    main = ModuleType("__main__")
    main.__dict__["__builtins__"] = __builtins__
    sys.modules["__main__"] = main
    return main


def execute(text: str, filename: str, module: ModuleType) -> None:
    """Execute the user's text in a module, without the `from __future__` imports of this file.

    A cell may `await` at its top level, as it may in the notebook.
    """
    code = compile(text, filename, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
    if code.co_flags & inspect.CO_COROUTINE:
        asyncio.run(eval(code, module.__dict__))
    else:
        exec(code, module.__dict__)


@contextmanager
def unpickling_into(main: ModuleType, path: Path) -> Iterator[pickle.Unpickler]:
    """Open a pickle of the notebook; functions and classes of its `__main__` become names of `main`.

    They travel by value, but what pickles them here (`torch.save`, `multiprocessing`) does so by name.
    """
    with open(path, "rb") as file:
        unpickler = _Unpickler(file)
        yield unpickler
    for thing in unpickler.made:
        name = getattr(thing, "__qualname__", "")
        if getattr(thing, "__module__", None) == "__main__" and name.isidentifier():
            vars(main).setdefault(name, thing)


class _Unpickler(pickle.Unpickler):
    """Notes the functions and classes that cloudpickle makes; only afterwards do they know their names."""

    def __init__(self, file: IO[bytes]) -> None:
        super().__init__(file)
        self.made: list[Any] = []

    def find_class(self, module: str, name: str, /) -> Any:
        found = super().find_class(module, name)
        if not module.startswith("cloudpickle") or not name.startswith("_make_"):
            return found

        def make(*args: Any, **kwargs: Any) -> Any:
            made = found(*args, **kwargs)
            self.made.append(made)
            return made

        return make


def _display(*things: Any, **_options: Any) -> None:
    """Stand for the notebook's `display`: a training has no page, so what is displayed is printed."""
    for thing in things:
        print(repr(thing))


def _remember_source(filename: str, text: str) -> None:
    """Let tracebacks show lines of a notebook cell that is no file here."""
    linecache.cache[filename] = (len(text), None, text.splitlines(keepends=True), filename)
