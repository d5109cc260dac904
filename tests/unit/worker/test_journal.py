"""The writer, read back by a plain loop over the frames that shares no code with our reader."""

from __future__ import annotations

import itertools
import math
import os
import signal
import threading
from array import array
from pathlib import Path

import numpy as np
import pytest
from journal_tools import Read, read, read_stream

from jupyter_ext.ipc.journal_format import journal_name, parse_journal_name
from jupyter_ext.worker.sdk import journal_file, journal_writer
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


def test_points_come_back_with_steps_counted_by_call(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.points({"loss": 0.5})
    writer.points({"loss": 0.25, "acc": 1})
    writer.points({"loss": 0.125}, step=7.5)
    writer.points({}, step=8)
    writer.points({"loss": 0.0})
    writer.close()
    assert read(tmp_path / "metrics-0-0.jnl") == Read(
        [("loss", 0, 0.5), ("loss", 1, 0.25), ("acc", 1, 1), ("loss", 7.5, 0.125), ("loss", 4, 0)], [], 0
    )


def test_each_call_is_exactly_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    def counted(fd: int, data: bytes) -> int:
        sizes.append(len(data))
        return os.write(fd, data)

    monkeypatch.setattr(journal_writer, "_os_write", counted)
    monkeypatch.setattr(journal_file, "_os_write", counted)
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1, "b": 2})
    writer.points({"a": 1, "b": 2})
    writer.points({"b": 1, "c": 2})
    writer.many("d", range(100_000), range(100_000))
    writer.mark("progress", current=1)
    assert len(sizes) == 5
    assert sum(sizes) == (tmp_path / "metrics-0-0.jnl").stat().st_size
    writer.close()


def test_whatever_float_takes_is_a_value(tmp_path: Path) -> None:
    class Scalar:
        def __float__(self) -> float:
            return 3.5

    given = {
        "a": True,
        "b": np.float32(0.1),
        "c": np.array(2),
        "d": Scalar(),
        "e": "1.5",
        "f": math.nan,
        "g": -math.inf,
    }
    writer = JournalWriter(tmp_path, "0")
    writer.points(given)  # type: ignore[arg-type]
    writer.points(given, step=np.int64(3))  # type: ignore[arg-type]
    writer.close()
    points = read(tmp_path / "metrics-0-0.jnl").points
    assert [value for _, _, value in points[:5]] == [1, float(np.float32(0.1)), 2, 3.5, 1.5]
    assert math.isnan(points[5][2])
    assert points[6][2] == -math.inf
    assert points[7][1] == 3


def test_a_value_that_is_no_number_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1})
    before = (tmp_path / "metrics-0-0.jnl").stat().st_size
    with pytest.raises(TypeError):
        writer.points({"a": None})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="could not convert"):
        writer.points({"a": 1, "b": "high"})  # type: ignore[dict-item]
    with pytest.raises(ValueError, match="2 steps but 3 values"):
        writer.many("a", [1, 2], [1, 2, 3])
    assert (tmp_path / "metrics-0-0.jnl").stat().st_size == before
    writer.close()


@pytest.mark.parametrize("kind", ["list", "array", "numpy", "float32", "generator", "strided"])
def test_many_takes_any_numbers(tmp_path: Path, kind: str) -> None:
    numbers = [0.5 * i for i in range(70_000)]
    made = {
        "list": lambda: numbers,
        "array": lambda: array("d", numbers),
        "numpy": lambda: np.array(numbers),
        "float32": lambda: np.array(numbers, np.float32),
        "generator": lambda: (number for number in numbers),
        "strided": lambda: np.repeat(np.array(numbers), 2)[::2],
    }[kind]
    writer = JournalWriter(tmp_path, "0")
    writer.many("x", made(), made())
    writer.many("empty", [], [])
    writer.close()
    assert read(tmp_path / "metrics-0-0.jnl") == Read([("x", number, number) for number in numbers], [], 0)


def test_files_rotate_and_declare_their_keys_anew(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0", rotate_bytes=2000)
    for i in range(500):
        writer.points({"a": i} if i % 3 else {"b": i, "c": i})
    writer.close()
    assert len(list(tmp_path.glob("metrics-0-*.jnl"))) > 5
    expected = [(key, i, i) for i in range(500) for key in (["a"] if i % 3 else ["b", "c"])]
    assert read_stream(tmp_path, "0").points == expected


def test_a_second_writer_of_a_stream_gets_one_of_its_own(tmp_path: Path) -> None:
    first, second = JournalWriter(tmp_path, "0"), JournalWriter(tmp_path, "0")
    assert (first.stream, second.stream) == ("0", f"0.{os.getpid()}")
    second.points({"a": 2})
    first.points({"a": 1})
    first.close()
    third = JournalWriter(tmp_path, "0")
    assert third.stream == "0"
    third.points({"a": 3})
    assert read(tmp_path / "metrics-0-1.jnl").points == [("a", 0, 3)]
    assert read(tmp_path / f"metrics-0.{os.getpid()}-0.jnl").points == [("a", 0, 2)]
    second.close()
    third.close()


def test_numbers_go_on_after_sealed_journals(tmp_path: Path) -> None:
    (tmp_path / "segments").mkdir()
    (tmp_path / "segments" / "metrics-0-3.sealed").touch()
    (tmp_path / "segments" / "metrics-0-4.parquet").touch()
    JournalWriter(tmp_path, "0").close()
    assert [path.name for path in tmp_path.glob("*.jnl")] == ["metrics-0-5.jnl"]


def test_a_forked_child_writes_to_its_own_stream(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1})
    child = os.fork()
    if child == 0:  # no test code may run on in here
        try:
            writer.points({"a": 2})
            writer.points({"a": 3, "b": 4})
            os._exit(0)
        except BaseException:  # noqa: BLE001
            os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    writer.points({"a": 5})
    writer.close()
    assert read(tmp_path / "metrics-0-0.jnl").points == [("a", 0, 1), ("a", 1, 5)]
    assert read(tmp_path / f"metrics-0.{child}-0.jnl").points == [("a", 0, 2), ("a", 1, 3), ("b", 1, 4)]


