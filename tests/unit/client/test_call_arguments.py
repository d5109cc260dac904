"""Arguments of a call: what cannot be sent is named as the caller wrote it."""

from __future__ import annotations

import pytest
import torch

from jupyter_ext.client.requests.call_arguments import encode_arguments
from jupyter_ext.errors import CannotTravel


@pytest.mark.parametrize(
    ("value", "says"),
    [
        (torch.eye(2).to_sparse(), "argument x is a torch.sparse_coo tensor; give `.to_dense()` of it."),
        (torch.ones(2, device="meta"), "argument x is a tensor on the device meta"),
        ([0, object()], "argument x[1] is a builtins.object"),
    ],
)
def test_arguments_are_refused_by_name(value: object, says: str) -> None:
    with pytest.raises(CannotTravel) as by_name:
        encode_arguments({"named": {"x": value}, "positional": []})
    assert str(by_name.value).startswith(says)
    with pytest.raises(CannotTravel) as by_place:
        encode_arguments({"args": [1, value], "kwargs": {}})
    assert str(by_place.value).startswith(says.replace("argument x", "argument 2"))
    with pytest.raises(CannotTravel) as prompt:
        encode_arguments({"prompt": value, "options": {}})
    assert str(prompt.value).startswith(says.replace("argument x", "the prompt"))
