"""The parts of a download by themselves: blocks, journals, headers, selections, the rate."""

from __future__ import annotations

import random
import struct
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from download_tools import MIB, write_weights
from safetensors.torch import save_file

from jupyter_ext.engine.models.download import block_map as blocks_module
from jupyter_ext.engine.models.download import resume_journal as journals
from jupyter_ext.engine.models.download.block_map import (
    BLOCK_BYTES,
    MISSING,
    SYNCED,
    WRITTEN,
    FileBlocks,
    Range,
)
from jupyter_ext.engine.models.download.progress import Progress
from jupyter_ext.engine.models.download.rate_limiter import RateLimiter
from jupyter_ext.engine.models.download.resume_journal import Journal, PartialInfo
from jupyter_ext.engine.models.download.transfer import Sample
from jupyter_ext.engine.models.sources.file_selection import check_names, select
from jupyter_ext.engine.models.sources.http_rules import (
    checked_redirect,
    is_direct,
    retry_after_s,
)
from jupyter_ext.engine.models.sources.manifest import ManifestFile
from jupyter_ext.errors import DownloadFailed, InvalidInput
from jupyter_ext.weights.safetensors import BadHeader, parse_header, read_header, summarize

# --- blocks


@pytest.mark.parametrize("seed", range(20))
def test_whatever_connections_do_every_byte_is_fetched_once_and_marks_tell_the_truth(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    block = 16
    monkeypatch.setattr(blocks_module, "BLOCK_BYTES", block)
    dice = random.Random(seed)
    size = dice.choice([0, 1, block, block + 1, 7 * block - 3, 40 * block + 7])
    blocks = FileBlocks(size)
    written = bytearray(size)
    active: list[Range] = []
    while not blocks.is_whole:
        action = dice.random()
        if action < 0.3 and len(active) < 6:
            taken = blocks.take(dice.randint(1, 6) * block)
            taken = taken or blocks.steal(block)
            if taken is not None:
                active.append(taken)
        elif action < 0.4 and active:
            blocks.give_back(active.pop(dice.randrange(len(active))))
        elif active:
            working = dice.choice(active)
            num_bytes = min(working.left, dice.randint(1, block))
            start = working.position
            assert not any(written[start : start + num_bytes]), "a byte was fetched twice"
            written[start : start + num_bytes] = b"\1" * num_bytes
            blocks.advance(working, num_bytes)
            if not working.left:
                active.remove(working)
                blocks.give_back(working)
        assert all(written[: blocks.prefix])
        assert blocks.missing_bytes == size - sum(written)
        for index, mark in enumerate(blocks.marks):
            if mark:
                assert all(written[index * block : (index + 1) * block])
    assert all(written)
    assert all(mark == WRITTEN for mark in blocks.marks)
    assert FileBlocks(size, blocks.marks).is_whole


def test_marks_of_an_earlier_process_leave_the_gaps_to_fetch() -> None:
    blocks = FileBlocks(4 * BLOCK_BYTES + 5, bytearray([WRITTEN, MISSING, SYNCED, MISSING, WRITTEN]))
    assert blocks.kept_bytes == 2 * BLOCK_BYTES + 5
    assert blocks.prefix == BLOCK_BYTES
    ranges = [blocks.take(100 * BLOCK_BYTES), blocks.take(100 * BLOCK_BYTES)]
    assert [(taken.start // BLOCK_BYTES, taken.end // BLOCK_BYTES) for taken in ranges if taken] == [
        (1, 2),
        (3, 4),
    ]
    assert blocks.take(1) is None


# --- journals


def info(tmp_path: Path, num_bytes: int = 3 * BLOCK_BYTES) -> PartialInfo:
    blob = tmp_path / "blobs" / "abc"
    return PartialInfo(
        "hub:a/b", "c" * 40, "m.safetensors", num_bytes, f"{blob}.x.partial", str(blob), "d" * 64
    )


def opened(tmp_path: Path, about: PartialInfo | None = None) -> Journal:
    return Journal.open(tmp_path / "journals", "key", about or info(tmp_path))


def write_block(journal: Journal, index: int) -> None:
    journal.blocks.marks[index] = WRITTEN
    journal.mark(range(index, index + 1))


def test_a_journal_remembers_what_was_marked(tmp_path: Path) -> None:
    first = opened(tmp_path)
    write_block(first, 1)
    first.set_validator('"v1"')
    write_block(first, 2)
    # no close: that is what a kill leaves
    again = opened(tmp_path)
    assert list(again.blocks.marks) == [MISSING, WRITTEN, WRITTEN]
    assert again.info.validator == '"v1"'
    again.close()
    first.close()


def test_after_a_restart_of_the_machine_only_what_was_synced_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = opened(tmp_path)
    write_block(first, 0)
    first.sync()
    write_block(first, 2)
    first.close()
    monkeypatch.setattr(journals.processes, "boot_id", lambda: "another boot")
    again = opened(tmp_path)
    assert list(again.blocks.marks) == [SYNCED, MISSING, MISSING]
    again.close()


def test_a_journal_of_another_file_counts_for_nothing(tmp_path: Path) -> None:
    first = opened(tmp_path)
    write_block(first, 0)
    first.close()
    again = opened(tmp_path, replace(info(tmp_path), sha256="e" * 64))
    assert not any(again.blocks.marks)
    again.close()


def test_a_journal_without_its_file_counts_for_nothing(tmp_path: Path) -> None:
    first = opened(tmp_path)
    write_block(first, 0)
    first.close()
    Path(first.info.data).unlink()
    again = opened(tmp_path)
    assert not any(again.blocks.marks)
    again.close()


@pytest.mark.parametrize("content", [b"", b"JXPART1\n", b"JXPART1\n\xff\xff\xff\xff{}", b"x" * 100])
def test_a_broken_journal_is_no_journal(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "journals").mkdir()
    path = tmp_path / "journals" / "key.journal"
    path.write_bytes(content)
    assert journals.read(path) is None
    opened(tmp_path).close()


# --- headers of safetensors


def test_a_header_says_what_the_library_wrote(tmp_path: Path) -> None:
    tensors = {
        "a": torch.zeros(3, 5, dtype=torch.bfloat16),
        "b": torch.zeros(7, dtype=torch.float32),
        "c": torch.zeros((), dtype=torch.int64),
        "d": torch.zeros(0, 4),
        "e": torch.zeros(2, 2, dtype=torch.bool),
    }
    save_file(tensors, tmp_path / "x.safetensors", metadata={"format": "pt"})
    header = read_header(tmp_path / "x.safetensors")
    assert {t.name: t.shape for t in header.tensors} == {name: tuple(t.shape) for name, t in tensors.items()}
    assert header.metadata == {"format": "pt"}
    assert header.file_bytes == (tmp_path / "x.safetensors").stat().st_size
    summary = summarize([header, header])
    assert summary.num_parameters == 2 * (15 + 7)
    assert summary.num_bytes == 2 * sum(t.nbytes for t in tensors.values())
    assert summary.dtype == "bfloat16"


def header(text: bytes, length: int | None = None) -> bytes:
    return struct.pack("<Q", len(text) if length is None else length) + text


@pytest.mark.parametrize(
    ("head", "why"),
    [
        (b"", "at least 8"),
        (header(b"{}", 2**40), "no safetensors file"),
        (header(b"{}", 200), "cut short"),
        (header(b"nope"), "no JSON"),
        (header(b"[1]"), "no JSON object"),
        (header(b"[" * 100_000), "no JSON"),
        (header(b'{"a": 1}'), "no JSON object"),
        (header(b'{"a": {"dtype": "X9", "shape": [1], "data_offsets": [0, 1]}}'), "dtype 'X9'"),
        (header(b'{"a": {"dtype": "F32", "shape": [-1], "data_offsets": [0, 4]}}'), "bad shape"),
        (header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [0, 5]}}'), "5 bytes, and 4"),
        (header(b'{"a": {"dtype": "F32", "shape": [1], "data_offsets": [4, 8]}}'), "byte 4 instead of 0"),
        (header(b'{"a": {"dtype": "F32", "shape": [true], "data_offsets": [0, 4]}}'), "bad shape"),
    ],
)
def test_a_bad_header_is_told(head: bytes, why: str) -> None:
    with pytest.raises(BadHeader, match=why):
        parse_header(head)


def test_a_file_that_was_cut_is_told(tmp_path: Path) -> None:
    path = write_weights(tmp_path / "x.safetensors", MIB)
    with open(path, "r+b") as file:
        file.truncate(MIB // 2)
    with pytest.raises(BadHeader, match="by its header"):
        read_header(path)


# --- what is fetched


def file(name: str) -> ManifestFile:
    return ManifestFile(name, 10, f"https://hub/{name}", "a" * 40)


def test_safetensors_and_what_goes_with_them_are_fetched() -> None:
    names = [
        "model-00002-of-00002.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
        "config.json", "tokenizer.json", "vocab.txt", "README.md", "pytorch_model.bin", "tf_model.h5",
        "onnx/model.onnx", "modeling_x.py", "consolidated.safetensors", "model.fp16.safetensors", "logo.png",
    ]  # fmt: skip
    taken, skipped = select([file(name) for name in names])
    assert [f.name for f in taken] == [
        "README.md", "config.json", "model.safetensors.index.json", "tokenizer.json", "vocab.txt",
        "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors",
    ]  # fmt: skip
    reasons = {f.name: f.reason for f in skipped}
    assert "can run code" in reasons["pytorch_model.bin"]
    assert "torch does not load" in reasons["tf_model.h5"]
    assert set(reasons) == set(names) - {f.name for f in taken}


def test_weights_that_torch_cannot_load_are_refused() -> None:
    with pytest.raises(InvalidInput, match="torch does not load"):
        select([file("model.gguf"), file("README.md")])


@pytest.mark.parametrize("names", [["a", "a"], ["a", "a/b"], ["x"] * 10_001])
def test_names_that_contradict_each_other_are_refused(names: list[str]) -> None:
    with pytest.raises(InvalidInput):
        check_names(names)


# --- servers


@pytest.mark.parametrize(
    ("url", "location", "may_leave", "target"),
    [
        ("https://hub.example/a/b", "/c", False, "https://hub.example/c"),
        ("https://hub.example/a/b", "https://HUB.example:443/c", False, "https://HUB.example:443/c"),
        ("https://hub.example/a", "https://cdn.example/c?s=1#f", True, "https://cdn.example/c?s=1"),
        ("https://hub.example/a", "https://cdn.example/c", False, "#sha256="),
        ("https://hub.example/a", "http://cdn.example/c", True, "not encrypted"),
        ("https://hub.example/a", "http://hub.example/a", True, "not encrypted"),
        ("https://hub.example/a", "https://127.0.0.1/c", True, "own network"),
        ("https://hub.example/a", "https://169.254.169.254/latest", True, "own network"),
        ("https://hub.example/a", "https://[::1]/c", True, "own network"),
        ("https://hub.example/a", "https://localhost/c", True, "own network"),
        ("https://hub.example/a", "https://localhost./c", True, "own network"),
        ("https://hub.example/a", "https://LOCALHOST/c", True, "own network"),
        ("https://hub.example/a", "https://[bad", True, "no address"),
        ("http://127.0.0.1:1/a", "http://127.0.0.1:2/c", True, "http://127.0.0.1:2/c"),
    ],
)
def test_a_redirect_is_followed_only_where_it_may_lead(
    url: str, location: str, may_leave: bool, target: str
) -> None:
    if target.startswith("http"):
        assert checked_redirect(url, location, may_leave=may_leave) == target
    else:
        with pytest.raises(DownloadFailed, match=target):
            checked_redirect(url, location, may_leave=may_leave)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("3", 3.0), ("0.5", 0.5), ("-1", 0.0), ("nonsense", 0.0), ("", 0.0), ("nan", 0.0), ("99999", 300.0)],
)
def test_retry_after_is_read(text: str, seconds: float) -> None:
    assert retry_after_s(text) == seconds


