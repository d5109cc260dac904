"""The user's code in a session: loaded when it begins, and replaced while its models live. Standard library only.

Rule: replacing code never loses a model. Instances of a class that was defined anew become instances of the new one and
keep everything they hold.
"""

from __future__ import annotations

import ast
import gc
import os
import sys
from pathlib import Path
from types import FunctionType, ModuleType
from typing import Any

from jupyter_ext.ipc.payloads.session_messages import CodeChange, Replaced
from jupyter_ext.ipc.payloads.session_reports import EntryReport
from jupyter_ext.worker.decthings import stub
from jupyter_ext.worker.runtime.user_code import UserCode, execute, unpickling_into
from jupyter_ext.worker.session.runtime.model_adapter import Source

MODEL_NAME = "model"
"""What Decthings' model files call their executor."""


class NoModel(Exception):
    """The code defines nothing that a model could be made of."""


class SessionCode:
    """All code that a session was given, the newest last."""

    def __init__(self, main: ModuleType) -> None:
        self._main = main
        self.labels: dict[str, str] = {}
        self.source: Source | None = None
        self.num_loaded = 0

    def load(self, directory: Path) -> CodeChange:
        """Execute a bundle's code in the session's `__main__`; call it in the main thread.

        Returns:
            `kind` and `name` of what models come from, `classes` that were replaced with the number of `instances` that
            follow, and `notices`.

        Raises:
            NoModel: The code defines nothing of use.
            Exception: Whatever the user's code raised.
        """
        before = self._classes()
        code = UserCode(directory)
        self.labels.update(code.labels)
        if code.kind == "folder":
            self._enter_folder(directory / "folder")
        stub.install()
        code.load(self._main)
        if code.kind == "object":
            found, name = self._unpickled(directory), code.entry
        else:
            code.execute(self._main)
            found, name = self._found(code, directory)
        fresh = (lambda: self._unpickled(directory)) if code.kind == "object" else None
        self.source = None if found is None else Source(found, name, fresh)
        self.num_loaded += 1
        return {"entry": self.describe(), **replace_classes(before, self._classes())}

    def load_folder(self, folder: Path, entry: str = "main.py") -> CodeChange:
        """Execute a model's file in its own directory, as Decthings' runner does."""
        before = self._classes()
        self._enter_folder(folder)
        stub.install()
        path = folder / entry
        self.labels[str(path)] = entry
        vars(self._main)["__file__"] = str(path)
        execute(path.read_text(encoding="utf-8"), str(path), self._main)
        found = vars(self._main).get(MODEL_NAME)
        if found is None:
            raise NoModel(
                f"{entry} defines no variable `{MODEL_NAME}`; a model's file ends with model = make_model(…)"
            )
        self.source = Source(found, MODEL_NAME)
        self.num_loaded += 1
        return {"entry": self.describe(), **replace_classes(before, self._classes())}

    def describe(self) -> EntryReport | None:
        """Describe what models come from, or `None`."""
        return None if self.source is None else {"kind": self.source.kind, "name": self.source.name}

    def function(self, name: str) -> Any:
        """Return a function of the session's own namespace, or `None`."""
        found = vars(self._main).get(name)
        return found if callable(found) else None

    def functions(self) -> list[str]:
        """Name the functions that the session's code defines."""
        functions = (item for item in list(vars(self._main).items()) if isinstance(item[1], FunctionType))
        return [name for name, value in functions if value.__module__ == "__main__"]

    def _enter_folder(self, folder: Path) -> None:
        os.chdir(folder)
        for entry in (str(folder / "_modules"), str(folder)):
            if entry not in sys.path:
                sys.path.insert(0, entry)

    def _found(self, code: UserCode, directory: Path) -> tuple[Any, str]:
        """Choose what models come from: what was named, a variable `model`, or the last class of the cell."""
        names = vars(self._main)
        if code.entry:
            if code.entry not in names:
                raise NoModel(f"the code defines no {code.entry!r}")
            return names[code.entry], code.entry
        tree = ast.parse((directory / "code.py").read_text(encoding="utf-8"))
        assigned = {
            target.id
            for node in tree.body
            if isinstance(node, ast.Assign)
            for target in node.targets
            if isinstance(target, ast.Name)
        }
        if MODEL_NAME in assigned:
            return names[MODEL_NAME], MODEL_NAME
        classes = [node.name for node in tree.body if isinstance(node, ast.ClassDef)]
        return (names[classes[-1]], classes[-1]) if classes else (None, "")

    def _unpickled(self, directory: Path) -> Any:
        with unpickling_into(self._main, directory / "object.pkl") as unpickler:
            found = unpickler.load()
        kind = found if isinstance(found, type) else type(found)
        for base in kind.__mro__:
            if base.__module__ == "__main__":
                vars(self._main).setdefault(base.__name__, base)
        if kind.__module__ == "__main__":
            vars(self._main)[kind.__name__] = kind
        return found

    def _classes(self) -> dict[str, type]:
        return {
            name: value
            for name, value in vars(self._main).items()
            if isinstance(value, type) and value.__module__ == "__main__"
        }


def replace_classes(before: dict[str, type], now: dict[str, type]) -> Replaced:
    """Make instances of classes that were defined anew instances of the new ones."""
    changed = {old: now[name] for name, old in before.items() if name in now and now[name] is not old}
    if not changed:
        return {"classes": [], "instances": 0, "notices": []}
    replaced, notices = 0, []
    for thing in gc.get_objects():
        new = changed.get(type(thing))
        if new is None:
            continue
        try:
            thing.__class__ = new
            replaced += 1
        except TypeError as error:
            notices.append(f"an instance of {new.__name__} keeps its old code: {error}")
    return {
        "classes": sorted(kind.__name__ for kind in changed.values()),
        "instances": replaced,
        "notices": sorted(set(notices)),
    }
