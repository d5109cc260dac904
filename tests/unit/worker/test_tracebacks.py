"""A user's exception, cut to the user's frames."""

from __future__ import annotations

import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jupyter_ext.worker.runtime.tracebacks import describe


def raised(text: str, tmp_path: Path, filename: str = "cell.py") -> tuple[BaseException, dict[str, str]]:
    path = tmp_path / filename
    path.write_text(text)
    main = ModuleType("__main__")
    try:
        exec(compile(text, str(path), "exec"), main.__dict__)
    except BaseException as error:  # noqa: BLE001
        return error, {str(path): "Cell digits"}
    pytest.fail("nothing was raised")


def told(text: str, tmp_path: Path) -> dict[str, Any]:
    error, labels = raised(text, tmp_path)
    return describe(error, labels, tmp_path)


def test_the_users_frames_have_the_cells_lines(tmp_path: Path) -> None:
    described = told("\ndef f(x):\n    return 1 / x\n\nf(0)\n", tmp_path)
    own = [frame for frame in described["frames"] if frame["file"] == "Cell digits"]
    assert [(frame["line"], frame["function"]) for frame in own] == [(5, "<module>"), (3, "f")]
    assert own[1]["source"] == "return 1 / x"
    assert (described["type"], described["message"]) == ("ZeroDivisionError", "division by zero")
    assert described["text"].endswith("ZeroDivisionError: division by zero")


def test_library_frames_are_counted_but_for_the_innermost(tmp_path: Path) -> None:
    described = told("import json\njson.loads('{')\n", tmp_path)
    assert described["type"] == "json.decoder.JSONDecodeError"
    assert described["frames"][-1]["file"].startswith("json/")
    assert f"… 2 frames in json" in described["text"]  # noqa: F541
    json.dumps(described)


def test_causes_are_told_first(tmp_path: Path) -> None:
    text = "try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise RuntimeError('outer') from e\n"
    described = told(text, tmp_path)
    assert described["type"] == "RuntimeError"
    before, after = described["text"].split("direct cause")
    assert "ZeroDivisionError" in before
    assert "RuntimeError: outer" in after


def test_an_endless_recursion_is_cut(tmp_path: Path) -> None:
    described = told("def f(): f()\nf()\n", tmp_path)
    assert described["type"] == "RecursionError"
    assert len(described["frames"]) <= 40
    assert "lines left out" in described["text"]


def test_an_exception_that_cannot_be_printed_is_told(tmp_path: Path) -> None:
    described = told("class E(Exception):\n    def __str__(self): raise ValueError\nraise E\n", tmp_path)
    assert described["message"] == "<str() of it failed: ValueError>"
