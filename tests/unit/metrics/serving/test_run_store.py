"""What a viewer gets, from any cursor, across restarts of the engine, sealing, torn files and lost indexes."""

from __future__ import annotations

import errno
import os
import random
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from jupyter_ext.engine.metrics import logs
from jupyter_ext.engine.metrics.journal.journal_reader import READ_BYTES
from jupyter_ext.engine.metrics.sealed.sealing import seal_run
from jupyter_ext.engine.metrics.serving.index import METRICS, RECORD_FIELDS, End, Index
from jupyter_ext.engine.metrics.serving.run_store import Batch, CursorLost, RunStore
from jupyter_ext.protocol.metrics_codec import decode_batch, decode_columns
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

Seen = dict[tuple[str, str], list[tuple[float, float, float]]]
"""By rank and key: step, value, time of each point, in the order they came."""


def opened(run_dir: Path) -> RunStore:
    store = RunStore(run_dir)
    store.open()
    return store


def ingest_all(store: RunStore) -> list[Batch]:
    batches = []
    while (batch := store.ingest()) is not None:
        batches.append(batch)
    return batches


def seen(store: RunStore, batches: Iterable[Batch]) -> tuple[Seen, str]:
    """What a viewer has after these batches; checks that numbers rise and log pieces meet."""
    infos = {info.index: (info.rank, info.key) for info in store.series_infos()}
    points: Seen = defaultdict(list)
    text, seq, offset = "", 0, None
    for batch in batches:
        assert batch.seq > seq or (batch.seq == seq and not batch.has_points and batch.log is None)
        assert batch.metrics_seq <= batch.seq
        seq = batch.seq
        for index, columns in batch.blocks:
            assert len(columns) > 0
            points[infos[index]] += zip(*(column.tolist() for column in columns[:3]), strict=True)
        if batch.log is not None:
            assert offset in (None, batch.log[0])
            offset = batch.log[1]
            text += batch.log[2]
    return dict(points), text


def from_columns(store: RunStore) -> Seen:
    _, series = decode_columns(store.columns())
    return {
        (item.rank, item.key): list(
            zip(item.steps.tolist(), item.values.tolist(), item.times.tolist(), strict=True)
        )
        for item in series
    }


def append_log(run_dir: Path, data: bytes) -> None:
    with open(run_dir / "logs.txt", "ab") as file:
        file.write(data)


class Run:
    """A worker with several ranks that logs at random, and what a viewer has to see of it."""

    def __init__(self, run_dir: Path, seed: int) -> None:
        self.dir = run_dir
        self.randomly = random.Random(seed)
        self.points: Seen = defaultdict(list)
        self.log = b""
        self._writers: dict[str, JournalWriter] = {}
        self._clock = 1_700_000_000.0

    def work(self, num_calls: int) -> None:
        choose = self.randomly
        for _ in range(num_calls):
            stream = choose.choice(["0", "0", "0", "1", "system"])
            writer = self._writers.get(stream)
            if writer is None:
                writer = self._writers[stream] = JournalWriter(self.dir, stream, rotate_bytes=3000)
            self._clock = round(self._clock + choose.random(), 6)
            step = float(choose.choice([choose.randrange(100), -1, 1e9]))
            values = {
                key: choose.choice([choose.random(), float("inf")])
                for key in choose.choice(["a", "ab", "bca"])
            }
            writer.points(values, step, self._clock)
            for key, value in values.items():
                self.points[stream, key].append((step, value, self._clock))
            if choose.random() < 0.05:
                writer.mark("progress", current=step)
            if choose.random() < 0.2:
                piece = "schön 🎉 \n".encode()[choose.randrange(4) : choose.randrange(5, 14)]
                append_log(self.dir, piece)
                self.log += piece

    def end(self) -> None:
        append_log(self.dir, b".\n")  # so that nothing is held back as a torn character
        self.log += b".\n"
        for writer in self._writers.values():
            writer.close()

    def expected(self) -> Seen:
        return dict(self.points)


