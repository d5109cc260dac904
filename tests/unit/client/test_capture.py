"""Cells and functions become bundles that run elsewhere."""

from __future__ import annotations

import contextlib
import functools
import io
import linecache
import math
import re
import sys
import threading
import zipfile
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any, cast

import pytest

import jupyter_ext as jx
from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.callables import parameter_names
from jupyter_ext.client.capture.capture import capture_cell, capture_function, capture_object
from jupyter_ext.client.capture.input_values import with_inputs
from jupyter_ext.engine.trainings.artifacts.versions import Versions, copy_code
from jupyter_ext.errors import CannotTravel, InvalidInput
from jupyter_ext.worker.runtime.arguments import Files
from jupyter_ext.worker.runtime.user_code import UserCode
from jupyter_ext.worker.sdk.inputs import Input
from jupyter_ext.worker.training.entry import call


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


class Trainer:
    def __init__(self, scale: float = 2.0) -> None:
        self.scale = scale

    def fit(self, steps: int = 3, *, rate: float = Input(0.5, ge=0)) -> float:
        return steps * self.scale + rate

    def train(self, steps: int) -> float:
        return steps * self.scale

    def __call__(self, steps: int = 1) -> float:
        return self.train(steps)


@pytest.mark.parametrize(
    ("thing", "name", "parameters", "given", "result"),
    [
        (Trainer(4.0).fit, "fit", [("steps", "int", False), ("rate", "float", False)], {"rate": 1}, 13.0),
        (Trainer(4.0), "Trainer", [("steps", "int", False)], {"steps": 2}, 8.0),
        (Trainer, "Trainer", [("steps", "int", True)], {"steps": 2}, 4.0),
        (
            functools.partial(fit, scale=5.0),
            "fit",
            [("steps", "int", False), ("scale", "float", False)],
            {},
            15.0,
        ),
        (functools.partial(fit, 7), "fit", [("scale", "float", False)], {"scale": 3.0}, 21.0),
        (
            functools.partial(Trainer(3.0).fit, rate=0.0),
            "fit",
            [("steps", "int", False), ("rate", "float", False)],
            {},
            9.0,
        ),
    ],
)
def test_whatever_can_be_called_is_taken(
    tmp_path: Path,
    thing: Any,
    name: str,
    parameters: list[tuple[str, str, bool]],
    given: dict[str, Any],
    result: float,
) -> None:
    bundle = capture_function(thing)
    assert bundle.name == name
    assert bundle.training_input is not None
    found = [(p.name, p.type_text or "Any", p.required) for p in bundle.training_input.parameters]
    assert found == parameters
    assert parameter_names(thing) == [one[0] for one in parameters]
    inputs, wrong = bundle.training_input.validate(given)
    assert not wrong
    code, main = arrive(bundle, tmp_path), ModuleType("__main__")
    code.load(main)
    assert call(code.function(main), inputs, Files(tmp_path, tmp_path), method=code.method) == result


@pytest.mark.parametrize("thing", [5, print, int, "fit", functools.partial(print), "".join])
def test_only_what_is_written_in_python_is_taken(thing: Any) -> None:
    with pytest.raises(InvalidInput, match="that cannot be trained; pass a function"):
        capture_function(thing)
    assert parameter_names(thing) == []


def test_wherever_code_is_captured_its_cells_are_named_as_the_notebook_does(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those of functions that are called by what the function calls, and of an object's class."""
    compiling = SimpleNamespace(format_code_name=lambda name: ("Cell", f"In[{name[-2]}]"))
    ipython = SimpleNamespace(get_ipython=lambda: SimpleNamespace(compile=compiling))
    monkeypatch.setitem(sys.modules, "IPython", cast("ModuleType", ipython))
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, text in enumerate(
        (
            "def inner(x): return 1 / x\n",
            "class Net:\n    def __call__(self): return inner(0)\n",
            "net = Net()\ndef fit(): return net()\n",
        )
    ):
        filename = f"<cell-{number}>"
        monkeypatch.setitem(linecache.cache, filename, (len(text), None, [text], filename))
        exec(compile(text, filename, "exec"), names)
    for bundle in (capture_function(names["fit"]), capture_cell("fit()", names, "x")):
        code = arrive(bundle, tmp_path)
        found = {name: label for name, label in code.labels.items() if name.startswith("<cell-")}
        assert found == {f"<cell-{n}>": f"Cell In[{n}]" for n in range(3)}


def test_what_a_library_wraps_is_taken_by_what_is_in_it(tmp_path: Path) -> None:
    names: dict[str, Any] = {"__name__": "__main__", "base": 10}
    exec("import functools\n@functools.cache\ndef made(a, b=2): return base + a + b", names)
    bundle = capture_function(names["made"])
    assert bundle.training_input is not None
    assert [(p.name, p.required) for p in bundle.training_input.parameters] == [("a", True), ("b", False)]
    assert [item.name for item in bundle.captured] == ["base"]
    code, main = arrive(bundle, tmp_path), ModuleType("__main__")
    code.load(main)
    assert code.function(main)(1) == 13


def test_an_input_that_contains_itself_travels() -> None:
    around: list[Any] = [Path("x")]
    around.append(around)
    bundle, shown = with_inputs(capture_function(fit), {"scale": around})
    assert shown.keys() == {"scale"}
    assert "inputs.pkl" in zipfile.ZipFile(io.BytesIO(bundle.data)).namelist()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"name": 5}, "name=5 is no text"),
        ({"on": 3}, "on=3 is no text, such as on='local'"),
        ({"destination": b"me/x"}, "destination=b'me/x' is no text"),
        ({"address": 8265, "on": "ray"}, "address=8265 is no text"),
    ],
)
def test_an_option_of_another_kind_is_refused_by_name(options: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidInput, match=re.escape(says)):
        jx.train(fit, **options)


def test_a_command_line_is_a_list_of_words(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"args='--x 1' is no list of words"):
        jx.train("train.py", args="--x 1")
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg" / "train.py").touch()
    with (
        contextlib.chdir(tmp_path),
        pytest.raises(InvalidInput, match=r"no file 'pkg.train'\. Is it pkg/train\.py\?"),
    ):
        jx.train("pkg.train")


def test_names_imported_from_the_notebook_travel(tmp_path: Path) -> None:
    bundle = capture_cell("from __main__ import base as start\ndef train(): return start", {"base": 5}, "x")
    assert [item.name for item in bundle.captured] == ["base"]
    assert bundle.unknown_names == ()


def test_what_python_has_everywhere_is_not_called_unknown() -> None:
    assert capture_cell("def train():\n    display(1)\n    exit()", {}, "x").unknown_names == ()


@pytest.mark.parametrize("thing", [5, "net", [1], {"a": 1}, None, True])
def test_plain_data_is_no_model_to_debug(thing: Any) -> None:
    with pytest.raises(InvalidInput, match=f"is an? {type(thing).__name__}, which cannot be debugged"):
        capture_object(thing, "x")
