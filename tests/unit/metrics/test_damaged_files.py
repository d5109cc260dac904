"""Whatever bytes somebody left in a run's files, its store opens, and decoders raise ValueError alone."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from jupyter_ext.engine.metrics.sealed.sealing import seal_run
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.protocol.metrics_codec import (
    BatchBlock,
    SeriesColumns,
    decode_batch,
    decode_columns,
    encode_batch,
    encode_columns,
)
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

BIG = (0xFFFFFFFF, 0x7FFFFFFF, 1 << 28)


def mutated(data: bytes, rng: random.Random) -> bytes:
    """Change a few bytes, cut the end or repeat a part."""
    changed = bytearray(data)
    for _ in range(rng.randrange(1, 6)):
        at = rng.randrange(len(changed))
        match rng.randrange(4):
            case 0:
                changed[at] = rng.randrange(256)
            case 1:
                changed[at : at + 8] = struct.pack(
                    "<Q", rng.choice((0, 2**64 - 1, 2**63, rng.getrandbits(64)))
                )
            case 2:
                changed = changed[: at + 1]
            case _:
                changed[at:at] = changed[at : at + 40]
    return bytes(changed)


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """A run with two streams, marks and a log, whose batches are numbered."""
    (tmp_path / "logs.txt").write_text("a line\n" * 20)
    writers = [JournalWriter(tmp_path, stream) for stream in ("0", "1")]
    store = RunStore(tmp_path)
    store.open()
    for step in range(30):
        for writer in writers:
            writer.points({"a": step, "b": -step})
        writers[0].mark("progress", current=step, total=30)
        store.ingest()
    for writer in writers:
        writer.close()
    store.close()
    return tmp_path


def read_all(run: Path) -> None:
    store = RunStore(run)
    store.open()
    while store.ingest(final=True) is not None:
        pass
    decode_columns(store.columns())
    for _ in store.replay(0):
        pass
    store.marks()
    store.last_points()
    store.close()


@pytest.mark.parametrize("seed", range(150))
def test_a_damaged_index_is_made_anew(run: Path, seed: int) -> None:
    rng = random.Random(seed)
    path = run / rng.choice(["index.bin", "streams.json"])
    path.write_bytes(mutated(path.read_bytes(), rng))
    read_all(run)
    read_all(run)  # and what was made is good


@pytest.mark.parametrize(
    "content", ["{}", '{"streams": 1}', '{"x": 1}', "[" * 10**5, '{"streams": [[]], "boot_id": 1}']
)
def test_streams_of_another_shape_cost_numbers_and_no_points(run: Path, content: str) -> None:
    (run / "streams.json").write_text(content)
    read_all(run)
    store = RunStore(run)
    store.open()
    assert {len(item.values) for item in decode_columns(store.columns())[1]} == {30}
    store.close()


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_summary_is_made_anew_from_its_segment(run: Path, seed: int) -> None:
    seal_run(run, final=True)
    path = run / "segments" / "pyramid.npz"
    path.write_bytes(mutated(path.read_bytes(), random.Random(seed)))
    read_all(run)


@pytest.mark.parametrize("n", BIG)
def test_a_number_of_points_that_lies_takes_no_memory(n: int) -> None:
    with pytest.raises(ValueError, match="more than"):
        decode_batch(
            struct.pack("<4sIQd", b"JXM1", 1, 1, 0.0) + struct.pack("<HBBI", 0, 0, 0, n) + b"\0" * 64
        )
    header = json.dumps({"series": [{"index": 0, "key": "a", "rank": "0", "n": n}]}).encode()
    with pytest.raises(ValueError, match="more than"):
        decode_columns(struct.pack("<4sI", b"JXC1", len(header)) + header)


@pytest.mark.parametrize("seed", range(300))
def test_decoders_raise_value_errors_alone(seed: int) -> None:
    rng, numbers = random.Random(seed), np.arange(5.0)
    batch = encode_batch(
        3, [BatchBlock(0, numbers, numbers, numbers), BatchBlock(1, numbers**2, numbers, numbers)]
    )
    head = {"seq": 1, "series": [{"index": 0, "key": "a", "rank": "0", "n": 5}]}
    columns = encode_columns(head, [SeriesColumns(0, "a", "0", numbers, numbers, numbers)])
    for decode, data in ((decode_batch, batch), (decode_columns, columns)):
        for odd in (mutated(data, rng), rng.randbytes(rng.randrange(100)), data[:8] + b"[" * 9999):
            try:
                decode(odd)  # type: ignore[operator]
            except ValueError:
                pass
