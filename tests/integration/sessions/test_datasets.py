"""`jx.datasets` against a real engine: every source, what comes back, the preview, and a session's loaders on the same files."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy
import pandas
import pytest
import torch
from integration_tools import EngineUnderTest
from PIL import Image

import jupyter_ext as jx
from jupyter_ext.client.requests.process_client import reset_client
from jupyter_ext.config import locations
from jupyter_ext.errors import InvalidInput, UnknownId
from jupyter_ext.ipc import values
from jupyter_ext.protocol.decthings import columns
from jupyter_ext.protocol.decthings.tensors import Media, Tensor
from jupyter_ext.worker.session.runtime import arguments as session_arguments


@pytest.fixture(autouse=True)
def engine(engine_home: Any) -> Iterator[EngineUnderTest]:
    """Return the engine that the notebook's names use."""
    reset_client()
    under_test = EngineUnderTest(locations())
    yield under_test
    reset_client()
    under_test.close()


def test_columns_of_every_kind_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(columns, "BATCH_BYTES", 2000)
    rng = numpy.random.default_rng(0)
    given = {
        "x": rng.normal(size=(100, 3, 2)),
        "t": torch.arange(200, dtype=torch.int16).reshape(100, 2),
        "y": pandas.Series(rng.integers(0, 5, 100)),
        "s": [f"text {n}" for n in range(100)],
        "b": numpy.array([n % 2 == 0 for n in range(100)]),
        "ragged": [numpy.arange(n, dtype="f4") for n in range(100)],
        "big_endian": numpy.arange(100, dtype=">i4"),
        "strided": numpy.arange(200, dtype="f4")[::2],
    }
    dataset = jx.datasets.create("kinds", description="all", **given)
    assert (len(dataset), dataset.keys) == (100, list(given))
    types = [key["rules"]["allowedTypes"][0] for key in dataset.definitions]
    assert types == ["f64", "i16", "i64", "string", "boolean", "f32", "i32", "f32"]
    assert dataset.definitions[5]["rules"]["shape"] == [-1]
    for n in (0, 57, -1):
        entry = dataset[n]
        assert numpy.array_equal(entry["x"], given["x"][n])
        assert entry["x"].dtype == "f8"
        assert numpy.array_equal(entry["t"], given["t"][n].numpy())
        assert entry["s"] == given["s"][n]
        assert numpy.array_equal(entry["ragged"], given["ragged"][n])
        assert entry["y"] == given["y"].iloc[n]
        assert entry["big_endian"] == range(100)[n]
        assert entry["strided"] == given["strided"][n]
    assert [int(value) for value in dataset["y"][2:5]] == given["y"].tolist()[2:5]
    assert [entry["s"] for entry in dataset] == given["s"]
    assert len(dataset.dataframe(limit=7)) == 7
    dataset.remove([0, 1])
    assert (len(dataset), dataset[0]["s"]) == (98, "text 2")
    dataset.rename("renamed")
    assert jx.datasets.get("renamed").id == jx.datasets.get(dataset.id).id == dataset.id
    assert [found.name for found in jx.datasets.list()] == ["renamed"]
    assert "renamed" in repr(jx.datasets.list())
    jx.datasets.delete("renamed")
    assert jx.datasets.list() == []
    for ask in (lambda: jx.datasets.get("renamed"), lambda: dataset[0], dataset.delete):
        with pytest.raises(UnknownId):
            ask()


def test_tables_files_and_folders_are_sources(tmp_path: Path) -> None:
    table = pandas.DataFrame({"x": [1.5, 2.5, 3.5], "label": ["a", "b", "c"], "n": [1, 2, 3]})
    table.to_parquet(tmp_path / "t.parquet")
    table.to_csv(tmp_path / "t.csv", index=False)
    for source in (table, tmp_path / "t.parquet", str(tmp_path / "t.csv")):
        dataset = jx.datasets.create("t", source)
        assert (
            dataset.dataframe().astype({"x": float}).equals(table.astype({"x": float}))
            or [[float(entry["x"]), entry["label"], int(entry["n"])] for entry in dataset]
            == table.values.tolist()
        )
    for label in ("cats", "dogs"):
        (tmp_path / "images" / label).mkdir(parents=True)
        for n in range(2):
            Image.new("RGB", (4, 4), (n, 0, 0)).save(tmp_path / "images" / label / f"{n}.png")
    images = jx.datasets.create("images", tmp_path / "images")
    assert [entry["label"] for entry in images] == ["cats", "cats", "dogs", "dogs"]
    first = images[0]["image"]
    assert isinstance(first, Media)
    assert first.data == (tmp_path / "images" / "cats" / "0.png").read_bytes()
    assert images._repr_html_().count("data:image/png;base64,") == 4
    assert "cats/0.png" in repr(images)
    pictures = jx.datasets.create("pictures", image=[Image.new("L", (2, 3), 7)] * 2, y=[0, 1])
    assert pictures[1]["image"].format == "png"


