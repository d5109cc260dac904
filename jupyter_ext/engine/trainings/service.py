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
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.sealer import Sealer
from jupyter_ext.engine.trainings.versions import Version, Versions, copy_code
from jupyter_ext.engine.trainings.watch import Watcher
from jupyter_ext.engine.workers.exit import Outcome, rfc3339
from jupyter_ext.ids import TrainingId, is_training_id, new_training_id
from jupyter_ext.protocol.problems import Problem, invalid_input, not_found
from jupyter_ext.protocol.resources import Extremes, LastPoint, Stop, Training
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
LOCAL = "local"
"""The backend of a run whose spec names none."""
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
        backends: Mapping[str, Backend],
        hub: Hub[Batch],
        watcher: Watcher,
        sealer: Sealer,
    ) -> None:
        self._runs_dir = runs_dir
        self._catalog = catalog
        self._versions = versions
        self._backends = backends
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
                    record = Record(TrainingId(row["id"]), run_dir, spec)
                    self._backend(record).adopt(run_dir)
                    self._adopt(record)
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
        self._check_open()
        version = self._versions.find(version_id)
        if version is None or version.model != model:
            raise Problem(
                422,
                "Invalid version or not permitted",
                f"There is no version {version_id[:12]!r} of {model}; upload its code again.",
            )
        if version.training_input is None:
            inputs: dict[str, Any] = dict(given)
        else:
            inputs, wrong = version.training_input.validate(given)
            if wrong:
                raise invalid_input(wrong)
        spec = self._spec(version.manifest["name"], version.model, version.id, inputs, origin)
        spec["captured"] = version.manifest.get("captured", [])
        record = await asyncio.to_thread(self._prepare, spec, version)
        threads = max(1, (os.cpu_count() or 1) // (1 + self._num_local()))
        return await self._launch(record, origin, threads)

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
            raise Problem(
                422,
                "Invalid value",
                f"There is no backend {backend!r}; there are {', '.join(self._backends)}.",
            )
        spec = self._spec(name, remote["model"], remote["version"], dict(given), origin)
        spec |= {"backend": backend, "remote": dict(remote)}
        record = await asyncio.to_thread(self._prepare, spec, None)
        return await self._launch(record, origin, threads=1)

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
                while not self._backend(record).stop(record.run_dir):
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

    # -- one training's life ------------------------------------------------------------------------------------

    def _backend(self, record: Record) -> Backend:
        return self._backends[record.spec.get("backend", LOCAL)]

    def _num_local(self) -> int:
        """Count the trainings that want this machine's cores."""
        return sum(record.spec.get("backend", LOCAL) == LOCAL for record in self._records.values())

    def _check_open(self) -> None:
        if self._draining:
            raise Problem(503, "The engine is ending", "This engine is making way for another; try again.")

    @staticmethod
    def _spec(name: str, model: str, version: str, inputs: dict[str, Any], origin: Origin) -> dict[str, Any]:
        """Give what a run's directory says of it before there is a process."""
        created = time.time()
        return {
            "id": new_training_id(),
            "name": name,
            "model": model,
            "version": version,
            "input": inputs,
            "created_at": rfc3339(created),
            "created_unix": created,
            "python": origin.python,
            "cwd": origin.cwd,
            "sys_path": None if origin.sys_path is None else list(origin.sys_path),
        }

    def _prepare(self, spec: dict[str, Any], version: Version | None) -> Record:
        """Make the run's directory, with a copy of its code."""
        run_dir = self._runs_dir / spec["id"]
        run_dir.mkdir(mode=0o700)
        (run_dir / "logs.txt").touch(mode=0o600)
        if version is not None:
            copy_code(version, run_dir / "code")
        write_json(run_dir / "spec.json", spec)
        return Record(spec["id"], run_dir, spec)

    async def _launch(self, record: Record, origin: Origin, threads: int) -> Training:
        """Have the run's backend start it, in the background."""
        await self._persist(record)
        self._adopt(record)
        launch = Launch(record.run_dir, origin.python, origin.cwd, threads, origin.sys_path, origin.environ)
        name = f"start {record.id}"
        task = asyncio.create_task(self._start(record, launch), name=name)
        self._followers[name] = task
        task.add_done_callback(lambda _: self._followers.pop(name, None))
        return record.resource()

    async def _start(self, record: Record, launch: Launch) -> None:
        try:
            await self._backend(record).start(launch)
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
            self._changed(record)
        asked = read_json(record.run_dir / "stop")
        if asked is None and record.stop is not None:
            self._backend(record).stop(record.run_dir)  # it was asked before there was a shim to hear it
        if asked is not None and (record.stop is None or record.stop.stage != asked["stage"]):
            record.stop = Stop(stage=asked["stage"], requested_at=rfc3339(asked["requested_at"]))
            self._changed(record)
        return self._backend(record).outcome(record.run_dir, time.time())

    async def _ingest(self, record: Record, store: RunStore) -> bool:
        """Take in all news; tell whether there were any."""
        any_news = False
        while (batch := store.ingest()) is not None:
            any_news = True
            for mark in batch.marks:
                self._take_mark(record, mark)
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
            record.progress = (mark["current"], mark["total"], mark["time"])
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
