"""The saved picture and figure show what the panel shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from jupyter_ext.client.trainings.curves.colours import PALETTE
from jupyter_ext.client.trainings.curves.grouping import name_of, plots_of
from jupyter_ext.client.trainings.listing import HIGHER_IS_BETTER, LOWER_IS_BETTER, best_end
from jupyter_ext.client.trainings.snapshot_svg import draw
from jupyter_ext.protocol.metrics_codec import SeriesColumns
from jupyter_ext.protocol.trainings import Alert, Checkpoint, ResumedFrom, Training

WIDGETS = Path(__file__).parents[3] / "widgets"
SVG = "{http://www.w3.org/2000/svg}"


def series(key: str, values: list[float], rank: str = "0") -> SeriesColumns:
    steps = np.arange(len(values), dtype=float)
    return SeriesColumns(0, key, rank, steps, np.array(values), steps)


def training(status: str = "succeeded") -> Training:
    return Training.model_validate(
        {
            "id": "0" * 26,
            "model": "local/m",
            "version": "0" * 64,
            "name": "<digits> & more",
            "status": status,
            "created_at": "2026-01-01T00:00:00Z",
            "urls": {"get": "", "cancel": ""},
        }
    )


def test_names_are_cut_as_the_panel_cuts_them() -> None:
    cases = json.loads((WIDGETS / "tests" / "chart" / "metric_names.json").read_text())
    assert len(cases) > 10
    for key, group, split in cases:
        assert name_of(key) == (group, split), key


def test_the_better_end_of_a_metric_is_the_panels() -> None:
    source = (WIDGETS / "src" / "plot" / "directions.ts").read_text()
    lower, higher = (
        set(re.findall(r"'(\w+)'", words))
        for words in re.findall(r"new Set\(\[(.*?)\]\);", source, re.DOTALL)
    )
    assert (lower, higher) == (set(LOWER_IS_BETTER), set(HIGHER_IS_BETTER))
    assert [best_end(key) for key in ("val/loss", "top5 acc", "lr")] == ["min", "max", None]


def test_what_happened_is_marked() -> None:
    ended = training().model_copy(
        update={
            "input": {"lr": 0.1},
            "checkpoint": Checkpoint(step=3, time=3, bytes=1),
            "resumed_from": ResumedFrom(id="x", step=1, time=1, changed=["lr"]),
            "alerts": [
                Alert(step=2, time=2, text="<spike>", level="error"),
                Alert(step=9, time=9, text="out", level="info"),
            ],
        }
    )
    picture = ElementTree.fromstring(draw(ended, [series("val/loss", [3, 1, 2, 4])]))
    titles = [node.text for node in picture.iter(f"{SVG}title")]
    assert titles == ["checkpoint at step 3", "resume at step 1 with lr=0.1", "alert at step 2 <spike>"]
    rings = [node for node in picture.iter(f"{SVG}circle") if node.get("r") == "3.6"]
    (line,) = picture.iter(f"{SVG}polyline")
    points = [point.split(",") for point in line.get("points", "").split()]
    assert [[ring.get("cx"), ring.get("cy")] for ring in rings] == [points[1]]


def test_colours_are_the_panels() -> None:
    theme = (WIDGETS / "src" / "core" / "theme.ts").read_text()
    light = re.search(r"const LIGHT = \[(.*)\]", theme)
    assert light is not None
    assert tuple(re.findall(r"#\w{6}", light[1])) == PALETTE
    plots = plots_of([series("test/loss", [1, 2]), series("train/loss", [1, 2]), series("acc", [0, 1])])
    assert [(curve.label, curve.colour) for curve in plots["loss"]] == [
        ("test", PALETTE[1]),
        ("train", PALETTE[0]),
    ]
    assert list(plots) == ["loss", "accuracy"]


def test_picture_is_svg_and_keeps_gaps() -> None:
    text = draw(training(), [series("train/loss", [3, 2, float("nan"), 1, 0.5]), series("system/cpu", [1])])
    root = ElementTree.fromstring(text)
    assert root.tag == f"{SVG}svg"
    assert [len(line.attrib["points"].split()) for line in root.iter(f"{SVG}polyline")] == [2, 2]
    words = [node.text for node in root.iter(f"{SVG}text")]
    assert words[:3] == ["<digits> & more", "succeeded", "loss"]
    assert "train 0.5" in words
    assert not any("system" in (word or "") for word in words)


@pytest.mark.parametrize("values", [[], [float("nan")], [1.0], [0.0, 0.0], [1e-9, 1e12], [float("inf"), 1.0]])
def test_picture_of_odd_values(values: list[float]) -> None:
    root = ElementTree.fromstring(draw(training("failed"), [series("loss", values)]))
    for node in root.iter():
        for name in ("x", "y", "points", "d", "cx", "cy"):
            assert "nan" not in node.attrib.get(name, "")


def test_names_with_control_characters_leave_the_picture_readable() -> None:
    odd = "".join(map(chr, [*range(32), 0x7F, 0xFFFE, 0xFFFF, 0xD800, 0x1F600])) + "<end>"
    named = training().model_copy(update={"name": odd})
    root = ElementTree.fromstring(draw(named, [series(odd, [1.0, 2.0])]).encode())
    texts = [text.text or "" for text in root.iter(f"{SVG}text")]
    assert any(text.endswith("\U0001f600<end>") for text in texts)
