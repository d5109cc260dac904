"""Arguments and answers of a session's calls in Decthings' tensors: what comes over `/v0`. Standard library only.

`params` of an op holds `{"encoding": "decthings", "params": [{"name": "x"}, {"name": "y", "dataset": {"path", "key"}}]}`;
each parameter without a dataset has a blob, its tensors one behind the other.

Rule: an executor gets each tensor as its bytes, as Decthings' own runner gives them; other code gets arrays and texts.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, overload

from jupyter_ext.ipc.decthings.dataset_reader import Reader
from jupyter_ext.ipc.decthings.inference import infer
from jupyter_ext.ipc.decthings.tensors import MEDIA, Tensor, WireError, header, spans
from jupyter_ext.ipc.payloads.session_messages import SessionParameter

DEFAULT_OUTPUT = "output"
"""What the answer of code without named outputs is called."""


class Tensors(Sequence[bytes]):
    """The tensors of a parameter, each as its bytes."""

    def __init__(self, blob: memoryview | bytes) -> None:
        self._blob = memoryview(blob)
        self._spans = spans(blob)

    def __len__(self) -> int:
        return len(self._spans)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        begin, end = self._spans[index]
        return as_model_reads(self._blob[begin:end])

    @property
    def nbytes(self) -> int:
        """Count the bytes of all."""
        return len(self._blob)


class DatasetTensors(Sequence[bytes]):
    """One key of a dataset, each entry as its tensor's bytes, read from its files when it is asked for."""

    def __init__(self, directory: str, key: str) -> None:
        self._reader = Reader(Path(directory), key)

    def __len__(self) -> int:
        return len(self._reader)

    @overload
    def __getitem__(self, index: int) -> bytes: ...
    @overload
    def __getitem__(self, index: slice) -> list[bytes]: ...
    def __getitem__(self, index: int | slice) -> bytes | list[bytes]:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        return as_model_reads(self._reader.read(index % len(self) if -len(self) <= index < 0 else index))

    @property
    def nbytes(self) -> int:
        """Count the bytes of all."""
        return self._reader.nbytes()


class Values(Sequence[Any]):
    """Tensors as what code without Decthings' contract works with; a map-style dataset for torch's `DataLoader`.

    Args:
        tensors: Their bytes.
    """

    def __init__(self, tensors: Tensors | DatasetTensors) -> None:
        self._tensors = tensors

    def __len__(self) -> int:
        return len(self._tensors)

    @property
    def nbytes(self) -> int:
        """Count the bytes of all."""
        return self._tensors.nbytes

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        if not -len(self) <= index < len(self):
            raise IndexError(f"there is no entry {index}; there are {len(self)}")
        return as_value(Tensor.decode(self._tensors[index])[0])

    def shuffled(self, seed: int | None = None) -> Iterable[Any]:
        """Return all entries in a random order."""
        order = list(range(len(self)))
        random.Random(seed).shuffle(order)
        return (self[index] for index in order)


class RowBytes(Sequence[bytes]):
    """Values of a notebook, each as the bytes of a tensor: for an executor that was written for Decthings."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._values = values

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(len(self)))]
        return infer(self._values[index], f"entry {index}").encode_as_stored()


def as_model_reads(raw: memoryview) -> bytes:
    """Return a tensor's bytes as models read them: media in the old layout, the only one that the runner's tensors know."""
    data = bytes(raw)
    if header(data).type not in MEDIA:
        return data
    try:
        return Tensor.decode(data)[0].encode("old")
    except WireError:
        return data  # a format without a name of three bytes; the new layout is the only one that has it


def as_value(tensor: Tensor) -> Any:
    """Return a tensor as code of the notebook's kind works with it: an array that may be written to, or a text or bytes."""
    if tensor.type in ("string", "binary", *MEDIA) and not tensor.shape:
        return tensor.item()
    array = tensor.numpy()
    return array if array.flags.writeable else array.copy()


def decode_parameters(
    params: Sequence[SessionParameter], blobs: Sequence[memoryview]
) -> dict[str, Tensors | DatasetTensors]:
    """Return the tensors of each parameter.

    Raises:
        ValueError: A blob is missing, or no list of tensors; or a dataset or its key is gone.
    """
    found: dict[str, Tensors | DatasetTensors] = {}
    left = list(blobs)
    for entry in params:
        dataset = entry.get("dataset")
        try:
            if dataset is not None:
                found[entry["name"]] = DatasetTensors(dataset["path"], dataset["key"])
            else:
                found[entry["name"]] = Tensors(left.pop(0))
        except IndexError:
            raise ValueError(f"parameter {entry['name']!r} has no data") from None
        except LookupError as error:
            raise ValueError(f"parameter {entry['name']!r}: {error.args[0]}") from error
    return found


