"""Which stores of metrics stay open, and what a look at one costs where many runs go on."""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.metrics.serving.run_store import Batch
from jupyter_ext.engine.trainings.store_cache import NUM_OPEN_STORES, StoreCache
from jupyter_ext.protocol.problems import Problem


class Runs:
    """Says which runs go on, and counts how often that was asked."""

    def __init__(self, runs_dir: Path, num_running: int) -> None:
        self.names = [f"run{number}" for number in range(num_running)]
        self.running = {*self.names}
        self.num_asked = 0
        for name in self.names:
            (runs_dir / name).mkdir()

    def is_running(self, name: str) -> bool:
        self.num_asked += 1
        return name in self.running


def test_a_look_at_one_of_many_that_run_does_not_go_through_all(tmp_path: Path) -> None:
    runs = Runs(tmp_path, 50)
    pubsub: PubSub[Batch] = PubSub()
    stores = StoreCache(tmp_path, pubsub, runs.is_running)
    for _ in range(3):
        for name in runs.names:
            stores.get(name)
    assert runs.num_asked <= 3 * len(runs.names)
    stores.close()


def test_finished_ones_that_nobody_follows_are_closed_the_oldest_first(tmp_path: Path) -> None:
    runs = Runs(tmp_path, NUM_OPEN_STORES + 4)
    pubsub: PubSub[Batch] = PubSub()
    stores = StoreCache(tmp_path, pubsub, runs.is_running)
    opened = {name: stores.get(name) for name in runs.names}
    stores.close_old()
    assert [*stores._stores] == runs.names, "they run"
    runs.running.clear()
    pubsub.subscribe(runs.names[0])
    stores.close_old()
    assert [*stores._stores] == [runs.names[0], *runs.names[5:]], "a viewer's stays"
    assert stores.get(runs.names[6]) is opened[runs.names[6]]
    assert stores.get(runs.names[1]) is not opened[runs.names[1]], "it was opened again"
    assert len(stores._stores) == NUM_OPEN_STORES
    with pytest.raises(Problem, match="was deleted"):
        stores.get("gone")
    stores.close()
