"""The life of a run that is not over: started by its backend, followed by its files, ended, each state put into the catalog.

Rules: only this writes a run's state while it is not over; store first, then publish, so that what is published can always
be replayed.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.disk import may_pass, report_disk
from jupyter_ext.engine.common.imported_aside import ImportedAside
from jupyter_ext.engine.common.pubsub import PubSub
from jupyter_ext.engine.common.records import why
from jupyter_ext.engine.metrics.serving.run_store import Batch, RunStore
from jupyter_ext.engine.processes.backend import Backend
from jupyter_ext.engine.processes.outcome import Outcome
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.publisher import Publisher
from jupyter_ext.engine.trainings.catalog_rows import put_training
from jupyter_ext.engine.trainings.delivery.webhooks import Webhooks
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext
from jupyter_ext.engine.trainings.launching.start_queue import StartQueue
from jupyter_ext.engine.trainings.launching.starter import Starter
from jupyter_ext.engine.trainings.monitoring.directory_watcher import Watcher
from jupyter_ext.engine.trainings.monitoring.run_news import RunNews
from jupyter_ext.engine.trainings.monitoring.sealer import Sealer
from jupyter_ext.engine.trainings.periodic_tasks import PeriodicTasks
from jupyter_ext.engine.trainings.record import LOCAL, OUT_OF_TIME, Record
from jupyter_ext.engine.trainings.resource import resource_of
from jupyter_ext.engine.trainings.store_cache import StoreCache
from jupyter_ext.ipc.json_files import remove_unfinished, write_json
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.ipc.json_values import clean_text
from jupyter_ext.ipc.run_files import read_stop
from jupyter_ext.protocol.trainings import Cause, Rule, Stop, Training
from jupyter_ext.worker.sdk import checkpoint_files

log = logging.getLogger(__name__)

INGEST_INTERVAL_S = 0.04
"""A busy run that somebody follows is read this often: 25 batches a second at most, a point is published within 40 ms."""
UNWATCHED_INTERVAL_S = 0.25
"""One that nobody looks at is read this often: each look costs about as much as taking in a hundred points."""
_REST = 4.0
"""After news that took long to take in, so many times as long is left to everybody else: with 20,000 metrics, say."""
QUIET_AFTER_S = 0.5
"""A run without news for this long is waited for by inotify instead."""
RECONCILE_INTERVAL_S = 1.0
PERSIST_INTERVAL_S = 5.0
MAX_FAILURES = 5
"""So often in a row following a run may fail, for other reasons than the disk, before it ends as failed."""
MAX_PAUSE_S = 30.0
"""The pause after a failure doubles up to this."""
STEADY_AFTER_S = 60.0
"""A failure after so long without one counts as the first."""
CANCEL_ANSWER_S = 0.9
"""A cancel is answered within a second, with the end if it has come by then."""
_BAR_BYTES, _BAR_LINES = 1 << 16, 100
"""What of an adopted run's log is looked through for progress bars: its beginning and its end."""


