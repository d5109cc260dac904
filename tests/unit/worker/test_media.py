"""What `log()` stores besides numbers: whatever it is given, the training goes on, and what is stored reads back the same."""

from __future__ import annotations

import io
import json
import os
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image as PILImage

import jupyter_ext as jx
from jupyter_ext.engine.metrics import media
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.integrations.tensorboard import SummaryWriter
from jupyter_ext.protocol.media import MediaItem
from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.media import recorder


@pytest.fixture
def report(tmp_path: Path) -> Iterator[logging.Reporter]:
    active = logging.Reporter(tmp_path, "0")
    logging.activate(active)
    logging._told.clear()
    yield active
    logging.activate(None)
    active.close()


def stored(report: logging.Reporter) -> list[MediaItem]:
    """All items, once what was handed over is on the disk."""
    if report._media is not None:
        report._media.close()
    page = media.page(report.run_dir, 0)
    assert not page.more
    return page.items


def content(report: logging.Reporter, item: MediaItem) -> bytes:
    assert item.file is not None
    path = media.file(report.run_dir, item.file)
    assert path is not None
    return path.read_bytes()


def picture(report: logging.Reporter, item: MediaItem) -> Any:
    return np.asarray(PILImage.open(io.BytesIO(content(report, item))))


def notices(report: logging.Reporter) -> list[str]:
    return [mark["text"] for mark in marks(report) if mark["kind"] == "notice"]


def marks(report: logging.Reporter) -> list[dict[str, Any]]:
    store = RunStore(report.run_dir)
    store.open()
    while store.ingest() is not None:
        pass
    found = store.marks()
    store.close()
    return found


RNG = np.random.default_rng(0)
GREY = RNG.integers(0, 256, (5, 7), np.uint8)
RGB = RNG.integers(0, 256, (5, 7, 3), np.uint8)
RGBA = RNG.integers(0, 256, (300, 400, 4), np.uint8)


@pytest.mark.parametrize("array", [GREY, RGB, RGBA], ids=["grey", "rgb", "large"])
def test_pixels_come_back_as_they_were(report: logging.Reporter, array: np.ndarray[Any, Any]) -> None:
    jx.log({"x": jx.Image(array, caption="é")}, step=3)
    (item,) = stored(report)
    assert (item.key, item.kind, item.step, item.caption) == ("x", "image", 3, "é")
    assert item.facts == {"width": array.shape[1], "height": array.shape[0]}
    assert np.array_equal(picture(report, item), array)


def test_layouts_and_ranges_are_understood_as_their_libraries_mean_them(report: logging.Reporter) -> None:
    torch = pytest.importorskip("torch")
    first = torch.from_numpy(RGB.copy()).permute(2, 0, 1)
    jx.log({"torch": jx.Image(first), "floats": jx.Image(RGB / 255.0), "pil": PILImage.fromarray(RGB)})
    jx.log(
        {"named": jx.Image(RGB.transpose(2, 1, 0), layout="CWH"), "half": jx.Image((first / 255).bfloat16())}
    )
    items = {item.key: item for item in stored(report)}
    for key in ("torch", "floats", "pil"):
        assert np.array_equal(picture(report, items[key]), RGB), key
    assert np.array_equal(picture(report, items["named"]), RGB)
    assert np.abs(picture(report, items["half"]).astype(int) - RGB).max() <= 1


def test_a_batch_is_a_grid_and_several_are_numbered(report: logging.Reporter) -> None:
    jx.log({"grid": jx.Image(np.stack([RGB] * 5)), "many": [jx.Image(GREY), jx.Image(RGB)], "loss": 0.5})
    grid, *many = stored(report)
    assert picture(report, grid).shape == (2 * 7 - 2, 3 * 9 - 2, 3)
    assert [item.index for item in many] == [0, 1]


def test_a_logged_array_may_change_at_once(report: logging.Reporter) -> None:
    array = RGBA.copy()
    jx.log({"x": jx.Image(array)})
    array[:] = 0
    assert np.array_equal(picture(report, stored(report)[0]), RGBA)


def test_equal_bytes_are_one_file(report: logging.Reporter) -> None:
    for step in range(5):
        jx.log({"x": jx.Image(GREY)}, step=step)
    assert [item.step for item in stored(report)] == [0, 1, 2, 3, 4]
    assert len(list((report.run_dir / "media").glob("*.png"))) == 1


def test_numbers_beside_media_are_points_and_steps_are_counted(report: logging.Reporter) -> None:
    for _ in range(3):
        jx.log({"loss": 0.5, "x": jx.Text("t")})
    assert [item.step for item in stored(report)] == [0, 1, 2]
    assert report.num_calls == 3