REFUSED: list[tuple[Any, str]] = [
    (lambda: jx.datasets.create("d"), "Give columns"),
    (lambda: jx.datasets.create("d", x=[1, 2], y=[1]), r"differ in length: \{'x': 2, 'y': 1\}"),
    (lambda: jx.datasets.create("d", x=numpy.array(["2020"], "M8[s]")), "no type there"),
    (lambda: jx.datasets.create("d", x=["a", None]), "column 'x'"),
    (lambda: jx.datasets.create("d", x=5), "single value"),
    (lambda: jx.datasets.create("d", x=[]), "no entries"),
    (lambda: jx.datasets.create("d", x=["a", b"b"]), "entries of binary and string"),
    (lambda: jx.datasets.create("d", "none.csv"), "There is no file 'none.csv'"),
    (lambda: jx.datasets.create("d", 5), "A int is no source"),
    (lambda: jx.datasets.create(" ", x=[1]), "is empty"),
]


def test_what_cannot_be_a_dataset_is_refused_and_none_is_made() -> None:
    for make, says in REFUSED:
        with pytest.raises(InvalidInput, match=says):
            make()
    assert jx.datasets.list() == []


def test_entries_of_another_type_are_refused() -> None:
    dataset = jx.datasets.create("d", x=numpy.zeros((2, 3)))
    for columns_ in ({"x": numpy.zeros((2, 4))}, {"x": numpy.zeros((2, 3), "f4")}, {"z": [1]}):
        with pytest.raises(InvalidInput, match="x"):
            dataset.append(**columns_)
    assert len(dataset.append(x=numpy.ones((1, 3)))) == 3
    with pytest.raises(InvalidInput, match="no such entry"):
        dataset.remove([7])
    with pytest.raises(UnknownId, match="no key 'z'; its keys are x"):
        dataset["z"]


def test_a_key_is_read_lazily_by_a_sessions_code(engine: EngineUnderTest) -> None:
    """As `values` carries it to a session: plain code gets a sequence, an executor a loader."""
    dataset = jx.datasets.create("d", x=numpy.arange(20.0).reshape(10, 2), s=[f"{n}" for n in range(10)])
    trees = {name: values.encode(dataset[name]) for name in ("x", "s")}
    assert all(blobs == [] for _, blobs in trees.values())
    arguments = session_arguments.decode({"args": {name: tree for name, (tree, _) in trees.items()}}, [])
    plain = arguments.keywords()["x"]
    assert numpy.array_equal(plain[3], [6, 7])
    batch = next(iter(torch.utils.data.DataLoader(plain, batch_size=4)))
    assert batch.shape == (4, 2)
    loaders = arguments.loaders()
    loaders["x"].shuffle_in_group([loaders["s"]])
    xs, texts = (asyncio.run(loaders[name].next(10)) for name in ("x", "s"))
    assert [int(x[0]) // 2 for x in xs] == [int(text) for text in texts]
    assert sorted(texts) == [f"{n}" for n in range(10)]
    raw = asyncio.run(arguments.loaders(in_bytes=True)["x"].next(1))[0]
    assert Tensor.decode(raw)[0].numpy().tolist() == [0, 1]
    engine.kill()
    assert len(jx.datasets.get("d")) == 10
    jx.datasets.delete("d")
    with pytest.raises(ValueError, match="was deleted"):
        session_arguments.decode({"args": {"x": trees["x"][0]}}, [])
