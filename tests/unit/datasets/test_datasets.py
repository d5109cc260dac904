"""Datasets on the disk: what is written is read, versions, removal, and a writer that is killed at any point."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy
import pytest

from jupyter_ext.engine.datasets import files as dataset_files
from jupyter_ext.engine.datasets.service import (
    Dataset,
    DatasetNotFound,
    Datasets,
    IndexOutOfRange,
    WrongVersion,
)
from jupyter_ext.ipc.decthings.dataset_reader import Reader
from jupyter_ext.protocol.decthings.definitions import DefinitionError
from jupyter_ext.protocol.decthings.tensors import Tensor, infer

KEYS = [
    {"name": "y", "rules": {"shape": [], "allowedTypes": ["i64"]}},
    {"name": "x", "rules": {"shape": [-1, 2], "allowedTypes": ["f32", "f64"]}},
]


def columns(*values: int) -> dict[str, list[bytes]]:
    """Return entries; `x` has as many rows as `y` says."""
    return {
        "x": [infer(numpy.full((value, 2), value, "f4")).encode() for value in values],
        "y": [infer(value).encode() for value in values],
    }


def ys(dataset: Dataset, name: str = "entries") -> list[int]:
    """Return the numbers in a list, as the worker reads them."""
    reader = Reader(dataset.directory, "y", name)
    xs = Reader(dataset.directory, "x", name)
    found = [Tensor.decode(reader.read(n))[0].item() for n in range(len(reader))]
    for n, value in enumerate(found):
        assert Tensor.decode(xs.read(n))[0].numpy().tolist() == [[value, value]] * value
    return found


@pytest.fixture
def datasets(tmp_path: Path) -> Datasets:
    made = Datasets(tmp_path / "datasets")
    made.open()
    return made


@pytest.fixture
def dataset(datasets: Datasets) -> Dataset:
    return datasets.create("numbers", "some", [], KEYS)


def reopen(dataset: Dataset) -> Dataset:
    """Open the dataset as the next engine does."""
    again = Datasets(dataset.directory.parent)
    again.open()
    return again.get(dataset.id)


def test_entries_are_read_as_they_were_written(dataset: Dataset) -> None:
    first = dataset.head["version_id"]
    second = dataset.add("entries", columns(1, 0, 3))
    third = dataset.add("entries", columns(4))
    assert len({first, second, third}) == 3
    assert ys(dataset) == ys(reopen(dataset)) == [1, 0, 3, 4]
    indexes, tensors = dataset.read("entries", [3, 0, 9, -1])
    assert indexes == [3, 0]
    assert [Tensor.decode(entry[0])[0].item() for entry in tensors] == [4, 1]
    assert reopen(dataset).head == dataset.head
    assert dataset.head["lists"]["entries"]["bytes"] == sum(
        len(b) for part in columns(1, 0, 3, 4).values() for b in part
    )


def test_removal_moves_the_others_up_and_frees_the_disk(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    dataset.add("entries", columns(*range(10)))
    gone = dataset.remove("entries", [0, 9, 4, 4])
    assert gone == sum(len(b) for part in columns(0, 9, 4).values() for b in part)
    assert ys(dataset) == [1, 2, 3, 5, 6, 7, 8]
    assert dataset.head["waiting"] == {"count": 3, "bytes": gone}
    monkeypatch.setattr(dataset_files, "COMPACT_FROM_BYTES", 1)
    reader = Reader(dataset.directory, "y")
    dataset.remove("entries", [0, 1, 2, 3, 4])
    assert ys(dataset) == ys(reopen(dataset)) == [7, 8]
    assert dataset.head["waiting"] == {"count": 0, "bytes": 0}
    on_disk = sum(path.stat().st_size for path in dataset.directory.glob("*.bin"))
    assert on_disk == sum(placed["bytes"] for placed in dataset.head["lists"].values())
    assert [Tensor.decode(reader.read(n))[0].item() for n in range(len(reader))] == [1, 2, 3, 5, 6, 7, 8]
    dataset.add("entries", columns(5))
    assert ys(dataset) == [7, 8, 5]


def test_chunks_are_many(dataset: Dataset, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dataset_files, "CHUNK_BYTES", 50)
    for value in range(12):
        dataset.add("entries", columns(value))
    assert len(list(dataset.directory.glob("k0-*.bin"))) > 3
    assert ys(reopen(dataset)) == list(range(12))


def test_entries_to_review_are_finalized(dataset: Dataset) -> None:
    dataset.add("review", columns(1, 2, 3))
    assert (ys(dataset), ys(dataset, "review")) == ([], [1, 2, 3])
    gone = dataset.finalize([0, 2], columns(10, 30))
    assert gone == sum(len(b) for part in columns(1, 3).values() for b in part)
    assert (ys(reopen(dataset)), ys(reopen(dataset), "review")) == ([10, 30], [2])
    with pytest.raises(DefinitionError, match="are 1, but there are 2"):
        dataset.finalize([0], columns(1, 2))
    with pytest.raises(IndexOutOfRange):
        dataset.finalize([5], columns(1))
    assert ys(dataset, "review") == [2]


def test_a_change_of_an_old_version_is_refused(dataset: Dataset) -> None:
    old = dataset.head["version_id"]
    new = dataset.add("entries", columns(1), old)
    for change in (
        lambda: dataset.add("entries", columns(2), old),
        lambda: dataset.remove("entries", [0], old),
        lambda: dataset.read("entries", [0], old),
        lambda: dataset.finalize([], columns(), old),
    ):
        with pytest.raises(WrongVersion) as caught:
            change()
        assert caught.value.current == new
    assert ys(dataset) == [1]


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"y": [infer(1.5).encode()]}, "'y' is f64, but i64 is expected"),
        ({"y": [infer([1]).encode()]}, r"'y' has shape \[1\], but \[\] is expected"),
        (
            {"x": [infer(numpy.zeros((2, 3))).encode()]},
            r"'x' has shape \[2, 3\], but \[any, 2\] is expected \(entry 0\)",
        ),
        ({"y": [infer(1).encode() * 2]}, "more than one tensor"),
        ({"y": [b"\x01"]}, "a broken entry 0"),
        ({"y": []}, "different numbers of entries"),
        ({"z": [infer(1).encode()]}, "must be x, y, not x, y, z"),
    ],
)
def test_an_entry_that_is_not_what_the_keys_say_is_refused(dataset: Dataset, change: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        dataset.add("entries", columns(1) | change)
    assert ys(dataset) == []


@pytest.mark.parametrize(
    ("keys", "says"),
    [
        ([], "at least one key"),
        ({}, "must be a list"),
        ([{"name": ""}], "at least 1 character"),
        ([{"name": "x"}, {"name": "x"}], "has 'x' twice"),
        ([{"name": "x", "rules": {"shape": [-2]}}], "a size is -1"),
        ([{"name": "x", "rules": {"allowedTypes": ["float"]}}], "'float' is no type"),
    ],
)
def test_keys_that_are_no_definitions_are_refused(datasets: Datasets, keys: Any, says: str) -> None:
    with pytest.raises(DefinitionError, match=says):
        datasets.create("d", "", [], keys)
    assert datasets.all() == []


def test_a_deleted_dataset_is_gone_and_a_reader_goes_on(datasets: Datasets, dataset: Dataset) -> None:
    dataset.add("entries", columns(1, 2))
    reader = Reader(dataset.directory, "y")
    datasets.delete(dataset.id)
    for ask in (lambda: datasets.get(dataset.id), lambda: dataset.add("entries", columns(1))):
        with pytest.raises(DatasetNotFound):
            ask()
    assert not dataset.directory.exists()
    assert Tensor.decode(reader.read(1))[0].item() == 2
    with pytest.raises(LookupError, match="was deleted"):
        Reader(dataset.directory, "y")


def test_a_key_that_is_not_there_is_named(dataset: Dataset) -> None:
    with pytest.raises(LookupError, match="has no key 'z'; its keys are 'y', 'x'"):
        Reader(dataset.directory, "z")
    with pytest.raises(IndexError, match="no entry 0; there are 0"):
        Reader(dataset.directory, "y").read(0)


class _Killed(BaseException):
    """The process ended here."""


def killed_after(monkeypatch: pytest.MonkeyPatch, num_syncs: int) -> None:
    """Have the writer die at its n-th sync, with half of what it had not synced yet on the disk."""
    left = num_syncs

    def fsync(descriptor: int, real: Any = os.fsync) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise _Killed
        real(descriptor)

    monkeypatch.setattr(os, "fsync", fsync)


@pytest.mark.parametrize("num_syncs", range(9))
@pytest.mark.parametrize("what", ["append", "remove", "finalize", "compact"])
def test_a_writer_killed_at_any_point_has_changed_nothing_or_all(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch, num_syncs: int, what: str
) -> None:
    dataset.add("entries", columns(1, 2, 3, 4))
    dataset.add("review", columns(7, 8))
    before = (ys(dataset), ys(dataset, "review"))
    if what == "compact":
        monkeypatch.setattr(dataset_files, "COMPACT_FROM_BYTES", 1)
    with monkeypatch.context() as dying:
        killed_after(dying, num_syncs)
        try:
            if what == "append":
                dataset.add("entries", columns(5, 6))
            elif what == "finalize":
                dataset.finalize([1], columns(9))
            else:
                dataset.remove("entries", [0, 2, 3])
        except _Killed:
            pass
    after = {
        "append": ([1, 2, 3, 4, 5, 6], [7, 8]),
        "finalize": ([1, 2, 3, 4, 9], [7]),
        "remove": ([2], [7, 8]),
        "compact": ([2], [7, 8]),
    }[what]
    again = reopen(dataset)
    found = (ys(again), ys(again, "review"))
    assert found in (before, after)
    again.add("entries", columns(11))
    again.remove("review", [0])
    assert (ys(reopen(again)), ys(reopen(again), "review")) == ([*found[0], 11], found[1][1:])
