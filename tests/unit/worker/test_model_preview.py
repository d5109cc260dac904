"""What a person who tries a model sees of its inputs and outputs."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
import torch

from jupyter_ext.ipc import json_values
from jupyter_ext.worker.model_host import preview
from jupyter_ext.worker.model_host.preview import BadRequest, arguments, summaries


def test_texts_are_one_argument_and_tensors_one_each() -> None:
    assert arguments({"texts": ["a", "b"]}) == [["a", "b"]]
    first, second = arguments(
        {
            "tensors": [
                {"shape": [2, 3], "dtype": "bfloat16", "fill": "normal"},
                {"literal": [[1, 2.5]], "dtype": "float64"},
            ]
        }
    )
    assert (first.shape, first.dtype) == ((2, 3), torch.bfloat16)
    assert first.float().std() > 0
    assert torch.equal(second, torch.tensor([[1, 2.5]], dtype=torch.float64))


@pytest.mark.parametrize(
    "dtype", ["float32", "float16", "bfloat16", "float64", "int64", "int32", "uint8", "bool"]
)
@pytest.mark.parametrize("fill", ["normal", "uniform", "zeros", "ones", "arange"])
def test_every_dtype_is_filled_in_every_way(dtype: str, fill: str) -> None:
    (made,) = arguments({"tensors": [{"shape": [3, 4], "dtype": dtype, "fill": fill}]})
    assert (made.shape, made.dtype) == ((3, 4), getattr(torch, dtype))
    if fill in ("zeros", "ones"):
        assert made.float().unique().tolist() == [float(fill == "ones")]
    if fill == "arange" and dtype != "bool":
        assert made.reshape(-1).tolist() == list(range(12))


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ({}, "Give texts"),
        ({"texts": []}, "Give texts"),
        ({"texts": ["x"] * 40}, "40 texts"),
        ({"tensors": [{"shape": [2, -1]}]}, "no shape"),
        ({"tensors": [{"shape": [10**5, 10**5]}]}, "10,000,000,000 numbers"),
        ({"tensors": [{"shape": [2], "dtype": "float8"}]}, "'float8' is no dtype"),
        ({"tensors": [{"shape": [2], "fill": "ramp"}]}, "'ramp' is no way"),
        ({"tensors": [{"literal": [[1], [2, 3]]}]}, "make no float32 tensor"),
        ({"tensors": [{"literal": ["a"]}]}, "make no float32 tensor"),
    ],
)
def test_what_cannot_be_made_is_refused_in_one_line(asked: dict[str, object], said: str) -> None:
    with pytest.raises(BadRequest, match=said) as refused:
        arguments(asked)
    assert "\n" not in str(refused.value)


def test_a_tensor_is_told_in_numbers_and_bins() -> None:
    values = torch.linspace(-1, 3, 401).reshape(1, 401)
    (told,) = summaries({"last_hidden_state": values})
    assert told["name"] == "last_hidden_state"
    assert (told["shape"], told["dtype"]) == ([1, 401], "float32")
    assert (told["min"], told["max"]) == (-1, 3)
    assert told["mean"] == pytest.approx(1)
    assert told["std"] == pytest.approx(values.std(correction=0).item())
    assert sum(told["histogram"]["counts"]) == 401
    assert (told["histogram"]["from"], told["histogram"]["to"]) == (-1, 3)
    assert len(told["first"]) == 8


def test_values_that_are_not_finite_are_counted_and_json_can_carry_them() -> None:
    (told,) = summaries(torch.tensor([math.nan, math.inf, -math.inf, 1.0, 2.0]))
    assert told["num_nonfinite"] == 3
    assert (told["min"], told["max"], told["mean"]) == (1, 2, 1.5)
    assert told["first"][:4] == ["NaN", "Infinity", "-Infinity", 1.0]
    (nothing_finite,) = summaries(torch.tensor([math.nan]))
    assert "min" not in nothing_finite
    json.dumps([told, nothing_finite], allow_nan=False)


@pytest.mark.parametrize(
    "value",
    [
        torch.zeros(0, 3),
        torch.tensor(2.5),
        torch.ones(4, dtype=torch.bool),
        torch.ones(2, dtype=torch.complex64),
        torch.full((5,), 7),
        np.arange(6, dtype=np.uint8),
        [[1.0, 2.0], [3.0, 4.0]],
        torch.randn(3, 5, dtype=torch.bfloat16).T,
    ],
    ids=lambda value: str(getattr(value, "dtype", "list")),
)
def test_odd_tensors_are_told_too(value: object) -> None:
    (told,) = summaries(value)
    assert told["kind"] == "tensor"
    assert told["shape"] == list(np.shape(value.float().numpy() if told["dtype"] == "bfloat16" else value))  # type: ignore[attr-defined]


def test_vectors_of_texts_come_whole_with_their_likeness() -> None:
    vectors = torch.tensor([[1.0, 0.0], [2.0, 0.0], [0.0, 3.0]])
    (told,) = summaries(vectors.numpy(), ["a", "b", "c"])
    embeddings = told["embeddings"]
    assert embeddings["dimensions"] == 2
    assert embeddings["norms"] == [1, 2, 3]
    assert embeddings["vectors"] == vectors.tolist()
    assert embeddings["similarity"] == [[1, 1, 0], [1, 1, 0], [0, 0, 1]]
    assert "embeddings" not in summaries(vectors)[0]


def test_containers_texts_and_plain_values_have_their_names() -> None:
    told = summaries(
        {"labels": [{"label": "good", "score": 0.9}], "text": "hello", "logits": (torch.ones(1), None)}
    )
    assert [(item["name"], item["kind"]) for item in told] == [
        ("labels[0].label", "text"),
        ("labels[0].score", "value"),
        ("text", "text"),
        ("logits[0]", "tensor"),
        ("logits[1]", "value"),
    ]


def test_a_large_output_is_looked_at_in_part(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(preview, "MAX_SAMPLE", 100)
    (told,) = summaries(torch.arange(1000.0))
    assert (told["min"], told["max"]) == (0, 999)
    assert sum(told["histogram"]["counts"]) == 100


@pytest.mark.parametrize(
    "shape",
    [[10**400, 2], [2] * 65, [1 << 26, 1 << 26], [1 << 27], [1 << 26, 1 << 26, 0], [True], [1.0], "3", None],
)
def test_a_shape_that_nobody_can_have_is_refused_in_one_line(shape: object) -> None:
    with pytest.raises(BadRequest) as raised:
        arguments({"tensors": [{"shape": shape}]})
    assert len(str(raised.value)) < 400


ODD_NUMBERS = [float("nan"), float("inf"), -float("inf"), 1.7e308, -1.7e308, 5e-324, 0.0, 2.0**63]


@pytest.mark.parametrize(
    "result",
    [
        torch.tensor(ODD_NUMBERS, dtype=torch.float64),
        torch.tensor([ODD_NUMBERS, ODD_NUMBERS], dtype=torch.float64),
        torch.tensor([float("nan")] * 3),
        torch.tensor([[float("inf")], [1.0]], dtype=torch.float16),
        torch.tensor([1.7e308, -1.7e308], dtype=torch.float64),
        torch.arange(8, dtype=torch.uint8).view(torch.float8_e4m3fn),
        torch.arange(8, dtype=torch.uint8).view(torch.float8_e5m2fnuz),
        torch.arange(8, dtype=torch.uint8).view(torch.float8_e8m0fnu),
        torch.arange(8).to(torch.uint16),
        torch.tensor([2**64 - 1, 0], dtype=torch.uint64),
        torch.zeros(3, dtype=torch.complex64),
        {"score": float("nan"), "\ud800": [float("inf"), "\udfff text"]},
        np.array([np.nan, 1e300]),
        [None, b"\xff", float("-inf"), True],
    ],
)
def test_whatever_a_call_gives_can_be_told_in_strict_json(result: object) -> None:
    told = json_values.dump(summaries(result, ["a", "b"]))
    again = json.loads(told, parse_constant=pytest.fail)
    assert again
    assert {"name", "kind"} <= again[0].keys()
