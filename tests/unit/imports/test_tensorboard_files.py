"""TensorBoard's files: read as its own reader reads them, and written so that it reads ours."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from jupyter_ext.client.imports import tensorboard
from jupyter_ext.client.imports.found import Counted, FoundRun


def test_what_torchs_writer_wrote_is_read(tmp_path: Path) -> None:
    writer = pytest.importorskip("torch.utils.tensorboard").SummaryWriter(tmp_path)
    for step in range(50):
        writer.add_scalar("train/loss", 1 / (step + 1), step)
        writer.add_scalar("new", step, step, new_style=True, double_precision=True)
    writer.add_scalar("odd", float("nan"), -3)
    writer.add_image("picture", np.full((3, 4, 5), 7, np.uint8), 2)
    writer.add_histogram("h", np.arange(9.0), 1)
    writer.add_histogram("wide", np.linspace(-1, 1, 10_000) ** 3, 2, bins=2_000)
    writer.add_histogram("one", np.full(7, 3.0), 3)
    writer.add_text("t", "text", 1)
    writer.add_text("t", "ü " * 200_000, 2)
    writer.close()
    run = tensorboard.read(tmp_path, "run")
    assert set(run.metrics) == {"train/loss", "new", "odd"}
    assert run.metrics["train/loss"].steps == list(range(50))
    assert run.metrics["train/loss"].values == [float(np.float32(1 / (step + 1))) for step in range(50)]
    assert run.metrics["new"].values == list(range(50))
    assert run.metrics["odd"].steps == [-3]
    texts = [item for item in run.items if item.key == "t"]
    assert [(item.step, item.value) for item in texts] == [(1, "text"), (2, "ü " * 50_000)]
    found = {item.key: item.value for item in run.items if isinstance(item.value, Counted)}
    assert {key: sum(counted.counts) for key, counted in found.items()} == {"h": 9, "wide": 10_000, "one": 7}
    for counted in found.values():
        assert len(counted.edges) == len(counted.counts) + 1 <= 513
        assert counted.edges == sorted(counted.edges)
    assert (found["h"].edges[0], found["h"].edges[-1]) == (0, 8)
    assert (found["wide"].edges[0], found["wide"].edges[-1]) == (-1, 1)
    (picture,) = run.pictures
    assert (picture.key, picture.step) == ("picture", 2)
    assert np.asarray(Image.open(io.BytesIO(picture.data))).shape == (4, 5, 3)


def test_what_is_written_is_what_tensorboard_reads(tmp_path: Path) -> None:
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    run = FoundRun("run", "test")
    for step in range(300):
        run.add("loss", step, 0.5**step, 1e9 + step)
    run.add("big", 2**40, 1e300, 1e9)
    run.add("ü", -5, float("nan"), 1e9)
    tensorboard.write(tmp_path / "events.out.tfevents.x", run)
    events = loader.EventAccumulator(str(tmp_path), size_guidance={"scalars": 0})
    events.Reload()
    found = events.Scalars("loss")
    assert [(event.step, event.wall_time) for event in found] == [(step, 1e9 + step) for step in range(300)]
    assert [event.value for event in found] == [float(np.float32(0.5**step)) for step in range(300)]
    assert events.Scalars("big")[0].step == 2**40
    assert events.Scalars("ü")[0].step == -5
    again = tensorboard.read(tmp_path, "run")
    assert again.metrics["loss"].steps == list(range(300))


def test_a_file_that_is_cut_or_damaged_is_read_up_to_there(tmp_path: Path) -> None:
    path = tmp_path / "events.out.tfevents.x"
    run = FoundRun("run", "test")
    for step in range(20):
        run.add("loss", step, step, 1e9)
    tensorboard.write(path, run)
    whole = path.read_bytes()
    for cut in range(0, len(whole), 7):
        path.write_bytes(whole[:cut])
        found = tensorboard.read(tmp_path, "run").metrics
        steps = found["loss"].steps if found else []
        assert steps == list(range(len(steps)))
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(whole)
        damaged[rng.integers(len(whole))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        tensorboard.read(tmp_path, "run")


def test_mlflows_files_and_trackios_database(tmp_path: Path) -> None:
    import sqlite3

    from jupyter_ext.client.imports.other_stores import mlflow_runs, trackio_runs

    folder = tmp_path / "mlruns" / "0" / "abc"
    (folder / "metrics" / "val").mkdir(parents=True)
    (folder / "params").mkdir()
    (folder / "meta.yaml").write_text("run_id: abc\nrun_name: 'my run'\n")
    (folder / "params" / "lr").write_text("0.01")
    (folder / "metrics" / "val" / "loss").write_text("1700000000000 0.5 0\nbroken\n1700000001000 0.25 1\n")
    (run,) = mlflow_runs(tmp_path)
    assert (run.name, run.inputs) == ("my run", {"lr": 0.01})
    assert run.metrics["val/loss"] == ([0, 1], [0.5, 0.25], [1.7e9, 1.7e9 + 1])
    database = sqlite3.connect(tmp_path / "p.db")
    database.execute(
        "CREATE TABLE metrics (id INTEGER PRIMARY KEY, timestamp TEXT, run_name TEXT, step INTEGER, metrics TEXT)"
    )
    row = (
        "2026-01-01T00:00:00+00:00",
        "r",
        3,
        '{"loss": 0.5, "nested": {"a": 1}, "text": "x", "bad": "NaN"}',
    )
    database.execute("INSERT INTO metrics (timestamp, run_name, step, metrics) VALUES (?, ?, ?, ?)", row)
    database.commit()
    database.close()
    (run,) = trackio_runs(tmp_path / "p.db")
    assert set(run.metrics) == {"loss", "nested/a", "bad"}
    assert run.metrics["loss"] == ([3], [0.5], [1767225600])
    (tmp_path / "no.db").write_text("no")
    with pytest.raises(ValueError, match="is no database of trackio"):
        list(trackio_runs(tmp_path / "no.db"))
