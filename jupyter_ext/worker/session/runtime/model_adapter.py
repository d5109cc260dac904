"""What the user calls a model, whatever it is: an executor of Decthings' contract, a class, an instance, a module of torch.

Rule: nothing is asked of a model that it does not need for the call at hand; what it lacks is said with what it has.
"""

from __future__ import annotations

import copy
import inspect
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from jupyter_ext.ipc.decthings.codec import arrays_of
from jupyter_ext.worker.decthings import executor as contract
from jupyter_ext.worker.decthings.executor import settled
from jupyter_ext.worker.decthings.stub import speaks_bytes
from jupyter_ext.worker.session.runtime.arguments import Arguments, holds_arrays, to_arrays, to_tensors

TRAIN_METHODS = ("train", "fit", "train_model")
EVALUATE_METHODS = ("evaluate", "predict")
STATE_METHODS = (*contract.GET_STATE, "get_state", "state_dict")
BESIDE = "evaluate_beside_training"
"""A model that has this as `True` is evaluated beside a training that runs, in a thread of its own."""
_TRACKER = "tracker"


class NotOffered(Exception):
    """A model cannot do what was asked; the text says what it can."""


class Source:
    """Where models come from: the user's class, instance or executor.

    Args:
        thing: What the user's code defines.
        name: What it is called there.
        fresh: Gives another copy of `thing` as it came, where it came pickled.
    """

    def __init__(self, thing: Any, name: str, fresh: Callable[[], Any] | None = None) -> None:
        self.thing = thing
        self.name = name
        self._fresh = fresh
        self._given = False

    @property
    def kind(self) -> str:
        """One of `executor`, `class`, `instance`, `function`."""
        if contract.is_executor(self.thing):
            return "executor"
        if isinstance(self.thing, type):
            return "class"
        return "function" if inspect.isroutine(self.thing) else "instance"

    async def create_state(self, arguments: Arguments) -> dict[str, object]:
        """Make a first state.

        Raises:
            NotOffered: There is no way to.
        """
        if self.kind == "executor":
            create = contract.member(self.thing, contract.CREATE)
            if create is None:
                raise NotOffered(f"{self.name} has no createModelState")
            provider = contract.StateProvider()
            loaders = arguments.loaders(speaks_bytes(self.thing))
            await settled(create(contract.create_options(loaders, provider)))
            return dict(provider.state)
        own = contract.member(self.thing, ("create_state", *contract.CREATE))
        if own is not None:
            return _as_state(await settled(own(*arguments.places(), **arguments.keywords())), self.name)
        return await Model(await self._make(arguments), self).get_state()

    async def instantiate(self, state: Mapping[str, object] | None, arguments: Arguments) -> Model:
        """Make a model, with a state where one is given.

        Raises:
            NotOffered: There is no way to.
        """
        if self.kind == "executor":
            make = contract.member(self.thing, contract.INSTANTIATE)
            assert make is not None
            made = await settled(make(contract.instantiate_options(cast("Mapping[str, bytes]", state or {}))))
            if made is None:
                raise NotOffered(f"{self.name}.instantiateModel returned None; return the model")
            return Model(made, self)
        model = Model(await self._make(arguments), self)
        if state is not None:
            await model.load_state(state)
        return model

    async def _make(self, arguments: Arguments) -> Any:
        if self.kind == "class":
            return await settled(self.thing(*arguments.places(), **arguments.keywords()))
        if self.kind == "function":
            return await settled(self.thing(*arguments.places(), **arguments.keywords()))
        if arguments.named or arguments.positional:
            raise NotOffered(f"{self.name} is an instance already; instantiate() takes no arguments then")
        if not self._given:
            self._given = True
            return self.thing
        return self._fresh() if self._fresh is not None else copy.deepcopy(self.thing)


