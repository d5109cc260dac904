"""That benchmarks still run to their end, at the smallest scale; all others by `make bench SMOKE=1`."""

from __future__ import annotations

import pytest

from benchmarks import __main__ as command
from benchmarks.support import scale
from benchmarks.support.rows import Row
from benchmarks.support.scale import scaled


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ["ending", "gpu", "many_runs"])
def test_it_runs_to_its_end(
    name: str, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(scale.VARIABLE, "")
    assert command.main(["--smoke", name]) == command.ALL_WELL, capfd.readouterr().out
    assert f"{name}: " in (said := capfd.readouterr().out)
    assert " 0 rows" not in said


def test_whole_is_the_default() -> None:
    assert not scale.IS_SMOKE
    assert scaled("whole", "smoke") == "whole"


def test_a_smoke_run_says_what_failed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(ended: object, on_row: object) -> None:
        vars(ended).update(failure="It ended with exit code 1.", output="Traceback\nKeyError: 'id'")

    monkeypatch.setenv(scale.VARIABLE, "")
    monkeypatch.setattr(command.one, "measure", fail)
    assert command.main(["--smoke", "ending"]) == command.CRASHED
    assert "ending: It ended with exit code 1." in (said := capsys.readouterr().out)
    assert "KeyError: 'id'" in said


def test_a_peer_that_is_not_installed_is_said_and_not_judged() -> None:
    row = Row.from_json(Row.left_out("log(), beside mlflow", "mlflow is not installed").to_json())
    assert row.is_left_out
    assert row.met is None
    assert row.ratio is None
    assert row.peer == "left out: mlflow is not installed"
