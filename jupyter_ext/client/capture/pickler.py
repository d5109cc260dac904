"""Pickle what a notebook has, by value, as cloudpickle does, and in another form what it could not.

Rule: what belongs to the notebook itself, or to processes that it runs, does not travel; what stands for it there does. All code of
the notebook that travels is noted, so that tracebacks name its cells.
"""

from __future__ import annotations

import copyreg
import functools
import io
import sys
import types
import typing
import warnings
from typing import Any, Protocol

import cloudpickle

from jupyter_ext.worker.runtime.notebook_names import get_ipython

_CachedFunction = type(functools.lru_cache(len))
_CACHE_INFO = type(functools.lru_cache(len).cache_info())


class Writable(Protocol):
    """What a pickle is written into."""

    def write(self, data: Any, /) -> int:
        """Take the next part."""


class NotebookPickler(cloudpickle.Pickler):  # type: ignore[misc]  # cloudpickle has no types
    """Pickles values of a notebook.

    Args:
        file: Where to.

    Attributes:
        filenames: The files of all code that was pickled by value.
    """

    def __init__(self, file: Writable) -> None:
        super().__init__(file, protocol=5)
        self.filenames: set[str] = set()

    def reducer_override(self, obj: Any) -> Any:
        """Return how something is made again there; `NotImplemented` for all that cloudpickle and pickle do themselves."""
        if isinstance(obj, types.CodeType):
            self.filenames.add(obj.co_filename)
        for stand_in in (_of_ipython, _of_wrapper, _of_torch):
            if (found := stand_in(obj)) is not None:
                return found
        return super().reducer_override(obj)


def _of_ipython(obj: Any) -> Any:
    """Return what stands for a name that IPython has put beside the user's; `None` for anything else."""
    autocall = sys.modules.get("IPython.core.autocall")
    if autocall is not None and issubclass(type(obj), autocall.ExitAutocall):
        return getattr, (sys, "exit")
    shells = sys.modules.get("IPython.core.interactiveshell")
    if shells is not None and obj is getattr(shells, "_modified_open", io):
        return getattr, (io, "open")
    if shells is None or type(obj) is not types.MethodType or obj.__name__ != "get_ipython":
        return None
    is_shells = issubclass(type(obj.__self__), shells.InteractiveShell)
    return (getattr, (sys.modules[get_ipython.__module__], "get_ipython")) if is_shells else None


def _of_wrapper(obj: Any) -> Any:
    """Return how what a decorator has made of a function is made again; `None` where its name is enough, or for anything else.

    `lru_cache` and `NewType` pickle by their names alone, which are not there, and compiled code holds what cannot be pickled.
    """
    kind = type(obj)
    if kind is _CachedFunction and not _is_importable(obj):
        given = obj.cache_parameters()
        return kind, (obj.__wrapped__, given["maxsize"], given["typed"], _CACHE_INFO), vars(obj)
    if kind is typing.NewType and not _is_importable(obj):
        return kind, (obj.__name__, obj.__supertype__)
    original = getattr(obj, "_torchdynamo_orig_callable", None) if kind is types.FunctionType else None
    cells = zip(obj.__code__.co_freevars, obj.__closure__ or (), strict=True) if original is not None else ()
    compiler = next((cell.cell_contents for name, cell in cells if name == "self"), None)
    return (compiler, (original,)) if callable(compiler) else None


def _is_importable(obj: Any) -> bool:
    """Whether importing the module that something says it is from finds it there."""
    module = sys.modules.get(obj.__module__)
    by_value = cloudpickle.list_registry_pickle_by_value()
    if module is None or module.__name__ == "__main__" or module.__name__ in by_value:
        return False
    found: Any = module
    for part in getattr(obj, "__qualname__", obj.__name__).split("."):
        found = getattr(found, part, None)
    return found is obj


def _of_torch(obj: Any) -> Any:
    """Return how a loader without its running workers, or compiled TorchScript, is made again; `None` for anything else."""
    loaders, scripts = sys.modules.get("torch.utils.data.dataloader"), sys.modules.get("torch.jit")
    if loaders is not None and issubclass(type(obj), loaders.DataLoader):
        is_running = vars(obj).get("_iterator") is not None
        return (copyreg.__newobj__, (type(obj),), {**vars(obj), "_iterator": None}) if is_running else None  # type: ignore[attr-defined]
    if scripts is not None and issubclass(type(obj), (scripts.ScriptModule, scripts.ScriptFunction)):
        buffer = io.BytesIO()
        with warnings.catch_warnings():
            warnings.simplefilter(
                "ignore"
            )  # that TorchScript is deprecated was said where the user called it
            scripts.save(obj, buffer)
        return scripts.load, (io.BytesIO(buffer.getvalue()),)
    return None
