"""An `nn.Module` from a factory, with its weights assigned and not copied.

Rule: parameters are made on the meta device, so nothing is drawn at random only to be thrown away; buffers are made for
real, since a checkpoint may not have them. What is tied stays tied.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import torch

_MAX_NAMES = 5
_WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DataParallel, torch.compile and training wrappers put before every name."""


class CannotBuild(ValueError):
    """Module and weights do not go together; the text names what differs."""


def build(
    factory: Callable[[], Any], tensors: Mapping[str, torch.Tensor], dtype: torch.dtype | None
) -> tuple[torch.nn.Module, list[str]]:
    """Build a module in evaluation mode.

    Args:
        factory: Returns the module; its own weights are not looked at.
        tensors: The weights by name; the module's parameters become these very tensors.
        dtype: The default dtype while it is made, for buffers that no checkpoint has.

    Returns:
        The module, and what somebody should know: names left over, buffers that kept their first values.

    Raises:
        CannotBuild: A parameter has no weights, or shapes differ.
        Exception: What the factory raised.
    """
    notices: list[str] = []
    with _default_dtype(dtype):
        try:
            with _parameters_on_meta():
                module = _call(factory)
        except CannotBuild:
            raise
        except Exception:  # noqa: BLE001  code that computes with its own weights; the ordinary way tells whether it is at fault
            module = _call(factory)
            notices.append("It was built the ordinary way, as its constructor computes with its weights.")
        tensors = _without_wrapper(module, tensors, notices)
        _assign(module, tensors, notices)
        if any(buffer.is_meta for buffer in module.buffers()):
            module = _call(factory)
            _assign(module, tensors, [])
            notices.append("It was built the ordinary way, as buffers of it are computed from weights.")
    return module.eval(), notices


def _call(factory: Callable[[], Any]) -> torch.nn.Module:
    module = factory()
    if not isinstance(module, torch.nn.Module):
        name = getattr(factory, "__name__", "the factory")
        raise CannotBuild(f"{name}() gave a {type(module).__name__}, not a torch.nn.Module.")
    return module


@contextmanager
def _parameters_on_meta() -> Iterator[None]:
    """Have every parameter lose its memory when a module takes it, before it is initialized."""
    from torch.utils.weak import WeakTensorKeyDictionary

    original = torch.nn.Module.register_parameter
    known = WeakTensorKeyDictionary()  # a parameter that two modules take stays one

    def register(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter | None) -> None:
        original(module, name, parameter)
        if parameter is None or parameter.is_meta or type(parameter) is not torch.nn.Parameter:
            return
        if parameter not in known:
            known[parameter] = torch.nn.Parameter(parameter.detach().to("meta"), parameter.requires_grad)
        module._parameters[name] = known[parameter]

    torch.nn.Module.register_parameter = register  # type: ignore[method-assign,assignment]
    try:
        with _nothing_drawn():
            yield
    finally:
        torch.nn.Module.register_parameter = original  # type: ignore[method-assign]


@contextmanager
def _nothing_drawn() -> Iterator[None]:
    """Have `torch.nn.init` pass over what is on meta: its kernels there are Python, and load half of torch first."""
    init = torch.nn.init
    names = [name for name in vars(init) if name.endswith("_") and not name.startswith("_")]
    originals = {name: getattr(init, name) for name in names}

    def passing_over(original: Callable[..., Any]) -> Callable[..., Any]:
        def initialize(tensor: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
            return tensor if tensor.is_meta else original(tensor, *args, **kwargs)

        return initialize

    for name, original in originals.items():
        setattr(init, name, passing_over(original))
    try:
        yield
    finally:
        for name, original in originals.items():
            setattr(init, name, original)


@contextmanager
def _default_dtype(dtype: torch.dtype | None) -> Iterator[None]:
    before = torch.get_default_dtype()
    if dtype in (torch.float16, torch.bfloat16, torch.float32, torch.float64):
        torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


def _without_wrapper(
    module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], notices: list[str]
) -> Mapping[str, torch.Tensor]:
    """Take away a prefix that all names have and the module's own have not."""
    own = module.state_dict().keys()
    for prefix in _WRAPPERS:
        if tensors and all(name.startswith(prefix) for name in tensors):
            stripped = {name.removeprefix(prefix): tensor for name, tensor in tensors.items()}
            if len(own & stripped.keys()) > len(own & tensors.keys()):
                notices.append(f"Names of weights were taken without {prefix!r}.")
                return stripped
    return tensors


def _assign(module: torch.nn.Module, tensors: Mapping[str, torch.Tensor], notices: list[str]) -> None:
    own = module.state_dict()
    parameters = dict(module.named_parameters(remove_duplicate=False))
    groups = _tied(parameters)
    _check_complete(module, parameters, groups, tensors)
    _check_shapes(own, tensors)
    module.load_state_dict(dict(tensors), strict=False, assign=True)
    for names in groups:
        source = next(name for name in names if name in tensors)
        for name in names:
            _set(module, name, parameters_at(module, source))
    unused = [name for name in tensors if name not in own and name not in parameters]
    if unused:
        notices.append(f"Not used of the weights: {names_of(unused)}.")
    left_as_made = [name for name in own if name not in tensors and name not in parameters]
    if left_as_made:
        notices.append(f"Not in the weights, left as the module made them: {names_of(left_as_made)}.")


def _tied(parameters: Mapping[str, torch.nn.Parameter]) -> list[list[str]]:
    """Group the names of parameters that are one tensor."""
    names: dict[int, list[str]] = {}
    for name, parameter in parameters.items():
        names.setdefault(id(parameter), []).append(name)
    return [group for group in names.values() if len(group) > 1]


def _check_complete(
    module: torch.nn.Module,
    parameters: Mapping[str, torch.nn.Parameter],
    groups: list[list[str]],
    tensors: Mapping[str, torch.Tensor],
) -> None:
    """Check that every parameter has weights, its own or those of what it is tied to.

    Raises:
        CannotBuild: One has none.
    """
    given = {name for names in groups if any(name in tensors for name in names) for name in names}
    missing = [name for name in parameters if name not in tensors and name not in given]
    if missing:
        raise CannotBuild(
            f"The weights lack {names_of(missing)}, which {type(module).__name__} needs; "
            f"they have {names_of(tensors)}."
        )


def _check_shapes(own: Mapping[str, object], tensors: Mapping[str, torch.Tensor]) -> None:
    """Check that weights have the module's shapes.

    Raises:
        CannotBuild: One has another.
    """
    wrong = [
        f"{name}: {list(tensors[name].shape)} in the weights, {list(item.shape)} in the module"
        for name, item in own.items()
        if name in tensors and isinstance(item, torch.Tensor) and item.shape != tensors[name].shape
    ]
    if wrong:
        raise CannotBuild(f"Shapes differ: {names_of(wrong, '; ')}.")


def parameters_at(module: torch.nn.Module, name: str) -> torch.nn.Parameter:
    """Return a parameter by its dotted name."""
    path, _, last = name.rpartition(".")
    return module.get_submodule(path)._parameters[last]  # type: ignore[return-value]


def _set(module: torch.nn.Module, name: str, parameter: torch.nn.Parameter) -> None:
    path, _, last = name.rpartition(".")
    module.get_submodule(path)._parameters[last] = parameter


def names_of(names: Any, joint: str = ", ") -> str:
    """Write the first few of some names."""
    names = list(names)
    more = f" and {len(names) - _MAX_NAMES} more" if len(names) > _MAX_NAMES else ""
    return joint.join(map(str, names[:_MAX_NAMES])) + more
