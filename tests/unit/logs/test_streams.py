"""Stderr's bytes in a log: merged as they come, from both ends of the file that says so."""

from __future__ import annotations

import contextlib
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext.engine.logs import streams
from jupyter_ext.engine.logs.streams import StderrSpans
from jupyter_ext.ipc.run_files import STDERR_MARK, STDERR_MARKS
from jupyter_ext.worker.runtime.stream_marks import MarkReader, StreamMarks


def append(path: Path, *marks: tuple[int, int]) -> None:
    with open(path, "ab") as file:
        file.write(b"".join(STDERR_MARK.pack(*mark) for mark in marks))


@pytest.mark.parametrize("seed", range(4))
def test_it_agrees_with_a_set_of_bytes(tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "_READ_BYTES", 64)
    rng, path, marked = random.Random(seed), tmp_path / STDERR_MARKS, set[int]()
    spans = StderrSpans(path)
    for _ in range(8):
        new = [(begin, begin + rng.randrange(5)) for begin in rng.choices(range(100), k=6)]
        append(path, *new)
        marked.update(*(range(*mark) for mark in new))
        assert spans.streams(list(range(110))) == ["stderr" if i in marked else "stdout" for i in range(110)]
        found = spans.between(20, 60)
        assert {i for begin, end in found for i in range(begin, end)} == {i for i in marked if 20 <= i < 60}
        assert found == sorted(found)
        assert all(one[1] < other[0] for one, other in itertools.pairwise(found))


def test_a_torn_or_a_senseless_mark_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / STDERR_MARKS
    spans = StderrSpans(path)
    assert spans.streams([0]) == ["stdout"]
    append(path, (9, 3), (0, 2**64 - 1), (4, 6))
    with open(path, "ab") as file:
        file.write(b"torn")
    assert spans.between(0, 100) == [(4, 6)]


@contextlib.contextmanager
def printing_to(path: Path) -> Iterator[None]:
    """Have descriptors 1 and 2 append to a file, each through an open file of its own."""
    kept = os.dup(1), os.dup(2)
    for descriptor in (1, 2):
        file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT)
        os.dup2(file, descriptor)
        os.close(file)
    try:
        yield
    finally:
        for descriptor, saved in enumerate(kept, 1):
            os.dup2(saved, descriptor)
            os.close(saved)


def test_what_native_code_writes_is_told_where_it_can_be(tmp_path: Path) -> None:
    log = tmp_path / "logs.txt"
    with printing_to(log):
        marks = StreamMarks()
        marks.begin(log.parent)
        os.write(1, b"out ")
        marks.write_error(2, b"error ")
        marks.settle()
        os.write(1, b"out ")
        os.write(2, b"native ")  # between two looks, after all that stdout has written
        marks.settle()
        os.write(2, b"hidden ")  # stdout's next write may stand before it or after it
        os.write(1, b"out ")
        marks.settle()
        kept, elsewhere = os.dup(2), os.open(log.with_name("elsewhere"), os.O_WRONLY | os.O_CREAT)
        os.dup2(elsewhere, 2)
        marks.write_error(2, b"to elsewhere")
        os.dup2(kept, 2)
        marks.write_error(2, b"error again")
        marks.end()
        os.close(kept)
        os.close(elsewhere)
    text = log.read_bytes()
    found = StderrSpans(log.with_name(STDERR_MARKS)).between(0, len(text))
    assert [text[begin:end] for begin, end in found] == [b"error ", b"native ", b"error again"]
    reader = MarkReader(log.with_name(STDERR_MARKS))
    parts = [part for cut in ((0, 7), (7, 12), (12, len(text))) for part in reader.split(*cut)]
    assert b"".join(text[begin:end] for _, begin, end in parts) == text
    assert (
        b"".join(text[begin:end] for is_error, begin, end in parts if is_error) == b"error native error again"
    )


def test_two_files_are_not_marked(tmp_path: Path) -> None:
    marks = StreamMarks()
    with printing_to(tmp_path / "logs.txt"):
        other = os.open(tmp_path / "other", os.O_WRONLY | os.O_CREAT)
        os.dup2(other, 2)
        os.close(other)
        marks.begin(tmp_path)
        marks.write_error(2, b"x")
    assert not (tmp_path / STDERR_MARKS).exists()
