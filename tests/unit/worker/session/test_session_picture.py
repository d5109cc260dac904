"""A tensor's picture: which part it is of, its size, its black and white."""

from __future__ import annotations

import base64

import numpy as np
import pytest
import torch

from jupyter_ext.worker.session.inspection.value_summary import MAX_SIDE, picture


def pixels(drawn: dict[str, object]) -> np.ndarray:
    """Return the pixels by row, column and channel."""
    data = np.frombuffer(base64.b64decode(str(drawn["pixels"])), np.uint8)
    return data.reshape(drawn["height"], drawn["width"], drawn["channels"])


def test_a_matrix_is_grey_from_its_smallest_to_its_largest() -> None:
    drawn = picture(torch.tensor([[0.0, 1.0], [2.0, 4.0]]))
    assert drawn is not None
    assert pixels(drawn)[:, :, 0].tolist() == [[0, 64], [128, 255]]
    assert drawn["of"] == ""


@pytest.mark.parametrize("shape", [(3, 8, 6), (5, 3, 8, 6), (8, 6, 3), (2, 8, 6, 3)])
def test_three_channels_are_colours(shape: tuple[int, ...]) -> None:
    drawn = picture(torch.rand(shape))
    assert drawn is not None
    assert (drawn["width"], drawn["height"], drawn["channels"]) == (6, 8, 3)
    assert drawn["of"] == ("[0]" if len(shape) == 4 else "")


def test_of_many_planes_it_is_the_first() -> None:
    tensor = torch.zeros(4, 5, 2, 2)
    tensor[0, 0, 1, 1] = 1
    drawn = picture(tensor)
    assert drawn is not None
    assert drawn["of"] == "[0, 0]"
    assert pixels(drawn)[1, 1, 0] == 255


def test_large_planes_are_averaged() -> None:
    drawn = picture(np.tile(np.array([[0, 255]], dtype="u1"), (1000, 500)))
    assert drawn is not None
    assert (drawn["width"], drawn["height"]) == (MAX_SIDE, MAX_SIDE)


def test_nan_and_inf_do_not_spoil_the_rest() -> None:
    drawn = picture(torch.tensor([[float("nan"), 0.0], [float("inf"), 10.0]]))
    assert drawn is not None
    assert pixels(drawn)[:, :, 0].tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize(
    "value",
    [torch.zeros(5), torch.zeros(0, 3), torch.zeros(1, 1), torch.zeros(2, 2, dtype=torch.cfloat), "text", 3],
)
def test_where_there_is_nothing_to_see_there_is_no_picture(value: object) -> None:
    assert picture(value) is None