def test_histograms_count_every_finite_number(report: logging.Reporter) -> None:
    numbers = np.append(RNG.normal(size=1_000), [np.nan, np.inf])
    jx.log({"h": jx.Histogram(numbers, num_bins=10), "given": jx.Histogram(np_histogram=([1, 2], [0, 1, 3]))})
    counted, given = stored(report)
    assert sum(counted.data["counts"]) == 1_000
    assert len(counted.data["edges"]) == 11
    assert counted.facts["nonfinite"] == 2
    assert given.data == {"counts": [1, 2], "edges": [0, 1, 3]}


def test_tables_keep_what_json_can_carry(report: logging.Reporter) -> None:
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(
        {"n": [1, 2], "x": [0.5, float("nan")], "when": pandas.to_datetime(["2026-01-01"] * 2)}
    )
    jx.log({"frame": frame, "dicts": jx.Table([{"a": 1}, {"b": 2**60}])})
    by_hand = jx.Table(columns=["text", "truth"])
    by_hand.add_data("ü" * 3_000, True)
    jx.log({"rows": by_hand})
    items = {item.key: item.data for item in stored(report)}
    assert items["frame"]["rows"][0] == [1, 0.5, "2026-01-01 00:00:00"]
    assert items["frame"]["rows"][1][1] == "nan"
    assert items["dicts"] == {"columns": ["a", "b"], "rows": [[1, None], [None, str(2**60)]]}
    assert items["rows"]["rows"][0][0].endswith("ü…")


def test_a_large_table_is_a_file_and_is_cut_at_its_bound(report: logging.Reporter) -> None:
    jx.log({"t": jx.Table([[i, i] for i in range(20_000)], columns=["a", "b"])})
    (item,) = stored(report)
    assert item.facts == {"rows": 20_000, "columns": 2}
    assert len(json.loads(content(report, item))["rows"]) == 10_000


def test_sound_and_frames_come_back(report: logging.Reporter, tmp_path: Path) -> None:
    frames = RNG.integers(0, 256, (4, 6, 8, 3), np.uint8)
    jx.log({"a": jx.Audio(np.array([0.0, 1.0, -1.0]), 8_000), "v": jx.Video(frames, fps=2)})
    audio, video = stored(report)
    with wave.open(io.BytesIO(content(report, audio))) as file:
        assert (file.getframerate(), file.getnchannels()) == (8_000, 1)
        assert np.frombuffer(file.readframes(3), "<i2").tolist() == [0, 32_767, -32_767]
    opened = PILImage.open(io.BytesIO(content(report, video)))
    assert opened.n_frames == 4  # type: ignore[attr-defined]
    opened.seek(3)
    assert np.array_equal(np.asarray(opened.convert("RGB")), frames[3])


def test_classifiers_are_judged(report: logging.Reporter) -> None:
    jx.log({"c": jx.ConfusionMatrix(np.array([0, 1, 1]), [0, 1, 0], class_names=["cat", "dog"])})
    jx.log({"p": jx.PRCurve([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8]), "names": jx.ConfusionMatrix(["a"], ["b"])})
    matrix, curve, names = stored(report)
    assert matrix.data == {"labels": ["cat", "dog"], "counts": [[1, 0], [1, 1]]}
    assert names.data["counts"] == [[0, 1], [0, 0]]
    assert curve.data["precision"] == [1, 0.5, 2 / 3, 0.5]
    assert curve.data["recall"] == [0.5, 0.5, 1, 1]
    assert curve.facts["average_precision"] == pytest.approx(5 / 6)


def test_figures_are_taken_without_a_wrapper(report: logging.Reporter) -> None:
    go = pytest.importorskip("plotly.graph_objects")
    jx.log({"figure": go.Figure(go.Scatter(y=[1, 2]))})
    (item,) = stored(report)
    assert (item.kind, item.file.endswith(".plotly.json") if item.file else None) == ("plotly", True)
    assert json.loads(content(report, item))["data"][0]["type"] == "scatter"


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (jx.Image(np.zeros((2, 2, 2))), "has no 1, 3 or 4 channels"),
        (jx.Image(np.zeros((0, 4))), "is not within 1 to"),
        (jx.Image("no/such.png"), "cannot be read"),
        (jx.Image(b"GIF? no"), "the file is no png"),
        (jx.Image(np.array(["a"])), "has no numbers"),
        (jx.Image(GREY, layout="XYZ"), "does not fit the shape"),
        (jx.Histogram([float("nan")]), "no finite number"),
        (jx.Histogram([1.0], num_bins=0), "is not within 1 to"),
        (jx.Histogram(np_histogram=([1], [1])), "no histogram"),
        (jx.Audio([0.0], sample_rate=0), "is not within"),
        (jx.Video(np.zeros((2, 2))), "a video has frames"),
        (jx.Table([1, 2]), "lists, tuples or dicts"),
        (jx.Table([[1], [1, 2]]), "cells where there are"),
        (jx.ConfusionMatrix([1], [1, 2]), "1 true classes and 2"),
        (jx.PRCurve([0], [0.5]), "no sample is positive"),
        (np.zeros(3), r"Wrap it to keep it: jx.Image\(x\)"),
        ("text", r"log jx.Text\(x\)"),
    ],
)
def test_what_cannot_be_stored_is_named_once_and_harms_nothing(
    report: logging.Reporter, value: Any, reason: str, capfd: pytest.CaptureFixture[str]
) -> None:
    for _ in range(2):
        jx.log({"bad": value, "good": jx.Text("t"), "loss": 1.0})
    assert [item.key for item in stored(report)] == ["good", "good"]
    (text,) = notices(report)
    assert text.startswith("log: bad")
    import re

    assert re.search(reason, text), text
    assert capfd.readouterr().err.count("log: bad") == 1


