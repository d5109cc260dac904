"""The only writer of a training's state: creates, follows, cancels and ends trainings.

Rule: store first, then publish. What is published can always be replayed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from jupyter_ext.engine.backends.base import Backend, Launch, StartError
from jupyter_ext.engine.hub import Hub
from jupyter_ext.engine.store.catalog import Catalog
from jupyter_ext.engine.store.run_store import Batch, RunStore
from jupyter_ext.engine.trainings.chain import Link
from jupyter_ext.engine.trainings.file_inputs import FetchError, FileInputs
from jupyter_ext.engine.trainings.housekeeping import Housekeeping, unsealed
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.open_stores import OpenStores
from jupyter_ext.engine.trainings.orders import Order, Origin, declared_inputs, prepare, prepare_remote
from jupyter_ext.engine.trainings.publishing import Publisher
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.resume import plan_resumption
from jupyter_ext.engine.trainings.sealer import Sealer
from jupyter_ext.engine.trainings.versions import Version, Versions
from jupyter_ext.engine.trainings.watch import Watcher
from jupyter_ext.engine.trainings.webhooks import Webhooks
from jupyter_ext.engine.workers.exit import Outcome, rfc3339
from jupyter_ext.ids import TrainingId, is_training_id
from jupyter_ext.protocol.problems import Problem, invalid_input, not_found
from jupyter_ext.protocol.resources import TERMINAL, Extremes, LastPoint, Stop, Training, metric_value
from jupyter_ext.worker.files import read_json, write_json

log = logging.getLogger(__name__)

INGEST_INTERVAL_S = 0.04
"""A busy run is read this often: 25 batches a second at most, and a point is published within 40 ms."""
QUIET_AFTER_S = 0.5
"""A run without news for this long is waited for by inotify instead."""
RECONCILE_INTERVAL_S = 1.0
PERSIST_INTERVAL_S = 5.0
CANCEL_ANSWER_S = 0.9
"""A cancel is answered within a second, with the end if it has come by then."""
_BAR_BYTES, _BAR_LINES = 1 << 16, 100
"""What of an adopted run's log is looked through for progress bars: its beginning and its end."""
LOCAL = "local"
"""The backend of a run whose spec names none."""


