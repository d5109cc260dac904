"""The writer on disks that fill up or fail, and killed while it writes."""

from __future__ import annotations

import errno
import os
import random
import resource
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from journal_tools import Read, read, read_stream

from jupyter_ext.worker.sdk import journal_file, journal_writer
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


def test_a_frame_that_a_full_disk_tore_off_unseen_is_cut_before_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 0})
    writer.points({"a": 1})
    with monkeypatch.context() as full:
        full.setattr(journal_writer, "_os_write", lambda fd, data: os.write(fd, data[:7]))
        full.setattr(journal_file, "_os_write", lambda fd, data: os.write(fd, data[:7]))
        assert not writer.try_fast_append({"a": 2})
    writer.mark("progress", current=1)
    writer.points({"a": 3})
    writer.close()
    got = read(tmp_path / "metrics-0-0.jnl")
    assert got.points == [("a", 0, 0), ("a", 1, 1), ("a", 2, 3)]
    assert (len(got.marks), got.torn_bytes) == (1, 0)


def test_nothing_is_written_behind_a_torn_frame(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`log()` tries the quick way, and `points` tries it again."""
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 0})
    sizes = iter([7])
    monkeypatch.setattr(
        journal_writer, "_os_write", lambda fd, data: os.write(fd, data[: next(sizes, len(data))])
    )
    assert not writer.try_fast_append({"a": 1})
    writer.points({"a": 1})
    writer.points({"a": 2})
    writer.close()
    got = read(tmp_path / "metrics-0-0.jnl")
    assert got == Read([("a", 0, 0), ("a", 1, 1), ("a", 2, 2)], [], 0)


KILLED = """
import mmap, struct, sys
from jupyter_ext.worker.sdk.journal_writer import JournalWriter
writer = JournalWriter(sys.argv[1], "0", rotate_bytes=200_000)
keys = [f"k{i}" for i in range(int(sys.argv[2]))]
with open(sys.argv[3], "r+b") as file:
    told = mmap.mmap(file.fileno(), 8)
i = 0
while True:
    writer.points(dict.fromkeys(keys, i))
    i += 1
    told[:8] = struct.pack("<Q", i)
"""


@pytest.mark.parametrize("num_keys", [1, 10, 100])
def test_kill_9_loses_no_call_that_returned(tmp_path: Path, num_keys: int) -> None:
    randomly = random.Random(num_keys)
    for round_number in range(5):
        directory = tmp_path / str(round_number)
        directory.mkdir()
        counter = directory / "counter"
        counter.write_bytes(bytes(8))
        process = subprocess.Popen([sys.executable, "-c", KILLED, directory, str(num_keys), counter])
        wanted = randomly.randrange(1, 20_000)
        while struct.unpack("<Q", counter.read_bytes())[0] < wanted:
            assert process.poll() is None
        process.kill()
        process.wait()
        returned = struct.unpack("<Q", counter.read_bytes())[0]
        points = read_stream(directory, "0").points
        calls = len(points) // num_keys
        assert calls in (returned, returned + 1)  # one may have been written but not yet counted
        assert [value for _, _, value in points[::num_keys]] == list(range(calls))


def test_a_full_disk_is_counted_and_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    room = [1 << 30]

    def limited(fd: int, data: bytes) -> int:
        """As a disk with `room` bytes left: takes what fits, then refuses."""
        if room[0] == 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        written = os.write(fd, data[: room[0]])
        room[0] -= written
        return written

    monkeypatch.setattr(journal_writer, "_os_write", limited)
    monkeypatch.setattr(journal_file, "_os_write", limited)
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 0})
    room[0] = 10
    for i in range(1, 6):
        writer.points({"a": i})
    writer.many("b", [1], [1])
    writer.mark("progress", current=1)
    room[0] = 1 << 30
    writer.points({"a": 6})
    writer.points({"a": 7})
    writer.close()
    got = read(tmp_path / "metrics-0-0.jnl")
    assert got.points == [("a", 0, 0), ("a", 6, 6), ("a", 7, 7)]
    assert got.marks == [{"kind": "dropped", "count": 7}]
    assert got.torn_bytes == 0


FULL = """
import resource, sys
from jupyter_ext.worker.sdk.journal_writer import JournalWriter
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.RLIM_INFINITY))
writer = JournalWriter(sys.argv[1], "0")
for i in range(1000):
    writer.points({"a": i})
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
writer.points({"a": 1000})
writer.close()
"""


def test_a_real_file_size_limit_never_raises(tmp_path: Path) -> None:
    assert resource.RLIMIT_FSIZE is not None
    subprocess.run([sys.executable, "-c", FULL, tmp_path], check=True)
    got = read_stream(tmp_path, "0")
    kept = [value for _, _, value in got.points]
    assert kept == [*range(len(kept) - 1), 1000]
    assert got.marks == [{"kind": "dropped", "count": 1001 - len(kept)}]


def test_a_missing_directory_never_raises(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path / "later", "0")
    writer.points({"a": 1})
    (tmp_path / "later").mkdir()
    writer.points({"a": 2})
    writer.close()
    got = read(tmp_path / "later" / "metrics-0-0.jnl")
    assert got == Read([("a", 1, 2)], [{"kind": "dropped", "count": 1}], 0)
