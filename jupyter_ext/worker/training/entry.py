"""Call what a bundle names as its entry: a function, or a class with `setup()` and a method. Standard library only.

Rule: whatever it returns is run to its end. A coroutine is awaited, a generator is drained.

Source: Cog's docs, "Python reference": functions and classes, sync and async, iterators as outputs.
"""

from __future__ import annotations

import asyncio
import inspect
import os
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Any

from jupyter_ext.worker.runtime import arguments

WEIGHTS = "weights"

MAX_KEPT = 10_000
"""Items of a training's generator that are its result."""

OnItem = Callable[[Any], None]


def call(
    target: Any,
    inputs: Mapping[str, object],
    files: arguments.Files,
    *,
    method: str = "train",
    on_item: OnItem | None = None,
) -> Any:
    """Call an entry and return its result.

    Args:
        target: A function, or a class that is made, set up and asked for `method`.
        inputs: JSON values, secrets in clear. `weights` goes to `setup()` where the method takes none.
        files: Turns paths of inputs into files.
        method: Of a class.
        on_item: Told each item of a generator as it comes.

    Returns:
        What it returned; of a generator what that returned, or else all items as a list, of a flood of them the last.
    """
    given = dict(inputs)
    with asyncio.Runner() as loop:
        if inspect.isclass(target):
            instance: Any = target()
            target = getattr(instance, method)
            _set_up(instance, target, given, loop)
        positional, named = arguments.by_position(target, arguments.arguments(target, given, files))
        return _finish(target(*positional, **named), loop, on_item)


def _set_up(instance: Any, method: Any, inputs: dict[str, Any], loop: asyncio.Runner) -> None:
    setup = getattr(instance, "setup", None)
    weights = os.environ.get("COG_WEIGHTS")
    if WEIGHTS in inputs and WEIGHTS not in inspect.signature(method).parameters:
        weights = inputs.pop(WEIGHTS)
    if setup is not None:
        takes_weights = WEIGHTS in inspect.signature(setup).parameters
        _finish(setup(**({WEIGHTS: weights} if takes_weights else {})), loop, None)


def _finish(result: Any, loop: asyncio.Runner, on_item: OnItem | None) -> Any:
    """Return the result of a call, be it one of an async function or of a generator."""
    if inspect.isawaitable(result):
        result = loop.run(_awaited(result))
    if isinstance(result, AsyncIterator):
        return loop.run(_all(result, on_item))
    if inspect.isgenerator(result) or type(result) in _LAZY:
        return _drained(result, on_item)
    return result


_LAZY: tuple[type, ...] = (map, filter, zip)
"""Iterators that run the user's code only as they are read, as a generator does."""


def _drained(items: Iterator[Any], on_item: OnItem | None) -> Any:
    kept: list[Any] = []
    while True:
        try:
            item = next(items)
        except StopIteration as end:
            return kept if end.value is None else end.value
        _keep(kept, item, on_item)


async def _awaited(result: Any) -> Any:
    return await result


async def _all(items: AsyncIterator[Any], on_item: OnItem | None) -> list[Any]:
    kept: list[Any] = []
    async for item in items:
        _keep(kept, item, on_item)
    return kept


def _keep(kept: list[Any], item: Any, on_item: OnItem | None) -> None:
    """Add an item. Those of a prediction are its output; a training that yields for ever must not fill the memory."""
    kept.append(item)
    if on_item is not None:
        on_item(item)
    elif len(kept) > MAX_KEPT:
        del kept[0]