@pytest.mark.parametrize(
    ("host", "no_proxy", "direct"),
    [
        ("a.b.c", "b.c", True),
        ("a.b.c", ".b.c", True),
        ("ab.c", "b.c", False),
        ("x", "*", True),
        ("x", "", False),
    ],
)
def test_hosts_without_a_proxy(host: str, no_proxy: str, direct: bool) -> None:
    assert is_direct(host, no_proxy) is direct


# --- how far it is


def test_progress_is_smooth_and_never_goes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    progress = Progress(bytes_total=1000 * MIB, files_total=2)
    now = 0.0
    monkeypatch.setattr(progress, "_clock", lambda: now)
    speeds = []
    for tick in range(100):
        now = tick * 0.1
        done = int(tick * 0.1 * 10 * MIB) // (5 * MIB) * 5 * MIB  # comes in lumps
        transfer = progress.update(Sample("transfer", done, 0, 0, 0, "m", 4))
        if tick > 30 and transfer.bytes_per_s is not None:
            speeds.append(transfer.bytes_per_s / MIB)
    assert all(8 < speed < 13 for speed in speeds), speeds
    assert transfer.eta_s is not None
    assert 70 < transfer.eta_s < 120
    ended = progress.end("completed")
    assert (ended.bytes_done, ended.files_done, ended.eta_s) == (1000 * MIB, 2, None)


@pytest.mark.parametrize("by", ["stop", "lift"])
def test_a_limit_holds_nobody_who_is_stopped_or_whose_limit_is_lifted(by: str) -> None:
    limiter = RateLimiter(1.0)
    stopped = threading.Event()
    waiting = threading.Thread(target=limiter.take, args=(10**9, stopped))
    waiting.start()
    if by == "stop":
        stopped.set()
    else:
        limiter.bytes_per_s = None
    waiting.join(10)
    assert not waiting.is_alive()
    limiter.bytes_per_s = None
    limiter.take(10**12, threading.Event())
    with pytest.raises(ValueError, match="more than 0"):
        limiter.bytes_per_s = 0