@pytest.mark.parametrize("seed", range(8))
def test_every_cursor_sees_each_point_once_whatever_happens(tmp_path: Path, seed: int) -> None:
    """Work, ingest, seal and restart in random order; then every replay fits every live stream."""
    run = Run(tmp_path, seed)
    store = opened(tmp_path)
    live: list[Batch] = []
    for _ in range(40):
        action = run.randomly.choice(["work", "work", "work", "ingest", "ingest", "seal", "restart"])
        if action == "work":
            run.work(run.randomly.randrange(40))
        elif action == "ingest":
            live += ingest_all(store)
        elif action == "seal":
            seal_run(tmp_path)
        else:
            store.close()
            store = opened(tmp_path)
    run.end()
    live += ingest_all(store)
    # a viewer's series numbers may change with the engine's restart, so look at what is replayed
    whole = list(store.replay(0))
    assert [batch.seq for batch in whole] == list(range(1, store.seq + 1))
    points, text = seen(store, whole)
    assert points == run.expected()
    assert len(text) <= len(run.log)
    assert from_columns(store) == run.expected()
    live_seqs = [batch.seq for batch in live if batch.has_points or batch.log]
    assert live_seqs == sorted(set(live_seqs))
    cursors = [batch.seq for batch in live]

    def check(store: RunStore) -> None:
        for cursor in {0, store.seq, *run.randomly.sample(cursors, min(8, len(cursors)))}:
            rest = list(store.replay(cursor))
            assert [batch.seq for batch in rest] == list(range(cursor + 1, store.seq + 1))
            names = {info.index: (info.rank, info.key) for info in store.series_infos()}
            for before, after in zip(whole[cursor:], rest, strict=True):
                assert before.log == after.log
                told = {names[index]: [c.tolist() for c in columns] for index, columns in after.blocks}
                assert told == {
                    old_names[index]: [c.tolist() for c in columns] for index, columns in before.blocks
                }
        assert from_columns(store) == run.expected()

    old_names = {info.index: (info.rank, info.key) for info in store.series_infos()}
    check(store)
    seal_run(tmp_path)
    check(store)  # it has not noticed yet
    assert store.ingest() is None
    check(store)
    seal_run(tmp_path, final=True)
    check(store)
    assert store.ingest() is None
    check(store)
    store.close()
    assert not list(tmp_path.glob("*.jnl"))
    store = opened(tmp_path)
    assert store.ingest() is None
    check(store)
    store.close()


def test_live_batches_are_what_is_replayed(tmp_path: Path) -> None:
    run = Run(tmp_path, 0)
    store = opened(tmp_path)
    live: list[Batch] = []
    for _ in range(20):
        run.work(10)
        live += ingest_all(store)
    assert seen(store, live) == seen(store, store.replay(0))
    for batch in live:
        rest = [other for other in live if other.seq > batch.seq]
        assert seen(store, rest) == seen(store, store.replay(batch.seq))
    store.close()
    run.end()


def test_a_batch_with_points_and_log_survives_a_cut_between_its_messages(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1})
    append_log(tmp_path, b"hello\n")
    batch = store.ingest()
    assert batch is not None
    seq, _ = decode_batch(store.encode_batch(batch))
    assert seq < batch.seq
    assert [other.log for other in store.replay(seq)] == [(0, 6, "hello\n")]
    store.close()
    writer.close()


