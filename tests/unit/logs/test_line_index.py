"""Lines by number, byte and time: the same as splitting the whole text, however it grows."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from jupyter_ext.engine.logs import line_index
from jupyter_ext.engine.logs.line_index import LineIndex, offset_at, time_at
from jupyter_ext.engine.metrics.serving.run_store import RunStore


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "_EVERY", 7)
    monkeypatch.setattr(line_index, "_READ_BYTES", 50)


@pytest.mark.parametrize("seed", range(5))
def test_it_agrees_with_split(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = tmp_path / "logs.txt"
    index, data = LineIndex(path), b""
    for _ in range(40):
        data += b"".join(
            rng.choice([b"\n", b"a", b"line\n", "ü\n".encode(), b"\r"]) for _ in range(rng.randrange(30))
        )
        path.write_bytes(data)
        lines = data.split(b"\n")
        lines = lines[:-1] if lines[-1] == b"" else lines
        assert index.total() == len(lines)
        if not lines:
            continue
        first = rng.randrange(len(lines))
        page = index.page(first, 5)
        assert [line.text.encode() for line in page.lines] == lines[first : first + 5]
        starts = [sum(len(line) + 1 for line in lines[:number]) for number in range(len(lines))]
        assert [line.offset for line in page.lines] == starts[first : first + 5]
        assert index.offset_of(first) == starts[first]
        at = rng.randrange(len(data))
        assert index.line_of(at) == max(i for i, start in enumerate(starts) if start <= at)


def test_no_file_has_no_lines(tmp_path: Path) -> None:
    index = LineIndex(tmp_path / "logs.txt")
    assert (index.total(), index.page(0, 10).lines, index.line_of(5), index.offset_of(3)) == (0, [], 0, 0)


def test_of_a_long_line_the_end_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(line_index, "MAX_LINE_BYTES", 10)
    (tmp_path / "logs.txt").write_bytes(b"x" * 1_000 + b"end\nnext\n")
    page = LineIndex(tmp_path / "logs.txt").page(0, 2)
    assert [line.text for line in page.lines] == ["xxxxxxxend", "next"]
    assert page.lines[1].offset == 1_004


def test_times_and_places(tmp_path: Path) -> None:
    store = RunStore(tmp_path)
    store.open()
    for text in ("one\n", "two\n", "three\n"):
        with open(tmp_path / "logs.txt", "a") as file:
            file.write(text)
        assert store.ingest() is not None
    store.close()
    times = [time_at(tmp_path, offset) for offset in (0, 3, 4, 8, 13)]
    assert times == sorted(time for time in times if time is not None)
    assert times[0] == times[1]
    assert time_at(tmp_path, 14) is None
    assert times[2] is not None
    assert offset_at(tmp_path, times[2]) >= 8
    assert offset_at(tmp_path, 0) == 0
    assert offset_at(tmp_path, 1e12) == 14
