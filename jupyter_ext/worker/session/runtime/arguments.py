"""Arguments of a call: from what came over the channel to what the user's code is given. Standard library only.

Rule: an encoding is a name in `DECODERS`. `values` is our own client's; who adds another one adds a decoder and an
encoder of answers here, and nothing else changes.

`params` of an op holds `{"encoding": "values", "args": {name: tree}, "positional": [tree, …]}`.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from jupyter_ext.ipc import values
from jupyter_ext.ipc.decthings import codec
from jupyter_ext.ipc.decthings.codec import DatasetTensors, Tensors
from jupyter_ext.ipc.payloads.session_messages import SessionParams
from jupyter_ext.worker.decthings.executor import DataLoader, Outputs


@dataclass(frozen=True)
class Argument:
    """One argument: `value` for a plain function, `entries` for an executor's loader."""

    value: Any
    entries: Sequence[Any]
    total_bytes: int | None = None

    def loader(self, in_bytes: bool) -> DataLoader:
        """Return a loader of its own over the entries, as the bytes of a tensor each where `in_bytes`."""
        return DataLoader(codec.RowBytes(self.entries) if in_bytes else self.entries, self.total_bytes)


class TensorArgument:
    """One argument in Decthings' tensors; plain code gets a lazy sequence of a dataset, and of data the value itself."""

    def __init__(self, tensors: Tensors | DatasetTensors, *, lazy: bool) -> None:
        self._tensors = tensors
        self._lazy = lazy

    @property
    def value(self) -> Any:
        """What plain code is given."""
        return codec.plain_value(self._tensors, lazy=self._lazy)

    def loader(self, in_bytes: bool) -> DataLoader:
        """Return a loader of its own; an executor reads these tensors in bytes in any case."""
        return DataLoader(self._tensors, self._tensors.nbytes)


@dataclass(frozen=True)
class Arguments:
    """All arguments of a call, by name and, of a notebook's call, by position."""

    named: Mapping[str, Argument | TensorArgument] = field(default_factory=dict)
    positional: Sequence[Argument] = ()
    encoding: str = "values"

    def keywords(self) -> dict[str, object]:
        """Return them as a plain function takes them."""
        return {name: argument.value for name, argument in self.named.items()}

    def places(self) -> list[Any]:
        """Return those by position."""
        return [argument.value for argument in self.positional]

    def loaders(self, in_bytes: bool = False) -> dict[str, DataLoader]:
        """Return them as an executor takes them; one that `make_model` made takes the bytes of tensors."""
        return {name: argument.loader(in_bytes) for name, argument in self.named.items()}


Decoder = Callable[[SessionParams, list[memoryview]], Arguments]
Encoder = Callable[[Any], tuple[Any, Sequence[Any]]]


def of_value(value: Any) -> Argument:
    """Make an argument of a value: an array's entries are its rows, a list's its items, of anything else it is one."""
    shape = getattr(value, "shape", None)
    if isinstance(value, codec.Values):
        return Argument(value, value, value.nbytes)
    if isinstance(value, list | tuple):
        entries: Sequence[Any] = value
    elif shape is not None and len(shape) > 0 and not hasattr(value, "columns"):
        entries = value
    else:
        entries = [value]
    return Argument(value, entries, getattr(value, "nbytes", None))


def _decode_values(params: SessionParams, blobs: list[memoryview]) -> Arguments:
    named = {
        str(name): of_value(values.decode(tree, blobs)) for name, tree in (params.get("args") or {}).items()
    }
    positional = [of_value(values.decode(tree, blobs)) for tree in params.get("positional") or []]
    return Arguments(named, positional)


def _encode_values(value: Any) -> tuple[Any, Sequence[Any]]:
    return values.encode(value)


def _decode_decthings(params: SessionParams, blobs: list[memoryview]) -> Arguments:
    given = params.get("params") or []
    lazy = {entry["name"] for entry in given if entry.get("dataset")}
    found = codec.decode_parameters(given, blobs)
    named = {name: TensorArgument(tensors, lazy=name in lazy) for name, tensors in found.items()}
    return Arguments(named, encoding="decthings")


def _encode_decthings(value: Any) -> tuple[Any, Sequence[Any]]:
    return codec.encode_outputs(value, named=isinstance(value, Outputs))


DECODERS: dict[str, Decoder] = {"values": _decode_values, "decthings": _decode_decthings}
ENCODERS: dict[str, Encoder] = {"values": _encode_values, "decthings": _encode_decthings}


def decode(params: SessionParams, blobs: list[memoryview]) -> Arguments:
    """Decode the arguments of a call.

    Raises:
        ValueError: They are not what they say.
    """
    encoding = params.get("encoding", "values")
    if encoding not in DECODERS:
        raise ValueError(f"there is no encoding {encoding!r}; there are {', '.join(DECODERS)}")
    return DECODERS[encoding](params, blobs)


def to_tensors(value: Any) -> Any:
    """Turn numpy arrays into torch tensors over the same memory, for a module that takes nothing else."""
    torch, numpy = sys.modules.get("torch"), sys.modules.get("numpy")
    if torch is not None and numpy is not None and isinstance(value, numpy.ndarray):
        return torch.from_numpy(value if value.flags.writeable else value.copy())
    if isinstance(value, list | tuple):
        return type(value)(to_tensors(item) for item in value)
    return {key: to_tensors(item) for key, item in value.items()} if isinstance(value, dict) else value


def to_arrays(value: Any) -> Any:
    """Turn torch tensors into numpy arrays, for a caller who sent such."""
    torch = sys.modules.get("torch")
    if torch is not None and isinstance(value, torch.Tensor):
        tensor = value.detach().cpu()
        return tensor if tensor.dtype is torch.bfloat16 else tensor.numpy()
    if isinstance(value, list | tuple):
        return type(value)(to_arrays(item) for item in value)
    return {key: to_arrays(item) for key, item in value.items()} if isinstance(value, dict) else value


def holds_arrays(value: Any) -> bool:
    """Return whether there is a numpy array in a value."""
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        return True
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    return any(holds_arrays(item) for item in items)