class RunMonitor:
    """All runs that are not over, each with the task that follows it.

    Args:
        records: Held by their ids while they are not over; only this adds and removes any.
        stores: Where what they write is read.
        catalog: Where each state is put.
        backends: What runs them, by name.
        pubsub: Where news is published.
        watcher: Wakes who waits for a quiet run.
        sealer: Seals what a run has written, once it is over.
        publisher: Makes files and versions of results.
        file_inputs: Gets inputs that are given as links.
        webhooks: Told what happens.
    """

    def __init__(
        self,
        records: dict[str, Record],
        stores: StoreCache,
        catalog: Catalog,
        backends: Mapping[str, Backend],
        pubsub: PubSub[Batch],
        watcher: Watcher,
        sealer: Sealer,
        publisher: Publisher,
        file_inputs: FileInputs,
        webhooks: Webhooks,
    ) -> None:
        self.records = records
        self.stores = stores
        self._catalog = catalog
        self.backends = backends
        self._pubsub = pubsub
        self._watcher = watcher
        self._sealer = sealer
        self.publisher = publisher
        self._webhooks = webhooks
        self._housekeeping: asyncio.Task[None] | None = None
        self._starter = Starter(records, backends, file_inputs, lambda run_id: self._wake[run_id].set())
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._wake: dict[str, asyncio.Event] = {}
        self._news = RunNews(pubsub, webhooks)
        self._reading = ImportedAside("numpy")

    async def open(self, runs_dir: Path) -> None:
        """Begin what is done beside everything else: see `PeriodicTasks`."""
        tasks = PeriodicTasks(runs_dir, self.records, self.stores, self._sealer)
        self._housekeeping = asyncio.create_task(tasks.run(), name="housekeeping")

    async def close(self) -> None:
        """Stop following; every run goes on."""
        if self._housekeeping is not None:
            self._housekeeping.cancel()
            await asyncio.gather(self._housekeeping, return_exceptions=True)
        await self._starter.close()
        tasks = list(self._followers.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    @property
    def starts(self) -> StartQueue:
        """The queue in which runs wait to be started."""
        return self._starter.queue

    def backend(self, record: Record) -> Backend:
        """Return the backend that runs it."""
        return self.backends[record.spec.get("backend", LOCAL)]

    async def stop(self, record: Record) -> None:
        """Begin to stop a run, and wait a moment for its end."""
        record.stop = record.stop or Stop(stage="flag", requested_at=rfc3339(time.time()))
        self._changed(record)
        follower = self._followers[record.id]
        if record.is_queued and record.runs_here and ShimProcess(record.run_dir).call_off():
            self._starter.leave_queue(record)
            self._wake[record.id].set()
        try:
            async with asyncio.timeout(CANCEL_ANSWER_S):
                while not self.backend(record).stop(record.run_dir):
                    await asyncio.sleep(0.02)  # the worker is being forked right now
                await asyncio.shield(follower)
        except TimeoutError:
            log.info("training %s is still ending", record.id)

    async def wait(self, run_id: str, timeout_s: float) -> None:
        """Return once a run is over, or after that many seconds."""
        follower = self._followers.get(run_id)
        if follower is not None:
            await asyncio.wait([follower], timeout=timeout_s)

    def launch(
        self,
        record: Record,
        origin: CallerContext,
        urls: Sequence[str],
        secret: JsonObject | None = None,
    ) -> None:
        """Hold a run that was made, and have its backend start it in the background.

        Args:
            record: The run; its directory and its row in the catalog are there.
            origin: Where it is started from.
            urls: Names of the inputs that are links, which are fetched first.
            secret: Values of the inputs that are written nowhere.
        """
        self._starter.put_in_queue(record)
        self.adopt(record)
        self._starter.begin(record, origin, urls, secret)

    def adopt(self, record: Record) -> None:
        """Hold a training that is not over, and follow it."""
        self.records[record.id] = record
        self._wake[record.id] = asyncio.Event()
        self._reading.begin()
        self._changed(record)
        # What an engine before this one has left is read at once: only after that are requests answered.
        store, is_open = None, False
        if not record.is_queued:
            with suppress(OSError):  # it is tried again by who follows
                store, is_open = self._open_store(record), True
            self._see_start(record)
        follower = self._follow_to_the_end(record, store, is_open)
        self._followers[record.id] = asyncio.create_task(follower, name=f"follow {record.id}")

    def _open_store(self, record: Record) -> RunStore | None:
        """Open what a run has written so far; `None` where that cannot be read.

        Raises:
            OSError: It cannot be read now, which says nothing of the files.
        """
        try:
            store = self.stores.get(record.id)
            for mark in store.marks():
                record.take_mark(mark)
            for piece in (store.logs(0, _BAR_BYTES), store.logs_tail(_BAR_LINES)):
                record.take_log(piece["text"])
            record.curves = store
        except Exception as error:  # whatever damaged files can raise: the run is followed all the same
            if may_pass(error):
                raise
            log.exception("what %s has written cannot be read", record.id)
            record.notice(
                f"What this run has written cannot be read ({type(error).__name__}); it has no curve here."
            )
            return None
        return store

    async def _follow_to_the_end(self, record: Record, store: RunStore | None, is_open: bool) -> None:
        """Follow a run, whatever goes wrong: nobody else would ever see its end.

        A disk that takes nothing may take something again, so it is tried for as long as that lasts. What fails for another
        reason fails again: after `MAX_FAILURES` of those in a row the run ends as `failed`, and says so.
        """
        await self._starter.wait_for_turn(record)
        await self._reading.ready()
        failures = 0
        while True:
            began = time.monotonic()
            try:
                if not is_open:
                    store, is_open = self._open_store(record), True
                await self._follow(record, store)
                return
            except Exception as error:  # the edge of a background task
                is_news = time.monotonic() - began > STEADY_AFTER_S
                failures = 1 if is_news else failures + 1
                text = f"following {record.id} failed ({type(error).__name__}: {error}), attempt {failures}"
                log.error("%s", clean_text(text)[:500], exc_info=error if failures == 1 else None)
                if isinstance(error, OSError):
                    report_disk(error)
                elif failures >= MAX_FAILURES:
                    await self._give_up(record, error)
                    return
                record.notice("The engine had trouble following this run; `%engine log` says why.")
                await asyncio.sleep(min(MAX_PAUSE_S, RECONCILE_INTERVAL_S * 2 ** (failures - 1)))

    async def _follow(self, record: Record, store: RunStore | None) -> None:
        """Read what the run writes, publish it, and see its end."""
        wake = self._wake[record.id]
        quiet_since = looked_at = 0.0
        persisted_at, persisted_status = time.monotonic(), record.status
        rest_s = 0.0
        with self._watcher.watching(record.run_dir, wake) as watch:
            while True:
                now = time.monotonic()
                outcome = None
                if wake.is_set() or now - looked_at >= RECONCILE_INTERVAL_S or record.stop is not None:
                    looked_at = now
                    wake.clear()
                    outcome = self._look(record)
                if await self._news.take(record, store):
                    quiet_since = now
                    rest_s = _REST * (time.monotonic() - now)
                if outcome is not None:
                    await self._end(record, store, outcome)
                    return
                if now - persisted_at > PERSIST_INTERVAL_S or record.status != persisted_status:
                    persisted_at, persisted_status = now, record.status
                    await self.persist(record)
                if now - quiet_since < QUIET_AFTER_S:
                    is_watched = self._pubsub.is_watched(record.id)
                    await watch.wait(max(rest_s, INGEST_INTERVAL_S if is_watched else UNWATCHED_INTERVAL_S))
                    continue
                watch.arm()
                if not await self._news.take(record, store):  # what was written before the watch was armed
                    await watch.wait(RECONCILE_INTERVAL_S)

    def _see_start(self, record: Record) -> None:
        """Take over that a run has begun, where it has."""
        if record.status != "starting":
            return
        began = self.backend(record).started_at(record.run_dir)
        if began is not None:
            record.started_at = began
            record.move("processing")
            self._webhooks.notify(record.id, "start")
            self._changed(record)

    def _look(self, record: Record) -> Outcome | None:
        """Look at the run's files for a change of its state; return its end, if it is over."""
        self._see_start(record)
        if record.stop is None and record.is_out_of_time():
            (record.run_dir / OUT_OF_TIME).touch(mode=0o600)
            record.stop = Stop(stage="flag", requested_at=rfc3339(time.time()))
            self._changed(record)
        if record.stop is None and self._news.stops(record):
            record.stop = Stop(stage="flag", requested_at=rfc3339(time.time()))
            self._changed(record)
        asked = read_stop(record.run_dir)
        if asked is None and record.stop is not None:
            self.backend(record).stop(record.run_dir)  # it was asked before there was a shim to hear it
        if asked is not None and (record.stop is None or record.stop.stage != asked["stage"]):
            record.stop = Stop(stage=asked["stage"], requested_at=rfc3339(asked["requested_at"]))
            self._changed(record)
        return None if record.is_queued else self.backend(record).outcome(record.run_dir)

    def seal(self, run_dir: Path) -> None:
        """Seal a run that writes no more."""
        self._sealer.seal(run_dir, final=True)

    def add_rule(self, record: Record, rule: Rule) -> None:
        """Hold a rule against a run's points, those there are and those to come."""
        self._news.add_rule(record, self.stores.get(record.id), rule)
        self._wake[record.id].set()
        self._changed(record)

    async def _end(self, record: Record, store: RunStore | None, outcome: Outcome) -> None:
        await self._news.take(record, store, final=True)
        if outcome.status == "succeeded":
            outcome = await self._publish(record, outcome)
        record.finish(outcome)
        await self._keep_end(resource_of(record), record)
        self._let_go(record)

    async def _give_up(self, record: Record, error: Exception) -> None:
        """End a run that the engine cannot follow, as truly as that can be said."""
        cause = Cause(
            kind="lost",
            message=f"The engine could not follow this run to its end: {why(error)}.",
            hint="What it wrote is kept in its directory; `%engine log` says more.",
        )
        try:
            if not record.is_over:
                record.finish(Outcome("failed", time.time(), cause))
            await self._keep_end(resource_of(record), record)
        except Exception:  # the edge: what is left of it is let go in any case
            log.exception("the end of %s could not be kept", record.id)
        self._let_go(record)

    async def _keep_end(self, training: Training, record: Record) -> None:
        """Keep how a run ended: in its directory, then in the catalog; what it left half written goes."""
        for directory in (record.run_dir, record.run_dir / checkpoint_files.DIRECTORY):
            await asyncio.to_thread(remove_unfinished, directory)
        await asyncio.to_thread(
            write_json, record.run_dir / "training.json", training.model_dump(mode="json", exclude_none=True)
        )
        await put_training(self._catalog, training)

    def _let_go(self, record: Record) -> None:
        """Hold a run no longer, and tell everybody that it is over."""
        del self.records[record.id]
        del self._wake[record.id]
        self._news.let_go(record)
        self._followers.pop(record.id, None)
        self._pubsub.notify(record.id, ended=True)
        if record.outcome is not None and record.outcome.output is not None:
            self._webhooks.notify(record.id, "output")
        self._webhooks.notify(record.id, "completed")
        self._sealer.seal(record.run_dir, final=True)
        log.info("training %s (%s) %s", record.id, clean_text(record.spec["name"]), record.status)

    async def _publish(self, record: Record, outcome: Outcome) -> Outcome:
        """Make of the result what its destination asks for."""
        output, notices, made = await asyncio.to_thread(
            self.publisher.publish, record.spec, outcome.output, outcome.output_files
        )
        for notice in notices:
            record.notice(notice)
        if made is not None:
            await self.publisher.register(*made)
        return replace(outcome, output=output)

    def _changed(self, record: Record) -> None:
        self._pubsub.notify(record.id)

    async def persist(self, record: Record) -> Training:
        """Put a run as it is now into the catalog, and return it so."""
        training = resource_of(record)
        await put_training(self._catalog, training)
        return training