def test_threads_share_a_writer(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0", rotate_bytes=20_000)
    start = threading.Barrier(4)

    def work(number: int) -> None:
        start.wait()
        for i in range(2000):
            writer.points({f"t{number}": i, f"new{i % 50}": i}, step=i)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    writer.close()
    points = read_stream(tmp_path, "0").points
    assert len(points) == 4 * 2000 * 2
    for number in range(4):
        assert [value for key, _, value in points if key == f"t{number}"] == list(range(2000))


def test_a_file_is_not_left_while_another_thread_writes_to_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that sees the next file takes the one before for complete."""
    entered, go_on = threading.Event(), threading.Event()

    def slow_disk(fd: int, data: bytes) -> int:
        if threading.current_thread().name == "stalled":
            entered.set()
            assert go_on.wait(60)
        return os.write(fd, data)

    monkeypatch.setattr(journal_file, "_GRACE_S", 20.0)
    writer = JournalWriter(tmp_path, "0", rotate_bytes=500)
    writer.points({"a": -1})
    monkeypatch.setattr(journal_writer, "_os_write", slow_disk)
    monkeypatch.setattr(journal_file, "_os_write", slow_disk)
    stalled = threading.Thread(target=writer.points, args=({"a": 100},), name="stalled")
    stalled.start()
    assert entered.wait(60)
    busy = threading.Thread(target=lambda: [writer.points({"a": i}) for i in range(20)])
    busy.start()
    busy.join(0.3)
    assert busy.is_alive()
    assert not (tmp_path / "metrics-0-1.jnl").exists()
    go_on.set()
    busy.join()
    stalled.join()
    writer.close()
    assert (tmp_path / "metrics-0-1.jnl").exists()
    assert ("a", 1, 100) in read(tmp_path / "metrics-0-0.jnl").points
    values = [value for _, _, value in read_stream(tmp_path, "0").points]
    assert sorted(values) == [-1, *range(20), 100]


def test_a_signal_handler_may_log(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0", rotate_bytes=5000)
    numbers = itertools.count()
    handled = set()

    def handler(*_: object) -> None:
        number = next(numbers)  # a handler may be interrupted by the next signal's
        writer.points({f"signal{number % 7}": number})
        handled.add(number)

    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        i = 0
        while len(handled) < 200:
            writer.points({"main": i, f"k{i % 11}": i})
            i += 1
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    writer.close()
    points = read_stream(tmp_path, "0").points
    assert [value for key, _, value in points if key == "main"] == list(range(i))
    assert sorted(value for key, _, value in points if key.startswith("signal")) == sorted(handled)


def test_more_keys_than_ids_are_dropped_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(journal_writer, "MAX_KEYS", 3)
    writer = JournalWriter(tmp_path, "0")
    for i in range(5):
        writer.points({f"k{i}": i})
    writer.points({"k0": 9})
    writer.close()
    got = read(tmp_path / "metrics-0-0.jnl")
    assert [key for key, _, _ in got.points] == ["k0", "k1", "k2", "k0"]
    assert got.marks == [{"kind": "dropped", "count": 2}]


def test_a_closed_writer_says_so(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1})
    writer.close()
    writer.close()
    with pytest.raises(ValueError, match="stream 0 is closed"):
        writer.points({"a": 1})
    with pytest.raises(ValueError, match="stream 0 is closed"):
        writer.mark("progress")


@pytest.mark.parametrize(
    ("name", "parsed"),
    [
        ("metrics-0-12.jnl", ("0", 12)),
        ("metrics-0.4711-0.jnl", ("0.4711", 0)),
        ("metrics-system-1.jnl", ("system", 1)),
        ("metrics--1.jnl", None),
        ("metrics-0-x.jnl", None),
        ("metrics-0-1.tmp", None),
        ("logs.txt", None),
    ],
)
def test_names(name: str, parsed: tuple[str, int] | None) -> None:
    assert parse_journal_name(name) == parsed
    if parsed is not None:
        assert journal_name(*parsed) == name
