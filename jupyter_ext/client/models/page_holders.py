"""What in this process still holds a model's pages: named, so that its user can let go of it.

Rule: nothing is changed or kept alive by looking. A tensor of a mapped file keeps the whole map, however small it is.
"""

from __future__ import annotations

import gc
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from types import FrameType, FunctionType, ModuleType, TracebackType
from typing import Any

from jupyter_ext.weights import formats

_MAX_VISITED = 200_000
"""Objects that are looked at below one name."""
_MAX_NAMED = 12
_HIDDEN = ("get_ipython", "exit", "quit", "open", "_i", "_ii", "_iii", "_dh", "_oh", "_ih", "In", "Out")


def weight_files(path: Path) -> list[Path]:
    """List the files that a model's pages may be of."""
    if not path.is_dir():
        return [path]
    return [file for file in path.iterdir() if formats.is_loadable(file.name)]


def holders(paths: Iterable[Path], namespace: Mapping[str, object] | None = None) -> list[str]:
    """Name what still refers to tensors in the pages of these files.

    Args:
        paths: The model's weight files.
        namespace: The notebook's variables; by default those of the running IPython.

    Returns:
        Names such as "variable net", "Out[5]", "the last traceback"; empty where no page is held.
    """
    torch = sys.modules.get("torch")
    if torch is None:
        return []
    from jupyter_ext.weights import mmap

    ranges = mmap.ranges(paths)
    if not ranges:
        return []
    gc.collect()
    targets = {id(tensor) for tensor in _tensors(torch) if _lies_in(tensor, ranges)}
    if not targets:
        return [] if not mmap.ranges(paths) else ["something that is no tensor of Python"]
    space = _namespace() if namespace is None else namespace
    named = [name for name, root in _roots(space) if _reaches(root, targets, space)]
    if not named:
        return [f"{len(targets)} tensors that no variable reaches"]
    more = [f"{len(named) - _MAX_NAMED} more"] if len(named) > _MAX_NAMED else []
    return named[:_MAX_NAMED] + more


def _tensors(torch: Any) -> Iterator[Any]:
    for item in gc.get_objects():
        if issubclass(type(item), torch.Tensor):
            yield item


def _lies_in(tensor: Any, ranges: list[tuple[int, int, str]]) -> bool:
    try:
        address = tensor.data_ptr()
    except RuntimeError:  # a tensor without memory of its own, such as one on the meta device
        return False
    return any(begin <= address < end for begin, end, _ in ranges)


def _namespace() -> Mapping[str, object]:
    shell = _shell()
    main: Mapping[str, object] = vars(sys.modules["__main__"])
    return main if shell is None else shell.user_ns


def _shell() -> Any:
    ipython = sys.modules.get("IPython")
    return ipython.get_ipython() if ipython is not None else None


def _roots(space: Mapping[str, object]) -> Iterator[tuple[str, Any]]:
    """Yield what a user may have to let go of, with its name: outputs, variables, the last outputs and traceback."""
    outputs = space.get("Out")
    numbered = dict(outputs) if isinstance(outputs, dict) else {}
    shown = {id(value) for value in numbered.values()}
    yield from ((f"Out[{number}]", value) for number, value in numbered.items())
    yield from _variables(space, shown)
    yield from _last_outputs(space, shown)
    last = getattr(sys, "last_value", None) or getattr(sys, "last_exc", None)
    if last is not None:
        yield "the last traceback (sys.last_value)", _Traceback(last)


def _variables(space: Mapping[str, object], shown: set[int]) -> Iterator[tuple[str, Any]]:
    for name, value in list(space.items()):
        if name in _HIDDEN or name.startswith("__"):
            continue
        if name.startswith("_") and (id(value) in shown or name.strip("_") == ""):
            continue  # _, __, _5: the same as Out[…], or named among the last outputs
        yield f"variable {name}", value


def _last_outputs(space: Mapping[str, object], shown: set[int]) -> Iterator[tuple[str, Any]]:
    hook = getattr(_shell(), "displayhook", None)
    hidden = getattr(_shell(), "user_ns_hidden", {})  # IPython keeps them there also when `Out` is emptied
    for name in ("_", "__", "___"):
        for value in (space.get(name), hidden.get(name), getattr(hook, name, None)):
            if value is not None and id(value) not in shown:
                shown.add(id(value))
                yield f"the last output ({name})", value


class _Traceback:
    """An exception whose frames are to be looked into."""

    def __init__(self, error: BaseException) -> None:
        self.error = error


def _reaches(root: Any, targets: set[int], space: Mapping[str, object]) -> bool:
    """Tell whether a value leads to one of the tensors without passing through the notebook's own names."""
    closed = {id(space), id(sys.modules), id(_shell())}
    seen: set[int] = set()
    waiting = list(_of_error(root.error)) if isinstance(root, _Traceback) else [root]
    while waiting and len(seen) < _MAX_VISITED:
        item = waiting.pop()
        if id(item) in targets:
            return True
        if (
            id(item) in seen
            or id(item) in closed
            or isinstance(item, ModuleType | type | str | bytes | int | float)
        ):
            continue
        seen.add(id(item))
        waiting += _below(item, space)
    return False


def _below(item: Any, space: Mapping[str, object]) -> list[Any]:
    if isinstance(item, FunctionType):
        return [*(item.__closure__ or ()), *(item.__defaults__ or ()), *(item.__kwdefaults__ or {}).values()]
    if isinstance(item, BaseException):
        return list(_of_error(item))
    if isinstance(item, FrameType):
        return [] if item.f_locals is space else list(item.f_locals.values())
    return gc.get_referents(item)


def _of_error(error: BaseException) -> Iterator[Any]:
    """Return the locals of an exception's frames, and the exceptions that it came from."""
    at: TracebackType | None = error.__traceback__
    while at is not None:
        frame = at.tb_frame
        if frame.f_locals is not frame.f_globals:
            yield from list(frame.f_locals.values())
        at = at.tb_next
    yield from error.args
    for other in (error.__cause__, error.__context__):
        if other is not None:
            yield from _of_error(other)
