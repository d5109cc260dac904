"""All trainings of this engine: creates them, gives what there is of them, has them canceled.

A run that is not over is in the hands of `run_monitor`; one that is over is what the catalog says of it.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping
from pathlib import Path

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.paging import Cursor
from jupyter_ext.engine.metrics.serving.run_store import RunStore
from jupyter_ext.engine.trainings import imported
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.versions import MadeIn, Version, Versions
from jupyter_ext.engine.trainings.catalog_rows import put_training, training_of
from jupyter_ext.engine.trainings.delivery.webhooks import Webhooks
from jupyter_ext.engine.trainings.launching.launch_request import (
    CallerContext,
    LaunchRequest,
    declared_inputs,
    prepare,
    prepare_remote,
)
from jupyter_ext.engine.trainings.launching.resume import plan_resumption
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.recovery import Recovery
from jupyter_ext.engine.trainings.resource import resource_of
from jupyter_ext.engine.trainings.resumed_curve import Link
from jupyter_ext.engine.trainings.rules import new_rule
from jupyter_ext.engine.trainings.run_monitor import RunMonitor
from jupyter_ext.engine.trainings.run_spec import RemoteSpec, read_spec
from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.protocol.problems import Problem, invalid_input, not_found
from jupyter_ext.protocol.trainings import TERMINAL, Training


class TrainingService:
    """All trainings and predictions of this engine.

    Args:
        runs_dir: One directory per run.
        catalog: The index of all runs.
        versions: The code that runs are made of.
        monitor: Whatever is not over.
        file_inputs: Checks inputs that are given as links.
        webhooks: Receivers that a client named.
    """

    def __init__(
        self,
        runs_dir: Path,
        catalog: Catalog,
        versions: Versions,
        monitor: RunMonitor,
        file_inputs: FileInputs,
        webhooks: Webhooks,
    ) -> None:
        self._runs_dir = runs_dir
        self._catalog = catalog
        self._versions = versions
        self._monitor = monitor
        self._records = monitor.records
        self._stores = monitor.stores
        self._file_inputs = file_inputs
        self._webhooks = webhooks
        self._recovery = Recovery(runs_dir, catalog, versions, monitor, file_inputs)
        self._draining = False

    @property
    def num_active(self) -> int:
        """Count the trainings that are starting or running."""
        return len(self._records)

    async def open(self) -> None:
        """Take over what the engines before this one left, and begin what is done beside everything else."""
        await self._recovery.run()
        await self._webhooks.open(self._is_over)
        await self._monitor.open(self._runs_dir)

    async def close(self) -> None:
        """Stop following; every training goes on."""
        self._draining = True
        await self._monitor.close()
        await self._webhooks.close()
        self._stores.close()

    async def add_version(self, bundle: bytes, made_in: MadeIn | None = None) -> Version:
        """Keep a code bundle; see `Versions.add`."""
        version = await asyncio.to_thread(self._versions.add, bundle, made_in)
        await self._recovery.register(version)
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

    async def create(self, request: LaunchRequest) -> Training:
        """Start a training or prediction and return at once.

        Raises:
            Problem: An input is wrong, the version cannot predict, or this engine is making way for another.
        """
        self._check_open()
        declared = declared_inputs(request)
        urls = self._file_inputs.check(declared, request.given)
        secret: JsonObject = {}
        if declared is None:
            inputs: JsonObject = dict(request.given)
        else:
            inputs, wrong = declared.validate(request.given)
            if wrong:
                raise invalid_input(wrong)
            secret = declared.secrets(request.given)
            inputs |= {name: request.given[name] for name in urls}  # as a path, a URL would lose a slash
        with self._monitor.starts.accepting():
            record = await asyncio.to_thread(prepare, request, inputs, self._runs_dir, self._file_inputs)
            training = await self._persist_new(record)
        if request.webhook is not None:
            self._webhooks.add(record.id, request.webhook)
        self._monitor.launch(record, request.origin, urls, secret)
        return training

    async def resume(
        self, training_id: str, changed: Mapping[str, JsonValue], asker: CallerContext | None
    ) -> Training:
        """Start a new training with the code, the inputs and the checkpoints of one that did not succeed.

        Raises:
            Problem: It cannot be resumed, or an input is wrong.
        """
        training = await self.get(training_id)
        run_dir = self._runs_dir / training.id
        if training.sweep is not None and training.sweep.trial is None:
            return await self._go_on_with_sweep(training, changed, asker)
        plan = await asyncio.to_thread(plan_resumption, run_dir, training, changed, self._versions)
        paths = plan.sys_path if asker is None or asker.sys_path is None else asker.sys_path
        origin = CallerContext(
            plan.python, plan.cwd, paths, None if asker is None else asker.environ, plan.cell
        )
        return await self.create(
            LaunchRequest(plan.version, plan.given, origin, plan=plan, workers=plan.workers, ray=plan.ray)
        )

    async def _go_on_with_sweep(
        self, training: Training, changed: Mapping[str, JsonValue], asker: CallerContext | None
    ) -> Training:
        """Start another training that drives the same sweep: its study is its checkpoint."""
        if training.status not in TERMINAL:
            raise Problem(409, "Cannot be resumed", f"Sweep {training.name} runs; stop it first, or wait.")
        spec = await asyncio.to_thread(read_spec, self._runs_dir / training.id)
        version = self._versions.find(training.version)
        if spec is None or version is None or "sweep" not in spec:
            raise Problem(404, "Gone", f"The files of sweep {training.id} are gone; start a new one.")
        paths = spec.get("sys_path")
        origin = asker or CallerContext(spec["python"], spec["cwd"], None if paths is None else tuple(paths))
        inputs = {**spec.get("given", spec["input"]), **changed}
        return await self.create(LaunchRequest(version, inputs, origin, sweep=spec["sweep"]))

    async def promote(self, training_id: str, destination: str) -> str:
        """Make a version of a model of what a training has returned; return it as `owner/name:version`.

        Raises:
            Problem: It has not succeeded, or its files are gone.
        """
        training = await self.get(training_id)
        if training.status != "succeeded":
            text = f"Training {training_id} is `{training.status}`; only one that succeeded has a result."
            raise Problem(409, "No result", text)
        spec = await asyncio.to_thread(read_spec, self._runs_dir / training.id)
        if spec is None:
            raise Problem(404, "Gone", f"The files of training {training_id} are gone; run it again.")
        return await self._monitor.publisher.promote(self._runs_dir / training.id, spec, destination)

    async def lineage(self, training_id: str) -> list[Link]:
        """Return a training's store after those of the runs that it was resumed from, the oldest first.

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
        self,
        backend: str,
        remote: RemoteSpec,
        name: str,
        given: Mapping[str, JsonValue],
        origin: CallerContext,
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
        if backend not in self._monitor.backends:
            known = ", ".join(self._monitor.backends)
            raise Problem(422, "Invalid value", f"There is no backend {backend!r}; there are {known}.")
        record = await asyncio.to_thread(
            prepare_remote, backend, remote, name, dict(given), origin, self._runs_dir
        )
        training = await self._persist_new(record)
        self._monitor.launch(record, origin, ())
        return training

    async def get(self, training_id: str) -> Training:
        """Return a training.

        Raises:
            Problem: There is none with this id.
        """
        record = self._records.get(training_id)
        if record is not None:
            return resource_of(record)
        row = await self._catalog.get_training(training_id)
        if row is None:
            raise not_found("training", training_id, "`%trainings` lists those there are.")
        return training_of(row)

    def record(self, training_id: str) -> Record | None:
        """Return a training that is not over as it is held here, or `None`."""
        return self._records.get(training_id)

    @property
    def memory_mib(self) -> float:
        """Return what the trainings that run were last seen to take."""
        points = [resource_of(record).last.get("system/memory_mib") for record in self._records.values()]
        return sum(float(point.value) for point in points if point is not None)

    def running(self) -> list[Training]:
        """Return the trainings that are not over, the oldest first; no predictions."""
        return [resource_of(record) for record in self._records.values() if record.kind == "training"]

    def forget(self, training_id: str) -> None:
        """Close what is held of a training that is over; its files can then go."""
        self._stores.forget(training_id)

    async def list(
        self,
        status: str | None = None,
        limit: int = 100,
        cursor: Cursor | None = None,
        **filters: str | None,
    ) -> list[Training]:
        """List trainings, newest first; see `Catalog.list_trainings`."""
        rows = await self._catalog.list_trainings(status=status, limit=limit, cursor=cursor, **filters)
        return [
            resource_of(record) if (record := self._records.get(row["id"])) else training_of(row)
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
        await self._monitor.stop(record)
        return await self.get(training_id)

    async def import_run(self, body: bytes) -> Training:
        """Keep a run that another tool has recorded.

        Raises:
            Problem: The body is none.
        """
        training = await asyncio.to_thread(imported.write, self._runs_dir, body)
        await put_training(self._catalog, training)
        self._monitor.seal(self._runs_dir / training.id)
        return training

    async def add_rule(self, training_id: str, body: dict[str, object]) -> Training:
        """Hold a rule against a running training's points.

        Raises:
            Problem: There is no such training, it is over, or the rule is none.
        """
        record = self._records.get(training_id)
        if record is None:
            training = await self.get(training_id)
            raise Problem(
                409,
                "Not running",
                f"Training {training_id} is `{training.status}`; a rule is for one that runs.",
            )
        self._monitor.add_rule(record, new_rule(body, len(record.rules)))
        return resource_of(record)

    async def wait(self, training_id: str, timeout_s: float) -> Training:
        """Return a training once it is over, or as it is after that many seconds."""
        await self._monitor.wait(training_id, timeout_s)
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
        text = None
        if record is not None:
            text = await self._monitor.backend(record).stacks(record.run_dir)
        if text is None:
            raise Problem(
                409, "Not running", f"Training {training_id} is `{training.status}`; it has no stacks now."
            )
        return text

    async def store(self, training_id: str) -> RunStore:
        """Return the opened metrics and logs of a training.

        Raises:
            Problem: There is none with this id, or its files were deleted.
        """
        if training_id not in self._records:
            await self.get(training_id)
        return self._stores.get(training_id)

    async def points(self, training_id: str) -> RunStore:
        """Return the opened metrics and logs of a training to somebody who will read points, not just an overview.

        Raises:
            Problem: There is none with this id.
        """
        store = await self.store(training_id)
        if store.needs_loading:
            await asyncio.to_thread(store.load)
            store = await self.store(training_id)  # it may have been closed meanwhile
        return store

    async def _persist_new(self, record: Record) -> Training:
        """Put a new run into the catalog; where that fails, nothing is left of it."""
        try:
            return await self._monitor.persist(record)
        except BaseException:
            await asyncio.to_thread(shutil.rmtree, record.run_dir, ignore_errors=True)
            raise

    def _check_open(self) -> None:
        if self._draining:
            raise Problem(503, "The engine is ending", "This engine is making way for another; try again.")
