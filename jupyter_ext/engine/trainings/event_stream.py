"""One viewer's stream of one training: hello, what it lacks, then what comes, then the end.

Rule: subscribe first, then replay, then go on with what was queued meanwhile; so nothing is missed or seen twice.

Source: docs/architecture/02-wire.md, "The stream".
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, Callable
from functools import partial
from typing import NamedTuple

from jupyter_ext.config import PROTOCOL_VERSION
from jupyter_ext.engine.common.pubsub import PubSub, Subscriber
from jupyter_ext.engine.metrics.serving.run_store import Batch, CursorLost, RunStore
from jupyter_ext.engine.trainings.resource import json_of
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.engine.trainings.shortening import shortened
from jupyter_ext.protocol.trainings import TERMINAL, End, Hello, Reset, Series, State, Training

STATE_INTERVAL_S = 0.5
"""Last values and progress, which change with every batch, are sent this often; what is news is sent at once."""
_NEWS = {"status", "stop", "cause", "notices", "started_at", "output"}


class _Seen(NamedTuple):
    """A training as it is now; `ended` is the resource once it is over."""

    ended: Training | None
    news: object
    to_json: Callable[[], str]


class TrainingStream:
    """Messages for one viewer: text as `str`, metric batches as `bytes`.

    Args:
        service: All trainings.
        pubsub: Where news comes from.
        training_id: Which.
        after_seq: What the viewer has, or `None` to begin now.
        complete: Adds to the resource what it does not know, such as the address of its page.
    """

    def __init__(
        self,
        service: TrainingService,
        pubsub: PubSub[Batch],
        training_id: str,
        after_seq: int | None,
        complete: Callable[[Training], Training] = lambda training: training,
    ) -> None:
        self._service = service
        self._pubsub = pubsub
        self._id = training_id
        self._after_seq = after_seq
        self._complete = complete
        self._num_known = 0
        self._seq = 0

    async def messages(self) -> AsyncGenerator[str | bytes]:
        """Yield messages until the training is over and everything was sent.

        Raises:
            Problem: There is no training with this id.
        """
        subscriber = self._pubsub.subscribe(self._id)
        try:
            does_replay = self._after_seq is not None
            store = await (self._service.points if does_replay else self._service.store)(self._id)
            training = self._complete(shortened(await self._service.get(self._id)))
            infos = store.series_infos()
            self._num_known = len(infos)
            self._seq = store.seq if self._after_seq is None else self._after_seq
            yield Hello(
                protocol=PROTOCOL_VERSION, seq=store.seq, training=training, series=infos
            ).model_dump_json()
            async with contextlib.aclosing(self._catch_up(store)) as items:
                async for message in items:
                    yield message
            async with contextlib.aclosing(self._live(store, subscriber)) as items:
                async for message in items:
                    yield message
        finally:
            self._pubsub.unsubscribe(self._id, subscriber)

    async def _catch_up(self, store: RunStore) -> AsyncGenerator[str | bytes]:
        """Replay what is stored beyond what the viewer has."""
        try:
            for batch in store.replay(self._seq):
                for message in self._encode(store, batch):
                    yield message
                await asyncio.sleep(0)
        except CursorLost:
            self._seq = store.seq
            yield Reset(seq=store.seq).model_dump_json()

    async def _live(self, store: RunStore, subscriber: Subscriber[Batch]) -> AsyncGenerator[str | bytes]:
        stated_at, sent = 0.0, object()
        while True:
            async with contextlib.aclosing(self._news_of(store, subscriber)) as items:
                async for message in items:
                    yield message
            seen = await self._look()
            if seen.ended is not None and self._seq >= store.seq:
                yield State(seq=self._seq, training=seen.ended).model_dump_json()
                yield End(seq=self._seq).model_dump_json()
                return
            now = time.monotonic()
            interval_s = STATE_INTERVAL_S if seen.news == sent else 0.0
            if subscriber.state_changed and now - stated_at >= interval_s:
                stated_at, sent, subscriber.state_changed = now, seen.news, False
                yield f'{{"kind":"state","seq":{self._seq},"training":{seen.to_json()}}}'
            rest = max(0.0, STATE_INTERVAL_S - (now - stated_at)) if subscriber.state_changed else None
            await subscriber.wait(rest)

    async def _news_of(self, store: RunStore, subscriber: Subscriber[Batch]) -> AsyncGenerator[str | bytes]:
        """Yield what has come; a viewer that lagged behind replays."""
        if subscriber.lagging:
            subscriber.take()
            subscriber.lagging = False
            async with contextlib.aclosing(self._catch_up(store)) as items:
                async for message in items:
                    yield message
        for batch in subscriber.take():
            for message in self._encode(store, batch):
                yield message

    async def _look(self) -> _Seen:
        """Return the training as it is now: its record's own words while it runs, else the resource."""
        record = self._service.record(self._id)
        if record is not None:
            return _Seen(None, record.news(), partial(json_of, record, self._complete))
        training = self._complete(shortened(await self._service.get(self._id)))
        ended = training if training.status in TERMINAL else None
        return _Seen(ended, training.model_dump(include=_NEWS), training.model_dump_json)

    def _encode(self, store: RunStore, batch: Batch) -> list[str | bytes]:
        """Encode a batch that the viewer has not seen; series new to it are named first."""
        if batch.seq <= self._seq:
            return []
        self._seq = batch.seq
        messages: list[str | bytes] = []
        new = store.series_infos(self._num_known)
        if new:
            self._num_known += len(new)
            messages.append(Series(series=new).model_dump_json())
        if batch.has_points:
            messages.append(store.encode_batch(batch))
        if batch.log_message is not None:
            messages.append(batch.log_message)
        return messages
