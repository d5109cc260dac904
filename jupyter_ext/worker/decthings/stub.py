"""What `import decthings_model` and `import decthings_api` give in a session whose environment has neither.

Rule: the same names, the same meaning as `decthings-model` 0.0.7 and the tensors of `decthings-api` 0.0.4, none of their
defects. Standard library only, and numpy where a tensor is made. The client for the service is not here.
"""

from __future__ import annotations

import importlib.util
import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from math import prod
from types import ModuleType
from typing import Any

from jupyter_ext.ipc.decthings.tensors import DTYPES, ITEM_BYTES, Media, Tensor

SPOKEN_IN_BYTES = "decthings_model"
"""Executors whose functions come from a module of this name take and give tensors as bytes; see `speaks_bytes`."""


class _Element:
    def __init__(self, format: Any, data: Any) -> None:
        if not isinstance(format, str):
            raise ValueError("Invalid format: Expected a string.")
        if not isinstance(data, bytes):
            raise ValueError("Invalid data: Expected bytes")
        self._format = format
        self._data = data

    def format(self) -> str:
        """Return the format, such as `png`."""
        return self._format

    def data(self) -> bytes:
        """Return the file's bytes."""
        return self._data


class DecthingsElementImage(_Element):
    """An image."""


class DecthingsElementAudio(_Element):
    """A sound."""


class DecthingsElementVideo(_Element):
    """A video."""


_ELEMENTS: dict[str, type[_Element]] = {
    "image": DecthingsElementImage,
    "audio": DecthingsElementAudio,
    "video": DecthingsElementVideo,
}


class DecthingsTensor:
    """A tensor.

    Args:
        data: A numpy array of exactly the type's dtype, or a flat list of elements.
        data_type: Name of the type, such as `f32`.
        shape: Dimensions.
    """

    def __init__(self, data: Any, data_type: str, shape: Sequence[Any]) -> None:
        import numpy

        if any(not isinstance(size, int | numpy.integer) or size < 0 for size in shape):
            raise TypeError("Invalid shape: Expected a list of non-negative integers.")
        sizes = [int(size) for size in shape]
        if data_type not in (*ITEM_BYTES, "string", "binary", *_ELEMENTS):
            raise ValueError(f"Invalid type: {data_type!r}")
        if isinstance(data, numpy.ndarray):
            expected = numpy.dtype(DTYPES.get(data_type, "O"))
            if data.dtype != expected:
                raise ValueError(f"Expected dtype {expected} for data type {data_type}. Got: {data.dtype}")
            self._data = data.reshape(sizes)
        else:
            if not isinstance(data, list):
                raise TypeError("Invalid data: Expected a list or Numpy array.")
            if len(data) != prod(sizes):
                raise ValueError(f"For shape {sizes}, expected {prod(sizes)} elements. Got {len(data)}")
            array = numpy.empty(len(data), dtype=DTYPES.get(data_type, "O"))
            array[:] = data
            self._data = array.reshape(sizes)
        self._type = data_type

    def type(self) -> str:
        """Return the name of the type."""
        return self._type

    def shape(self) -> list[int]:
        """Return the dimensions."""
        return list(self._data.shape)

    def item(self) -> Any:
        """Return the only element."""
        return self._data.item()

    def numpy(self) -> Any:
        """Return the array."""
        return self._data

    def serialize(self) -> bytes:
        """Return its bytes."""
        return self._tensor().encode("old")

    def serialized_byte_size(self) -> int:
        """Count its bytes."""
        return len(self.serialize())

    @staticmethod
    def deserialize(data: bytes) -> tuple[DecthingsTensor, int]:
        """Read one tensor; give it and the number of its bytes."""
        tensor, end = Tensor.decode(data)
        array = tensor.numpy()
        element = _ELEMENTS.get(tensor.type)
        if element is not None:
            for index, media in enumerate(array.reshape(-1)):
                array.reshape(-1)[index] = element(media.format, media.data)
        return DecthingsTensor(array, tensor.type, list(tensor.shape)), end

    @staticmethod
    def deserialize_many(data: bytes) -> list[DecthingsTensor]:
        """Read all tensors."""
        found, position = [], 0
        while position < len(data):
            tensor, size = DecthingsTensor.deserialize(data[position:])
            found.append(tensor)
            position += size
        return found

    def _tensor(self) -> Tensor:
        if self._type in DTYPES:
            return Tensor.from_array(self._data, self._type)
        items = self._data.reshape(-1).tolist()
        if self._type in _ELEMENTS:
            items = [Media(item.format(), item.data()) for item in items]
        return Tensor(self._type, self._data.shape, items)


class DataLoaderBinary:
    """The tensors of a parameter as bytes; the session's own loaders are that."""


class DataLoader:
    """The tensors of a parameter, read when they are asked for."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def total_byte_size(self) -> int:
        """Count the bytes of all."""
        return int(self._inner.total_byte_size())

    def size(self) -> int:
        """Count the tensors."""
        return int(self._inner.size())

    def shuffle(self) -> None:
        """Put them into a random order."""
        self._inner.shuffle()

    def shuffle_in_group(self, others: Any) -> None:
        """Put these and those of other loaders into the same random order."""
        if not isinstance(others, list) or not all(isinstance(other, DataLoader) for other in others):
            raise TypeError('DataLoader shuffle_in_group: Expected "others" to be a list of DataLoaders.')
        self._inner.shuffle_in_group([other._inner for other in others])

    def position(self) -> int:
        """Return the index of the next one."""
        return int(self._inner.position())

    def set_position(self, position: int) -> None:
        """Go to one."""
        self._inner.set_position(position)

    def remaining(self) -> int:
        """Count those from here on."""
        return int(self._inner.remaining())

    def has_next(self, amount: int = 1) -> bool:
        """Return whether there are so many more."""
        return bool(self._inner.has_next(amount))

    async def next(self, amount: int = 1) -> list[DecthingsTensor]:
        """Return up to so many, and go on behind them."""
        return [DecthingsTensor.deserialize(data)[0] for data in await self._inner.next(amount)]


class StateLoader:
    """One key of a state; the session's own are that."""