def plain_value(tensors: Tensors | DatasetTensors, *, lazy: bool) -> Any:
    """Return a parameter as code without the contract takes it: the value, where it is one tensor; else all of them."""
    if lazy:
        return Values(tensors)
    return Values(tensors)[0] if len(tensors) == 1 else list(Values(tensors))


class InvalidOutput(TypeError):
    """What the code gave is no list of tensors; the text says why."""


def encode_outputs(value: Any, *, named: bool) -> tuple[list[dict[str, str]], list[bytes]]:
    """Turn what `evaluate` gave into outputs, and a blob of tensors for each.

    Args:
        value: An executor's outputs by name, each a list; or whatever plain code gave: a dict by name, or one value.
        named: Whether it is an executor's.

    Raises:
        InvalidOutput: Something in it is no tensor.
    """
    outputs = value if isinstance(value, Mapping) else {DEFAULT_OUTPUT: value}
    found: list[dict[str, str]] = []
    blobs: list[bytes] = []
    for name, data in outputs.items():
        items = data if named or _is_list_of_tensors(data) else [data]
        found.append({"name": str(name)})
        blobs.append(b"".join(encode_tensor(item, f"output {name!r}") for item in items))
    return found, blobs


def arrays_of(outputs: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return outputs in bytes as a notebook's caller works with them."""
    return {
        name: [as_value(Tensor.decode(raw)[0]) if isinstance(raw, bytes) else raw for raw in data]
        for name, data in outputs.items()
    }


def encode_tensor(value: Any, what: str) -> bytes:
    """Return the bytes of a tensor: of bytes that are one, of a `DecthingsTensor`, or of a value.

    Raises:
        InvalidOutput: It is none.
    """
    try:
        if isinstance(value, bytes | bytearray | memoryview):
            raw = bytes(value)
            found = header(raw)
            if found.end != len(raw):
                raise InvalidOutput(
                    f"{what} has {len(raw) - found.end} bytes behind a tensor of {found.end}."
                )
            return raw
        serialize = getattr(value, "serialize", None)
        if callable(serialize):
            return bytes(serialize())
        return infer(value, what).encode_as_stored()
    except WireError as error:
        raise InvalidOutput(f"{what}: {error}") from error


def encode_state(state: Mapping[str, object]) -> dict[str, bytes]:
    """Return a state as bytes by key: bytes as they are, anything else as a tensor.

    Raises:
        InvalidOutput: A value is neither.
    """
    return {
        str(key): bytes(value) if isinstance(value, bytes) else encode_tensor(value, f"state {key!r}")
        for key, value in state.items()
    }


def decode_state(state: Mapping[str, bytes]) -> dict[str, Any]:
    """Return what `encode_state` made of a plain model's state."""
    decoded: dict[str, Any] = {}
    for key, raw in state.items():
        try:
            tensor, end = Tensor.decode(raw)
            decoded[key] = as_value(tensor) if end == len(raw) else raw
        except WireError:
            decoded[key] = raw
    return decoded


def metric_value(value: Any) -> tuple[Any, str | None]:
    """Return a metric's value as one can plot it, and the type that it came in where it came as a tensor."""
    serialize = getattr(value, "serialize", None)
    raw = serialize() if callable(serialize) else value
    if not isinstance(raw, bytes):
        return value, None
    try:
        tensor, end = Tensor.decode(raw)
    except WireError:
        return value, None
    if end != len(raw) or tensor.type in MEDIA or tensor.type == "binary":
        return raw, None
    return (tensor.item() if not tensor.shape else tensor.numpy()), tensor.type


def encode_metric(value: Any, type: str | None) -> bytes:
    """Return a point of a metric as a tensor of the type that it came in, or of the one that holds it exactly."""
    if isinstance(value, bytes):
        return encode_tensor(value, "a metric")
    if type is not None and isinstance(value, int | float):
        import numpy

        from jupyter_ext.ipc.decthings.tensors import DTYPES

        return Tensor.from_array(numpy.array(value, DTYPES[type]), type).encode()
    return infer(value, "a metric").encode_as_stored()


def _is_list_of_tensors(value: Any) -> bool:
    return (
        isinstance(value, list | tuple)
        and bool(value)
        and all(hasattr(item, "shape") or hasattr(item, "serialize") for item in value)
    )
