"""A few rounds of the campaign; `make faults` plays hundreds, `make soak` the long one."""

from __future__ import annotations

import random
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults import load
from tests.faults.campaign import Campaign
from tests.faults.probe import Wait
from tests.faults.report import Report
from tests.faults.scenes import SCENES
from tests.faults.scenes.scene import Scene
from tests.faults.soak import Sample, judge
from tests.faults.world import World

SHORT = {
    "trainings": 2,
    "sealing": 1,
    "models": 1,
    "downloads": 1,
    "sessions": 1,
    "webhooks": 1,
    "restart": 1,
    "full disk": 1,
    "failing disk": 2,
}
"""How many rounds each scene gets here."""
NAMED = {scene.name: scene for scene in SCENES}


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    home = Path(tempfile.mkdtemp(prefix="jx-", dir="/tmp"))
    with World(home).entered() as world:
        yield world
    shutil.rmtree(home, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.timeout(400)  # a round has its own, and says what it waited for
@pytest.mark.parametrize("scene", [NAMED[name] for name in SHORT], ids=lambda scene: scene.name)
async def test_a_few_rounds_lose_nothing_and_leave_nothing(world: World, scene: Scene) -> None:
    world.report.violations.clear()  # those of another scene are its own
    campaign = Campaign(world, 12, [scene])
    for number in range(SHORT[scene.name]):
        await campaign.round(number)
    assert world.report.violations == [], "\n".join(world.report.lines())


def test_a_round_that_is_played_again_is_the_same_scene(tmp_path: Path) -> None:
    world = World(tmp_path)
    drawn = [
        [Campaign(world, 12, SCENES).scene_of(random.Random(f"12:{number}")).name for number in range(40)]
        for _ in range(2)
    ]
    assert drawn[0] == drawn[1]
    assert len(set(drawn[0])) >= 6


def test_the_report_tells_what_was_violated() -> None:
    report = Report(rounds=Counter(trainings=1), violations=["round 0: 5 acknowledged, 4 kept"])
    assert report.lines()[-2:] == ["violations           1", "  round 0: 5 acknowledged, 4 kept"]


def test_a_stepped_clock_is_that_of_new_processes(tmp_path: Path) -> None:
    import os
    import subprocess
    import sys
    import time

    from tests.faults.clock import Clock

    clock = Clock(tmp_path)
    clock.step(-3600.0)
    command = [sys.executable, "-c", "import time; print(time.time())"]
    said = subprocess.run(command, env={**os.environ, **clock.environment}, capture_output=True, check=True)
    assert abs(float(said.stdout) + 3600.0 - time.time()) < 60


@pytest.mark.parametrize(("grows", "num_violations"), [((0, 0, 0), 0), ((200, 0, 0), 1), ((200, 40, 40), 3)])
def test_a_soak_sees_what_grows(grows: tuple[int, int, int], num_violations: int) -> None:
    samples = [Sample(*(100 + grow * k / 7 for grow in grows)) for k in range(8)]  # type: ignore[arg-type]
    assert len(judge(samples, 8)[1]) == num_violations


@pytest.mark.parametrize(
    ("waits", "violations"),
    [
        ([Wait("/a", 200, 0.2, 0.0)], []),
        ([Wait("/a", 200, 0.9, 0.7)], []),
        ([Wait("/a", 200, 0.9, 0.1), Wait("/a", 200, 0.1, 0.0)], ["/a: 1 of 2 answers took longer than 250 ms"]),
        ([Wait("/a", 503, 0.1, 0.0, '{"detail": "Close views."}')], []),
        ([Wait("/a", 500, 0.1, 0.0, "oh")], ["1 requests were answered with 500: oh"]),
    ],
)  # fmt: skip
def test_a_load_sees_who_waits_and_what_is_refused_without_a_reason(
    waits: list[Wait], violations: list[str]
) -> None:
    assert load.judge(waits)[1] == violations


@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_a_small_load_loses_nothing(world: World) -> None:
    """How long anybody waits is for `make load` to judge, on a machine that does nothing else."""
    size = load.Size(runs=2, points_per_s=500, viewers=4, silent=2, stored=50, log_bytes=10**6, keys=500)
    lines, violations = await load.load(world.engine, size, 3.0)
    assert not [text for text in violations if "answers took longer" not in text], "\n".join(lines)