class Model:
    """One instantiated model."""

    def __init__(self, thing: Any, source: Source) -> None:
        self.thing = thing
        self.source = source

    @property
    def by_contract(self) -> bool:
        """Whether its methods take Decthings' options."""
        return self.source.kind == "executor"

    @property
    def evaluates_beside(self) -> bool:
        """Whether the model says that it can evaluate while it trains, in another thread."""
        if isinstance(self.thing, Mapping):
            return self.thing.get(BESIDE) is True
        return getattr(self.thing, BESIDE, False) is True

    async def train(self, arguments: Arguments, tracker: Any) -> Any:
        """Train it; a plain method that has a parameter `tracker` is given one."""
        method = self._method(TRAIN_METHODS, "train")
        if self.by_contract:
            loaders = arguments.loaders(speaks_bytes(self.source.thing))
            return await settled(method(contract.train_options(loaders, tracker)))
        keywords = arguments.keywords()
        if _takes(method, _TRACKER) and _TRACKER not in keywords:
            keywords[_TRACKER] = tracker
        return await settled(method(*arguments.places(), **keywords))

    async def evaluate(self, arguments: Arguments) -> Any:
        """Evaluate it; a module of torch without a method for that is called, in eval mode and without gradients."""
        found = self._find(EVALUATE_METHODS)
        if self.by_contract:
            if found is None:
                raise NotOffered(f"{self._name} has no evaluate(options)")
            in_bytes = speaks_bytes(self.source.thing)
            output = await settled(found(contract.evaluate_options(arguments.loaders(in_bytes))))
            outputs = _as_outputs(output, self._name)
            if arguments.encoding != "values":
                return outputs
            values = arrays_of(outputs) if in_bytes else outputs
            return {name: items[0] if len(items) == 1 else items for name, items in values.items()}
        if found is not None:
            return await settled(found(*arguments.places(), **arguments.keywords()))
        if not callable(self.thing):
            raise self._lacks("evaluate", EVALUATE_METHODS)
        if not _is_module(self.thing):
            return await settled(self.thing(*arguments.places(), **arguments.keywords()))
        return self._forward(arguments)

    async def call(self, name: str, arguments: Arguments) -> Any:
        """Call a method by its name.

        Raises:
            NotOffered: There is none of this name.
        """
        if name == "__call__" and callable(self.thing):
            return await settled(self.thing(*arguments.places(), **arguments.keywords()))
        if self.by_contract and name in EVALUATE_METHODS[:1]:
            return await self.evaluate(arguments)
        method = contract.member(self.thing, (name,)) if not name.startswith("_") else None
        if method is None:
            raise self._lacks(name, (name,))
        return await settled(method(*arguments.places(), **arguments.keywords()))

    async def get_state(self) -> dict[str, object]:
        """Return its state: bytes by key from an executor's model, tensors and values by key from others."""
        if self.by_contract:
            method = contract.member(self.thing, contract.GET_STATE)
            if method is None:
                raise NotOffered(f"{self._name} has no getModelState(options)")
            provider = contract.StateProvider()
            await settled(method(contract.get_state_options(provider)))
            return dict(provider.state)
        found = self._find(STATE_METHODS)
        if found is None:
            raise self._lacks("get_state", ("get_state", "state_dict"))
        return _as_state(await settled(found()), self._name)

    async def load_state(self, state: Mapping[str, object]) -> None:
        """Take over a state."""
        method = contract.member(self.thing, ("load_state", "set_state", "load_state_dict"))
        if method is None:
            raise self._lacks("load_state", ("load_state", "load_state_dict"))
        await settled(method(to_tensors(dict(state)) if _is_module(self.thing) else dict(state)))

    async def dispose(self) -> None:
        """Let it tidy up, where it wants to."""
        method = contract.member(self.thing, contract.DISPOSE)
        if method is not None:
            await settled(method())

    def methods(self) -> list[str]:
        """Name the methods of the user's own."""
        if isinstance(self.thing, Mapping):
            return [str(name) for name, value in self.thing.items() if callable(value)]
        found: dict[str, None] = {}
        for kind in type(self.thing).__mro__:
            if kind.__module__.partition(".")[0] in ("torch", "builtins", "abc", "typing"):
                continue
            found |= {
                name: None
                for name, value in vars(kind).items()
                if callable(value) and not name.startswith("_")
            }
        return list(found)

    @property
    def _name(self) -> str:
        return type(self.thing).__name__

    def _forward(self, arguments: Arguments) -> Any:
        torch = sys.modules["torch"]
        was_training = self.thing.training
        places, keywords = arguments.places(), arguments.keywords()
        self.thing.eval()
        try:
            with torch.no_grad():
                output = self.thing(*to_tensors(places), **to_tensors(keywords))
        finally:
            torch.nn.Module.train(self.thing, was_training)
        return to_arrays(output) if holds_arrays([places, keywords]) else output

    def _method(self, names: tuple[str, ...], what: str) -> Callable[..., Any]:
        found = self._find(names)
        if found is None:
            raise self._lacks(what, names)
        return found

    def _find(self, names: tuple[str, ...]) -> Callable[..., Any] | None:
        for name in names:
            method = contract.member(self.thing, (name,))
            if method is not None and not (name == "train" and _is_modules_own_train(self.thing)):
                return method
        return None

    def _lacks(self, what: str, names: tuple[str, ...]) -> NotOffered:
        has = ", ".join(f"{name}()" for name in self.methods()) or "no methods of its own"
        text = f"{self._name} has no {' or '.join(f'{name}()' for name in names)}; it has {has}"
        if what == "train" and _is_module(self.thing):
            text += ". nn.Module.train() only switches a mode; define fit(self, …)"
        return NotOffered(text)


def _is_module(thing: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(thing, torch.nn.Module)


def _is_modules_own_train(thing: Any) -> bool:
    return _is_module(thing) and type(thing).train is sys.modules["torch"].nn.Module.train


def _takes(method: Callable[..., Any], name: str) -> bool:
    try:
        return name in inspect.signature(method).parameters
    except (TypeError, ValueError):
        return False


def _as_state(state: Any, name: str) -> dict[str, object]:
    if not isinstance(state, Mapping):
        raise NotOffered(
            f"the state of {name} is a {type(state).__name__}; give a dict of tensors or bytes by key"
        )
    return {str(key): value for key, value in state.items()}


def _as_outputs(outputs: Any, name: str) -> contract.Outputs:
    """Check what an executor's `evaluate` gave: a list of `{"name", "data"}`."""
    if isinstance(outputs, list | tuple) and all(
        isinstance(item, Mapping) and "name" in item and "data" in item for item in outputs
    ):
        return contract.Outputs({str(item["name"]): list(item["data"]) for item in outputs})
    raise NotOffered(f'{name}.evaluate returned {type(outputs).__name__}, not a list of {{"name", "data"}}')
