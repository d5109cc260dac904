"""Runs are sealed together, and one that cannot be keeps back no other."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_ext.engine.common import health
from jupyter_ext.engine.trainings.monitoring import sealer as sealer_module
from jupyter_ext.engine.trainings.monitoring.sealer import MAX_ATTEMPTS, MAX_ATTEMPTS_LATER, Job, Sealer
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


class Fake(Sealer):
    """Remembers what it was to seal; what is `bad` fails while it is, and the first process is killed."""

    def __init__(self, bad: str) -> None:
        super().__init__()
        self.bad = bad
        self.asked: list[list[str]] = []
        self.pauses_s: list[float] = []

    def _later(self, pause_s: float, job: Job) -> asyncio.TimerHandle:
        self.pauses_s.append(pause_s)
        return super()._later(3600.0, job)

    async def _seal(self, jobs: list[Job]) -> set[Job]:
        names = [run_dir.name for run_dir, _ in jobs]
        self.asked.append(names)
        await asyncio.sleep(0)
        return set() if len(self.asked) == 1 else {job for job in jobs if job[0].name != self.bad}


@pytest.fixture(autouse=True)
def no_news() -> Iterator[None]:
    health.reset()
    yield
    health.reset()


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    paths = [tmp_path / name for name in ("a", "b", "bad", "c")]
    for path in paths:
        path.mkdir()
    return paths


async def test_what_failed_together_is_tried_again_alone(runs: list[Path]) -> None:
    sealer = Fake("bad")
    for run in runs:
        sealer.seal(run, final=True)
        sealer.seal(run, final=True)
    sealer.start()
    await sealer.wait_idle(30)
    await sealer.close()
    assert sealer.asked[0] == ["a", "b", "bad", "c"]
    assert sealer.asked[1:5] == [["a"], ["b"], ["bad"], ["c"]]
    assert sum("bad" in names for names in sealer.asked) == MAX_ATTEMPTS


async def test_runs_that_end_shortly_after_each_other_are_sealed_together(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sealer_module, "SETTLE_S", 3600.0)
    monkeypatch.setattr(sealer_module, "MAX_SETTLE_S", 3600.0)
    sealer = Fake("")
    sealer.start()
    for run in runs:
        sealer.seal(run, final=True)
        for _ in range(10):
            await asyncio.sleep(0)
    assert not sealer.asked
    await sealer.wait_idle(30)  # who waits for it does not wait for more to come
    await sealer.close()
    assert sealer.asked[0] == ["a", "b", "bad", "c"]


async def test_one_process_seals_many_runs_although_one_is_damaged(runs: list[Path]) -> None:
    for run in runs:
        writer = JournalWriter(run, "0")
        writer.points({"loss": 1.0})
        writer.close()
    (runs[2] / "segments").write_text("a file in place of the directory")
    sealer = Sealer()
    for run in runs:
        sealer.seal(run, final=True)
    sealer.start()
    await sealer.wait_idle(100)
    assert health.is_reported("sealing")
    await sealer.close()
    assert [bool(list(run.glob("segments/all-*.parquet"))) for run in runs] == [True, True, False, True]
    assert list(runs[2].glob("metrics-*.jnl"))


async def test_what_could_not_be_sealed_is_tried_after_growing_pauses_and_told_until_it_is(
    runs: list[Path],
) -> None:
    sealer = Fake("bad")
    sealer.start()
    sealer.seal(runs[2], final=True)
    for _ in range(9):
        await sealer.wait_idle(30)
        (line,) = health.lines()
        assert "run bad could not be packed" in line
        num_asked = len(sealer.asked)
        sealer.seal(runs[2], final=True)  # asked for again, it is still left alone
        await asyncio.sleep(0)
        assert len(sealer.asked) == num_asked
        sealer._enqueue((runs[2], True))
    assert sealer.pauses_s == [60, 120, 240, 480, 960, 1920, 3600, 3600, 3600]
    sealer.bad = ""
    await sealer.wait_idle(30)
    assert health.lines() == []
    sealer.seal(runs[2], final=True)
    await sealer.wait_idle(30)
    assert sealer.asked[-1] == ["bad"]
    assert len(sealer.asked) == MAX_ATTEMPTS + 8 * MAX_ATTEMPTS_LATER + 2
    await sealer.close()


async def test_a_run_that_was_deleted_meanwhile_is_not_told_of(runs: list[Path]) -> None:
    sealer = Fake("bad")
    sealer.start()
    sealer.seal(runs[2], final=True)
    await sealer.wait_idle(30)
    assert health.is_reported("sealing")
    runs[2].rmdir()
    sealer._enqueue((runs[2], True))
    await sealer.wait_idle(30)
    assert health.lines() == []
    await sealer.close()


async def test_without_a_process_to_be_had_it_is_tried_again(
    runs: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def none_left(*_: object, **__: object) -> None:
        raise OSError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(sealer_module.asyncio, "create_subprocess_exec", none_left)
    sealer = Sealer()
    sealer.start()
    sealer.seal(runs[0], final=True)
    await sealer.wait_idle(30)
    assert health.is_reported("sealing")
    await sealer.close()
