"""What an entry returns is run to its end, and files in it are found wherever they stand."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.worker.runtime.arguments import Files
from jupyter_ext.worker.runtime.output_files import MAX_FILES, places
from jupyter_ext.worker.training.entry import call


def plain(n: int) -> int:
    return n + 1


async def coroutine(n: int) -> int:
    return n + 1


def generator(n: int) -> Any:
    yield from range(n)


async def async_generator(n: int) -> Any:
    for number in range(n):
        yield number


class Awaitable:
    def __await__(self) -> Any:
        return plain(1)
        yield


def gives_awaitable(n: int) -> Any:
    return Awaitable()


def lazy(n: int) -> Any:
    return map(plain, range(n))


async def gives_generator(n: int) -> Any:
    return generator(n)


def by_position(lr: float, steps: int = 2, /, width: int = 3, *, deep: bool = False) -> list[object]:
    return [lr, steps, width, deep]


@pytest.mark.parametrize(
    ("given", "got"),
    [
        ({"lr": 0.1}, [0.1, 2, 3, False]),
        ({"lr": 0.1, "deep": True, "width": 5, "steps": 4}, [0.1, 4, 5, True]),
        ({"lr": 0.1, "width": 5}, [0.1, 2, 5, False]),
    ],
)
def test_inputs_that_go_by_position_only(tmp_path: Path, given: dict[str, Any], got: list[object]) -> None:
    assert call(by_position, given, Files(tmp_path, tmp_path)) == got
    with pytest.raises(TypeError, match="missing 1 required positional argument: 'lr'"):
        call(by_position, {}, Files(tmp_path, tmp_path))


@pytest.mark.parametrize(
    ("function", "result"),
    [
        (plain, 3),
        (coroutine, 3),
        (generator, [0, 1]),
        (async_generator, [0, 1]),
        (gives_awaitable, 2),
        (lazy, [1, 2]),
        (gives_generator, [0, 1]),
    ],
)
def test_whatever_is_returned_is_run_to_its_end(tmp_path: Path, function: Any, result: Any) -> None:
    assert call(function, {"n": 2}, Files(tmp_path, tmp_path)) == result


@pytest.mark.parametrize("function", [generator, async_generator, lazy])
def test_items_are_told_as_they_come(tmp_path: Path, function: Any) -> None:
    told: list[Any] = []
    result = call(function, {"n": 3}, Files(tmp_path, tmp_path), on_item=told.append)
    assert told == result


class SetUp:
    def setup(self, weights: str | None = None) -> None:
        self.weights = weights

    def predict(self, n: int) -> list[Any]:
        return [self.weights, n]


class AsyncSetUp:
    async def setup(self) -> None:
        self.ready = True

    async def predict(self, n: int, weights: str = "none") -> list[Any]:
        return [self.ready, weights, n]


class Bare:
    async def predict(self, n: int) -> Any:
        for number in range(n):
            yield number


@pytest.mark.parametrize(("kind", "result"), [(SetUp, ["w", 1]), (AsyncSetUp, [True, "w", 1]), (Bare, [0])])
def test_a_class_is_set_up_and_gets_its_weights_where_it_takes_them(
    tmp_path: Path, kind: type, result: Any
) -> None:
    assert call(kind, {"n": 1, "weights": "w"}, Files(tmp_path, tmp_path), method="predict") == result


@dataclasses.dataclass
class Output:
    weights: Path
    notes: str
    others: dict[str, Any]


def test_paths_are_found_wherever_they_stand() -> None:
    value = {"a": [1, Path("x")], "b": Output(Path("w"), "text", {"c": (Path("y"), "z")}), 3: Path("n")}
    assert places(value) == [["a", 1], ["b", "weights"], ["b", "others", "c", 0], [3]]
    assert places(Path("whole")) == [[]]
    assert places("text") == places(None) == []


def test_cycles_and_endless_lists_are_no_trouble() -> None:
    cycle: list[Any] = [Path("x")]
    cycle.append(cycle)
    assert places(cycle) == [[0]]
    assert len(places([Path("x")] * (2 * MAX_FILES))) == MAX_FILES
    deep: Any = Path("x")
    for _ in range(500):
        deep = [deep]
    assert places(deep) == []