def test_ingest_is_bounded_and_fair(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writers = [JournalWriter(tmp_path, str(rank)) for rank in range(3)]
    for writer in writers:
        writer.many("a", range(200_000), range(200_000))
    batches = ingest_all(store)
    sizes = [sum(len(columns) for _, columns in batch.blocks) for batch in batches]
    assert sum(sizes) == 600_000
    assert max(sizes) <= 2 * READ_BYTES / 16
    assert len({index for index, _ in batches[0].blocks + batches[1].blocks + batches[2].blocks}) == 3
    store.close()
    for writer in writers:
        writer.close()


def test_marks_come_once_with_their_time_and_all_after_opening(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writer, system = JournalWriter(tmp_path, "0"), JournalWriter(tmp_path, "system")
    writer.mark("started")
    (batch,) = ingest_all(store)
    assert (batch.seq, batch.has_points, batch.has_reports) == (0, False, True)
    assert [(mark["kind"], mark["stream"]) for mark in batch.marks] == [("started", "0")]
    assert batch.marks[0]["time"] > 1.7e9
    system.points({"system/memory_mib": 5})
    (batch,) = ingest_all(store)
    assert (batch.has_points, batch.has_reports) == (True, False)
    for i in range(5):
        writer.mark("progress", current=i, total=5)
        writer.points({"a": i})
    writer.mark("checkpoint", path="x")
    ingest_all(store)
    told = [(mark["kind"], mark.get("current")) for mark in store.marks()]
    assert told == [("started", None), ("progress", 4), ("checkpoint", None)]
    store.close()
    again = opened(tmp_path)
    told = [(m["kind"], m.get("current")) for m in again.marks()]
    told += [(m["kind"], m.get("current")) for batch in ingest_all(again) for m in batch.marks]
    assert told == [("started", None), ("progress", 4), ("checkpoint", None)]
    again.close()
    writer.close()
    system.close()


@pytest.mark.parametrize("cut", [1, 39, 40, 41, 200])
def test_a_torn_index_is_recovered_and_its_lost_numbers_are_never_given_again(
    tmp_path: Path, cut: int
) -> None:
    run = Run(tmp_path, 1)
    store = opened(tmp_path)
    for _ in range(20):
        run.work(5)
        ingest_all(store)
    run.end()
    ingest_all(store)
    newest = store.seq
    kept = list(store.replay(0))
    store.close()
    index = tmp_path / "index.bin"
    size = index.stat().st_size
    os.truncate(index, size - cut)
    store = opened(tmp_path)
    ingest_all(store)
    num_whole = (size - cut) // 40
    points, _ = seen(store, store.replay(0))
    assert points == run.expected()
    before = kept[num_whole - 1].seq
    held, rest = (seen(store, part)[0] for part in (kept[:num_whole], store.replay(before)))
    together = {key: held.get(key, []) + rest.get(key, []) for key in held.keys() | rest.keys()}
    assert together == run.expected()
    if cut % 40:
        assert store.seq > newest + 1000
        for lost in range(before + 1, newest + 1):
            with pytest.raises(CursorLost, match=f"Sequence number {lost} is not of this store"):
                store.replay(lost)
    store.close()


@pytest.mark.parametrize(
    "loss", ["deleted", "emptied", "garbage", "other run's", "after sealing", "another boot"]
)
def test_a_lost_index_is_made_anew_and_old_cursors_are_refused(tmp_path: Path, loss: str) -> None:
    run = Run(tmp_path, 2)
    store = opened(tmp_path)
    for _ in range(10):
        run.work(10)
        ingest_all(store)
    run.end()
    ingest_all(store)
    newest = store.seq
    store.close()
    index = tmp_path / "index.bin"
    if loss == "after sealing":
        seal_run(tmp_path, final=True)
        (tmp_path / "streams.json").unlink()
    if loss in ("deleted", "after sealing"):
        index.unlink()
    elif loss == "emptied":
        os.truncate(index, 0)
    elif loss == "garbage":
        index.write_bytes(os.urandom(4000))
    elif loss == "other run's":
        records = np.frombuffer(index.read_bytes(), RECORD_FIELDS).copy()
        records["end_ordinal"] += 1
        index.write_bytes(records.tobytes())
    else:
        names = tmp_path / "streams.json"
        names.write_text(names.read_text().replace('"boot_id": "', '"boot_id": "x'))
        os.truncate(index, index.stat().st_size - 40)  # a power cut may take whole records
    store = opened(tmp_path)
    ingest_all(store)
    assert seen(store, store.replay(0))[0] == run.expected()
    assert from_columns(store) == run.expected()
    for cursor in (newest, newest + 1, store.seq + 1, -1):
        with pytest.raises(CursorLost):
            store.replay(cursor)
    assert list(store.replay(store.seq)) == []
    seq = store.seq
    store.close()
    store = opened(tmp_path)
    assert store.seq == seq < 2**53
    store.close()


def test_a_journal_cut_by_a_power_cut_is_not_trusted(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writer = JournalWriter(tmp_path, "0")
    for i in range(10):
        writer.points({"a": i}, time=float(i))
        ingest_all(store)
    store.close()
    writer.close()
    path = tmp_path / "metrics-0-0.jnl"
    os.truncate(path, path.stat().st_size - 40)
    store = opened(tmp_path)
    ingest_all(store)
    assert [value for _, value, _ in from_columns(store)["0", "a"]] == list(range(8))
    with pytest.raises(CursorLost):
        store.replay(5)
    store.close()


def test_a_full_disk_lets_news_wait(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = opened(tmp_path)
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1})
    append_log(tmp_path, b"x\n")
    real = os.write
    room = [30]

    def limited(fd: int, data: bytes) -> int:
        if room[0] <= 0:
            raise OSError(28, "No space left on device")
        taken = real(fd, data[: room[0]])
        room[0] -= taken
        return taken

    monkeypatch.setattr(os, "write", limited)
    assert store.ingest() is None
    assert store.ingest() is None
    assert store.seq == 0
    room[0] = 1 << 20
    batch = store.ingest()
    assert batch is not None
    assert (batch.seq, batch.log, len(batch.blocks)) == (2, (0, 2, "x\n"), 1)
    assert (tmp_path / "index.bin").stat().st_size == 80
    assert store.ingest() is None
    store.close()
    writer.close()


def test_a_full_disk_loses_neither_what_precedes_damage_nor_what_tells_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    writer = JournalWriter(tmp_path, "0")
    for i in range(10):
        writer.points({"a": i}, time=1.0)
    writer.close()
    path = tmp_path / "metrics-0-0.jnl"
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    store = opened(tmp_path)
    with monkeypatch.context() as full:
        full.setattr(os, "write", lambda fd, data: 0)
        assert store.ingest() is None
    batch = store.ingest()
    assert batch is not None
    assert [len(columns) for _, columns in batch.blocks] == [9]
    assert [mark["kind"] for mark in batch.marks] == ["notice"]
    store.close()


KILLED = """
import sys
from pathlib import Path
from jupyter_ext.engine.metrics.serving.run_store import RunStore
store = RunStore(Path(sys.argv[1]))
store.open()
while True:
    batch = store.ingest()
    if batch is not None:
        print(batch.seq, flush=True)
"""


def test_an_engine_killed_at_any_moment_gives_no_number_twice(tmp_path: Path) -> None:
    run = Run(tmp_path, 3)
    published = 0
    for _ in range(6):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, tmp_path], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        seqs: list[int] = []
        for _ in range(run.randomly.randrange(1, 6)):
            run.work(30)
            seqs.append(int(process.stdout.readline()))
        run.work(30)
        process.kill()
        rest, _ = process.communicate()
        seqs += [int(line) for line in rest.split()]
        assert seqs[0] > published
        published = seqs[-1]
    run.end()
    store = opened(tmp_path)
    ingest_all(store)
    assert store.seq >= published
    assert [batch.seq for batch in store.replay(0)] == list(range(1, store.seq + 1))
    assert seen(store, store.replay(0))[0] == run.expected()
    store.close()


def test_a_damaged_journal_is_told_once_and_the_next_file_goes_on(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0", rotate_bytes=1000)
    for i in range(100):
        writer.points({"a": i}, time=1.0)
    writer.close()
    path = tmp_path / "metrics-0-0.jnl"
    data = bytearray(path.read_bytes())
    data[500] ^= 1
    path.write_bytes(data)
    store = opened(tmp_path)
    marks = [mark for batch in ingest_all(store) for mark in batch.marks]
    assert len(marks) == 1
    assert marks[0]["text"].startswith("metrics-0-0.jnl is damaged from byte")
    values = [value for _, value, _ in from_columns(store)["0", "a"]]
    assert values == sorted(values)
    assert values[-1] == 99
    assert 80 < len(values) < 100
    seq = store.seq
    before = from_columns(store)
    seal_run(tmp_path, final=True)
    assert store.ingest() is None
    assert from_columns(store) == before
    assert (tmp_path / "segments" / "metrics-0-0.damaged").read_bytes() == data
    store.close()
    store = opened(tmp_path)
    assert (store.seq, from_columns(store)) == (seq, before)
    store.close()


# -- what goes over the wire ----------------------------------------------------------------------------------------


def test_batches_and_columns_are_decoded_by_the_protocol(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writer = JournalWriter(tmp_path, "0")
    for i in range(1001):
        writer.points({"even": i / 3, "odd": -i}, step=10 * i, time=1.7e9 + i / 8)
    writer.points({"jump": 1}, step=5)
    writer.many("uneven", [1, 2, 4], [0.1, float("nan"), float("inf")])
    batch = store.ingest()
    assert batch is not None
    data = store.encode_batch(batch)
    seq, blocks = decode_batch(data)
    assert seq == batch.metrics_seq == store.seq
    assert len(data) % 8 == 0
    for block, (index, columns) in zip(blocks, batch.blocks, strict=True):
        assert block.index == index
        np.testing.assert_array_equal(block.steps, columns.steps)
        np.testing.assert_array_equal(block.values, columns.values)
        np.testing.assert_allclose(block.times, columns.times, atol=100)
    np.testing.assert_allclose(blocks[0].times, batch.blocks[0].columns.times, atol=1e-4)
    head, series = decode_columns(store.columns(["even", "uneven"], buckets=20, lo=10, hi=5000))
    assert head["seq"] == store.seq
    assert [item.key for item in series] == ["even", "uneven"]
    assert head["series"][0] == {
        "index": 0,
        "key": "even",
        "rank": "0",
        "n": 40,
        "count": 500,
        "decimated": True,
        "num_nonfinite": 0,
        "first_nonfinite_step": None,
    }
    assert head["series"][1] | {"n": 0} == head["series"][1]
    assert (head["series"][1]["num_nonfinite"], head["series"][1]["first_nonfinite_step"]) == (2, 2.0)
    by_time = decode_columns(store.columns(["even"], axis="time", lo=1.7e9 + 1, hi=1.7e9 + 2))[1][0]
    assert by_time.steps.tolist() == [10.0 * i for i in range(8, 17)]
    with pytest.raises(ValueError, match="buckets=0; ask for 1 or more"):
        store.columns(buckets=0)
    assert store.last_points()["odd"] == (10_000.0, -1000.0, 1.7e9 + 125)
    store.close()
    writer.close()


def test_first_nonfinite_step_may_be_none_that_json_knows(tmp_path: Path) -> None:
    store = opened(tmp_path)
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": float("nan")}, step=float("nan"))
    store.ingest()
    assert decode_columns(store.columns())[0]["series"][0]["first_nonfinite_step"] == "NaN"
    store.close()
    writer.close()


# -- logs -----------------------------------------------------------------------------------------------------------


def test_characters_are_never_torn(tmp_path: Path) -> None:
    store = opened(tmp_path)
    text = "aé€🎉\n" * 5
    for byte in text.encode():
        append_log(tmp_path, bytes([byte]))
        for batch in ingest_all(store):
            assert batch.log is not None
            assert "\ufffd" not in batch.log[2]
    assert seen(store, store.replay(0))[1] == text
    for limit in (1, 4, 5, 7, 1000):
        told, offset = "", 0
        while (chunk := store.logs(offset, limit))["text"]:
            assert chunk["offset"] == offset
            told, offset = told + chunk["text"], chunk["next_offset"]
        assert told == text
        assert offset == chunk["size"] == len(text.encode())
    assert store.logs(2, 1000)["text"] == text[2:]
    store.close()


@pytest.mark.parametrize(
    "torn", ["é".encode()[:1], "€".encode()[:2], "🎉".encode()[:3], b"x" * (256 << 10) + b"\xe2"]
)
def test_a_character_that_an_ended_run_began_is_published_at_last(tmp_path: Path, torn: bytes) -> None:
    store = opened(tmp_path)
    append_log(tmp_path, b"so far " + torn)
    text = seen(store, ingest_all(store))[1]
    assert text == "so far " + "x" * torn.count(b"x")
    assert store.ingest() is None
    batch = store.ingest(final=True)
    assert batch is not None
    assert batch.log == (len(text), 7 + len(torn), "\ufffd")
    assert store.ingest(final=True) is None
    assert seen(store, store.replay(0))[1] == text + "\ufffd"
    store.close()
    store = opened(tmp_path)
    assert store.ingest(final=True) is None
    assert seen(store, store.replay(0))[1] == text + "\ufffd"
    store.close()


def test_bytes_that_are_no_text_are_shown_as_such_and_hold_nothing_up(tmp_path: Path) -> None:
    store = opened(tmp_path)
    append_log(tmp_path, b"\xff\xfe\x80ok\xc3\n\xe2\x82\n")
    (batch,) = ingest_all(store)
    assert batch.log is not None
    assert batch.log[2].count("\ufffd") == 5
    assert batch.log[1] == 10
    assert "ok" in store.logs()["text"]
    store.close()


@pytest.mark.parametrize(
    ("data", "num_lines", "text"),
    [
        (b"", 5, ""),
        (b"a\nb\nc\n", 2, "b\nc\n"),
        (b"a\nb\nc", 2, "b\nc"),
        (b"a\nb\nc\n", 9, "a\nb\nc\n"),
        (b"a\nb\n", 0, ""),
        ("é\n".encode() * 3, 1, "é\n"),
    ],
)
def test_tail(tmp_path: Path, data: bytes, num_lines: int, text: str) -> None:
    store = opened(tmp_path)
    append_log(tmp_path, data)
    chunk = store.logs_tail(num_lines)
    assert chunk["text"] == text
    assert (chunk["offset"], chunk["next_offset"]) == (len(data) - len(text.encode()), len(data))
    store.close()


def test_a_run_without_a_log_or_points(tmp_path: Path) -> None:
    store = opened(tmp_path)
    assert store.ingest() is None
    assert store.logs() == {"offset": 0, "next_offset": 0, "size": 0, "text": ""}
    assert store.logs_tail(5)["text"] == ""
    assert decode_columns(store.columns())[1] == []
    assert list(store.replay(0)) == []
    assert store.last_points() == {}
    store.sync()
    store.close()
    seal_run(tmp_path, final=True)
    opened(tmp_path).close()


def test_no_heavy_library_is_imported_to_view_a_run(tmp_path: Path) -> None:
    writer = JournalWriter(tmp_path, "0")
    for i in range(30_000):
        writer.points({"a": i, "b": -i})
    writer.points({"short": 1})
    writer.close()
    store = opened(tmp_path)
    ingest_all(store)
    store.close()
    seal_run(tmp_path, final=True)
    code = """
import sys
from pathlib import Path
from jupyter_ext.engine.catalog import catalog
from jupyter_ext.engine.metrics.sealed import sealing
from jupyter_ext.engine.metrics.serving import run_store
store = run_store.RunStore(Path(sys.argv[1]))
store.open()
assert store.ingest() is None
assert len(store.columns(buckets=500)) > 40_000
assert not {"pyarrow", "pandas", "torch"} & sys.modules.keys(), sys.modules.keys()
assert store.needs_loading
store.load()
assert "pyarrow" in sys.modules
assert not store.needs_loading
before = set(sys.modules)
store.columns(lo=1000, hi=1100, buckets=500)
assert list(store.replay(0))
assert set(sys.modules) == before
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_pandas_is_never_imported_to_seal_or_to_read(tmp_path: Path) -> None:
    """It costs 44 MiB and 0.2 s, and pyarrow imports it whenever it is asked for an array the usual way."""
    writer = JournalWriter(tmp_path, "0", rotate_bytes=20_000)
    for i in range(2000):
        writer.points({"a": i, "b": -i})
    writer.close()
    code = """
import sys
from pathlib import Path
from jupyter_ext.engine.metrics.sealed import sealing
from jupyter_ext.engine.metrics.serving import run_store
store = run_store.RunStore(Path(sys.argv[1]))
store.open()
while store.ingest():
    pass
sealing.seal_run(Path(sys.argv[1]))
for path in (Path(sys.argv[1]) / "segments").glob("*.npz"):
    path.unlink()
sealing.seal_run(Path(sys.argv[1]), final=True)
assert len(store.columns()) > 4000 * 24
assert len(list(store.replay(0))) > 0
assert "pyarrow" in sys.modules
assert "pandas" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code, tmp_path], check=True)


def test_closing_leaves_no_descriptor(tmp_path: Path) -> None:
    run = Run(tmp_path, 5)
    run.work(300)
    run.end()
    before = len(os.listdir("/proc/self/fd"))
    store = opened(tmp_path)
    ingest_all(store)
    seal_run(tmp_path)
    store.ingest()
    store.columns()
    list(store.replay(0))
    store.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.skipif(os.getuid() != 0, reason="only root can mount")
@pytest.mark.parametrize("index", ["as it is", "torn", "of another boot"])
def test_a_run_on_a_read_only_disk_can_be_looked_at(tmp_path: Path, index: str) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "tmpfs", disk], capture_output=True).returncode:
        pytest.skip("mounting is not allowed here")
    try:
        stored = Index(disk)
        stored.open()
        stored.append([(METRICS, stored.stream("0"), End(0, 40 * k, k)) for k in range(1, 4)])
        stored.close()
        if index == "torn":
            with open(disk / "index.bin", "ab") as file:
                file.write(b"torn")
        if index == "of another boot":
            (disk / "streams.json").write_text('{"streams": ["0"], "boot_id": "x"}')
        subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
        again = Index(disk)
        again.open()
        assert [again.get(place).end.ordinal for place in again.after(0)] == [1, 2, 3]
        again.close()
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


@pytest.mark.parametrize("code", [errno.EIO, errno.EMFILE, errno.ESTALE])
def test_what_was_read_before_a_read_failed_is_read_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = RunStore(tmp_path)
    store.open()
    writer = JournalWriter(tmp_path, "0")
    writer.points({"a": 1.0}, 0.0, 0.0)
    assert store.ingest() is not None
    writer.points({"a": 2.0}, 1.0, 1.0)
    with monkeypatch.context() as patched:
        patched.setattr(logs, "read_piece", failing(OSError(code, os.strerror(code))))
        with pytest.raises(OSError, match=os.strerror(code)):
            store.ingest()
    assert store.ingest() is not None
    assert store.num_points("0") == {"a": 2}
    writer.close()
    store.close()


def failing(error: Exception) -> Callable[..., Any]:
    """Make something that fails when it is called."""

    def fail(*_: object, **__: object) -> None:
        raise error

    return fail