class StateProvider:
    """Takes a state; the session's own is that."""


class TrainTracker:
    """Takes metrics and progress of a training, and tells it of a cancel."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def metrics(self, metrics: list[tuple[str, DecthingsTensor]]) -> None:
        """Report values; they can be seen when this returns."""
        self._inner.metrics([{"name": name, "value": value.serialize()} for name, value in metrics])

    def progress(self, progress: float) -> None:
        """Say how far it is, 0 to 1."""
        self._inner.progress(progress)

    def on_cancel(self, cb: Callable[[], Any]) -> None:
        """Have a function called when somebody cancels."""
        self._inner.on_cancel(cb)

    def failed(self, reason: str) -> None:
        """Have the training end as failed."""
        self._inner.failed(reason)


DataLoaderMap = dict[str, DataLoader]
StateLoaderMap = dict[str, StateLoader]


class _Options:
    """Options as they come, with typed loaders and tracker in the places of the binary ones."""

    def __init__(self, given: Any) -> None:
        vars(self).update(vars(given))
        if hasattr(given, "params"):
            self.params = {name: DataLoader(inner) for name, inner in given.params.items()}
        if hasattr(given, "tracker"):
            self.tracker = TrainTracker(given.tracker)


def make_model(executor: Any) -> dict[str, Any]:
    """Make a model of an executor: an object or dict with `createModelState` and `instantiateModel`."""

    async def instantiate(options: Any) -> dict[str, Any]:
        made = await _settled(_member(executor, INSTANTIATE)(_Options(options)))

        async def evaluate(options: Any) -> list[dict[str, Any]]:
            return _outputs(await _settled(_member(made, ("evaluate",))(_Options(options))))

        def dispose() -> Any:
            found = _find(made, ("dispose",))
            return found() if found is not None else None

        state = lambda options: _member(made, GET_STATE)(_Options(options))  # noqa: E731
        return {
            "train": lambda options: _member(made, ("train",))(_Options(options)),
            "evaluate": evaluate,
            "getModelState": state,
            "getWeights": state,
            "dispose": dispose,
        }

    create = lambda options: _member(executor, CREATE)(_Options(options))  # noqa: E731
    return {
        "createModelState": create,
        "initializeWeights": create,
        "instantiateModel": instantiate,
    }


CREATE = ("createModelState", "initializeWeights")
INSTANTIATE = ("instantiateModel",)
GET_STATE = ("getModelState", "getWeights")


def _outputs(outputs: Any) -> list[dict[str, Any]]:
    if not isinstance(outputs, list):
        raise ValueError(f'Evaluate: Expected return value of "evaluate" to be a list, not {type(outputs)}.')
    found = []
    for output in outputs:
        if not isinstance(output, Mapping) or not isinstance(output.get("data"), list):
            raise ValueError(
                'Evaluate: Expected each element of the list that "evaluate" returned to be a dict with "name" and a list "data".'
            )
        for tensor in output["data"]:
            if not callable(getattr(tensor, "serialize", None)):
                raise ValueError(
                    f'Evaluate: Expected each element of "data" to be a DecthingsTensor, not {type(tensor)}.'
                )
        found.append({"name": output["name"], "data": [tensor.serialize() for tensor in output["data"]]})
    return found


def _find(thing: Any, names: Sequence[str]) -> Callable[..., Any] | None:
    for name in names:
        found = thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        if found is not None:
            if not callable(found):
                raise ValueError(f'The property "{name}" was not a function - got {type(found)}.')
            return found  # type: ignore[no-any-return]
    return None


def _member(thing: Any, names: Sequence[str]) -> Callable[..., Any]:
    found = _find(thing, names)
    if found is None:
        raise ValueError(f'The function "{names[0]}" was missing from the model.')
    return found


async def _settled(value: Any) -> Any:
    return await value if inspect.isawaitable(value) else value


def speaks_bytes(executor: Any) -> bool:
    """Return whether an executor was made by `make_model`, the package's own or this one."""
    if not isinstance(executor, Mapping):
        return False
    made = executor.get("instantiateModel")
    module = str(getattr(made, "__module__", ""))
    return module == __name__ or module.split(".")[0] == SPOKEN_IN_BYTES


def install() -> None:
    """Let user code import `decthings_model` and `decthings_api` where they are not installed."""
    for name, members in (
        ("decthings_api", ("DecthingsTensor", *(kind.__name__ for kind in _ELEMENTS.values()))),
        (
            "decthings_model",
            (
                "DataLoaderBinary",
                "DataLoader",
                "StateLoader",
                "TrainTracker",
                "DataLoaderMap",
                "StateLoaderMap",
                "StateProvider",
                "make_model",
            ),
        ),
    ):
        if name in sys.modules or importlib.util.find_spec(name) is not None:
            continue
        module = ModuleType(name, f"Stands in for {name}, which is not installed here.")
        for member in members:
            setattr(module, member, globals()[member])
        sys.modules[name] = module
