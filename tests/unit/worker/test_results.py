"""What `train()` gave back: run to its end, summarised within bounds, and never a reason to fail."""

from __future__ import annotations

import asyncio
import json
import math
import time
from collections import OrderedDict, UserDict, defaultdict, deque, namedtuple
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import Enum
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest
import torch

from jupyter_ext.worker.runtime.arguments import Files
from jupyter_ext.worker.training import results
from jupyter_ext.worker.training.entry import call

Point = namedtuple("Point", "x y")


class Colour(Enum):
    RED = "red"


@dataclass
class Score:
    loss: float
    path: Path


class Model:
    def model_dump(self) -> dict[str, Any]:
        return {"a": torch.tensor(1.5)}


class Broken:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


class BrokenMapping(UserDict[str, int]):
    def __iter__(self) -> Iterator[str]:
        raise OSError("gone")


CONVERTED = {
    "numbers": ([1, 2.5, True, None], [1, 2.5, True, None]),
    "not finite": ([math.nan, math.inf, -math.inf], ["NaN", "Infinity", "-Infinity"]),
    "numpy": ([np.float32(2.5), np.int64(3), np.bool_(True), np.arange(3)], [2.5, 3, True, [0, 1, 2]]),
    "torch": ([torch.tensor(2.5), torch.ones(2, 1), torch.tensor(math.nan)], [2.5, [[1.0], [1.0]], "NaN"]),
    "half": (torch.tensor(1.5, dtype=torch.bfloat16), 1.5),
    "text": ("caf\udce9.txt", "caf\ufffd.txt"),
    "enum": (Colour.RED, "red"),
    "dates": (datetime(2026, 1, 2, tzinfo=UTC), "2026-01-02T00:00:00+00:00"),
    "decimal": (Decimal("0.10"), "0.10"),
    "bytes": (b"x", "b'x'"),
    "dataclass": (Score(0.5, Path("/a/b")), {"loss": 0.5, "path": "/a/b"}),
    "model": (Model(), {"a": 1.5}),
    "named tuple": (Point(1, 2), [1, 2]),
    "range": (range(3), [0, 1, 2]),
    "sets": ({3}, [3]),
    "deque": (deque([1]), [1]),
    "views": ({"a": 1}.keys(), ["a"]),
    "mappings": ([OrderedDict(a=1), defaultdict(int, b=2), MappingProxyType({"c": 3})], [{"a": 1}, {"b": 2}, {"c": 3}]),
    "class": (int, "<class 'int'>"),
    "broken repr": ({"ok": 1, "x": Broken()}, {"ok": 1, "x": "<Broken that cannot be read: RuntimeError>"}),
    "broken mapping": ([1, BrokenMapping(a=1)], [1, "<BrokenMapping that cannot be read: OSError>"]),
    "keys": ({1: "a", "1": "b", None: "c", 2.5: "d", ("x", 1): "e", np.int64(7): "f"},
             {"1": "a", "1 (str)": "b", "null": "c", "2.5": "d", "('x', 1)": "e", "7": "f"}),
}  # fmt: skip


@pytest.mark.parametrize("name", list(CONVERTED))
def test_values_become_json(name: str) -> None:
    value, expected = CONVERTED[name]
    found = results.summarize(value)
    assert found == expected
    json.dumps(found, allow_nan=False).encode()


def _circle() -> Any:
    history: dict[str, Any] = {"loss": [1.0]}
    history["self"] = history
    return history


def _deep(kind: type) -> Any:
    value: Any = kind()
    for _ in range(5000):
        value = [value] if kind is list else {"a": value}
    return value


HUGE = {
    "a circle": _circle,
    "deep lists": lambda: _deep(list),
    "deep dicts": lambda: _deep(dict),
    "many values": lambda: list(range(10_000_000)),
    "many keys": lambda: {str(number): number for number in range(300_000)},
    "long text": lambda: "x" * 50_000_000,
    "many long texts": lambda: ["y" * 90_000] * 1000,
    "an endless range": lambda: range(10**18),
    "a large int": lambda: 10**100_000,
    "a large tensor": lambda: torch.zeros(50_000_000),
    "weights": lambda: {f"layer.{number}": torch.zeros(1000, 1000) for number in range(30)},
    "bytes": lambda: b"x" * 10_000_000,
    "nested within": lambda: [[list(range(1000))] * 1000] * 1000,
}


@pytest.mark.parametrize("name", list(HUGE))
def test_a_summary_is_bounded(name: str) -> None:
    value = HUGE[name]()
    began = time.process_time()
    text = json.dumps(results.summarize(value), allow_nan=False)
    assert len(text) < 2_000_000
    assert time.process_time() - began < 10, "far below what turning all of it into text takes"


def test_keys_that_become_the_same_text_are_all_kept() -> None:
    value = {1: 1, "1": 2, 1.5: 3, "1.5": 4, True is False: 5, "false": 6}
    assert sorted(results.summarize(value).values()) == [1, 2, 3, 4, 5, 6]


def _generator() -> Iterator[int]:
    yield 1
    yield 2


def _returning() -> Any:
    yield 1
    return "end"


async def _async_generator() -> Any:
    for number in range(3):
        await asyncio.sleep(0)
        yield number


async def _coroutine() -> int:
    await asyncio.sleep(0)
    return 4


async def _of_a_generator() -> Any:
    return _generator()


async def _of_an_async_generator() -> Any:
    return _async_generator()


class Later:
    def __await__(self) -> Any:
        yield from asyncio.sleep(0).__await__()
        return 5


RUN = {
    "generator": (_generator, [1, 2]),
    "generator that returns": (_returning, "end"),
    "async generator": (_async_generator, [0, 1, 2]),
    "coroutine": (_coroutine, 4),
    "coroutine of a generator": (_of_a_generator, [1, 2]),
    "coroutine of an async generator": (_of_an_async_generator, [0, 1, 2]),
    "awaitable": (Later, 5),
    "plain": (lambda: {"a": 1}, {"a": 1}),
    "iterator that is a value": (lambda: 7, 7),
}


@pytest.mark.parametrize("name", list(RUN))
def test_whatever_was_only_prepared_is_run(name: str) -> None:
    function, expected = RUN[name]
    assert call(lambda: function(), {}, Files(Path("/"), Path("/"))) == expected


def test_weights_are_told_from_other_mappings() -> None:
    assert results.is_state_dict(torch.nn.Linear(2, 1).state_dict())
    assert not any(
        results.is_state_dict(value)
        for value in ({}, {"a": 1}, {1: torch.ones(1)}, [torch.ones(1)], {"a": np.ones(1)})
    )
