"""How growth is told and drawn."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.support.curves import Curve, write


@pytest.mark.parametrize(("power", "exponent"), [(0, 0.0), (1, 1.0), (2, 2.0)])
def test_the_exponent_is_that_of_the_last_step(power: int, exponent: float) -> None:
    curve = Curve("time, ms", "runs", [(n, 3.0 * n**power) for n in (1, 10, 100)])
    assert curve.exponent == pytest.approx(exponent)


def test_curves_are_drawn_with_every_point_inside(tmp_path: Path) -> None:
    steep = Curve("time <ms>", "runs", [(1, 0.5), (10, 50.0), (1000, 5e6)])
    flat = Curve("memory, MiB", "runs", [(1, 50.0), (10, 50.0)])
    write(tmp_path / "growth.svg", "Growth & cost", [steep, flat, steep])
    root = ElementTree.parse(tmp_path / "growth.svg").getroot()
    name = "{http://www.w3.org/2000/svg}"
    lines = root.findall(f".//{name}polyline")
    assert len(lines) == 3
    for line in lines:
        for pair in (line.get("points") or "").split():
            x, y = map(float, pair.split(","))
            assert 0 < x < 420
            assert 0 < y < 280
    said = "".join(root.itertext())
    assert "time <ms>" in said
    assert "Growth & cost" in said
