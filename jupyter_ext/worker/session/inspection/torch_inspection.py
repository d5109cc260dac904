"""Looking into a module of torch: parameters, gradients, activations, and the operation that made a NaN.

Rule: looking changes nothing. Hooks are gone when the look is over, and nothing here computes with gradients on.
"""

from __future__ import annotations

import contextlib
import linecache
import math
import sys
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from jupyter_ext.ipc.payloads.value_summaries import (
    Activation,
    Histogram,
    LocalValue,
    ParameterLook,
    ParameterUpdate,
    TensorLook,
)
from jupyter_ext.worker.runtime import tracebacks
from jupyter_ext.worker.runtime.redaction import Redactor
from jupyter_ext.worker.session.inspection.value_summary import number, numbers_of, summarize

if TYPE_CHECKING:
    import torch

NUM_BINS = 32
MAX_SAMPLED = 1_000_000
"""Elements of a tensor that a histogram is made of."""
_MAY_BE_UNFILLED = ("empty", "new_empty", "resize", "set_", "_unsafe_view", "detach", "alias")


class NaNFound(ArithmeticError):
    """An operation made a NaN of numbers that had none."""

    __module__ = "builtins"  # so that a traceback calls it by its name alone


def parameters(module: Any, *, histograms: bool = False) -> list[ParameterLook]:
    """Describe parameters and their gradients.

    Args:
        module: A module of torch.
        histograms: Whether to count values in `NUM_BINS` bins as well.
    """
    payload: list[ParameterLook] = []
    for name, parameter in module.named_parameters():
        entry: ParameterLook = {
            "name": name,
            "shape": list(parameter.shape),
            "dtype": str(parameter.dtype).removeprefix("torch."),
            "trainable": parameter.requires_grad,
            "value": _look(parameter, histograms),
            "grad": None if parameter.grad is None else _look(parameter.grad, histograms),
        }
        payload.append(entry)
    return payload


def histogram(tensor: Any, bins: int = NUM_BINS) -> Histogram | None:
    """Count the finite values of a tensor; `None` where there are none."""
    torch = sys.modules["torch"]
    flat = tensor.detach().reshape(-1)
    if flat.numel() > MAX_SAMPLED:
        flat = flat[:: math.ceil(flat.numel() / MAX_SAMPLED)]
    flat = flat.to(torch.float32).cpu()
    flat = flat[torch.isfinite(flat)]
    if flat.numel() == 0:
        return None
    low, high = float(flat.min()), float(flat.max())
    if low == high:
        low, high = low - 0.5, high + 0.5
    counts = torch.histc(flat, bins, low, high).to(torch.int64).tolist()
    return {"counts": counts, "edges": [low + (high - low) * i / bins for i in range(bins + 1)]}


def module_of(thing: Any) -> Any | None:
    """Return the module of torch that a model is or holds, or `None`; of several, the one with the most parameters."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if isinstance(thing, torch.nn.Module):
        return thing
    held = (
        thing.values()
        if isinstance(thing, Mapping)
        else vars(thing).values()
        if hasattr(thing, "__dict__")
        else ()
    )
    modules = [value for value in held if isinstance(value, torch.nn.Module)]
    return max(modules, key=lambda module: sum(one.numel() for one in module.parameters()), default=None)


def summary_of(name: str, value: Any, redactor: Redactor) -> LocalValue:
    """Describe any value; a tensor or an array with its histogram."""
    payload = summarize(name, value, redactor)
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if (
        torch is not None
        and numpy is not None
        and isinstance(value, numpy.ndarray)
        and value.dtype.kind in "fiub"
    ):
        value = torch.from_numpy(
            numpy.ascontiguousarray(value.astype("f4") if value.dtype.kind != "f" else value).copy()
        )
    if torch is not None and isinstance(value, torch.Tensor) and "min" in payload:
        payload["histogram"] = histogram(value)
    return payload


def backward_if_left(result: Any, module: Any) -> bool:
    """Run the backward pass of a loss that a step has left to its caller; tell whether it was."""
    torch = sys.modules["torch"]
    if not isinstance(result, torch.Tensor) or result.ndim != 0 or result.grad_fn is None:
        return False
    if any(parameter.grad is not None for parameter in module.parameters()):
        return False
    result.backward()
    return True


@contextlib.contextmanager
def activations(
    module: Any, names: list[str] | None, *, histograms: bool = False
) -> Iterator[list[Activation]]:
    """Collect what modules give while this is open, in the order of their calls.

    Args:
        module: The outermost module.
        names: Of the modules to listen to, as in `named_modules()`; `None` for all that have no children.
        histograms: Whether to count values as well.

    Raises:
        KeyError: There is no such module.
    """
    known = dict(module.named_modules())
    if names is None:
        names = [name for name, child in known.items() if not any(True for _ in child.children())]
    for name in names:
        if name not in known:
            raise KeyError(f"there is no module {name!r}; there are {', '.join(filter(None, known))}")
    collected: list[Activation] = []

    def listen(name: str) -> Callable[..., None]:
        def hook(child: Any, inputs: Any, output: Any) -> None:
            for place, tensor in _tensors(output):
                kind = type(child).__name__
                look = _look(tensor, histograms)
                collected.append({"module": name, "type": kind, "output": place, **look})

        return hook

    handles = [known[name].register_forward_hook(listen(name)) for name in names]
    try:
        yield collected
    finally:
        for handle in handles:
            handle.remove()


def snapshot(module: Any) -> dict[str, torch.Tensor]:
    """Copy the trainable parameters, to see what a step does to them."""
    return {
        name: parameter.detach().clone()
        for name, parameter in module.named_parameters()
        if parameter.requires_grad
    }


def updates(module: Any, before: Mapping[str, torch.Tensor]) -> dict[str, ParameterUpdate]:
    """Return how far each parameter went: `norm` of the change, and `ratio` of that to the parameter's own norm."""
    payload: dict[str, ParameterUpdate] = {}
    for name, parameter in module.named_parameters():
        if name in before:
            change = float((parameter.detach() - before[name]).norm())
            size = float(before[name].norm())
            payload[name] = {"norm": number(change), "ratio": number(change / size) if size else None}
    return payload


