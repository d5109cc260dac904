"""One viewer's stream over a real run directory: nothing missing, nothing twice, also for a viewer that lags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common.pubsub import MAX_QUEUED, PubSub
from jupyter_ext.engine.metrics.serving.run_store import Batch, RunStore
from jupyter_ext.engine.trainings.event_stream import TrainingStream
from jupyter_ext.protocol.metrics_codec import decode_batch
from jupyter_ext.protocol.trainings import Training, Urls
from jupyter_ext.worker.sdk.journal_writer import JournalWriter

ID = "0123456789abcdefghijklmnop"


class OneTraining:
    """Stands in for the service: one training, whose end the test decides."""

    def __init__(self, run_dir: Path) -> None:
        self.status = "processing"
        self._store = RunStore(run_dir)
        self._store.open()

    async def get(self, training_id: str) -> Training:
        now = "2026-01-01T00:00:00Z"
        urls = Urls(get="/", cancel="/")
        return Training(
            id=ID,
            model="local/x",
            version="v",
            name="x",
            status=self.status,
            created_at=now,
            urls=urls,  # type: ignore[arg-type]
        )

    def record(self, training_id: str) -> None:
        return None

    async def store(self, training_id: str) -> RunStore:
        return self._store

    points = store


class Viewer:
    """Takes messages and keeps what they say."""

    def __init__(self, stream: TrainingStream) -> None:
        self._messages = stream.messages()
        self.steps: list[float] = []
        self.kinds: list[str] = []
        self.seq = 0

    async def take(self) -> str:
        message: Any = await anext(self._messages)
        if isinstance(message, bytes):
            self.seq, blocks = decode_batch(message)
            self.steps += [step for block in blocks for step in block.steps.tolist()]
            self.kinds.append("metrics")
        else:
            content = json.loads(message)
            self.kinds.append(content["kind"])
        return self.kinds[-1]

    async def take_until(self, kind: str) -> None:
        while await self.take() != kind:
            pass


def write_and_publish(journal: JournalWriter, store: RunStore, pubsub: PubSub[Batch], steps: range) -> None:
    for step in steps:
        journal.points({"x": float(step)}, step)
        while (batch := store.ingest()) is not None:
            pubsub.publish(ID, batch)
            pubsub.notify(ID)


async def test_a_lagging_viewer_replays_and_misses_nothing(tmp_path: Path) -> None:
    service, pubsub, journal = OneTraining(tmp_path), PubSub[Batch](), JournalWriter(tmp_path, "0")
    store = await service.store(ID)
    viewer = Viewer(TrainingStream(service, pubsub, ID, 0))  # type: ignore[arg-type]
    assert await viewer.take() == "hello"
    write_and_publish(journal, store, pubsub, range(10))
    await viewer.take_until("metrics")
    write_and_publish(journal, store, pubsub, range(10, 10 + 2 * MAX_QUEUED))
    service.status = "succeeded"
    pubsub.notify(ID, ended=True)
    await viewer.take_until("end")
    assert viewer.steps == list(range(10 + 2 * MAX_QUEUED))
    assert viewer.kinds.count("series") == 1
    assert pubsub.num_subscribers == 1
    journal.close()
    store.close()


async def test_a_cursor_from_elsewhere_is_reset(tmp_path: Path) -> None:
    service, pubsub, journal = OneTraining(tmp_path), PubSub[Batch](), JournalWriter(tmp_path, "0")
    store = await service.store(ID)
    write_and_publish(journal, store, pubsub, range(5))
    service.status = "succeeded"
    viewer = Viewer(TrainingStream(service, pubsub, ID, store.seq + 1000))  # type: ignore[arg-type]
    await viewer.take_until("end")
    assert "reset" in viewer.kinds
    assert viewer.steps == []
    journal.close()
    store.close()


async def test_who_asks_for_nothing_old_gets_only_what_comes(tmp_path: Path) -> None:
    service, pubsub, journal = OneTraining(tmp_path), PubSub[Batch](), JournalWriter(tmp_path, "0")
    store = await service.store(ID)
    write_and_publish(journal, store, pubsub, range(5))
    viewer = Viewer(TrainingStream(service, pubsub, ID, None))  # type: ignore[arg-type]
    assert await viewer.take() == "hello"
    write_and_publish(journal, store, pubsub, range(5, 8))
    service.status = "succeeded"
    pubsub.notify(ID, ended=True)
    await viewer.take_until("end")
    assert viewer.steps == [5, 6, 7]
    journal.close()
    store.close()
