"""The only writer of a training's state: creates, follows, cancels and ends trainings.

Rule: store first, then publish. What is published can always be replayed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext.engine.backends.base import Backend, Launch, StartError
from jupyter_ext.engine.hub import Hub
from jupyter_ext.engine.store.catalog import Catalog
from jupyter_ext.engine.store.run_store import Batch, RunStore
from jupyter_ext.engine.trainings import system_metrics
from jupyter_ext.engine.trainings.chain import Link
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.resume import Resumption, plan_resumption
from jupyter_ext.engine.trainings.sealer import Sealer
from jupyter_ext.engine.trainings.versions import Version, Versions, copy_code
from jupyter_ext.engine.trainings.watch import Watcher
from jupyter_ext.engine.workers.exit import Outcome, rfc3339, started_at
from jupyter_ext.ids import TrainingId, is_training_id, new_training_id
from jupyter_ext.protocol.problems import Problem, invalid_input, not_found
from jupyter_ext.protocol.resources import LastPoint, Stop, Training
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
NUM_OPEN_STORES = 8
"""Finished runs kept open for viewers."""


@dataclass(frozen=True)
class Origin:
    """Where a training is started from. `environ` holds secrets and is never stored."""

    python: str
    cwd: str
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None


class TrainingService:
    """All trainings of this engine."""

    def __init__(
        self,
        runs_dir: Path,
        catalog: Catalog,
        versions: Versions,
        backend: Backend,
        hub: Hub[Batch],
        watcher: Watcher,
        sealer: Sealer,
    ) -> None:
        self._runs_dir = runs_dir
        self._catalog = catalog
        self._versions = versions
        self._backend = backend
        self._hub = hub
        self._watcher = watcher
        self._sealer = sealer
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
        await self._catalog.mark_rebuilt()
        for status in ("starting", "processing"):
            for row in await self._catalog.list_trainings(status=status, limit=1_000_000):
                run_dir = self._runs_dir / row["id"]
                spec = read_json(run_dir / "spec.json")
                if spec is not None:
                    self._adopt(Record(TrainingId(row["id"]), run_dir, spec))
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
        for store in self._stores.values():
            store.close()

    async def add_version(self, bundle: bytes) -> Version:
        """Keep a code bundle; see `Versions.add`."""
        version = await asyncio.to_thread(self._versions.add, bundle)
        await self._catalog.put_version(
            version.id, model=version.model, created_at=rfc3339(time.time()), manifest=version.manifest
        )
        return version

    async def create(self, model: str, version_id: str, given: Mapping[str, Any], origin: Origin) -> Training:
        """Start a training and return at once.

        Raises:
            Problem: The version is unknown, an input is wrong, or this engine is making way for another.
        """
        version = self._versions.find(version_id)
        if version is None or version.model != model:
            raise Problem(
                422,
                "Invalid version or not permitted",
                f"There is no version {version_id[:12]!r} of {model}; upload its code again.",
            )
        return await self._begin(version, given, origin)

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
        return await self._begin(plan.version, plan.given, origin, plan)

    async def chain(self, training_id: str) -> list[Link]:
        """Give a training's store after those of the runs that it was resumed from, the oldest first.

        Raises:
            Problem: There is none with this id.
        """
        links = [Link(await self.store(training_id))]
        before = (await self.get(training_id)).resumed_from
        while before is not None and (self._runs_dir / before.id).exists():
            links.insert(0, Link(await self.store(before.id), before.step, before.time))
            before = (await self.get(before.id)).resumed_from
        return links

    async def _begin(
        self,
        version: Version,
        given: Mapping[str, Any],
        origin: Origin,
        plan: Resumption | None = None,
    ) -> Training:
        if self._draining:
            raise Problem(503, "The engine is ending", "This engine is making way for another; try again.")
        if version.training_input is None:
            inputs, secrets = dict(given), {}
        else:
            inputs, wrong = version.training_input.validate(given)
            if wrong:
                raise invalid_input(wrong)
            secrets = version.training_input.secrets(given)
        record = await asyncio.to_thread(self._prepare, version, inputs, origin, plan)
        await self._persist(record)
        self._adopt(record)
        threads = max(1, (os.cpu_count() or 1) // len(self._records))
        launch = Launch(
            record.run_dir, origin.python, origin.cwd, threads, origin.sys_path, origin.environ, secrets
        )
        task = asyncio.create_task(self._start(record, launch), name=f"start {record.id}")
        self._followers[f"start {record.id}"] = task
        task.add_done_callback(lambda _: self._followers.pop(f"start {record.id}", None))
        return record.resource()

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

    async def list(
        self, status: str | None = None, limit: int = 100, before: tuple[str, str] | None = None
    ) -> list[Training]:
        """List trainings, newest first."""
        rows = await self._catalog.list_trainings(status=status, limit=limit, before=before)
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
                while not self._backend.stop(record.run_dir):
                    await asyncio.sleep(0.02)  # the worker is being forked right now
                await asyncio.shield(follower)
        except TimeoutError:
            log.info("training %s is still ending", training_id)
        return await self.get(training_id)

    async def stacks(self, training_id: str) -> str:
        """Tell where each thread of the worker stands now.

        Raises:
            Problem: The training is unknown or does not run.
        """
        training = await self.get(training_id)
        record = self._records.get(training_id)
        path = self._runs_dir / training.id / "stacks.txt"
        before = path.stat().st_size if path.exists() else 0
        if record is None or not self._backend.stacks(record.run_dir):
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
            Problem: There is none with this id.
        """
        store = self._stores.get(training_id)
        if store is None:
            await self.get(training_id)
            store = RunStore(self._runs_dir / training_id)
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

    # -- one training's life ------------------------------------------------------------------------------------

    def _prepare(
        self, version: Version, inputs: dict[str, Any], origin: Origin, plan: Resumption | None
    ) -> Record:
        """Write what the run needs before there is a process."""
        training_id = new_training_id()
        run_dir = self._runs_dir / training_id
        created = time.time()
        spec = {
            "id": training_id,
            "name": version.manifest["name"],
            "model": version.model,
            "version": version.id,
            "input": inputs,
            "created_at": rfc3339(created),
            "created_unix": created,
            "python": origin.python,
            "cwd": origin.cwd,
            "sys_path": origin.sys_path,
            "captured": version.manifest.get("captured", []),
            **({} if plan is None else plan.spec()),
        }
        spec["notices"] = [*version.manifest.get("notices", []), *spec.get("notices", [])]
        run_dir.mkdir(mode=0o700)
        (run_dir / "logs.txt").touch(mode=0o600)
        copy_code(version, run_dir / "code")
        if plan is not None:
            plan.hand_over(run_dir)
        write_json(run_dir / "spec.json", spec)
        return Record(training_id, run_dir, spec)

    async def _start(self, record: Record, launch: Launch) -> None:
        try:
            await self._backend.start(launch)
        except StartError as error:
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
            await self._put(Training.model_validate(ended))
        else:
            await self._persist(Record(TrainingId(run_dir.name), run_dir, spec))

    async def _follow(self, record: Record, store: RunStore) -> None:
        """Read what the run writes, publish it, and see its end."""
        wake = self._wake[record.id]
        quiet_since = persisted_at = looked_at = 0.0
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
            if now - persisted_at > PERSIST_INTERVAL_S:
                persisted_at = now
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
        if record.status == "starting" and (began := started_at(record.run_dir)) is not None:
            record.started_at = began
            record.move("processing")
            self._changed(record)
        asked = read_json(record.run_dir / "stop")
        if asked is None and record.stop is not None:
            self._backend.stop(record.run_dir)  # it was asked before there was a shim to hear it
        if asked is not None and (record.stop is None or record.stop.stage != asked["stage"]):
            record.stop = Stop(stage=asked["stage"], requested_at=rfc3339(asked["requested_at"]))
            self._changed(record)
        return self._backend.outcome(record.run_dir, time.time())

    async def _ingest(self, record: Record, store: RunStore) -> bool:
        """Take in all news; tell whether there were any."""
        any_news = False
        while (batch := store.ingest()) is not None:
            any_news = True
            for mark in batch.marks:
                self._take_mark(record, mark)
            if batch.log is not None:
                record.take_log(batch.log[2])
            if batch.has_reports:
                record.reported_at = time.time()
                self._take_last(record, store)
            self._hub.publish(record.id, batch)
            await asyncio.sleep(0)
        if any_news:
            self._changed(record)
        return any_news

    async def _end(self, record: Record, store: RunStore, outcome: Outcome) -> None:
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
        self._sealer.seal(record.run_dir, final=True)
        log.info("training %s (%s) %s", record.id, record.spec["name"], record.status)

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
            key: LastPoint(step=step, value=_wire_number(value), time=at)
            for key, (step, value, at) in store.last_points().items()
        }

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


def _wire_number(value: float) -> Any:
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "Infinity" if value > 0 else "-Infinity"
    return value
