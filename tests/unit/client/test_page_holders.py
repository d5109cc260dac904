"""What in a kernel still holds a model's pages is named."""

from __future__ import annotations

import gc
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from model_tools import save

from jupyter_ext.client.models.page_holders import holders
from jupyter_ext.weights import loader


@pytest.fixture
def path(tmp_path: Path) -> Path:
    tensors = {"weight": torch.randn(8, 4), "bias": torch.randn(8), "big": torch.randn(2048)}
    return save(tmp_path / "model.safetensors", tensors)


class Linear(torch.nn.Linear):
    def __init__(self) -> None:
        super().__init__(4, 8)
        self.big = torch.nn.Parameter(torch.zeros(2048))


def module(path: Path) -> torch.nn.Module:
    found = loader.load(path, Linear).module
    assert found is not None
    return found


def test_nothing_is_held_where_nothing_is_mapped(path: Path) -> None:
    assert holders([path], {"net": torch.nn.Linear(4, 8), "x": torch.zeros(3)}) == []


def test_variables_outputs_and_views_are_named(path: Path) -> None:
    net = module(path)
    space: dict[str, Any] = {"net": net, "other": torch.nn.Linear(4, 8), "x": 5}
    assert holders([path], space) == ["variable net"]
    view = net.get_parameter("big").detach()[:1]
    space = {
        "deep": {"list": [1, (2, view)]},
        "Out": {5: net.weight, 6: "text"},
        "_5": net.weight,
        "_": net.weight,
    }
    assert holders([path], space) == ["Out[5]", "variable deep"]
    space = {"step": (lambda kept: lambda: kept)(view)}
    assert holders([path], space) == ["variable step"]
    del net, view, space
    gc.collect()
    assert holders([path], {}) == []


def test_the_last_traceback_is_named(path: Path) -> None:
    def fails() -> None:
        inner = module(path)
        raise ValueError(type(inner).__name__)

    try:
        fails()
    except ValueError as error:
        sys.last_value = error
    try:
        assert holders([path], {"x": 1}) == ["the last traceback (sys.last_value)"]
    finally:
        del sys.last_value
    gc.collect()
    assert holders([path], {"x": 1}) == []


def test_what_no_name_reaches_is_still_told(path: Path) -> None:
    net = module(path)
    assert holders([path], {}) == ["3 tensors that no variable reaches"]
    assert net is not None
