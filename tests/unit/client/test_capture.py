"""Cells and functions become bundles that run elsewhere."""

from __future__ import annotations

import math
import threading
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_cell, capture_function
from jupyter_ext.engine.trainings.artifacts.versions import Versions, copy_code
from jupyter_ext.errors import CannotTravel, InvalidInput
from jupyter_ext.worker.runtime.user_code import UserCode


def arrive(bundle: Bundle, tmp_path: Path) -> UserCode:
    """Send a bundle the way the engine does."""
    directory = tmp_path / "versions"
    directory.mkdir(exist_ok=True)
    version = Versions(directory).add(bundle.data)
    copy_code(version, tmp_path / "code")
    return UserCode(tmp_path / "code")


def test_a_cell_takes_its_free_names_along_and_nothing_else(tmp_path: Path) -> None:
    text = "def train(n: int = 1):\n    inner = scale\n    return [m.sqrt(inner * x) for x in data][:n]\n"
    bundle = capture_cell(text, {"scale": 4, "data": [1, 4], "m": math, "other": 5, "In": []}, "roots")
    assert [(item.name, item.type) for item in bundle.captured] == [("data", "list"), ("scale", "int")]
    assert all(item.bytes > 0 for item in bundle.captured)
    code, main = arrive(bundle, tmp_path), ModuleType("__main__")
    code.load(main)
    assert code.function(main)(2) == [2.0, 4.0]


def test_what_values_share_stays_shared(tmp_path: Path) -> None:
    inner: list[int] = []
    bundle = capture_cell("def train(): return a, b", {"a": inner, "b": {"same": inner}}, "shared")
    code, main = arrive(bundle, tmp_path), ModuleType("__main__")
    code.load(main)
    a, b = code.function(main)()
    assert b["same"] is a


def test_a_script_finds_its_inputs_as_variables_and_does_not_capture_them() -> None:
    bundle = capture_cell("print(lr, q)", {"lr": 1, "q": 2}, "script", ["lr"])
    assert bundle.training_input is None
    assert [item.name for item in bundle.captured] == ["q"]


def test_a_name_that_cannot_travel_is_refused_by_name() -> None:
    with pytest.raises(CannotTravel, match=r"'lock' \(lock\) cannot travel.*inside train\(\)"):
        capture_cell("def train(): lock.acquire()", {"lock": threading.Lock()}, "x")


def test_unknown_names_are_told_but_do_not_stop() -> None:
    assert capture_cell("def train(): return missing + len([])", {}, "x").unknown_names == ("missing",)
    assert capture_cell("from math import *\ndef train(): return sin(1)", {}, "x").unknown_names == ()


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("x = 1\ndef train(:\n    pass", r"line 3 of the cell: .*def train\(:"),
        (
            "%matplotlib inline\ndef train(): ...",
            r"line 2 of the cell: '%matplotlib inline' is a notebook command",
        ),
        ("!pip install x", "notebook command"),
    ],
)
def test_text_that_is_not_python_is_refused_with_the_notebooks_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        capture_cell(text, {}, "x")


def test_same_code_is_the_same_version(tmp_path: Path) -> None:
    versions = Versions(tmp_path)
    one, two = (versions.add(capture_cell("def train(): ...", {}, "x").data) for _ in range(2))
    assert one.id == two.id
    assert one.model == "local/x"


def fit(steps: int = 3, scale=2.0, **more: Any) -> float:
    return steps * scale


def test_a_function_travels_with_its_signature(tmp_path: Path) -> None:
    bundle = capture_function(fit)
    assert bundle.training_input is not None
    assert [parameter.name for parameter in bundle.training_input.parameters] == ["steps", "scale"]
    code, main = arrive(bundle, tmp_path), ModuleType("__main__")
    code.load(main)
    assert code.function(main)(2) == 4.0


def test_a_function_without_source_is_described_by_its_object() -> None:
    namespace: dict[str, Any] = {"__name__": "__main__", "base": 10}
    exec("def made(a, b=2): return base + a + b", namespace)
    bundle = capture_function(namespace["made"])
    assert bundle.training_input is not None
    assert [(p.name, p.required) for p in bundle.training_input.parameters] == [("a", True), ("b", False)]
    assert [item.name for item in bundle.captured] == ["base"]


@pytest.mark.parametrize("thing", [5, print, int, "fit"])
def test_only_functions_are_taken(thing: Any) -> None:
    with pytest.raises(InvalidInput, match="pass a function"):
        capture_function(thing)
