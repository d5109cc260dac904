"""The only writer of a training's state: creates, follows, cancels and ends trainings.

Rule: store first, then publish. What is published can always be replayed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

from jupyter_ext.engine.backends.base import Backend, Launch, StartError
from jupyter_ext.engine.hub import Hub
from jupyter_ext.engine.store.catalog import Catalog
from jupyter_ext.engine.store.run_store import Batch, RunStore
from jupyter_ext.engine.trainings import system_metrics
from jupyter_ext.engine.trainings.chain import Link
from jupyter_ext.engine.trainings.file_inputs import FetchError, FileInputs
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.publishing import Publisher
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.resume import Resumption, plan_resumption
from jupyter_ext.engine.trainings.sealer import Sealer
from jupyter_ext.engine.trainings.versions import Version, Versions, copy_code
from jupyter_ext.engine.trainings.watch import Watcher
from jupyter_ext.engine.trainings.webhooks import Webhooks
from jupyter_ext.engine.workers.exit import Outcome, rfc3339
from jupyter_ext.ids import TrainingId, is_training_id, new_training_id
from jupyter_ext.protocol.problems import Problem, invalid_input, not_found
from jupyter_ext.protocol.resources import TERMINAL, Extremes, LastPoint, Stop, Training, metric_value
from jupyter_ext.protocol.training_input import TrainingInput
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
NUM_OPEN_STORES = 8
"""Finished runs kept open for viewers."""


@dataclass(frozen=True)
class Origin:
    """Where a training is started from. `environ` holds secrets and is never stored; without `cwd` the run gets a
    directory of its own.
    """

    python: str
    cwd: str | None = None
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None


@dataclass(frozen=True)
class Order:
    """A run to be made: a training, or a prediction by the version's own function.

    Attributes:
        version: The code.
        given: Inputs as the client gave them.
        origin: Where it is started from.
        destination: Model that the training makes a version of, if any.
        webhook: `{url, events, base_url}`, or `None`.
        plan: What it takes over from a run that it resumes, if any.
        kind: What it is.
    """

    version: Version
    given: Mapping[str, Any]
    origin: Origin
    destination: str | None = None
    webhook: Mapping[str, Any] | None = None
    plan: Resumption | None = None
    kind: Literal["training", "prediction"] = "training"


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
        self._stores: OrderedDict[str, RunStore] = OrderedDict()
        self._wake: dict[str, asyncio.Event] = {}
        self._draining = False
        self._sampling: asyncio.Task[None] | None = None

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
        self._sampling = asyncio.create_task(self._sample(), name="system metrics")
        for run_dir in await asyncio.to_thread(_unsealed, self._runs_dir, set(self._records)):
            self._sealer.seal(run_dir, final=True)

    async def close(self) -> None:
        """Stop following; every training goes on."""
        self._draining = True
        tasks = [*self._followers.values(), *([self._sampling] if self._sampling else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._webhooks.close()
        for store in self._stores.values():
            store.close()

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
        declared = _declared(order)
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
        record = await asyncio.to_thread(self._prepare, order, inputs)
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
        spec = _spec("training", name, remote["model"], remote["version"], dict(given), origin)
        spec |= {"backend": backend, "remote": dict(remote), "captured": [], "destination": None}
        record = Record(spec["id"], self._runs_dir / spec["id"], spec)
        await asyncio.to_thread(_make_run_dir, record)
        await asyncio.to_thread(write_json, record.run_dir / "spec.json", spec)
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
        if training_id not in self._records and (store := self._stores.pop(training_id, None)):
            store.close()

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
        run_dir = self._runs_dir / training_id
        if not run_dir.is_dir():
            if training_id not in self._records and (gone := self._stores.pop(training_id, None)):
                gone.close()
            raise Problem(
                404,
                "Gone",
                f"The metrics and the log of training {training_id} are gone: {run_dir} was deleted.",
            )
        store = self._stores.get(training_id)
        if store is None:
            store = RunStore(run_dir)
            store.open()
            self._stores[training_id] = store
        self._stores.move_to_end(training_id)
        self._close_old_stores(keep=training_id)
        return store

    def _close_old_stores(self, keep: str) -> None:
        """Close the stores of finished runs that nobody has looked at for longest."""
        for other in list(self._stores):
            if len(self._stores) <= NUM_OPEN_STORES:
                return
            if other != keep and other not in self._records and not self._hub.is_watched(other):
                self._stores.pop(other).close()

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

    def _prepare(self, order: Order, inputs: dict[str, Any]) -> Record:
        """Write what the run needs before there is a process."""
        version, origin = order.version, order.origin
        spec = _spec(order.kind, version.manifest["name"], version.model, version.id, inputs, origin)
        spec |= {"captured": version.manifest.get("captured", []), "destination": order.destination}
        spec |= {} if order.plan is None else order.plan.spec()
        spec["notices"] = [*version.manifest.get("notices", []), *spec.get("notices", [])]
        spec["sys_path"] = origin.sys_path
        record = Record(spec["id"], self._runs_dir / spec["id"], spec)
        _make_run_dir(record)
        run_dir = record.run_dir
        copy_code(version, run_dir / "code")
        if order.plan is not None:
            order.plan.hand_over(run_dir)
        if order.kind == "prediction" and version.predictor is not None:
            write_json(
                run_dir / "code" / "manifest.json", version.manifest | {"entry": version.predictor.entry}
            )
            spec["returns_path"] = version.predictor.returns_path
            if version.gives_weights and version.trained is not None:
                inputs["weights"] = self._file_inputs.link(str(version.trained.weights), run_dir / "weights")
        write_json(run_dir / "spec.json", spec)
        return record

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
        store = RunStore(record.run_dir)
        store.open()
        self._stores[record.id] = store
        self._records[record.id] = record
        self._wake[record.id] = asyncio.Event()
        for mark in store.marks():
            self._take_mark(record, mark)
        for piece in (store.logs(0, _BAR_BYTES), store.logs_tail(_BAR_LINES)):
            record.take_log(piece["text"])
        self._take_last(record, store)
        self._followers[record.id] = asyncio.create_task(
            self._follow(record, store), name=f"follow {record.id}"
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

    async def _sample(self) -> None:
        """Once a second write CPU and memory of every running training, and have the disk keep what it wrote."""
        samplers: dict[str, system_metrics.SystemSampler] = {}
        while True:
            await asyncio.sleep(system_metrics.INTERVAL_S)
            for gone in set(samplers) - set(self._records):
                samplers.pop(gone).close()
            for training_id, record in self._records.items():
                start = read_json(record.run_dir / "start.json")
                if start is not None and training_id not in samplers and record.status == "processing":
                    samplers[training_id] = system_metrics.SystemSampler(
                        record.run_dir, start["worker"]["pid"]
                    )
            stores = [self._stores[training_id] for training_id in self._records]
            await asyncio.to_thread(_sample_and_sync, list(samplers.values()), stores)
            for record in self._records.values():
                if _has_rotated(record.run_dir):
                    self._sealer.seal(record.run_dir)


def _declared(order: Order) -> TrainingInput | None:
    """Give the inputs that an order's function takes from its client.

    Raises:
        Problem: A prediction is wanted of code that defines none.
    """
    version = order.version
    if order.kind == "training":
        return version.training_input
    if version.predictor is None:
        detail = f"Version {version.id[:12]} of {version.model} defines neither predict() nor run(); it can only train."
        raise Problem(422, "Version cannot predict", detail)
    return version.prediction_input


def _spec(
    kind: str, name: str, model: str, version: str, inputs: dict[str, Any], origin: Origin
) -> dict[str, Any]:
    """Give what a run's directory says of it before there is a process."""
    created = time.time()
    return {
        "id": new_training_id(),
        "kind": kind,
        "name": name,
        "model": model,
        "version": version,
        "input": inputs,
        "given": dict(inputs),
        "created_at": rfc3339(created),
        "created_unix": created,
        "python": origin.python,
        "cwd": origin.cwd,
    }


def _make_run_dir(record: Record) -> None:
    """Make a run's directory; one that was started from nowhere works in a folder of its own there."""
    record.run_dir.mkdir(mode=0o700)
    (record.run_dir / "logs.txt").touch(mode=0o600)
    if record.spec["cwd"] is None:
        record.spec["cwd"] = str(record.run_dir / "work")
        (record.run_dir / "work").mkdir(mode=0o700)


def _unsealed(runs_dir: Path, running: set[str]) -> list[Path]:
    """List the runs that are over and were not sealed, because an engine ended before it could."""
    over = (path.parent for path in runs_dir.glob("*/training.json"))
    return [run_dir for run_dir in over if run_dir.name not in running and any(run_dir.glob("metrics-*.jnl"))]


def _has_rotated(run_dir: Path) -> bool:
    """Tell whether a process of the run has begun another journal, so that the one before can be sealed."""
    streams = [path.stem.rpartition("-")[0] for path in run_dir.glob("metrics-*.jnl")]
    return len(streams) > len(set(streams))


def _sample_and_sync(samplers: list[system_metrics.SystemSampler], stores: list[RunStore]) -> None:
    for sampler in samplers:
        sampler.sample()
    for store in stores:
        store.sync()
