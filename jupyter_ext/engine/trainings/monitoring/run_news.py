"""What runs that are followed write: taken in, made curves and alerts of, and published.

Rule: store first, then publish; what cannot be read harms the curve alone.
"""

from __future__ import annotations

import asyncio
import logging
import time

from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.metrics.serving.run_store import Batch, RunStore
from jupyter_ext.engine.trainings.delivery.webhooks import Webhooks
from jupyter_ext.engine.trainings.monitoring.derived import Derived
from jupyter_ext.engine.trainings.record import LOCAL, Record
from jupyter_ext.protocol.trainings import Rule

log = logging.getLogger(__name__)

_LAST_LINES_S = 5.0
"""At the end of a run its last lines are read for curves for at most so long."""


class RunNews:
    """Takes in the news of runs.

    Args:
        pubsub: Where news is published.
        webhooks: Told of output, logs and alerts.
    """

    def __init__(self, pubsub: PubSub[Batch], webhooks: Webhooks) -> None:
        self._pubsub = pubsub
        self._webhooks = webhooks
        self._derived: dict[str, Derived] = {}
        """What is made of the news of runs that are followed."""
        self._unreadable: set[str] = set()
        """Runs whose news cannot be read any further."""

    async def take(self, record: Record, store: RunStore | None, *, final: bool = False) -> bool:
        """Take in all news, the last ones when `final`; tell whether there were any.

        What cannot be read harms the curve alone: the run goes on, and its end is seen.

        Raises:
            OSError: The disk takes nothing.
        """
        if store is None or record.id in self._unreadable:
            return False
        try:
            return await self._take(record, store, final=final)
        except OSError:
            raise
        except Exception as error:  # whatever a file that somebody damaged can raise
            log.exception("what %s wrote cannot be read any further", record.id)
            self._unreadable.add(record.id)
            record.notice(
                f"What this run writes cannot be read any further ({type(error).__name__}); its curve and log end here."
            )
            self._pubsub.notify(record.id)
            return False

    def add_rule(self, record: Record, store: RunStore, rule: Rule) -> None:
        """Hold a rule against a run's points, those there are and those to come."""
        self._derived_of(record, store).add(rule)

    def stops(self, record: Record) -> bool:
        """Tell whether a rule asks for the run to be stopped."""
        derived = self._derived.get(record.id)
        return derived is not None and derived.stops is not None

    def let_go(self, record: Record) -> None:
        """Hold nothing of a run any longer."""
        if (derived := self._derived.pop(record.id, None)) is not None:
            derived.close()
        self._unreadable.discard(record.id)

    async def _take(self, record: Record, store: RunStore, *, final: bool) -> bool:
        any_news = await self._drain(record, store, final=final)
        derived = self._derived_of(record, store)
        deadline = time.monotonic() + _LAST_LINES_S
        while await derived.write(final=final):
            any_news = await self._drain(record, store, final=final) or any_news
            if not final or time.monotonic() > deadline:
                return True
        return (final and await self._drain(record, store, final=True)) or any_news

    def _derived_of(self, record: Record, store: RunStore) -> Derived:
        found = self._derived.get(record.id)
        if found is None:
            is_local = record.spec.get("backend", LOCAL) == LOCAL and record.kind == "training"
            found = self._derived[record.id] = Derived(record, store, reads_log=is_local)
        return found

    async def _drain(self, record: Record, store: RunStore, *, final: bool) -> bool:
        """Take in what is written; tell whether there was anything."""
        any_news = False
        derived = self._derived_of(record, store)
        while (batch := store.ingest(final=final)) is not None:
            any_news = True
            for mark in batch.marks:
                record.take_mark(mark)
                if mark.get("kind") == "output":
                    self._webhooks.notify(record.id, "output")
            if batch.log is not None:
                record.take_log(batch.log[2])
            if batch.has_reports:
                record.reported_at = time.time()
            if batch.log is not None:
                self._webhooks.notify(record.id, "logs")
            derived.take(batch)
            if any(mark.get("kind") == "alert" for mark in batch.marks):
                self._webhooks.notify(record.id, "alert")
            self._pubsub.publish(record.id, batch)
            await asyncio.sleep(0)
        if any_news:
            self._pubsub.notify(record.id)
        return any_news
