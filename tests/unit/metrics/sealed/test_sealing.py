"""Sealing loses nothing, whatever step it is cut at, and gives Parquet that others can read."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.metrics.sealed import merging, segment_file
from jupyter_ext.engine.metrics.sealed.sealing import main, seal_run
from jupyter_ext.engine.metrics.sealed.segments import load_parts
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.periodic_tasks import _unsealed
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

Told = dict[tuple[str, str], list[list[float]]]


@pytest.fixture(autouse=True)
def no_waiting_for_the_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only a power cut would show whether the disk was waited for, and that takes most of the time here."""
    monkeypatch.setattr(os, "fsync", lambda fd: None)


def write_run(run_dir: Path, num_calls: int = 400, *, rotate_bytes: int = 6000) -> list[JournalWriter]:
    """Two ranks and several journals each; the writers are still open."""
    writers = [JournalWriter(run_dir, str(rank), rotate_bytes=rotate_bytes) for rank in range(2)]
    rng = np.random.default_rng(0)
    for i in range(num_calls):
        for rank, writer in enumerate(writers):
            value = float(rng.standard_normal()) if i % 50 else float("nan")
            writer.points({"loss": value, "acc": i / 7}, step=i // 2, time=1.7e9 + i + rank / 3)
            if i % 10 == 0:
                writer.mark("progress", current=i)
            if i % 100 == 0:
                writer.mark("checkpoint", path=f"{rank}-{i}")
    return writers


def told(run_dir: Path) -> tuple[Told, list[tuple[str, object]]]:
    """Everything a freshly started engine knows of a run."""
    store = RunStore(run_dir)
    store.open()
    marks = store.marks()
    while (batch := store.ingest()) is not None:
        marks += batch.marks
    marks = [mark for mark in marks if mark["kind"] == "checkpoint"]
    _, series = decode_columns(store.columns())
    store.close()
    points = {(s.rank, s.key): np.stack([s.steps, s.values, s.times]).tolist() for s in series}
    return points, sorted((mark["stream"], mark["path"]) for mark in marks)


def same(run_dir: Path, expected: tuple[Told, list[tuple[str, object]]]) -> None:
    points, marks = told(run_dir)
    assert points.keys() == expected[0].keys()
    for key, columns in points.items():
        np.testing.assert_array_equal(columns, expected[0][key])
    assert marks == expected[1]


def forget_index(run_dir: Path) -> None:
    for name in ("index.bin", "streams.json"):
        (run_dir / name).unlink(missing_ok=True)


def test_rotated_journals_are_sealed_and_the_newest_stays(tmp_path: Path) -> None:
    writers = write_run(tmp_path)
    expected = told(tmp_path)
    before = sorted(path.name for path in tmp_path.glob("*.jnl"))
    seal_run(tmp_path)
    assert len(list(tmp_path.glob("*.jnl"))) == 2
    assert len(list((tmp_path / "segments").glob("metrics-*.parquet"))) == len(before) - 2
    same(tmp_path, expected)
    forget_index(tmp_path)
    same(tmp_path, expected)
    for writer in writers:
        writer.close()
    seal_run(tmp_path, final=True)
    assert not list(tmp_path.glob("*.jnl"))
    names = {path.name for path in (tmp_path / "segments").iterdir()}
    assert {"all-1.parquet", "pyramid.npz", "marks.json"} <= names
    assert not [name for name in names if name.startswith("metrics-") and not name.endswith(".sealed")]
    same(tmp_path, expected)
    forget_index(tmp_path)
    same(tmp_path, expected)
    seal_run(tmp_path, final=True)
    assert {path.name for path in (tmp_path / "segments").iterdir()} == names


class Killed(BaseException):
    """The sealer ends here. As after a real kill, nothing of it changes the disk any more."""


class Disk:
    """Kills whoever changes the disk, after the `steps`-th change."""

    CHANGES = ("replace", "unlink", "fsync", "mkdir", "ftruncate")

    def __init__(self, monkeypatch: pytest.MonkeyPatch, steps: int) -> None:
        self._left = steps
        for name in self.CHANGES:
            monkeypatch.setattr(os, name, self._cut(getattr(os, name)))
        real_open = os.open

        def cut_open(path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
            does_create = flags & os.O_CREAT and not os.path.exists(path)
            return (self._cut(real_open) if does_create else real_open)(path, flags, *args, **kwargs)

        monkeypatch.setattr(os, "open", cut_open)

    def _cut(self, change: Callable[..., Any]) -> Callable[..., Any]:
        def changed(*args: Any, **kwargs: Any) -> Any:
            if self._left <= 0:
                raise Killed
            result = change(*args, **kwargs)
            self._left -= 1
            if self._left == 0:
                raise Killed
            return result

        return changed


@pytest.mark.parametrize("kind", ["live", "final"])
def test_a_sealer_killed_after_any_step_loses_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Kill it after its 1st, 2nd, 3rd … change of the disk; look with and without an index; let the next one finish."""
    pristine = tmp_path / "pristine"
    pristine.mkdir()
    for writer in write_run(pristine, 45, rotate_bytes=2000):
        writer.close()
    expected = told(pristine)
    was_killed, step = True, 0
    while was_killed:
        step += 1
        run_dir = tmp_path / str(step)
        shutil.copytree(pristine, run_dir)
        with monkeypatch.context() as patched:
            Disk(patched, step)
            try:
                seal_run(run_dir, final=kind == "final")
                was_killed = False
            except Killed:
                pass
        same(run_dir, expected)
        forget_index(run_dir)
        same(run_dir, expected)
        seal_run(run_dir, final=kind == "final")
        same(run_dir, expected)
        assert not list((run_dir / "segments").glob("*.tmp"))
    assert step > (30 if kind == "final" else 10)


CUT = """
import os, signal, sys, threading
from pathlib import Path
from jupyter_ext.engine.metrics.sealed.sealing import seal_run
import pyarrow.parquet
after_s = float(sys.argv[2])
threading.Timer(after_s, os.kill, (os.getpid(), signal.SIGKILL)).start()
seal_run(Path(sys.argv[1]), final=True)
"""


def test_a_sealer_killed_at_any_moment_loses_nothing(tmp_path: Path) -> None:
    """Real SIGKILLs, several at once, between system calls as well as within them."""
    pristine = tmp_path / "pristine"
    pristine.mkdir()
    for writer in write_run(pristine, 300, rotate_bytes=2000):
        writer.close()
    expected = told(pristine)
    killed = {}
    for after_s in (0.01, 0.04, 0.1, 0.2):
        run_dir = tmp_path / str(after_s)
        shutil.copytree(pristine, run_dir)
        killed[run_dir] = subprocess.Popen([sys.executable, "-c", CUT, run_dir, str(after_s)])
    codes = [process.wait() for process in killed.values()]
    assert codes[0] == -signal.SIGKILL
    assert {*codes} <= {0, -signal.SIGKILL}
    for run_dir in killed:
        same(run_dir, expected)
        seal_run(run_dir, final=True)
        same(run_dir, expected)
        assert not list(run_dir.glob("*.jnl"))


def test_a_segment_wins_over_its_journal(tmp_path: Path) -> None:
    writers = write_run(tmp_path)
    expected = told(tmp_path)
    journals = {path: path.read_bytes() for path in tmp_path.glob("*.jnl")}
    seal_run(tmp_path)
    for path, data in journals.items():
        path.write_bytes(data)  # as if the sealer had been killed before it unlinked them
    forget_index(tmp_path)
    same(tmp_path, expected)
    seal_run(tmp_path)
    assert len(list(tmp_path.glob("*.jnl"))) == 2
    same(tmp_path, expected)
    for writer in writers:
        writer.close()


@pytest.mark.parametrize("final", [False, True])
def test_a_lost_or_damaged_summary_is_made_anew(tmp_path: Path, final: bool) -> None:
    for writer in write_run(tmp_path):
        writer.close()
    expected = told(tmp_path)
    seal_run(tmp_path, final=final)
    for number, path in enumerate((tmp_path / "segments").glob("*.npz")):
        if number % 2:
            path.write_bytes(path.read_bytes()[:100])
        else:
            path.unlink()
    same(tmp_path, expected)
    seal_run(tmp_path, final=True)
    same(tmp_path, expected)


def test_a_journal_whose_writer_lives_is_left_alone(tmp_path: Path) -> None:
    writers = write_run(tmp_path)
    expected = told(tmp_path)
    seal_run(tmp_path, final=True)
    left = sorted(path.name for path in tmp_path.glob("*.jnl"))
    assert len(left) == 2
    writers[0].points({"loss": 1.5}, step=1, time=1.0)
    points, _ = told(tmp_path)
    assert [row[-1] for row in points["0", "loss"]] == [1.0, 1.5, 1.0]
    assert len(points["0", "loss"][0]) == len(expected[0]["0", "loss"][0]) + 1
    for writer in writers:
        writer.close()
    before = told(tmp_path)
    seal_run(tmp_path, final=True)
    assert not list(tmp_path.glob("*.jnl"))
    same(tmp_path, before)
    assert [path.name for path in (tmp_path / "segments").glob("*.parquet")] == ["all-2.parquet"]


def test_a_run_that_goes_on_after_its_end_is_sealed_again(tmp_path: Path) -> None:
    for writer in write_run(tmp_path):
        writer.close()
    seal_run(tmp_path, final=True)
    again = JournalWriter(tmp_path, "0")
    for i in range(20_000):
        again.points({"loss": i, "late": i}, time=2e9)
    again.close()
    expected = told(tmp_path)
    assert len(expected[0]["0", "loss"][0]) == 20_400
    seal_run(tmp_path, final=True)
    same(tmp_path, expected)
    forget_index(tmp_path)
    same(tmp_path, expected)


def test_other_tools_read_the_parquet(tmp_path: Path) -> None:
    import pandas as pd
    import pyarrow.parquet as pq

    for writer in write_run(tmp_path):
        writer.close()
    points, _ = told(tmp_path)
    seal_run(tmp_path, final=True)
    path = tmp_path / "segments" / "all-1.parquet"
    frame = pd.read_parquet(path)
    assert list(frame.columns) == ["stream", "key", "step", "time", "value", "ordinal"]
    loss = frame[(frame["stream"] == "1") & (frame["key"] == "loss")]
    np.testing.assert_array_equal(loss["value"], points["1", "loss"][1])
    assert loss["ordinal"].is_monotonic_increasing
    assert str(frame["time"].dtype) == "datetime64[us, UTC]"
    assert sorted(frame[frame["stream"] == "0"]["ordinal"]) == list(range(800))
    assert pq.read_schema(path).field("key").type.equals(pq.read_schema(path).field("stream").type)


def test_row_groups_are_crossed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(segment_file, "ROW_GROUP_POINTS", 97)
    monkeypatch.setattr(merging, "SHORT_SERIES", 10)
    for writer in write_run(tmp_path):
        writer.close()
    expected = told(tmp_path)
    seal_run(tmp_path)
    same(tmp_path, expected)
    seal_run(tmp_path, final=True)
    same(tmp_path, expected)


def has_open(pid: int, path: Path) -> bool:
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed between the two looks
            if os.readlink(descriptor) == str(path):
                return True
    return False


def test_only_one_sealer_works_at_a_time(tmp_path: Path) -> None:
    for writer in write_run(tmp_path, 50):
        writer.close()
    (tmp_path / "segments").mkdir()
    with open(tmp_path / "segments" / ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        process = subprocess.Popen(
            [sys.executable, "-m", "jupyter_ext.engine.metrics.sealed.sealing", tmp_path, "--final"]
        )
        while not has_open(process.pid, tmp_path / "segments" / ".lock"):
            assert process.poll() is None
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.2)
    assert process.wait() == 0
    assert not list(tmp_path.glob("*.jnl"))


def test_marks_and_progress_are_kept(tmp_path: Path) -> None:
    for writer in write_run(tmp_path):
        writer.close()
    store = RunStore(tmp_path)
    store.open()
    while store.ingest() is not None:
        pass
    before = store.marks()
    store.close()
    assert main([str(tmp_path), "--final"]) == 0
    store = RunStore(tmp_path)
    store.open()
    assert store.marks() == before
    assert [m["current"] for m in before if m["kind"] == "progress"] == [390, 390]
    store.close()


def test_parts_are_loaded_once(tmp_path: Path) -> None:
    writers = write_run(tmp_path)
    seal_run(tmp_path)
    parts = load_parts(tmp_path)
    again = load_parts(tmp_path, parts)
    assert all(again[part_id] is part for part_id, part in parts.items())
    for writer in writers:
        writer.close()
    seal_run(tmp_path, final=True)
    merged = load_parts(tmp_path, again)
    assert {part.path.name for part in merged.values()} == {"all-1.parquet"}
    assert all(load_parts(tmp_path, merged)[part_id] is part for part_id, part in merged.items())


def test_an_empty_run(tmp_path: Path) -> None:
    seal_run(tmp_path, final=True)
    writer = JournalWriter(tmp_path, "0")
    writer.mark("started")
    writer.close()
    seal_run(tmp_path, final=True)
    seal_run(tmp_path, final=True)
    store = RunStore(tmp_path)
    store.open()
    batch = store.ingest()
    assert batch is not None
    assert [mark["kind"] for mark in batch.marks] == ["started"]
    assert store.ingest() is None
    store.close()
    assert os.listdir(tmp_path / "segments")


@pytest.mark.parametrize(
    ("left", "is_found"),
    [
        ("metrics-0-0.jnl", True),
        ("segments/metrics-0-0.parquet", True),
        ("segments/.marks.json.tmp", True),
        ("segments/all-0.parquet", False),
    ],
)
def test_the_next_engine_finds_what_was_cut_at_any_step(tmp_path: Path, left: str, is_found: bool) -> None:
    run_dir = tmp_path / "run"
    (run_dir / "segments").mkdir(parents=True)
    (run_dir / left).touch()
    assert _unsealed(tmp_path, ["run", "gone"]) == []  # it may still run
    (run_dir / "training.json").touch()
    assert _unsealed(tmp_path, ["run", "gone"]) == (["run"] if is_found else [])


def test_a_file_that_could_not_be_finished_leaves_nothing(tmp_path: Path) -> None:
    file = new_file(tmp_path / "a.json")
    with pytest.raises(FileNotFoundError), file:
        (tmp_path / "gone").rename(tmp_path / "b")
    with pytest.raises(IsADirectoryError), new_file(tmp_path) as path:
        path.write_text("x")  # a directory cannot be replaced
    assert list(tmp_path.iterdir()) == []
    assert not list(tmp_path.parent.glob(".*.tmp"))