@contextlib.contextmanager
def anomalies(module: Any | None, labels: Mapping[str, str]) -> Iterator[None]:
    """Have the first operation that makes a NaN raise `NaNFound`, in the forward and in the backward pass.

    Every operation is looked at, so this is slow; the gradient's way back is kept as well, to name the line that an
    operation of the backward pass belongs to.
    """
    import torch
    from torch.nn.modules import module as hooks
    from torch.utils._python_dispatch import TorchDispatchMode

    names = {} if module is None else {id(child): name for name, child in module.named_modules()}
    path: list[str] = []

    class Watch(TorchDispatchMode):  # type: ignore[no-untyped-call]
        def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
            kwargs = kwargs or {}
            result = func(*args, **kwargs)
            name = str(func).removeprefix("aten.").partition(".")[0]
            if name.startswith(_MAY_BE_UNFILLED):
                return result
            if _has_nan(result, torch) and not _has_nan([args, kwargs], torch, but=result):
                raise NaNFound(_text(name, list(path), _where_forward(torch, labels), [args, kwargs]))
            return result

    def enter(child: Any, inputs: Any) -> None:
        path.append(names.get(id(child)) or type(child).__name__)

    def leave(child: Any, inputs: Any, output: Any) -> None:
        if path:
            path.pop()

    handles = [
        hooks.register_module_forward_pre_hook(enter),
        hooks.register_module_forward_hook(leave, always_call=True),
    ]
    try:
        with torch.autograd.set_detect_anomaly(True, check_nan=False), Watch():  # type: ignore[no-untyped-call]
            yield
    finally:
        for handle in handles:
            handle.remove()


def _text(name: str, path: list[str], forward: str | None, arguments: Any) -> str:
    where = f" in module {path[-1]!r}" if path else ""
    if forward is not None:
        where = f" in the backward pass of {forward}"
    shown = [
        f"{payload['dtype']}{payload['shape']}"
        + (f" {payload['min']:.4g} … {payload['max']:.4g}" if "min" in payload else "")
        for _, tensor in _tensors(arguments)
        if (payload := numbers_of(tensor)) is not None
    ]
    return f"{name} made a NaN{where} of {'; '.join(shown[:4]) or 'its arguments'}"


def _where_forward(torch: Any, labels: Mapping[str, str]) -> str | None:
    """Name the line of the forward pass that the running operation of the backward pass belongs to."""
    node = torch._C._current_autograd_node()
    if node is None:
        return None
    for text in reversed(node.metadata.get("traceback_") or []):
        place = _user_line(str(text), labels)
        if place is not None:
            return f"{node.name()}, {place}"
    return str(node.name())


def _user_line(text: str, labels: Mapping[str, str]) -> str | None:
    """Read `File "…", line n, in f` as anomaly mode keeps it."""
    if not text.strip().startswith('File "'):
        return None
    filename, _, rest = text.strip()[6:].partition('", line ')
    line = rest.partition(",")[0].partition("\n")[0]
    if not line.isdigit() or not tracebacks.is_shown(filename, labels, innermost=False):
        return None
    source = linecache.getline(filename, int(line)).strip()
    return f"{labels.get(filename, filename)}, line {line}" + (f": {source}" if source else "")


def _has_nan(value: Any, torch: Any, but: Any = None) -> bool:
    skip = {id(tensor) for _, tensor in _tensors(but)}
    return any(
        id(tensor) not in skip
        and (tensor.is_floating_point() or tensor.is_complex())
        and bool(torch.isnan(tensor).any())
        for _, tensor in _tensors(value)
    )


def _look(tensor: Any, histograms: bool) -> TensorLook:
    payload: TensorLook = {**(numbers_of(tensor) or {})}
    if tensor.is_floating_point() and tensor.numel():
        payload["norm"] = number(float(tensor.detach().norm(dtype=sys.modules["torch"].float64)))
    if histograms and tensor.numel():
        payload["histogram"] = histogram(tensor)
    return payload


def _tensors(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Walk all tensors of a structure, with where they are in it."""
    torch = sys.modules["torch"]
    if isinstance(value, torch.Tensor):
        yield place, value
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield from _tensors(item, f"{place}[{index}]")
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _tensors(item, f"{place}[{key!r}]")
