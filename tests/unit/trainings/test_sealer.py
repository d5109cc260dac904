"""Runs are sealed together, and one that cannot be keeps back no other."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from jupyter_ext.engine.trainings.monitoring import sealer as sealer_module
from jupyter_ext.engine.trainings.monitoring.sealer import MAX_ATTEMPTS, Job, Sealer
from jupyter_ext.worker.sdk.journal_writer import JournalWriter


class Fake(Sealer):
    """Remembers what it was to seal; what is `bad` fails every time, and the first process is killed."""

    def __init__(self, bad: str) -> None:
        super().__init__()
        self.bad = bad
        self.asked: list[list[str]] = []

    async def _seal(self, jobs: list[Job]) -> int:
        names = [run_dir.name for run_dir, _ in jobs]
        self.asked.append(names)
        await asyncio.sleep(0)
        return -9 if len(self.asked) == 1 else int(self.bad in names)


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
    await sealer.close()
    assert [bool(list(run.glob("segments/all-*.parquet"))) for run in runs] == [True, True, False, True]
    assert list(runs[2].glob("metrics-*.jnl"))
