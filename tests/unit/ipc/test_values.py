"""What comes back is of the kind that went in, exactly; what cannot be carried is refused by name."""

from __future__ import annotations

import json
import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from PIL import Image

from jupyter_ext.ipc import values


def there_and_back(value: object) -> object:
    """Send a value through JSON and bytes."""
    tree, blobs = values.encode(value)
    received = [memoryview(bytearray(blob)) for blob in blobs]
    return values.decode(json.loads(json.dumps(tree, allow_nan=False)), received)


@pytest.mark.parametrize(
    "value",
    [
        None,
        True,
        0,
        -3,
        2**53,
        -(2**200),
        1.5,
        float("inf"),
        -float("inf"),
        1 + 2j,
        "ä",
        b"\x00\xff",
        [1, (2, "x")],
        {"a": [1], 2: None},
    ],
)
def test_plain_values(value: object) -> None:
    """Python's own come back equal and of the same type."""
    result = there_and_back(value)
    assert result == value
    assert type(result) is type(value)


def test_nan() -> None:
    """NaN stays NaN."""
    result = there_and_back(float("nan"))
    assert isinstance(result, float)
    assert math.isnan(result)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6, dtype="<f8").reshape(2, 3),
        np.arange(6, dtype=">i4"),
        np.arange(24).reshape(2, 3, 4)[:, ::2, ::-1],
        np.array(3.5, dtype="f4"),
        np.empty((0, 4), dtype="u1"),
        np.array([True, False]),
        np.array([1 + 1j]),
        np.array(["2026-01-01", "NaT"], dtype="M8[ns]"),
        np.array([["a", "bc"], ["", "ä"]]),
        np.array(["x", "y"], dtype=object),
        np.array([np.nan, np.inf], dtype="f2"),
    ],
    ids=lambda array: f"{array.dtype}{array.shape}",
)
def test_arrays(array: np.ndarray) -> None:
    """Arrays keep dtype, byte order, shape and every bit."""
    result = there_and_back(array)
    assert isinstance(result, np.ndarray)
    assert result.dtype == array.dtype
    np.testing.assert_array_equal(result, array)


def test_numpy_scalar() -> None:
    """A numpy scalar stays one."""
    result = there_and_back(np.float32(0.1))
    assert isinstance(result, np.float32)
    assert result == np.float32(0.1)


@pytest.mark.parametrize(
    "dtype", ["float32", "float64", "bfloat16", "float16", "int64", "uint8", "bool", "complex64"]
)
def test_tensors(dtype: str) -> None:
    """Tensors keep dtype, shape and every bit, whatever their strides."""
    tensor = torch.randn(4, 6).mul(10).to(getattr(torch, dtype)).t()[::2]
    result = there_and_back(tensor)
    assert isinstance(result, torch.Tensor)
    assert result.dtype is tensor.dtype
    assert torch.equal(result, tensor)


@pytest.mark.parametrize("tensor", [torch.tensor(3.0), torch.empty(0, 3), torch.ones(2, requires_grad=True)])
def test_odd_tensors(tensor: torch.Tensor) -> None:
    """No dimensions, no elements, a gradient: all travel."""
    result = there_and_back(tensor)
    assert isinstance(result, torch.Tensor)
    assert result.shape == tensor.shape
    assert torch.equal(result, tensor.detach())


def test_received_tensor_can_be_changed() -> None:
    """What was received belongs to the receiver."""
    result = there_and_back(torch.zeros(3))
    assert isinstance(result, torch.Tensor)
    result += 1
    assert result.tolist() == [1, 1, 1]


def test_frames() -> None:
    """Frames and series keep columns, dtypes and index."""
    frame = pd.DataFrame(
        {
            "x": [1.0, np.nan],
            "n": [1, 2],
            "s": ["a", None],
            "t": pd.to_datetime(["2026-01-01", "2026-01-02"]),
        },
        index=["p", "q"],
    )
    result = there_and_back(frame)
    assert isinstance(result, pd.DataFrame)
    pd.testing.assert_frame_equal(result, frame)
    series = pd.Series([1, 2], name="y")
    pd.testing.assert_series_equal(there_and_back(series), series)


def test_images() -> None:
    """An image keeps mode, size and pixels."""
    image = Image.fromarray(np.arange(24, dtype="u1").reshape(2, 4, 3))
    result = there_and_back(image)
    assert isinstance(result, Image.Image)
    assert (result.mode, result.size, result.tobytes()) == (image.mode, image.size, image.tobytes())


def test_strangers_are_refused_by_name() -> None:
    """The text says where in the value it is and what it is."""
    with pytest.raises(values.CannotTravel, match=r"the value\['a'\]\[1\] is a builtins.object"):
        values.encode({"a": [1, object()]})


@pytest.mark.parametrize(
    "tree",
    [
        {"k": "array", "dtype": "<f8", "shape": [2], "b": 0},
        {"k": "array", "dtype": "O", "shape": [1], "b": 0},
        {"k": "tensor", "dtype": "load", "shape": [1], "b": 0},
        {"k": "bytes", "b": 7},
        {"k": "pickle", "b": 0},
        ["a"],
    ],
)
def test_lies_are_refused(tree: object) -> None:
    """Wrong sizes, unknown kinds, missing blobs."""
    with pytest.raises(ValueError, match=r"\w"):
        values.decode(tree, [memoryview(bytearray(8))])


@pytest.mark.parametrize(
    "tree",
    [
        {"k": ["list"]},
        {"k": "list"},
        {"k": "list", "v": 3},
        {"k": "dict", "v": [[{"k": "list", "v": []}, 1]]},
        {"k": "array", "shape": [2], "b": 0},
        {"k": "array", "dtype": "<f8, [", "shape": [1], "b": 0},
        {"k": "array", "dtype": "<f8", "shape": [10**4000] * 100, "b": 0},
        {"k": "array", "dtype": "<f8", "shape": [-1], "b": 0},
        {"k": "array", "dtype": "<f8", "shape": "1", "b": 0},
        {"k": "strings", "dtype": "<U1000000000", "shape": [1], "v": ["a"]},
        {"k": "strings", "dtype": "<f8", "shape": [1], "v": ["a"]},
        {"k": "image", "mode": "RGB", "size": [100_000, 100_000], "b": 0},
        {"k": "image", "mode": "?", "size": [1, 1], "b": 0},
        {"k": "image", "mode": "RGB", "size": [1], "b": 0},
        {"k": "complex", "v": [1, 2, 3]},
        {"k": "frame", "index": {"range": [0, 10]}, "v": [], "names": [1, 2]},
    ],
    ids=lambda tree: str(tree)[:40],
)
def test_what_is_no_value_is_refused_before_it_takes_memory(tree: Any) -> None:
    with pytest.raises(ValueError, match=r"^[^\n]+$"):
        values.decode(tree, [memoryview(bytearray(8))])


def test_a_tree_that_is_too_deep_is_refused() -> None:
    tree: Any = 1
    for _ in range(50_000):
        tree = {"k": "list", "v": [tree]}
    with pytest.raises(ValueError, match="RecursionError"):
        values.decode(tree, [])
