"""`log()` as training code calls it: whatever it is given, the training goes on, and what is left out is told once."""

from __future__ import annotations

import errno
import json
import os
import signal
import subprocess
import sys
import warnings
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np
import pytest

from jupyter_ext import log
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.ipc import processes, run_files
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


@pytest.fixture
def run_dir(tmp_path: Path) -> Iterator[Path]:
    active = logging.Reporter(tmp_path, "0")
    logging.activate(active)
    yield tmp_path
    logging.activate(None)
    active.close()


def read(run_dir: Path) -> tuple[dict[str, list[tuple[float, float]]], list[str]]:
    """Step and value of each point by key, and notices."""
    tail = JournalTail(run_dir / "metrics-0-0.jnl")
    news = tail.read()
    tail.close()
    points = {
        key: list(zip(columns.steps.tolist(), columns.values.tolist(), strict=True))
        for key, columns in news.columns.items()
    }
    return points, [mark.fields["text"] for mark in news.marks if mark.fields["kind"] == "notice"]


class Tensor:
    """As a 0-d tensor that needs a gradient: `float` would warn, arithmetic gives a tensor, `item` gives the number."""

    def __init__(self, number: float) -> None:
        self.number = number

    def __float__(self) -> float:
        raise AssertionError("float() of a tensor warns")

    def __add__(self, other: object) -> Tensor:
        return self

    __radd__ = __add__

    def item(self) -> float:
        return self.number


class Raising:
    """Raises whatever is done with it."""

    def __float__(self) -> float:
        raise LookupError("no number")

    __add__ = __radd__ = __float__


GIVEN = {
    "float": (0.5, 0.5),
    "int": (3, 3.0),
    "bool": (True, 1.0),
    "float64": (np.float64(0.25), 0.25),
    "float32": (np.float32(0.25), 0.25),
    "int64": (np.int64(7), 7.0),
    "0-d": (np.array(2.5), 2.5),
    "one element": (np.array([[1.5]]), 1.5),
    "tensor": (Tensor(4.5), 4.5),
    "fraction": (Fraction(1, 4), 0.25),
    "text of a number": ("1.5", 1.5),
    "infinite": (float("-inf"), float("-inf")),
}
NOT_GIVEN = {
    "None": None,
    "word": "high",
    "huge": 10**400,
    "array": np.zeros(3),
    "list": [1.0],
    "complex": 1j,
    "raising": Raising(),
}


@pytest.mark.parametrize("kind", GIVEN)
@pytest.mark.parametrize("others", [{}, {"a": 1.0, "b": 2}])
def test_numbers_of_every_kind(run_dir: Path, kind: str, others: dict[str, float]) -> None:
    value, number = GIVEN[kind]
    log({**others, "x": 0.125})
    for _ in range(3):
        log({**others, "x": value})
    log({**others, "x": 0.125})
    points, notices = read(run_dir)
    assert points["x"] == [(0, 0.125), (1, number), (2, number), (3, number), (4, 0.125)]
    assert all(len(points[key]) == 5 for key in others)
    assert notices == []


@pytest.mark.parametrize("kind", NOT_GIVEN)
@pytest.mark.parametrize("others", [{}, {"a": 1.0, "b": 2}])
def test_what_is_no_number_is_left_out_and_told_once(
    run_dir: Path, kind: str, others: dict[str, float], capsys: pytest.CaptureFixture[str]
) -> None:
    log({**others, "x": 0.125})
    for _ in range(3):
        log({**others, "x": NOT_GIVEN[kind]})
    log({**others, "x": 0.25})
    points, notices = read(run_dir)
    assert points["x"] == [(0, 0.125), (4, 0.25)]
    assert all(len(points[key]) == 5 for key in others)
    (notice,) = notices
    assert notice.startswith(f"log: x is a {type(NOT_GIVEN[kind]).__name__}, not one number")
    assert capsys.readouterr().err == f"{notice}\n"


def test_nested_names_keywords_and_names_that_are_no_text(run_dir: Path) -> None:
    for _ in range(2):
        log({"train": {"loss": 1, "acc": {"top1": 2}}, 5: 3}, lr=0.5, step=7)  # type: ignore[dict-item]
    log(lr=0.25)
    log({})
    log({"lr": 1})
    points, _ = read(run_dir)
    assert points == {
        "train/loss": [(7, 1), (7, 1)],
        "train/acc/top1": [(7, 2), (7, 2)],
        "5": [(7, 3), (7, 3)],
        "lr": [(7, 0.5), (7, 0.5), (2, 0.25), (4, 1)],
    }


def test_a_step_or_a_call_that_makes_no_sense_is_told_and_the_training_goes_on(run_dir: Path) -> None:
    given: Any
    for given in (
        None,
        Tensor(9),
        np.int64(8),
        "high",
        10**400,
        [1],
        float("nan"),
        np.float64("inf"),
        Tensor(float("-inf")),
    ):
        log({"x": 1.0}, step=given)
    for given in (0.5, "text", [("x", 1.0)]):
        log(given)
    points, notices = read(run_dir)
    assert [step for step, _ in points["x"]] == [0, 9, 8, 3, 4, 5, 6, 7, 8]
    assert [notice.split(";")[0] for notice in notices] == [
        "log: step is a str, not one finite number",
        "log: 0.5 is no mapping of names to numbers",
    ]


def test_nothing_warns(run_dir: Path) -> None:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for _ in range(3):
            for value, _ in GIVEN.values():
                log({"a": 1.0, "x": value})
                log({"x": value})
    assert caught == []


