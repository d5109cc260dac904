"""What a sweep searches, as a person writes it."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.client.capture.capture import capture_function
from jupyter_ext.client.sweeps.api import SweepOptions
from jupyter_ext.client.sweeps.space import (
    Dimension,
    check,
    choice,
    integer,
    is_dimension,
    loguniform,
    misspelt,
    parse,
    read_space,
    uniform,
)
from jupyter_ext.errors import InvalidInput
from jupyter_ext.worker.sdk.inputs import Input


def fit(lr: float = Input(0.1, gt=0, le=1), width: int = 8, act: str = "relu") -> float:
    return lr * width


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("uniform(0, 1)", uniform(0, 1)),
        ("loguniform(1e-4,1e-1)", loguniform(1e-4, 1e-1)),
        (" integer( 1, 8 ) ", integer(1, 8)),
        ("choice(64, 128)", choice(64, 128)),
        ("choice(relu, gelu)", choice("relu", "gelu")),
        ("choice('a b', None, True, 0.5)", choice("a b", None, True, 0.5)),
    ],
)
def test_a_text_is_read_and_comes_back(text: str, expected: Dimension) -> None:
    assert is_dimension(text)
    assert parse(text) == expected
    assert parse(repr(expected)) == expected
    assert Dimension.from_json(expected.as_json()) == expected


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("uniform(1)", "smallest and the largest"),
        ("uniform(2, 1)", "smaller than the second"),
        ("uniform(a, b)", "smallest and the largest"),
        ("loguniform(0, 1)", "above 0"),
        ("integer(0.5, 2)", "whole numbers"),
        ("choice()", "no options"),
        ("choice([1], [2])", "is a list"),
        ("gauss(0, 1)", "no range to search"),
        ("choice(uniform(0,1),2)", "not nested"),
        ("choice(relu,[1])", "not nested"),
        ("uniform(True, False)", "as numbers"),
        ("uniform(0, nan)", "as numbers"),
        ("uniform(0, 1e999)", "as numbers"),
        (f"uniform(0, 1{'0' * 400})", "as numbers"),
        ("uniform(-1.7e308, 1.7e308)", "too wide"),
        ("integer(1, 100000000000000000000)", "narrow it"),
        ("choice(1e999, 1)", "no number to try"),
    ],
)
def test_what_is_no_range_is_refused_by_name(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        parse(text)


def test_a_space_takes_dimensions_texts_and_lists() -> None:
    space = read_space({"lr": loguniform(1e-4, 1), "width": [64, 128], "act": "choice(relu,gelu)"})
    assert [one.kind for one in space.values()] == ["loguniform", "choice", "choice"]
    with pytest.raises(InvalidInput, match="at least one input"):
        read_space({})
    with pytest.raises(InvalidInput, match="depth=3 is an int"):
        read_space({"depth": 3})
    with pytest.raises(InvalidInput, match=r"width: choice\(\) has no options"):
        read_space({"width": []})
    with pytest.raises(InvalidInput, match="is a bytes and no range"):
        read_space({"width": b"ab"})
    with pytest.raises(InvalidInput, match="give ranges by name"):
        read_space([("lr", [1])])  # type: ignore[arg-type]


@pytest.mark.parametrize("ends", [("a", "b"), (0, None), ([0], [1])])
def test_ends_in_python_are_numbers(ends: tuple[Any, Any]) -> None:
    for make in (uniform, loguniform, integer):
        with pytest.raises(InvalidInput, match="as numbers"):
            make(*ends)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("log_uniform(1e-4, 1)", "loguniform(1e-4, 1e-1)"),
        ("Loguniform(1,2)", "loguniform(1e-4, 1e-1)"),
        ("chioce(relu,gelu)", "choice(64, 128)"),
        ("choice(1", "choice(64, 128)"),
        ("choice(1, 2)", None),
        ("f(x)", None),
        ("relu", None),
    ],
)
def test_a_range_that_is_misspelt_is_no_value(text: str, meant: str | None) -> None:
    assert misspelt(text) == meant


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"trials": 0}, "trials=0 is no number from 1"),
        ({"trials": -5}, "trials=-5"),
        ({"trials": 1e9}, "trials=1000000000.0"),
        ({"trials": 10**9}, "from 1 to 100,000"),
        ({"parallel": 0}, "parallel=0"),
        ({"seed": -1}, "seed=-1"),
        ({"seed": 2**32}, "seed=4294967296"),
        ({"metric": ""}, "no metric's name"),
        ({"direction": "up"}, "neither minimize nor maximize"),
    ],
)
def test_options_that_cannot_be_are_refused(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        SweepOptions(**options)


@pytest.mark.parametrize(
    ("space", "fixed", "says"),
    [
        ({"lr": uniform(0.1, 2)}, {}, "lr=2.0"),
        ({"lr": uniform(0.1, 1), "widht": choice(1)}, {}, "did you mean 'width'"),
        ({"width": choice(1, "wide")}, {}, "width='wide'"),
        ({"width": uniform(1, 8)}, {}, "width=3."),
        ({"lr": uniform(0.1, 1)}, {"lr": 0.5}, "given both"),
    ],
)
def test_ends_that_the_function_would_refuse_are_refused_before_anything_starts(
    space: dict[str, Dimension], fixed: dict[str, Any], says: str
) -> None:
    bundle = capture_function(fit)
    check(bundle, {"lr": uniform(0.1, 1)}, {"width": 4})
    with pytest.raises(InvalidInput, match=says):
        check(bundle, space, fixed)


def test_the_steps_that_are_compared_are_the_same_for_all_and_get_fewer() -> None:
    pytest.importorskip("optuna")
    from jupyter_ext.client.sweeps.study import is_compared

    compared = [step for step in range(100_000) if is_compared(step)]
    assert compared[:64] == list(range(64))
    assert len(compared) < 1_000
    assert not is_compared(-1)
