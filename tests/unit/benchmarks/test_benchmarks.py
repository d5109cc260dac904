"""What the benchmarks promise: rows as they come, a crash that costs only its rows, goals that hold on any machine."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from benchmarks import __main__ as command
from benchmarks.support import layout, machine, one, results
from benchmarks.support.results import Earlier, Ended, Results
from benchmarks.support.rows import Row, at_least, at_most

FOLDER = Path(command.__file__).parent
CRASHES = """
import os
from benchmarks.support.rows import Row

def run():
    yield Row("first", 1.0, "ms")
    print("about to end")
    os.kill(os.getpid(), 11)
    yield Row("second", 2.0, "ms")
"""
LEAVES = """
import os, subprocess, sys
from benchmarks.support.rows import Row

async def run():
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"], start_new_session=True)
    yield Row("pid", child.pid, "")
    yield Row("is in its own directory", float(os.environ["JUPYTER_EXT_DATA_DIR"].startswith(os.environ["TMPDIR"])), "")
"""


@pytest.mark.parametrize("name", command.known())
def test_every_module_of_the_folder_is_a_benchmark(name: str) -> None:
    tree = ast.parse((FOLDER / f"{name}.py").read_text())
    assert ast.get_docstring(tree)
    names = {node.name for node in tree.body if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
    assert "run" in names


def measured(
    name: str, text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> tuple[Ended, list[Row]]:
    """Run a benchmark that lies in another folder; the package has no `__init__`, so that folders add up."""
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / f"{name}.py").write_text(text)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended, rows = Ended(name, 0.0), list[Row]()
    one.measure(ended, rows.append)
    assert ended.rows == rows
    return ended, rows


def test_a_crash_costs_only_what_comes_after_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, rows = measured("crashes", CRASHES, tmp_path, monkeypatch)
    assert [row.name for row in rows] == ["first"]
    assert ended.failure == "It was ended by SIGSEGV."
    assert "about to end" in ended.output


def test_what_a_benchmark_leaves_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended, (pid, inside) = measured("leaves", LEAVES, tmp_path, monkeypatch)
    assert (ended.failure, inside.measured) == (None, 1.0)
    state = Path(f"/proc/{pid.measured:.0f}/stat")
    assert not state.exists() or state.read_text().rpartition(")")[2].split()[0] == "Z"


def test_a_benchmark_that_hangs_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "benchmarks" / "hangs.py").write_text("import time; time.sleep(600)")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    ended = Ended("hangs", 0.0)
    one.measure(ended, lambda row: None, limit_s=0.2)
    assert ended.failure == "It was ended after 0.2 s."


def test_a_goal_for_a_time_is_a_ratio() -> None:
    with pytest.raises(ValueError, match="one machine only"):
        at_most(2, "us")
    with pytest.raises(ValueError, match="no peer's figure"):
        Row("log()", 2.0, "us", goal=at_most(2))
    assert Row("log()", 2.0, "us", "limit", 1.5, at_most(2)).met is True
    assert Row("rate", 2.0, "/s", "idle", 3.0, at_least(0.9)).met is False
    assert Row("lost", 0, "points", "peer", 0, at_most(0, "points")).met is True
    assert Row("plain", 2.0, "ms").met is None


def test_changes_are_those_of_the_ratio(tmp_path: Path) -> None:
    rows = [
        Row("a", 10, "ms", "peer", 10, at_most(2)),
        Row("b", 5, "B", goal=at_most(9, "B")),
        Row("c", 1, "s"),
    ]
    path = tmp_path / "before.json"
    Results("2026-05-01", machine.look(), [Ended("one", 0.1, rows=rows)]).save(path)
    loaded = results.load(path)
    assert loaded.benchmarks[0].rows == rows
    earlier = Earlier(loaded)
    slower_machine = earlier.change("one", Row("a", 20, "ms", "peer", 20, at_most(2)))
    assert (slower_machine.text, slower_machine.is_worse) == ("the same", False)
    worse = earlier.change("one", Row("a", 20, "ms", "peer", 10, at_most(2)))
    assert (worse.before_text, worse.text, worse.is_worse) == ("1x", "+100 % WORSE", True)
    better = earlier.change("one", Row("b", 2, "B", goal=at_most(9, "B")))
    assert (better.text, better.is_worse) == ("-60 % better", False)
    assert earlier.change("one", Row("new", 2, "B")).text == "new"
    assert earlier.gone({"one"}) == ["one: c"]
    assert earlier.gone({"another"}) == []
    assert layout.line(rows[0], worse).endswith("+100 % WORSE")


def test_saved_results_are_shown_and_their_exit_code_says_what_is_wrong(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    missed = Ended("one", 0.1, rows=[Row("a", 30, "ms", "peer", 10, at_most(2))])
    path = tmp_path / "run.json"
    Results("2026-05-01", machine.look(), [missed]).save(path)
    assert command.main(["--show", str(path)]) == command.GOAL_MISSED
    assert "missed: one: a beside peer, 3x for <= 2x" in capsys.readouterr().out
    crashed = Ended("two", 0.1, failure="It ended with exit code 1.", output="Traceback\nRuntimeError: why")
    Results("2026-05-01", machine.look(), [missed, crashed]).save(path)
    assert command.main(["--show", str(path), "--compare", str(path)]) == command.CRASHED
    told = capsys.readouterr().out
    assert "the same" in told
    assert (
        "CRASHED: two, after 0 rows. It ended with exit code 1.\n  | Traceback\n  | RuntimeError: why" in told
    )


def test_an_unknown_name_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as error:
        command.main(["no_such"])
    assert error.value.code == command.USAGE
    assert "there is no benchmark no_such" in capsys.readouterr().err