def test_what_a_signal_handler_raises_is_never_swallowed(run_dir: Path) -> None:
    """PyTorch raises the death of a DataLoader worker from SIGCHLD's handler, wherever the main thread is."""
    raised = caught = 0
    inside = {
        JournalWriter.try_fast_append.__code__,
        JournalWriter._write.__code__,
        logging.Reporter._numbers.__code__,
    }

    def handler(_: int, frame: FrameType | None) -> None:
        nonlocal raised
        if frame is not None and frame.f_code in inside:
            raised += 1
            raise OSError("a DataLoader worker is gone")

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0002, 0.0002)
    try:
        i = 0
        while raised < 100:
            i += 1
            try:
                log({"x": i, "y": np.array(i) if i % 2 else i})
                log({f"k{i % 5000}": 0.5})
            except OSError:
                caught += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert caught == raised
    assert read(run_dir)[1] == []


def test_outside_of_a_run_it_prints(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "_last_print", -10.0)
    log({"loss": 0.5}, step=3, acc=np.float32(0.25))
    log({"loss": 0.25})
    assert capsys.readouterr().out == "step 3  loss=0.5  acc=0.25\n"


def test_the_step_may_be_the_second_argument(run_dir: Path) -> None:
    log({"x": 1.0}, 7)
    log({"x": 2.0, "y": 1.0}, 8)
    log({"x": 3.0}, step=9)
    log(x=4.0)
    assert read(run_dir)[0]["x"] == [(7, 1.0), (8, 2.0), (9, 3.0), (3, 4.0)]


ODD = [float("nan"), float("inf"), float("-inf"), np.float64("nan"), "x", None, 10**400]


@pytest.mark.parametrize("odd", ODD, ids=repr)
def test_progress_that_is_not_finite_is_left_out_and_told(run_dir: Path, odd: Any) -> None:
    logging.progress(1, odd)
    logging.progress(odd, 5)
    logging.progress(2, 5)
    tail = JournalTail(run_dir / "metrics-0-0.jnl")
    marks = [mark.fields for mark in tail.read().marks]
    tail.close()
    said = [(mark["current"], mark["total"]) for mark in marks if mark["kind"] == "progress"]
    assert said == [(1, None), (2, 5)]
    assert len([mark for mark in marks if mark["kind"] == "notice"]) == 1


def test_many_points_whose_steps_are_not_finite_are_left_out_and_told(run_dir: Path) -> None:
    logging.log_many("x", [0, float("inf"), 2, float("nan")], [1, 2, 3, 4])
    logging.log_many("y", np.array([1e308, 1e308, 1e308]), np.ones(3))
    points, notices = read(run_dir)
    assert points["x"] == [(0, 1), (2, 3)]
    assert len(points["y"]) == 3, "their sum is infinite, they are not"
    assert notices == ["log_many: 2 steps of x are not finite; those points were left out."]


def test_marks_hold_nothing_that_a_reader_cannot_pass_on(run_dir: Path) -> None:
    logging.tell("caf\udce9")
    active = logging.active()
    assert active is not None
    active.mark("other", values=[float("nan"), {"a": float("inf")}], name="\ud800")
    tail = JournalTail(run_dir / "metrics-0-0.jnl")
    marks = [mark.fields for mark in tail.read().marks]
    tail.close()
    assert json.dumps(marks, ensure_ascii=False, allow_nan=False).encode()
    assert marks[1]["values"] == ["NaN", {"a": "Infinity"}]


CHILD = "import sys\nfrom jupyter_ext import log, progress, should_stop\nlog(loss=1.0)\nshould_stop()\n"


@pytest.mark.parametrize(("worker", "environ", "stream"), [
    ("alive", {}, "0.{pid}"),
    ("alive", {"RANK": "3"}, "3"),
    ("ended", {}, None),
    ("of another boot", {}, None),
])  # fmt: skip
def test_a_process_of_the_training_writes_a_stream_of_its_own(
    run_dir: Path, worker: str, environ: dict[str, str], stream: str | None
) -> None:
    pid = os.getpid()
    ticks = processes.start_ticks(pid) or 0
    place = {**run_files.here(), **({"boot_id": "x"} if worker == "of another boot" else {})}
    who = {"pid": pid, "ticks": ticks - (worker == "ended")}
    write_json(run_dir / "start.json", {"shim": who, "worker": who, "control": "", "time": 1.0, **place})
    log(loss=0.5)
    known = {"JUPYTER_EXT_RUN_DIR": str(run_dir), logging.STREAM_VARIABLE: "0"}
    child = subprocess.Popen([sys.executable, "-c", CHILD], env={**os.environ, **known, **environ})
    assert child.wait(60) == 0
    names = {path.name for path in run_dir.glob("metrics-*.jnl")} - {"metrics-0-0.jnl"}
    assert names == (set() if stream is None else {f"metrics-{stream.format(pid=child.pid)}-0.jnl"})


def test_what_a_full_disk_did_not_take_is_told_at_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jupyter_ext.worker.sdk import journal_file, journal_writer

    active = logging.Reporter(tmp_path, "0")
    logging.activate(active)
    try:
        log(x=1.0)

        def full(fd: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, "full")

        monkeypatch.setattr(journal_writer, "_os_write", full)
        monkeypatch.setattr(journal_file, "_os_write", full)
        for _ in range(3):
            log(x=2.0)
    finally:
        logging.activate(None)
        active.close()
    tail = JournalTail(tmp_path / "metrics-0-1.jnl")
    assert [mark.fields for mark in tail.read().marks] == [{"kind": "dropped", "count": 3}]
    tail.close()
    assert list(tmp_path.glob(".*.reserved")) == []
