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


GROUPS = {
    "flat": ("raise ExceptionGroup('two', [ValueError('a'), KeyError('b')])", ["ValueError: a", "KeyError: 'b'", "1 of 2"]),
    "nested": ("raise ExceptionGroup('o', [ExceptionGroup('i', [OSError('deep')]), TypeError('t')])", ["OSError: deep", "TypeError: t"]),
    "of a task group": (
        "import asyncio\nasync def bad(): raise ValueError('shard 2')\nasync def f():\n"
        "    async with asyncio.TaskGroup() as g: g.create_task(bad())\nasyncio.run(f())",
        ["ValueError: shard 2", "in bad"],
    ),
    "with causes": (
        "try: 1 / 0\nexcept ZeroDivisionError as e:\n    x = ValueError('v'); x.__cause__ = e\nraise ExceptionGroup('g', [x])",
        ["ZeroDivisionError", "direct cause", "ValueError: v"],
    ),
    "as a cause": (
        "try: raise ExceptionGroup('g', [OSError('inner')])\nexcept ExceptionGroup as e: raise RuntimeError('r') from e",
        ["OSError: inner", "direct cause", "RuntimeError: r"],
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", list(GROUPS))
def test_the_exceptions_of_a_group_are_told(name: str, tmp_path: Path) -> None:
    text, parts = GROUPS[name]
    described = told(text, tmp_path)
    positions = [described["text"].find(part) for part in parts]
    assert -1 not in positions, described["text"]
    assert "\n" not in described["summary"]


def test_a_large_group_and_a_circle_of_causes_are_cut(tmp_path: Path) -> None:
    described = told("raise ExceptionGroup('many', [ValueError(n) for n in range(1000)])", tmp_path)
    assert "and 985 more" in described["text"]
    assert described["summary"].endswith("; first: ValueError: 0")
    described = told(
        "a, b = ValueError('a'), ValueError('b')\na.__cause__, b.__cause__ = b, a\nraise a", tmp_path
    )
    assert described["text"].count("ValueError: a") == 1


@pytest.mark.parametrize(
    "kind",
    ["ValueError('x')", "SyntaxError('x')", "ExceptionGroup('x', [OSError()])", "KeyboardInterrupt('x')"],
)
def test_notes_are_told(kind: str, tmp_path: Path) -> None:
    described = told(f"e = {kind}\ne.add_note('in fold 3')\ne.add_note('two\\nlines')\nraise e", tmp_path)
    assert "in fold 3\ntwo\nlines" in described["text"]
    assert "(in fold 3)" in described["summary"]


def test_the_summary_is_one_line_of_bounded_length(tmp_path: Path) -> None:
    described = told("raise ValueError('a\\nb\\n\\n  c' + 'x' * 10000)", tmp_path)
    assert described["summary"].startswith("ValueError: a b cxxx")
    assert "\n" not in described["summary"]
    assert len(described["summary"]) == 300


def test_paths_of_the_run_do_not_show(tmp_path: Path) -> None:
    run_dir = tmp_path / "runs" / "01j"
    (run_dir / "work").mkdir(parents=True)
    code = run_dir / "code.py"
    texts = [
        "open({!r})".format(str(run_dir / "work" / "none.pt")),
        f"raise ValueError('see {run_dir} and {code}')",
    ]
    for text in texts:
        code.write_text(text)
        try:
            exec(compile(text, str(code), "exec"), {"__name__": "__main__"})
        except (OSError, ValueError) as error:
            described = describe(error, {str(code): "Cell digits"}, tmp_path, run_dir)
        assert str(run_dir) not in json.dumps(described)
        assert "Cell digits" in described["text"]


def test_what_utf8_cannot_carry_is_replaced(tmp_path: Path) -> None:
    json.dumps(told("raise ValueError('caf\\udce9')", tmp_path), ensure_ascii=False).encode()


@pytest.mark.parametrize(
    ("message", "summary"),
    [
        ("Caught KeyError in worker 0.\nOriginal Traceback (most recent call last):\n  File x\nKeyError: 'row 7'\n",
         "ValueError: Caught KeyError in worker 0. KeyError: 'row 7'"),
        ("\nTraceback (most recent call last):\n  File x\nOSError: gone", "ValueError: OSError: gone"),
        ("a\nb", "ValueError: a b"),
        ("", "ValueError"),
    ],
)  # fmt: skip
def test_a_traceback_within_a_message_is_its_first_and_last_line(
    message: str, summary: str, tmp_path: Path
) -> None:
    assert told(f"raise ValueError({message!r})", tmp_path)["summary"] == summary
