"""Whatever comes in, what goes out is strict JSON in UTF-8, bounded, and says what was cut."""

from __future__ import annotations

import json
import math
import random
from typing import Any

import pytest

from jupyter_ext.ipc import json_values
from jupyter_ext.ipc.json_values import Limits, bounded, clean, dump, fault
from jupyter_ext.protocol.trainings import Progress, Training, Urls

_ODD = [
    math.nan,
    math.inf,
    -math.inf,
    "\udce9",
    "a\ud83dz",
    "\U0001f600",
    "",
    10**300,
    -0.0,
    None,
    True,
    "\0",
]


def odd_value(rng: random.Random, depth: int = 0) -> Any:
    """Make a value as a worker, a client or a file may bring it."""
    kind = rng.random()
    if depth > 5 or kind < 0.5:
        return rng.choice([*_ODD, rng.random(), rng.randrange(10**9), "x" * rng.randrange(50)])
    size = rng.randrange(4)
    if kind < 0.7:
        return [odd_value(rng, depth + 1) for _ in range(size)]
    if kind < 0.8:
        return tuple(odd_value(rng, depth + 1) for _ in range(size))
    return {rng.choice(["a", "b\udcff", "ü", 1, None]): odd_value(rng, depth + 1) for _ in range(size)}


def deep(levels: int) -> Any:
    value: Any = "bottom"
    for level in range(levels):
        value = [value] if level % 2 else {"in": value}
    return value


def strict(data: bytes) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(data.decode("utf-8"), parse_constant=refuse)


@pytest.mark.parametrize("seed", range(300))
def test_any_value_becomes_strict_json_and_is_stable(seed: int) -> None:
    value = odd_value(random.Random(seed))
    cleaned = clean(value)
    assert strict(json.dumps(cleaned, ensure_ascii=False, allow_nan=False).encode()) == cleaned
    assert clean(cleaned) == cleaned
    assert fault(cleaned) is None
    assert strict(dump(value)) == strict(dump(cleaned))


@pytest.mark.parametrize("seed", range(100))
def test_a_resource_takes_any_value_and_comes_back_the_same(seed: int) -> None:
    rng = random.Random(seed)
    training = Training(
        id="a",
        model="local/m",
        version="v",
        status="succeeded",
        created_at="2026-01-01T00:00:00Z",
        name=rng.choice(["n", "n\udce9", "ü"]),
        urls=Urls(get="", cancel=""),
        input={"x": odd_value(rng)},
        output=odd_value(rng),
        notices=["\udcff", "fine"],
        progress=Progress(current=rng.choice([1.0, math.inf, math.nan]), total=math.inf),
        metrics={"m": odd_value(rng)},
    )
    text = training.model_dump_json()
    content = strict(text.encode())
    assert content == strict(dump(training.model_dump(mode="json")))
    assert Training.model_validate(content).model_dump_json() == text


def test_numbers_that_are_not_finite_are_texts() -> None:
    assert clean([math.nan, math.inf, -math.inf, 1.5]) == ["NaN", "Infinity", "-Infinity", 1.5]


def test_keys_that_become_the_same_are_all_kept() -> None:
    keys = [chr(0xDC80), chr(0xDC81)]
    assert list(clean(dict(zip(keys, [1, 2], strict=True))).values()) == [1, 2]


@pytest.mark.parametrize("levels", [63, 64, 65, 480, 50_000])
def test_depth_is_bounded(levels: int) -> None:
    cleaned, cut = bounded(deep(levels), path="output")
    assert bool(cut) == (levels > json_values.MAX_DEPTH)
    assert strict(dump({"output": cleaned})) == {"output": cleaned}
    assert dump(deep(levels)).decode()
    assert (fault(deep(levels)) is None) == (levels <= json_values.MAX_DEPTH)
    assert strict(dump(cleaned)) == cleaned


def test_items_and_texts_are_bounded_and_what_was_cut_is_named() -> None:
    limits = Limits(items=10, text_chars=5, chars=20)
    cleaned, cut = bounded({"a": list(range(100)), "b": "short", "c": "too long a text"}, limits, "input")
    assert cleaned["a"][-1] == "… (91 more)"
    assert cut == ["input.a", "input"]
    cleaned, cut = bounded(["too long a text", "fine"], limits, "input")
    assert cleaned == ["too l… (15 characters)", "fine"]
    assert cut == ["input.0"]


@pytest.mark.parametrize(
    ("value", "path", "reason"),
    [
        ({"input": {"lr": math.inf}}, "input.lr", "Infinity"),
        ({"input": {"names": ["a", "b\udce9"]}}, "input.names.1", "U+DCE9"),
        ({"tags": {"\udce9": 1}}, "tags.\ufffd", "name"),
        ({"input": deep(100)}, "input", "nested deeper than 64"),
    ],
)
def test_a_fault_names_the_place_and_the_value(value: Any, path: str, reason: str) -> None:
    found = fault(value)
    assert found is not None
    assert found[0].startswith(path)
    assert reason in found[1]
