"""A few rounds of the campaign; `make faults` plays hundreds, `make soak` the long one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from integration_tools import EngineUnderTest

from jupyter_ext.config import Locations
from tests.faults.campaign import Campaign, Report
from tests.faults.soak import Sample, judge


@pytest.fixture
def engine(engine_home: Any) -> Iterator[EngineUnderTest]:
    under_test = EngineUnderTest(Locations(engine_home.data_dir, engine_home.runtime_dir))
    yield under_test
    under_test.close()


@pytest.mark.slow
async def test_a_few_rounds_lose_nothing_and_leave_nothing(engine: EngineUnderTest, tmp_path: Path) -> None:
    campaign = Campaign(engine, 12, tmp_path)
    for number in range(4):
        await campaign.round(number)
    report = campaign.report
    assert report.violations == [], "\n".join(report.lines())
    assert report.acknowledged > 100
    assert sum(report.kills.values()) >= 3


def test_the_report_tells_what_was_violated() -> None:
    report = Report(rounds=1, kills=Counter(worker=2), violations=["round 0: 5 acknowledged, 4 kept"])
    assert report.lines()[-2:] == ["violations           1", "  round 0: 5 acknowledged, 4 kept"]


@pytest.mark.parametrize(("grows", "num_violations"), [((0, 0, 0), 0), ((200, 0, 0), 1), ((200, 40, 40), 3)])
def test_a_soak_sees_what_grows(grows: tuple[int, int, int], num_violations: int) -> None:
    samples = [Sample(*(100 + grow * k / 7 for grow in grows)) for k in range(8)]  # type: ignore[arg-type]
    assert len(judge(samples, 8)[1]) == num_violations