def test_the_bounds_are_told_once(report: logging.Reporter, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recorder, "MAX_ITEMS", 3)
    for _ in range(6):
        jx.log({"x": jx.Text("t")})
    assert len(stored(report)) == 3
    assert notices(report) == ["log: this run has stored 3 items of media; more are left out."]
    (mark,) = [mark for mark in marks(report) if mark["kind"] == "media"]
    assert mark["count"] == 3


def test_a_full_disk_harms_the_picture_alone(
    report: logging.Reporter, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = os.replace

    def refuse(source: Any, target: Any, **options: Any) -> None:
        if str(target).endswith(".png"):
            raise OSError(28, "No space left on device")
        real(source, target, **options)

    monkeypatch.setattr(os, "replace", refuse)
    jx.log({"x": jx.Image(GREY), "t": jx.Text("t")})
    assert [item.key for item in stored(report)] == ["t"]
    assert notices(report) == ["log: x could not be stored (No space left on device); it was left out."]
    assert not list((report.run_dir / "media").glob(".*"))


def test_lines_of_others_and_torn_lines_are_left_out(report: logging.Reporter) -> None:
    jx.log({"x": jx.Text("a")})
    good = {"key": "k", "kind": "image", "step": 1, "time": 1}
    bad: list[object] = [
        [],
        {"key": 1},
        {**good, "step": "x"},
        {**good, "file": "../../spec.json"},
        {**good, "step": 1e999},
    ]
    with open(report.run_dir / "media" / "items.jsonl", "ab") as file:
        file.write(
            b"\n".join(json.dumps(line).encode() for line in bad) + b"\n\xff{\n" + json.dumps(good).encode()
        )
    assert [item.key for item in stored(report)] == ["x"]  # the last one has no end yet


@pytest.mark.parametrize("name", ["../spec.json", "items.jsonl", "a.png", "0" * 32, "0" * 32 + ".png/..", ""])
def test_only_names_of_media_are_files(report: logging.Reporter, name: str) -> None:
    jx.log({"x": jx.Image(GREY)})
    assert media.file(report.run_dir, name) is None


def test_a_forked_child_stores_its_own(report: logging.Reporter) -> None:
    jx.log({"parent": jx.Image(RGBA)})
    pid = os.fork()
    if pid == 0:
        jx.log({"child": jx.Image(RGBA[:100])})
        logging.active().close()  # type: ignore[union-attr]
        os._exit(0)
    os.waitpid(pid, 0)
    assert sorted(item.key for item in stored(report)) == ["child", "parent"]


def test_tensorboards_writer_keeps_its_media(report: logging.Reporter) -> None:
    writer = SummaryWriter()
    writer.add_image("image", RGB.transpose(2, 0, 1), 1)
    writer.add_images("images", np.stack([RGB, RGB]), 1, dataformats="NHWC")
    writer.add_histogram("histogram", RNG.normal(size=50), 1, bins="tensorflow")
    writer.add_histogram_raw("raw", 0, 2, 3, 3, 5, [1, 2], [1, 2], 1)
    writer.add_text("text", "# hello", 1)
    writer.add_audio("audio", np.zeros((1, 100)), 1, 8_000)
    writer.add_video("video", np.zeros((1, 2, 3, 4, 5), np.uint8), 1)
    writer.add_pr_curve("curve", [0, 1], [0.2, 0.8], 1)
    kinds = {item.key: item.kind for item in stored(report)}
    assert kinds == {
        "image": "image",
        "images": "image",
        "histogram": "histogram",
        "raw": "histogram",
        "text": "text",
        "audio": "audio",
        "video": "video",
        "curve": "pr_curve",
    }
    assert notices(report) == []


def test_an_alert_is_a_mark_with_step_and_level(
    report: logging.Reporter, capfd: pytest.CaptureFixture[str]
) -> None:
    jx.log(loss=1.0, step=7)
    jx.alert("the loss is high")
    jx.alert("very", level="ERROR", step=9)
    jx.alert("odd", level="loud")
    found = [(mark["text"], mark["level"], mark["step"]) for mark in marks(report) if mark["kind"] == "alert"]
    assert found == [("the loss is high", "warning", 7), ("very", "error", 9), ("odd", "warning", 7)]
    assert "there is no level 'loud'" in capfd.readouterr().err
