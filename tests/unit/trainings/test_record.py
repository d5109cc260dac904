"""What a worker says of its run is taken over where it makes sense, bounded, and never fails the run."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import Any

import pytest

from jupyter_ext.engine.metrics.points.series import Point
from jupyter_ext.engine.trainings.record import MAX_KEYS, MAX_NOTICES, Record
from jupyter_ext.engine.trainings.resource import json_of, resource_of
from jupyter_ext.engine.trainings.run_spec import RunSpec
from jupyter_ext.engine.trainings.shortening import shorten, shortened
from jupyter_ext.ids import TrainingId

SPEC: RunSpec = {
    "id": "0123456789abcdefghijklmnop",
    "name": "cell",
    "model": "local/cell",
    "version": "v",
    "input": {},
    "created_at": "2026-01-01T00:00:00Z",
    "created_unix": 1767225600.0,
    "python": "python",
    "cwd": "/tmp",
}


def record(tmp_path: Path, **spec: Any) -> Record:
    return Record(TrainingId(SPEC["id"]), tmp_path, {**SPEC, **spec})  # type: ignore[typeddict-item]


@pytest.mark.parametrize(
    "mark",
    [
        {},
        {"kind": None},
        {"kind": ["progress"]},
        {"kind": "progress"},
        {"kind": "progress", "current": "a lot", "total": None, "time": 0},
        {"kind": "progress", "current": 10**400, "total": 1, "time": 0},
        {"kind": "progress", "current": math.inf, "total": math.nan, "time": math.inf},
        {"kind": "started", "time": "yesterday"},
        {"kind": "started", "time": math.nan},
        {"kind": "started", "time": 1e300},
        {"kind": "checkpoint", "step": math.inf, "saved_at": math.nan, "bytes": -1},
        {"kind": "checkpoint", "step": {}, "saved_at": 0, "bytes": 0},
        {"kind": "recorded", "key": "a", "mode": "upside down"},
        {"kind": "recorded", "key": "a", "mode": {}},
        {"kind": "notice", "text": ["\udce9"]},
        {"kind": "dropped", "count": "many"},
        {"kind": "output"},
        {"kind": "from the future", "x": 1},
    ],
)
def test_a_mark_that_makes_no_sense_harms_nothing(tmp_path: Path, mark: dict[str, Any]) -> None:
    one = record(tmp_path)
    one.take_mark(mark)
    one.take_mark({"kind": "notice", "text": "and this is fine"})
    resource = resource_of(one)
    assert resource.notices[-1] == "and this is fine"
    assert json.loads(resource.model_dump_json().encode())["id"] == SPEC["id"]


def test_notices_are_bounded(tmp_path: Path) -> None:
    one = record(tmp_path)
    for number in range(10 * MAX_NOTICES):
        one.notice(f"{number} " + "x" * 10_000)
    assert len(one.notices) <= MAX_NOTICES + 1
    assert "more" in one.notices[-1]
    assert len(resource_of(one).model_dump_json()) < 300_000


class ManyCurves:
    def num_series(self, stream: str) -> int:
        return 20_000

    def last_points(self, stream: str = "0", limit: int | None = None) -> dict[str, Point]:
        assert limit is not None
        return {f"k{number}": Point(1.0, math.nan, 2.0) for number in range(limit)}

    def extremes(self, stream: str = "0", limit: int | None = None) -> dict[str, tuple[float, float]]:
        assert limit is not None
        return {f"k{number}": (0.0, 1.0) for number in range(limit)}


def test_of_thousands_of_metrics_a_resource_carries_some_and_says_so(tmp_path: Path) -> None:
    one = record(tmp_path)
    one.curves = ManyCurves()
    resource = resource_of(one)
    assert len(resource.last) == len(resource.extremes) == MAX_KEYS
    assert resource.cut == ["last", "extremes"]


def test_lists_and_streams_carry_the_beginning_of_large_values(tmp_path: Path) -> None:
    image = "data:image/png;base64," + "A" * 5_000_000
    one = record(tmp_path, given={"image": image, "lr": 0.1, "rows": list(range(50_000))})
    whole = resource_of(one)
    assert whole.input["image"] == image
    part = shortened(whole)
    assert part.input["lr"] == 0.1
    assert part.input["image"].startswith("data:image/png;base64,AAA")
    assert "5,000,022 characters" in part.input["image"]
    assert part.cut == ["input.image", "input.rows"]
    assert shorten(whole.model_dump(mode="json"))["input"] == part.input
    assert len(json_of(one, lambda training: training)) < 50_000


def test_a_clock_that_is_set_does_not_end_a_run_before_its_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wall, passed = 1_767_225_600.0, 100.0
    monkeypatch.setattr(time, "time", lambda: wall)
    monkeypatch.setattr(time, "monotonic", lambda: passed)
    run = record(tmp_path, cancel_after_s=60.0)
    assert not run.is_out_of_time()
    for step in (86_400.0, -86_400.0):
        wall += step
        assert not run.is_out_of_time()
    passed += 59
    assert not run.is_out_of_time()
    passed += 2
    assert run.is_out_of_time()
    assert not record(tmp_path).is_out_of_time()
    wall += 3600  # while no engine was there
    assert record(tmp_path, cancel_after_s=60.0).is_out_of_time()
