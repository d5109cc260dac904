"""The loop never waits for the disk because a stream is new; what a power cut then takes costs numbers and no points."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_ext.engine.common import health
from jupyter_ext.engine.metrics.serving.index import CursorLost
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.protocol.metrics_codec import decode_columns
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


@pytest.fixture(autouse=True)
def no_news() -> Iterator[None]:
    health.reset()
    yield
    health.reset()


def opened(run_dir: Path) -> RunStore:
    store = RunStore(run_dir)
    store.open()
    return store


def write(run_dir: Path, streams: tuple[str, ...], num_points: int = 3) -> None:
    for stream in streams:
        writer = JournalWriter(run_dir, stream)
        for number in range(num_points):
            writer.points({"a": number})
        writer.close()


def ingest_all(store: RunStore) -> None:
    while store.ingest() is not None:
        pass


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Names of what the disk was told to keep, in order."""
    found: list[str] = []

    def noted(real: Callable[[int], None]) -> Callable[[int], None]:
        def sync(fd: int) -> None:
            found.append(Path(os.readlink(f"/proc/self/fd/{fd}")).name)
            real(fd)

        return sync

    for name in ("fsync", "fdatasync"):
        monkeypatch.setattr(os, name, noted(getattr(os, name)))
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="reads names of descriptors from /proc")
def test_new_streams_are_kept_by_the_next_sync_and_before_the_records(
    tmp_path: Path, synced: list[str]
) -> None:
    write(tmp_path, ("0", "1"))
    synced.clear()
    store = opened(tmp_path)
    ingest_all(store)
    assert synced == []
    store.sync()
    assert synced[-3:] == ["streams.json", tmp_path.name, "index.bin"]
    synced.clear()
    store.sync()
    assert "streams.json" not in synced
    assert synced[-1] == "index.bin"
    write(tmp_path, ("2",))
    synced.clear()
    ingest_all(store)
    assert synced == []
    store.sync()
    assert synced[-3:] == ["streams.json", tmp_path.name, "index.bin"]
    store.close()


def test_names_that_the_disk_refused_are_kept_by_the_sync_after_it(
    tmp_path: Path, synced: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, ("0",))
    store = opened(tmp_path)
    ingest_all(store)
    with monkeypatch.context() as patch:

        def refuse(fd: int) -> None:
            raise OSError(5, "Input/output error")

        patch.setattr(os, "fsync", refuse)
        with pytest.raises(OSError, match="Input/output"):
            store.sync()
    synced.clear()
    store.sync()
    assert "streams.json" in synced
    store.close()


@pytest.mark.parametrize("left", ["", None, ["0"], []])
def test_names_that_a_power_cut_took_cost_numbers_and_no_points(
    tmp_path: Path, left: str | list[str] | None
) -> None:
    write(tmp_path, ("0", "1"))
    store = opened(tmp_path)
    ingest_all(store)
    newest = store.seq
    store.close()
    names = tmp_path / "streams.json"
    if left is None:
        names.unlink()
    else:
        names.write_text(left if left == "" else json.dumps({"streams": left, "boot_id": "of before"}))
    store = opened(tmp_path)
    ingest_all(store)
    assert {(one.rank, len(one.values)) for one in decode_columns(store.columns())[1]} == {("0", 3), ("1", 3)}
    assert store.seq > newest + 1000
    with pytest.raises(CursorLost):
        store.replay(newest)
    store.close()