class TrainingService:
    """All trainings and predictions of this engine."""

    def __init__(
        self,
        runs_dir: Path,
        catalog: Catalog,
        versions: Versions,
        backends: Mapping[str, Backend],
        hub: Hub[Batch],
        watcher: Watcher,
        sealer: Sealer,
        publisher: Publisher,
        file_inputs: FileInputs,
        webhooks: Webhooks,
    ) -> None:
        self._runs_dir = runs_dir
        self._catalog = catalog
        self._versions = versions
        self._backends = backends
        self._hub = hub
        self._watcher = watcher
        self._sealer = sealer
        self._publisher = publisher
        self._file_inputs = file_inputs
        self._webhooks = webhooks
        self._records: dict[str, Record] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._stores = OpenStores(runs_dir, hub, self._records.__contains__)
        self._wake: dict[str, asyncio.Event] = {}
        self._draining = False
        self._housekeeping = Housekeeping(self._records, self._stores, sealer)
        self._keeping: asyncio.Task[None] | None = None

    @property
    def num_active(self) -> int:
        """Count the trainings that are starting or running."""
        return len(self._records)

    async def open(self) -> None:
        """Adopt what runs, and end what ended while no engine was there."""
        known = await self._catalog.training_ids()
        for run_dir in sorted(self._runs_dir.iterdir()):
            if is_training_id(run_dir.name) and run_dir.name not in known:
                await self._recover(run_dir)
        if self._catalog.needs_rebuild:
            for version_id in self._versions.all_ids():
                if (version := self._versions.find(version_id)) is not None:
                    await self._publisher.register(version.id, version.model)
        await self._catalog.mark_rebuilt()
        for status in ("starting", "processing"):
            for row in await self._catalog.list_trainings(status=status, limit=1_000_000, kind=None):
                run_dir = self._runs_dir / row["id"]
                spec = read_json(run_dir / "spec.json")
                if spec is not None:
                    record = Record(TrainingId(row["id"]), run_dir, spec)
                    self._backend(record).adopt(run_dir)
                    self._adopt(record)
        await self._webhooks.open(self._is_over)
        self._keeping = asyncio.create_task(self._housekeeping.run(), name="housekeeping")
        for run_dir in await asyncio.to_thread(unsealed, self._runs_dir, set(self._records)):
            self._sealer.seal(run_dir, final=True)

    async def close(self) -> None:
        """Stop following; every training goes on."""
        self._draining = True
        tasks = [*self._followers.values(), *([self._keeping] if self._keeping else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._webhooks.close()
        self._stores.close()

    async def add_version(self, bundle: bytes) -> Version:
        """Keep a code bundle; see `Versions.add`."""
        version = await asyncio.to_thread(self._versions.add, bundle)
        await self._catalog.put_version(
            version.id, model=version.model, created_at=rfc3339(time.time()), manifest=version.manifest
        )
        return version

    def find_version(self, model: str, version_id: str) -> Version:
        """Find a version of a model.

        Raises:
            Problem: There is none.
        """
        version = self._versions.find(version_id)
        if version is None or version.model != model:
            raise Problem(
                422,
                "Invalid version or not permitted",
                f"There is no version {version_id[:12]!r} of {model}; upload its code again.",
            )
        return version

    async def create(self, order: Order) -> Training:
        """Start a training or prediction and return at once.

        Raises:
            Problem: An input is wrong, the version cannot predict, or this engine is making way for another.
        """
        self._check_open()
        declared = declared_inputs(order)
        urls = self._file_inputs.check(declared, order.given)
        secret: dict[str, Any] = {}
        if declared is None:
            inputs: dict[str, Any] = dict(order.given)
        else:
            inputs, wrong = declared.validate(order.given)
            if wrong:
                raise invalid_input(wrong)
            secret = declared.secrets(order.given)
            inputs |= {name: order.given[name] for name in urls}  # as a path, a URL would lose a slash
        record = await asyncio.to_thread(prepare, order, inputs, self._runs_dir, self._file_inputs)
        await self._persist(record)
        if order.webhook is not None:
            self._webhooks.add(record.id, order.webhook)
        return self._launch(record, order.origin, urls, secret)

    async def resume(self, training_id: str, changed: Mapping[str, Any], asker: Origin | None) -> Training:
        """Start a new training with the code, the inputs and the checkpoints of one that did not succeed.

        Raises:
            Problem: It cannot be resumed, or an input is wrong.
        """
        training = await self.get(training_id)
        run_dir = self._runs_dir / training.id
        plan = await asyncio.to_thread(plan_resumption, run_dir, training, changed, self._versions)
        paths = plan.sys_path if asker is None or asker.sys_path is None else asker.sys_path
        origin = Origin(plan.python, plan.cwd, paths, None if asker is None else asker.environ)
        return await self.create(Order(plan.version, plan.given, origin, plan=plan))

    async def chain(self, training_id: str) -> list[Link]:
        """Give a training's store after those of the runs that it was resumed from, the oldest first.

        Raises:
            Problem: There is none with this id.
        """
        links = [Link(await self.points(training_id))]
        before = (await self.get(training_id)).resumed_from
        while before is not None and (self._runs_dir / before.id).exists():
            links.insert(0, Link(await self.points(before.id), before.step, before.time))
            before = (await self.get(before.id)).resumed_from
        return links

    async def create_remote(
        self, backend: str, remote: Mapping[str, str], name: str, given: Mapping[str, Any], origin: Origin
    ) -> Training:
        """Start a training on a service and return at once.

        Args:
            backend: Which backend speaks with the service.
            remote: `base_url`, `model`, `version` and, where there is one, `destination`.
            name: What to call it.
            given: Its inputs, which the service checks.
            origin: Where it is started from; the service's token is in its environment.

        Raises:
            Problem: There is no such backend, or this engine is making way for another.
        """
        self._check_open()
        if backend not in self._backends:
            known = ", ".join(self._backends)
            raise Problem(422, "Invalid value", f"There is no backend {backend!r}; there are {known}.")
        record = await asyncio.to_thread(
            prepare_remote, backend, remote, name, dict(given), origin, self._runs_dir
        )
        await self._persist(record)
        return self._launch(record, origin, ())

    async def get(self, training_id: str) -> Training:
        """Give a training.

        Raises:
            Problem: There is none with this id.
        """
        record = self._records.get(training_id)
        if record is not None:
            return record.resource()
        row = await self._catalog.get_training(training_id)
        if row is None:
            raise not_found("training", training_id, "`%trainings` lists those there are.")
        return Training.model_validate(row["resource"])

    def record(self, training_id: str) -> Record | None:
        """Give a training that is not over as it is held here, or `None`."""
        return self._records.get(training_id)

    def forget(self, training_id: str) -> None:
        """Close what is held of a training that is over; its files can then go."""
        self._stores.forget(training_id)

    async def list(
        self,
        status: str | None = None,
        limit: int = 100,
        before: tuple[str, str] | None = None,
        **filters: str | None,
    ) -> list[Training]:
        """List trainings, newest first; see `Catalog.list_trainings`."""
        rows = await self._catalog.list_trainings(status=status, limit=limit, before=before, **filters)
        return [
            record.resource()
            if (record := self._records.get(row["id"]))
            else Training.model_validate(row["resource"])
            for row in rows
        ]

    async def cancel(self, training_id: str) -> Training:
        """Begin to stop a training; one that is over stays as it is.

        Returns:
            The training, as it is within a second from now.
        """
        record = self._records.get(training_id)
        if record is None:
            return await self.get(training_id)
        record.stop = record.stop or Stop(stage="flag", requested_at=rfc3339(time.time()))
        self._changed(record)
        follower = self._followers[training_id]
        try:
            async with asyncio.timeout(CANCEL_ANSWER_S):
                while not self._backend(record).stop(record.run_dir):
                    await asyncio.sleep(0.02)  # the worker is being forked right now
                await asyncio.shield(follower)
        except TimeoutError:
            log.info("training %s is still ending", training_id)
        return await self.get(training_id)

    async def wait(self, training_id: str, timeout_s: float) -> Training:
        """Give a training once it is over, or as it is after that many seconds."""
        follower = self._followers.get(training_id)
        if follower is not None:
            await asyncio.wait([follower], timeout=timeout_s)
        return await self.get(training_id)

    async def _is_over(self, training_id: str) -> bool | None:
        if training_id in self._records:
            return False
        row = await self._catalog.get_training(training_id)
        return None if row is None else row["status"] in TERMINAL

    async def stacks(self, training_id: str) -> str:
        """Tell where each thread of the worker stands now.

        Raises:
            Problem: The training is unknown or does not run.
        """
        training = await self.get(training_id)
        record = self._records.get(training_id)
        path = self._runs_dir / training.id / "stacks.txt"
        before = path.stat().st_size if path.exists() else 0
        if record is None or not self._backend(record).stacks(record.run_dir):
            raise Problem(
                409, "Not running", f"Training {training_id} is `{training.status}`; it has no stacks now."
            )
        for _ in range(100):
            await asyncio.sleep(0.02)
            if path.stat().st_size > before:
                break
        await asyncio.sleep(0.05)
        return path.read_bytes()[before:].decode(errors="replace")

    async def store(self, training_id: str) -> RunStore:
        """Give the opened metrics and logs of a training.

        Raises:
            Problem: There is none with this id, or its files were deleted.
        """
        await self.get(training_id)
        return self._stores.get(training_id)

    async def points(self, training_id: str) -> RunStore:
        """Give the opened metrics and logs of a training to somebody who will read points, not just an overview.

        Raises:
            Problem: There is none with this id.
        """
        store = await self.store(training_id)
        if store.needs_loading:
            await asyncio.to_thread(store.load)
            store = await self.store(training_id)  # it may have been closed meanwhile
        return store

    # -- one training's life ------------------------------------------------------------------------------------

    def _backend(self, record: Record) -> Backend:
        return self._backends[record.spec.get("backend", LOCAL)]

    def _check_open(self) -> None:
        if self._draining:
            raise Problem(503, "The engine is ending", "This engine is making way for another; try again.")

    def _launch(
        self, record: Record, origin: Origin, urls: Sequence[str], secret: Mapping[str, Any] | None = None
    ) -> Training:
        """Hold a run that was made, and have its backend start it in the background."""
        self._adopt(record)
        num_local = sum(other.spec.get("backend", LOCAL) == LOCAL for other in self._records.values())
        threads = max(1, (os.cpu_count() or 1) // max(1, num_local))
        launch = Launch(
            record.run_dir,
            origin.python,
            record.spec["cwd"],
            threads,
            origin.sys_path,
            origin.environ,
            secret,
        )
        name = f"start {record.id}"
        task = asyncio.create_task(self._start(record, launch, urls), name=name)
        self._followers[name] = task
        task.add_done_callback(lambda _: self._followers.pop(name, None))
        return record.resource()

    async def _start(self, record: Record, launch: Launch, urls: Sequence[str]) -> None:
        try:
            if urls:
                inputs = await asyncio.to_thread(
                    self._file_inputs.resolve, urls, record.spec["input"], record.run_dir
                )
                record.spec["input"] = inputs
                await asyncio.to_thread(write_json, record.run_dir / "spec.json", record.spec)
            await self._backend(record).start(launch)
        except (StartError, FetchError) as error:
            (record.run_dir / "logs.txt").write_text(f"{error}\n")
            write_json(
                record.run_dir / "error.json",
                {
                    "kind": "start",
                    "type": "StartError",
                    "message": str(error),
                    "frames": [],
                    "text": str(error),
                },
            )
            now = time.time()
            write_json(
                record.run_dir / "exit.json",
                {"code": 1, "signal": None, "started_at": now, "ended_at": now, "swept": 0, "stop": None},
            )
            self._wake[record.id].set()

    def _adopt(self, record: Record) -> None:
        """Hold a training that is not over, and follow it."""
        self._records[record.id] = record
        store = self._stores.get(record.id)
        self._wake[record.id] = asyncio.Event()
        for mark in store.marks():
            self._take_mark(record, mark)
        for piece in (store.logs(0, _BAR_BYTES), store.logs_tail(_BAR_LINES)):
            record.take_log(piece["text"])
        self._take_last(record, store)
        self._followers[record.id] = asyncio.create_task(
            self._follow_to_the_end(record, store), name=f"follow {record.id}"
        )

    async def _recover(self, run_dir: Path) -> None:
        """Put a run that the catalog does not know back into it."""
        spec, ended = read_json(run_dir / "spec.json"), read_json(run_dir / "training.json")
        if spec is None:
            return
        if ended is not None:
            labels = Labels.read(run_dir)
            told = {"tags": list(labels.tags), "notes": labels.notes}
            await self._put(Training.model_validate(ended | told))
        else:
            await self._persist(Record(TrainingId(run_dir.name), run_dir, spec))

    async def _follow_to_the_end(self, record: Record, store: RunStore) -> None:
        """Follow a run, whatever goes wrong: nobody else would ever see its end."""
        while True:
            try:
                await self._follow(record, store)
                return
            except Exception:  # the edge of a background task: a full disk, say, may be gone in a second
                log.exception("following %s failed; trying again", record.id)
                record.notice("The engine had trouble following this run; `%engine log` says why.")
                await asyncio.sleep(RECONCILE_INTERVAL_S)

    async def _follow(self, record: Record, store: RunStore) -> None:
        """Read what the run writes, publish it, and see its end."""
        wake = self._wake[record.id]
        quiet_since = persisted_at = looked_at = 0.0
        persisted_status = None
        while True:
            now = time.monotonic()
            outcome = None
            if wake.is_set() or now - looked_at >= RECONCILE_INTERVAL_S or record.stop is not None:
                looked_at = now
                wake.clear()
                outcome = self._look(record)
            if await self._ingest(record, store):
                quiet_since = now
            if outcome is not None:
                await self._end(record, store, outcome)
                return
            if now - persisted_at > PERSIST_INTERVAL_S or record.status != persisted_status:
                persisted_at, persisted_status = now, record.status
                await self._persist(record)
            if now - quiet_since < QUIET_AFTER_S:
                await asyncio.sleep(INGEST_INTERVAL_S)
                continue
            self._watcher.arm(record.run_dir, wake)
            if await self._ingest(record, store):  # what was written before the watch was armed
                continue
            try:
                async with asyncio.timeout(RECONCILE_INTERVAL_S):
                    await wake.wait()
            except TimeoutError:
                continue

    def _look(self, record: Record) -> Outcome | None:
        """Look at the run's files for a change of its state; give its end, if it is over."""
        if (
            record.status == "starting"
            and (began := self._backend(record).started_at(record.run_dir)) is not None
        ):
            record.started_at = began
            record.move("processing")
            self._webhooks.happened(record.id, "start")
            self._changed(record)
        asked = read_json(record.run_dir / "stop")
        if asked is None and record.stop is not None:
            self._backend(record).stop(record.run_dir)  # it was asked before there was a shim to hear it
        if asked is not None and (record.stop is None or record.stop.stage != asked["stage"]):
            record.stop = Stop(stage=asked["stage"], requested_at=rfc3339(asked["requested_at"]))
            self._changed(record)
        return self._backend(record).outcome(record.run_dir, time.time())

    async def _ingest(self, record: Record, store: RunStore, *, final: bool = False) -> bool:
        """Take in all news, the last ones when `final`; tell whether there were any."""
        any_news = False
        while (batch := store.ingest(final=final)) is not None:
            any_news = True
            for mark in batch.marks:
                self._take_mark(record, mark)
            if batch.log is not None:
                record.take_log(batch.log[2])
            if batch.has_reports:
                record.reported_at = time.time()
                self._take_last(record, store)
            if batch.log is not None:
                self._webhooks.happened(record.id, "logs")
            self._hub.publish(record.id, batch)
            await asyncio.sleep(0)
        if any_news:
            self._changed(record)
        return any_news

    async def _end(self, record: Record, store: RunStore, outcome: Outcome) -> None:
        await self._ingest(record, store, final=True)
        if outcome.status == "succeeded":
            outcome = await self._publish(record, outcome)
        record.finish(outcome)
        training = record.resource()
        await asyncio.to_thread(
            write_json, record.run_dir / "training.json", training.model_dump(mode="json", exclude_none=True)
        )
        await self._put(training)
        del self._records[record.id]
        del self._wake[record.id]
        self._followers.pop(record.id, None)
        self._hub.notify(record.id, ended=True)
        if training.output is not None:
            self._webhooks.happened(record.id, "output")
        self._webhooks.happened(record.id, "completed")
        self._sealer.seal(record.run_dir, final=True)
        log.info("training %s (%s) %s", record.id, record.spec["name"], record.status)

    async def _publish(self, record: Record, outcome: Outcome) -> Outcome:
        """Make of the result what its destination asks for."""
        output, notices, made = await asyncio.to_thread(self._publisher.publish, record.spec, outcome.output)
        for notice in notices:
            record.notice(notice)
        if made is not None:
            await self._publisher.register(*made)
        return replace(outcome, output=output)

    def _take_mark(self, record: Record, mark: Mapping[str, Any]) -> None:
        kind = mark["kind"]
        if kind == "started":
            record.started_at = mark["time"]
        elif kind == "progress":
            record.take_progress(mark)
        elif kind == "checkpoint":
            record.take_checkpoint(mark)
        elif kind == "resumed":
            record.take_resumed(mark)
        elif kind == "notice":
            record.notice(mark["text"])
        elif kind == "dropped":
            record.notice(
                f"{mark['count']} log() calls could not be written (is the disk full?); the curve has a gap."
            )

    def _take_last(self, record: Record, store: RunStore) -> None:
        record.last = {
            key: LastPoint(step=step, value=metric_value(value), time=at)
            for key, (step, value, at) in store.last_points().items()
        }
        record.extremes = {key: Extremes(min=low, max=high) for key, (low, high) in store.extremes().items()}

    def _changed(self, record: Record) -> None:
        self._hub.notify(record.id)

    async def _persist(self, record: Record) -> None:
        await self._put(record.resource())

    async def _put(self, training: Training) -> None:
        await self._catalog.put_training(
            training.id,
            name=training.name,
            model=training.model,
            version=training.version,
            status=training.status,
            created_at=training.created_at,
            started_at=training.started_at,
            completed_at=training.completed_at,
            kind=training.kind,
            resource=training.model_dump(mode="json", exclude_none=True),
        )
