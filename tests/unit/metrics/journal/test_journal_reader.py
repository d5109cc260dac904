from __future__ import annotations

import math
import os
import random
from pathlib import Path

import numpy as np
import pytest

from jupyter_ext.engine.metrics.journal.frame_crcs import crcs_of
from jupyter_ext.engine.metrics.journal.journal_reader import JournalTail
from jupyter_ext.engine.metrics.journal.marks import Mark
from jupyter_ext.ipc.journal_format import frame as _frame
from jupyter_ext.ipc.journal_format import key_frame as _key_frame
from jupyter_ext.worker.sdk import journal_file, journal_writer
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

Told = dict[str, list[tuple[float, float, int]]]


def read_all(tail: JournalTail, max_bytes: int = 1 << 20) -> tuple[Told, list[Mark]]:
    told: Told = {}
    marks: list[Mark] = []
    more = True
    while more:
        news = tail.read(max_bytes)
        more = news.more
        marks += news.marks
        for key, points in news.columns.items():
            rows = zip(points.steps.tolist(), points.values.tolist(), points.ordinals.tolist(), strict=True)
            told.setdefault(key, []).extend(rows)
    return told, marks


def write_randomly(writer: JournalWriter, randomly: random.Random, num_calls: int) -> tuple[Told, int]:
    """Log by one of several habits at a time, as trainings do; give what a reader has to find."""
    told: Told = {}
    ordinal = call = 0
    while call < num_calls:
        habit = randomly.choice(["one", "ten", "alternate", "mixed", "many", "mark"])
        for i in range(randomly.choice([1, 3, 50, 300])):
            step = float(randomly.choice([call, call // 10, -call]))
            if habit == "many":
                n = randomly.randrange(5)
                numbers = [randomly.random() for _ in range(n)]
                writer.many("many", numbers, numbers)
                for number in numbers:
                    told.setdefault("many", []).append((number, number, ordinal))
                    ordinal += 1
                continue
            if habit == "mark":
                writer.mark("progress", current=i)
                continue
            keys = {
                "one": ["loss"],
                "ten": [f"k{j}" for j in range(10)],
                "alternate": [["loss"], ["lr"]][i % 2],
                "mixed": [f"k{j}" for j in range(randomly.randrange(1, 6))],
            }[habit]
            values = {key: randomly.random() for key in keys}
            writer.points(values, step)
            call += 1
            for key, value in values.items():
                told.setdefault(key, []).append((step, value, ordinal))
                ordinal += 1
    return told, ordinal


@pytest.mark.parametrize("seed", range(6))
def test_every_habit_of_logging_is_read_back_in_pieces_of_any_size(tmp_path: Path, seed: int) -> None:
    randomly = random.Random(seed)
    writer = JournalWriter(tmp_path, "0")
    told, ordinal = write_randomly(writer, randomly, 3000)
    writer.close()
    for max_bytes in (1 << 20, 4096, randomly.randrange(1, 300)):
        tail = JournalTail(tmp_path / "metrics-0-0.jnl")
        assert read_all(tail, max_bytes)[0] == told
        assert (tail.ordinal, tail.offset, tail.is_damaged) == (ordinal, tail.size_bytes, False)
        tail.close()


def test_news_are_read_as_they_are_appended(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    tail = JournalTail(tmp_path / "metrics-0-0.jnl")
    assert tail.read() == ({}, [], False)
    for i in range(200):
        writer.points({"a": i})
        assert read_all(tail)[0] == {"a": [(i, i, i)]}
    tail.close()
    writer.close()


def test_a_tail_goes_on_from_where_another_stopped(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    for i in range(100):
        writer.points({"a": i})
    first = JournalTail(tmp_path / "metrics-0-0.jnl")
    first.read(1000)
    assert 0 < first.ordinal < 100
    second = JournalTail(
        tmp_path / "metrics-0-0.jnl", offset=first.offset, ordinal=first.ordinal, keys=first.keys
    )
    assert read_all(second)[0] == read_all(first)[0]
    third = JournalTail(tmp_path / "metrics-0-0.jnl")
    assert not third.read(until=0).columns
    third.read(until=second.offset - 1)
    assert third.ordinal == 99
    for tail in (first, second, third):
        tail.close()
    writer.close()


def test_marks_and_special_values(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.mark("started")
    writer.points({"a": math.nan, "b": math.inf}, 1, 1_700_000_000.123456)
    writer.mark("checkpoint", path=Path("x"), loss=math.nan)
    writer.points({"a": 1}, math.nan, math.nan)
    writer.close()
    tail = JournalTail(tmp_path / "metrics-0-0.jnl")
    news = tail.read()
    assert [mark.ordinal for mark in news.marks] == [0, 2]
    assert news.marks[1].fields["path"] == "x"
    assert news.marks[1].fields["loss"] == "NaN"
    assert np.isnan(news.columns["a"].values[0])
    assert news.columns["b"].values[0] == math.inf
    assert news.columns["a"].times.tolist() == [1_700_000_000.123456, 0]
    assert np.isnan(news.columns["a"].steps[1])
    tail.close()


@pytest.mark.parametrize("num_keys", [1, 10, 60])
@pytest.mark.parametrize("seed", range(3))
def test_reading_stops_at_the_first_bad_frame(tmp_path: Path, num_keys: int, seed: int) -> None:
    """Flip any byte: all frames before it are read, none from it on."""
    writer = JournalWriter(tmp_path, "0")
    keys = [f"k{i}" for i in range(num_keys)]
    ends = []
    path = tmp_path / "metrics-0-0.jnl"
    for i in range(500):
        writer.points(dict.fromkeys(keys, i))
        ends.append(path.stat().st_size)
    writer.close()
    data = path.read_bytes()
    randomly = random.Random(seed)
    for _ in range(20):
        hit = randomly.randrange(len(data))
        path.write_bytes(data[:hit] + bytes([data[hit] ^ (1 << randomly.randrange(8))]) + data[hit + 1 :])
        tail = JournalTail(path)
        told = read_all(tail)[0]
        good = sum(end <= hit for end in ends)
        assert len(told.get("k0", [])) == good
        assert tail.ordinal == good * num_keys
        tail.close()


def test_a_torn_end_is_waited_for(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    for i in range(100):
        writer.points({"a": i, "b": i})
    writer.close()
    path = tmp_path / "metrics-0-0.jnl"
    data = path.read_bytes()
    for cut in range(1, 60):
        path.write_bytes(data[:-cut])
        tail = JournalTail(path)
        got = len(read_all(tail)[0]["a"])
        assert got == 99 if cut <= 45 else 98
        assert not tail.is_damaged
        path.write_bytes(data)
        assert len(read_all(tail)[0]["a"]) == 100 - got
        tail.close()


@pytest.mark.parametrize(
    "bad",
    [
        _frame(b"\x09what"),
        _frame(b"\x02" + bytes(16)),
        _frame(b"\x02" + bytes(16) + b"\x07\x00" + bytes(8)),
        _frame(b"\x03\x00\x00\x09\x00\x00\x00" + bytes(8)),
        _frame(b"\x01\x00"),
        _key_frame(0, "other"),
        _frame(b"\x01\x05\x00\xff\xfe"),
        _frame(b"\x04" + bytes(8) + b"{"),
        b"\xff\xff\xff\x7f" + bytes(100),
        bytes(200),
    ],
    ids=[
        "kind",
        "no key",
        "unknown key",
        "short many",
        "short key",
        "key twice",
        "no utf-8",
        "no json",
        "length",
        "zeros",
    ],
)
def test_frames_that_make_no_sense_end_the_reading(tmp_path: Path, bad: bytes) -> None:
    path = tmp_path / "metrics-0-0.jnl"
    writer = JournalWriter(tmp_path, "0")
    for i in range(10):
        writer.points({"a": i})
    good = path.stat().st_size
    with open(path, "ab") as file:
        file.write(bad)
    for i in range(10):
        writer.points({"a": i})
    writer.close()
    tail = JournalTail(path)
    assert len(read_all(tail)[0]["a"]) == 10
    assert (tail.offset, tail.is_damaged) == (good, True)
    assert tail.read() == ({}, [], False)
    tail.close()


def test_crcs_of_rows_are_zlibs() -> None:
    for width in (9, 35, 125, 300):
        rows = np.random.default_rng(width).integers(0, 256, (40, width), np.uint8)
        import zlib

        assert crcs_of(rows).tolist() == [zlib.crc32(row[8:].tobytes()) for row in rows]


def test_a_tail_leaves_no_descriptor(tmp_path: Path) -> None:
    JournalWriter(tmp_path, "0").close()
    before = len(os.listdir("/proc/self/fd"))
    tail = JournalTail(tmp_path / "metrics-0-0.jnl")
    tail.close()
    tail.close()
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_a_writer_mends_within_a_read_is_read_as_it_is_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A short write is cut off again; a read at that moment finds zeros behind the file's new end."""
    writer = JournalWriter(tmp_path, "0")
    for step in range(3):
        writer.points({"a": 1.0}, step, 1.0)
    tail = JournalTail(tmp_path / "metrics-0-0.jnl")
    whole, pread = (tmp_path / "metrics-0-0.jnl").read_bytes(), os.pread
    seen = iter([whole[:-20] + bytes(20), whole[:-5]])  # zeros, then a part of the next frame
    monkeypatch.setattr(os, "pread", lambda fd, length, offset: next(seen, None) or pread(fd, length, offset))
    told, _ = read_all(tail)
    assert not tail.is_damaged
    writer.points({"a": 2.0}, 3, 1.0)
    more, _ = read_all(tail)
    assert [step for step, _, _ in told["a"] + more["a"]] == [0, 1, 2, 3]
    writer.close()
    tail.close()


class TornWrites:
    """A disk that takes a part of some writes, and a reader that looks at the journal after each.

    Args:
        directory: Where the journal is.
        parts: How many bytes it takes of the next writes; all of what comes after.
    """

    def __init__(self, directory: Path, parts: list[int]) -> None:
        self.path = directory / "metrics-0-0.jnl"
        self.tail: JournalTail | None = None
        self.steps: list[float] = []
        self.num_told = 0
        self._parts = iter(parts)

    def write(self, fd: int, data: bytes) -> int:
        """Write a part, and look."""
        written = os.write(fd, data[: next(self._parts, len(data))])
        self.look()
        return written

    def look(self) -> None:
        """Read what is there."""
        if self.tail is None and self.path.exists():
            self.tail = JournalTail(self.path)
        if self.tail is not None:
            news = self.tail.read()
            for points in news.columns.values():
                self.steps += points.steps.tolist()
            self.num_told += sum(int(str(mark.fields["count"])) for mark in news.marks)


def test_a_reader_that_looks_after_every_write_survives_a_tear_at_every_byte(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is whole may have been read before a writer cuts off the rest, so it stays; nothing is doubled or lost unseen."""
    for cut in range(1, 140):
        directory = tmp_path / str(cut)
        directory.mkdir()
        writer, disk = JournalWriter(directory, "0"), TornWrites(directory, [cut, cut // 2, max(1, cut // 3)])
        writer.points({"a": 0.0}, 0)
        with monkeypatch.context() as patched:
            patched.setattr(journal_file, "_os_write", disk.write)
            patched.setattr(journal_writer, "_os_write", disk.write)
            for step in range(1, 7):
                writer.points({"a": 1.0, "b": 2.0} if step % 2 else {"c": 1.0}, step)
        writer.points({"a": 0.0}, 7)
        disk.look()
        assert disk.tail is not None
        assert not disk.tail.is_damaged, cut
        assert disk.num_told + len(set(disk.steps)) == 8, (cut, disk.steps, disk.num_told)
        disk.tail.close()
        writer.close()
