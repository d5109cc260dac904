"""What a model that was written for Decthings is given: lazy parameters, states, options. Standard library only.

Names are offered in both spellings (`state_provider`, `stateProvider`) and both vocabularies (state, weights).
Source: decthings-model 0.0.7 and model-py at HEAD, as protocols describe them; none of their defects.
"""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import SimpleNamespace
from typing import Any

CREATE = ("createModelState", "create_model_state", "initializeWeights", "initialize_weights")
INSTANTIATE = ("instantiateModel", "instantiate_model")
TRAIN = ("train",)
EVALUATE = ("evaluate",)
GET_STATE = ("getModelState", "get_model_state", "getWeights", "get_weights")
DISPOSE = ("dispose",)

MAX_KEYS = 100
MAX_KEY_BYTES = 1 << 30


def member(thing: Any, names: Sequence[str]) -> Callable[..., Any] | None:
    """Return the first member of these names, of an object or of a dict, or `None`."""
    for name in names:
        found: Callable[..., Any] | None = (
            thing.get(name) if isinstance(thing, Mapping) else getattr(thing, name, None)
        )
        if callable(found):
            return found
    return None


def is_executor(thing: Any) -> bool:
    """Return whether something offers Decthings' contract: to make models, not to be one."""
    return not isinstance(thing, type) and member(thing, INSTANTIATE) is not None


async def settled(value: Any) -> Any:
    """Return a value, or what it is to become."""
    return await value if inspect.isawaitable(value) else value


class DataLoader:
    """The entries of one parameter, loaded when they are asked for.

    Args:
        entries: Has a length and gives entries by index; may have `read(start, stop)` for many at once.
        total_bytes: The size of all of them.
    """

    def __init__(self, entries: Sequence[Any], total_bytes: int | None = None) -> None:
        self._entries = entries
        self._total_bytes = total_bytes
        self._order: list[int] | None = None
        self._position = 0
        for camel, snake in (
            ("totalByteSize", self.total_byte_size),
            ("setPosition", self.set_position),
            ("hasNext", self.has_next),
            ("shuffleInGroup", self.shuffle_in_group),
        ):
            setattr(self, camel, snake)

    def size(self) -> int:
        """Count the entries."""
        return len(self._entries)

    def total_byte_size(self) -> int:
        """Return the bytes of all entries."""
        return self._total_bytes or 0

    def position(self) -> int:
        """Return the index of the next entry."""
        return self._position

    def set_position(self, position: int) -> None:
        """Go to an entry."""
        if not 0 <= position <= self.size():
            raise ValueError(f"position {position} is outside of 0 to {self.size()}")
        self._position = position

    def remaining(self) -> int:
        """Count the entries from here to the end."""
        return self.size() - self._position

    def has_next(self, n: int = 1) -> bool:
        """Return whether there are `n` more."""
        return self.remaining() >= n

    async def next(self, n: int = 1) -> list[Any]:
        """Return up to `n` entries and go on behind them."""
        stop = min(self.size(), self._position + n)
        chosen, self._position = range(self._position, stop), stop
        if self._order is not None:
            return [self._entries[self._order[index]] for index in chosen]
        read = getattr(self._entries, "read", None)
        if callable(read):
            return list(read(chosen.start, chosen.stop))
        return [self._entries[index] for index in chosen]

    def shuffle(self) -> None:
        """Put the entries into a random order and begin anew."""
        self.shuffle_in_group([])

    def shuffle_in_group(self, others: Iterable[DataLoader]) -> None:
        """Put these entries and those of others into the same random order and begin anew.

        Raises:
            ValueError: One has another number of entries.
        """
        group = [self, *others]
        sizes = {loader.size() for loader in group}
        if len(sizes) > 1:
            raise ValueError(f"only loaders of one size can be shuffled together; these have {sorted(sizes)}")
        order = random.sample(range(self.size()), self.size())
        for loader in group:
            loader._order, loader._position = order, 0


class StateProvider:
    """Takes the state of a model, key by key."""

    def __init__(self) -> None:
        self.state: dict[str, bytes] = {}
        self.provideAll = self.provide_all

    def provide(self, key: str, data: bytes) -> None:
        """Return the bytes of one key.

        Raises:
            ValueError: The key was given before, or it is too much.
        """
        if key in self.state:
            raise ValueError(f"the state {key!r} was given twice")
        if len(self.state) >= MAX_KEYS:
            raise ValueError(f"a state has at most {MAX_KEYS} keys")
        taken = bytes(data)
        if len(taken) > MAX_KEY_BYTES:
            raise ValueError(
                f"the state {key!r} has {len(taken):,} bytes; at most {MAX_KEY_BYTES:,} are taken"
            )
        self.state[str(key)] = taken

    def provide_all(self, data: Iterable[Any]) -> None:
        """Return several keys: dicts with `key` and `data`, or pairs."""
        for item in data:
            key, value = (item["key"], item["data"]) if isinstance(item, Mapping) else item
            self.provide(key, value)


class StateLoader:
    """One key of a state."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.byteSize = self.byte_size

    def byte_size(self) -> int:
        """Return its size."""
        return len(self._data)

    async def read(self) -> bytes:
        """Return its bytes."""
        return self._data


class Outputs(dict[str, list[Any]]):
    """What an executor's `evaluate` gave: tensors by the name of the output."""


def create_options(params: Mapping[str, DataLoader], provider: StateProvider) -> SimpleNamespace:
    """Return the options of `createModelState`."""
    return SimpleNamespace(params=dict(params), other_models={}, otherModels={}, **_providers(provider))


def instantiate_options(state: Mapping[str, bytes]) -> SimpleNamespace:
    """Return the options of `instantiateModel`."""
    loaders = {key: StateLoader(data) for key, data in state.items()}
    return SimpleNamespace(state=loaders, weights=loaders, other_models={}, otherModels={})


def train_options(params: Mapping[str, DataLoader], tracker: Any) -> SimpleNamespace:
    """Return the options of `train`."""
    return SimpleNamespace(params=dict(params), tracker=tracker)


def evaluate_options(params: Mapping[str, DataLoader]) -> SimpleNamespace:
    """Return the options of `evaluate`."""
    return SimpleNamespace(params=dict(params), expected_output_types=[], expectedOutputTypes=[])


def get_state_options(provider: StateProvider) -> SimpleNamespace:
    """Return the options of `getModelState`."""
    return SimpleNamespace(**_providers(provider))


def _providers(provider: StateProvider) -> dict[str, StateProvider]:
    names = ("state_provider", "stateProvider", "weights_provider", "weightsProvider")
    return dict.fromkeys(names, provider)
