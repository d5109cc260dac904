"""Inputs read from a signature's text."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_ext.protocol.schema.literals import parse_literal
from jupyter_ext.protocol.schema.signature import from_source

SIGNATURE = """
def train(
    epochs: int = Input(5, ge=1, le=100, description="Passes"),
    lr: Annotated[float, Field(gt=0)] = 1e-3,
    optimizer: Literal["adam", "sgd"] = "adam",
    layers: list[int] = [1, 2],
    name=None,
    decay=0.1,
    *,
    must: str,
    path: Path | None = None,
    weights=compute(),
): ...
"""


@pytest.fixture
def inputs() -> Any:
    found = from_source(SIGNATURE)
    assert found is not None
    return found


def problems(inputs: Any, **given: Any) -> dict[str, tuple[str, str]]:
    _, wrong = inputs.validate({"must": "x", **given})
    return {item.field: (item.type, item.description) for item in wrong}


def test_a_text_without_the_function_is_a_script() -> None:
    assert from_source("x = 1\nclass A:\n    def train(self): ...") is None


def test_schema_carries_order_defaults_and_constraints(inputs: Any) -> None:
    schema = inputs.json_schema()
    properties = schema["properties"]
    assert [name for name, _ in sorted(properties.items(), key=lambda item: item[1]["x-order"])] == [
        "epochs", "lr", "optimizer", "layers", "name", "decay", "must", "path", "weights",
    ]  # fmt: skip
    assert properties["epochs"] | {"title": ""} == {
        "default": 5,
        "description": "Passes",
        "maximum": 100,
        "minimum": 1,
        "title": "",
        "type": "integer",
        "x-order": 0,
    }
    assert properties["lr"]["exclusiveMinimum"] == 0
    assert properties["optimizer"]["enum"] == ["adam", "sgd"]
    assert schema["required"] == ["must"]
    assert "default" not in properties["weights"]


def test_only_given_inputs_come_back_in_their_declared_types(inputs: Any) -> None:
    assert inputs.validate({"must": "a", "epochs": "7", "lr": 1}) == (
        {"must": "a", "epochs": 7, "lr": 1.0},
        [],
    )


@pytest.mark.parametrize(
    ("given", "field", "word", "says"),
    [
        ({"must": None}, "input.must", "type", "must=None"),
        ({"epochs": 0}, "input.epochs", "number_gte", "greater than or equal to 1"),
        ({"epochs": 2.5}, "input.epochs", "type", "2.5"),
        ({"lr": "fast"}, "input.lr", "type", "lr='fast'"),
        ({"lr": 0}, "input.lr", "number_gt", "greater than 0"),
        ({"optimizer": "adm"}, "input.optimizer", "enum", "'adam' or 'sgd'"),
        ({"epoch": 3}, "input.epoch", "additional_property_not_allowed", "did you mean 'epochs'?"),
        ({"zzz": 3}, "input.zzz", "additional_property_not_allowed", "it takes epochs, lr"),
    ],
)
def test_what_is_wrong_is_named(inputs: Any, given: dict[str, Any], field: str, word: str, says: str) -> None:
    wrong = problems(inputs, **given)
    assert list(wrong) == [field]
    assert wrong[field][0] == word
    assert says in wrong[field][1]


def test_a_missing_input_is_named_with_its_type(inputs: Any) -> None:
    _, wrong = inputs.validate({})
    assert [(item.type, item.field) for item in wrong] == [("required", "input.must")]
    assert "must (str) is required" in wrong[0].description


def test_texts_become_values_by_type(inputs: Any) -> None:
    texts = {"epochs": "3", "lr": "1e-4", "layers": "[3, 4]", "must": "123", "path": "data/x", "name": "true"}
    assert inputs.parse_text(texts) == {
        "epochs": 3,
        "lr": 1e-4,
        "layers": [3, 4],
        "must": "123",
        "path": "data/x",
        "name": True,
    }


def test_keyword_arguments_are_let_through() -> None:
    inputs = from_source("def train(a=1, **others): ...")
    assert inputs is not None
    assert inputs.validate({"b": 2}) == ({"b": 2}, [])


def test_constraints_that_do_not_fit_the_type_do_not_break_the_rest() -> None:
    inputs = from_source("def train(a: str = Input('x', ge=1), b: Thing = None): ...")
    assert inputs is not None
    assert inputs.validate({"a": "y", "b": 5}) == ({"a": "y", "b": 5}, [])


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 1e-3),
        ("true", True),
        ("None", None),
        ("[1,2]", [1, 2]),
        ('{"a": null}', {"a": None}),
        ("adam", "adam"),
    ],
)
def test_literals(text: str, value: Any) -> None:
    assert parse_literal(text) == value
