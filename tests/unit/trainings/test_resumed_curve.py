"""Joining the curves of a chain of runs: what is shown of the earlier ones, and what is hidden."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings.resumed_curve import Link, Query, columns
from jupyter_ext.protocol.metrics_codec import SeriesColumns, decode_columns
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


def store_of(directory: Path, points: list[tuple[str, float, float, float]]) -> RunStore:
    """Make a run's store of (key, step, value, time)."""
    directory.mkdir()
    writer = JournalWriter(directory, "0")
    for key, step, value, time in points:
        writer.points({key: value}, step, time)
    writer.close()
    store = RunStore(directory)
    store.open()
    while store.ingest() is not None:
        pass
    return store


def joined(chain: list[Link], query: Query | None = None) -> dict[str, SeriesColumns]:
    _, found = decode_columns(columns(chain, query or Query()))
    return {item.key: item for item in found}


def line(key: str, start: int, stop: int, at: float = 0.0) -> list[tuple[str, float, float, float]]:
    return [(key, step, step, at + step) for step in range(start, stop)]


def test_the_tail_after_the_checkpoint_is_hidden_from_the_chain_only(tmp_path: Path) -> None:
    old = store_of(tmp_path / "a", line("x", 0, 20))
    new = store_of(tmp_path / "b", line("x", 11, 30, 1000))
    found = joined([Link(old, 10, 10.5), Link(new)])["x"]
    np.testing.assert_array_equal(found.steps, np.arange(30))
    assert found.times[10] == 10
    assert found.times[11] == 1011
    assert old.last_points()["x"].step == 19


def test_a_point_of_the_checkpoints_own_step_stays_though_it_was_logged_after_it(tmp_path: Path) -> None:
    old = store_of(tmp_path / "a", line("x", 0, 20))
    new = store_of(tmp_path / "b", line("x", 11, 13, 1000))
    np.testing.assert_array_equal(joined([Link(old, 10, 9.9), Link(new)])["x"].steps, np.arange(13))


def test_a_series_that_begins_again_earlier_replaces_the_old_one_from_there(tmp_path: Path) -> None:
    old = store_of(tmp_path / "a", line("x", 0, 20) + line("old", 0, 20))
    new = store_of(tmp_path / "b", line("x", 5, 13, 1000) + line("new", 0, 3, 2000))
    found = joined([Link(old, 10, 10.5), Link(new)])
    np.testing.assert_array_equal(found["x"].steps, np.arange(13))
    assert found["x"].times[5] == 1005
    np.testing.assert_array_equal(found["old"].steps, np.arange(11))
    np.testing.assert_array_equal(found["new"].steps, np.arange(3))


def test_steps_that_repeat_by_design_are_not_taken_for_a_restart(tmp_path: Path) -> None:
    epochs = [("x", step, epoch, 10 * epoch + step) for epoch in range(4) for step in range(5)]
    old = store_of(tmp_path / "a", epochs)
    new = store_of(tmp_path / "b", [("x", step, 4, 1000 + step) for step in range(2, 5)])
    found = joined([Link(old, 4, 24.5), Link(new)])["x"]
    assert found.values.tolist()[:15] == [0] * 5 + [1] * 5 + [2] * 5
    assert found.values.tolist()[-3:] == [4] * 3
    assert 17 <= len(found.values) <= 20


@pytest.mark.parametrize("lo", [None, 100])
def test_few_buckets_keep_the_ends_and_the_spike(tmp_path: Path, lo: float | None) -> None:
    points = line("x", 0, 3000)
    points[1500] = ("x", 1500, 1e6, 1500)
    old = store_of(tmp_path / "a", points)
    new = store_of(tmp_path / "b", line("x", 2001, 4000, 10_000))
    found = joined(
        [Link(old, 2000, 2000.5), Link(new)], Query(buckets=20, lo=lo, hi=None if lo is None else 9e9)
    )
    steps, values = found["x"].steps, found["x"].values
    assert (steps[0], steps[-1]) == (lo or 0, 3999)
    assert 1e6 in values
    assert len(steps) <= 90
    assert (np.diff(steps) > 0).all()
    assert not ((found["x"].times < 10_000) & (steps > 2000)).any()


def test_an_empty_last_run_shows_the_old_curve(tmp_path: Path) -> None:
    old = store_of(tmp_path / "a", line("x", 0, 20))
    new = store_of(tmp_path / "b", [])
    head, found = decode_columns(columns([Link(old, 10, 10.5), Link(new)], Query(keys=["x"])))
    assert [item["n"] for item in head["series"]] == [11]
    np.testing.assert_array_equal(found[0].values, np.arange(11))
