"""Cells and files become bundles without a kernel: what of the cells above travels, and what is named as missing."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.bundles.cell_text import Cell, bundle_of_session, bundle_of_training
from jupyter_ext.bundles.notebook_text import CellText, needed_of
from jupyter_ext.errors import InvalidInput
from jupyter_ext.worker.runtime.user_code import UserCode

ABOVE = (
    CellText(
        "%load_ext jupyter_ext\nimport math, os\nfrom json import dumps as write; COUNT = len('abc')",
        "Cell In[1]",
    ),
    CellText("RATE = 0.1\nSIZES: list = [1, 2]\n\ndef twice(x):\n    return RATE * 2 * x", "Cell In[2]"),
    CellText("this is ( no python", "Cell In[3]"),
    CellText("data = load()\nRATE = 0.5\n!pip list\nwide = [i for i in range(3)]", "Cell In[4]"),
    CellText("%%train other\nimport torch", "Cell In[5]"),
)


def unpacked(bundle: Bundle, folder: Path) -> UserCode:
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        archive.extractall(folder)
    return UserCode(folder)


def manifest_of(bundle: Bundle) -> Any:
    with zipfile.ZipFile(io.BytesIO(bundle.data)) as archive:
        return json.loads(archive.read("manifest.json"))


def test_a_cell_runs_with_the_imports_definitions_and_literals_above_it(tmp_path: Path) -> None:
    cell = Cell(
        "def train(n: int = 2):\n    return [twice(n), math.floor(2.5), write(SIZES)]", "Cell In[6]", ABOVE
    )
    bundle = bundle_of_training(cell)
    assert bundle.unknown_names == ()
    main = ModuleType("__main__")
    code = unpacked(bundle, tmp_path)
    code.load(main)
    assert code.function(main)(2) == [2.0, 2, "[1, 2]"], "the last RATE counts, as in the notebook"
    assert "data" not in vars(main)
    assert "COUNT" not in vars(main), "only what is needed is executed, also of one line"
    assert set(code.labels.values()) == {"Cell In[1]", "Cell In[2]", "Cell In[4]", "Cell In[6]"}


def test_an_error_in_a_cell_above_has_the_line_that_the_notebook_shows(tmp_path: Path) -> None:
    above = (CellText("x = 1\n\n@staticmethod\ndef fails():\n    raise ValueError('no')", "Cell In[1]"),)
    main = ModuleType("__main__")
    code = unpacked(bundle_of_training(Cell("def train():\n    fails()", "Cell In[2]", above)), tmp_path)
    code.load(main)
    with pytest.raises(ValueError, match="no") as raised:
        code.function(main)()
    frames = [(item.path, item.lineno + 1) for item in raised.traceback[1:]]
    assert [line for _, line in frames] == [2, 5]


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("def train():\n    return data", ("data",)),
        ("def train():\n    return wide, nothing, len", ("nothing", "wide")),
        ("def train():\n    return torch.nan", ("torch",)),
        ("def train(data):\n    return data", ()),
        ("def train():\n    return __name__", ()),
    ],
)
def test_what_only_a_kernel_has_is_named(text: str, missing: tuple[str, ...]) -> None:
    assert bundle_of_training(Cell(text, before=ABOVE)).unknown_names == missing


def test_names_that_may_come_with_a_star_are_not_called_missing() -> None:
    above = [CellText("from math import *", "1")]
    needed = needed_of("print(pi)", above)
    assert needed.missing == ()
    assert [cell.text for cell in needed.cells] == ["from math import *\n"]
    assert needed_of("print(1)", above).cells == ()


def test_the_magic_line_says_name_and_inputs(tmp_path: Path) -> None:
    text = "%%train digits -i epochs=5 -i lr={best} --form\nimport math\ndef train(epochs: int, lr: float = 0.1):\n    1 / 0"
    bundle = bundle_of_training(Cell(text))
    assert (bundle.name, bundle.given) == ("digits", {"epochs": 5})
    assert bundle.training_input is not None
    assert [item.name for item in bundle.training_input.parameters] == ["epochs", "lr"]
    code = unpacked(bundle, tmp_path)
    main = ModuleType("__main__")
    code.load(main)
    with pytest.raises(ZeroDivisionError) as raised:
        code.function(main)(1)
    assert raised.traceback[-1].lineno + 1 == 4, "the magic's own line counts"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "empty"),
        ("x = (", "line 1"),
        ("!pip install x\ndef train(): ...", "notebook command"),
        ("def helper(): ...", "calls nothing"),
    ],
)
def test_what_cannot_be_started_says_why_in_one_line(text: str, says: str) -> None:
    with pytest.raises(InvalidInput, match=says) as raised:
        bundle_of_training(Cell(text))
    assert "\n" not in str(raised.value)


def test_a_session_gets_a_cell_or_the_text_of_a_file(tmp_path: Path) -> None:
    cell = Cell("class Net:\n    size = twice(3)", "Cell In[6]", ABOVE)
    bundle = bundle_of_session(cell)
    assert manifest_of(bundle)["kind"] == "model"
    assert bundle.unknown_names == ()
    from_file = bundle_of_session(Cell("class Net: ...", "net.py", file=str(tmp_path / "net.py"), name="net"))
    assert manifest_of(from_file)["file"] == str(tmp_path / "net.py")
    assert from_file.name == "net"
