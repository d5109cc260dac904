"""What is done with many trainings: pages of them, labels, running one again, deleting.

Rule: a training's state belongs to `TrainingService`; here is only what a person does with trainings that there are.
"""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.catalog.query import ListQuery
from jupyter_ext.engine.catalog.rows import TrainingRow
from jupyter_ext.engine.trainings.artifacts.versions import Versions
from jupyter_ext.engine.trainings.catalog_rows import training_of
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext, LaunchRequest
from jupyter_ext.engine.trainings.monitoring.sealer import Sealer
from jupyter_ext.engine.trainings.resource import resource_of
from jupyter_ext.engine.trainings.run_spec import read_spec
from jupyter_ext.engine.trainings.service import TrainingService
from jupyter_ext.engine.trainings.shortening import shorten, shortened
from jupyter_ext.ids import VersionId
from jupyter_ext.ipc.json_types import JsonObject
from jupyter_ext.protocol.lists import TrainingsPage
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input
from jupyter_ext.protocol.trainings import Training, Urls

_SEALING_S = 5.0
_DELETED_PREFIX = ".deleted-"
_UNSET = Training(
    id="", model="", version="", status="starting", created_at="", name="", urls=Urls(get="", cancel="")
)
_DEFAULTS = _UNSET.model_dump(mode="json")
"""The keys that the catalog leaves out because they are null."""


@dataclass(frozen=True)
class Page:
    """Trainings as JSON, and how many fit the text of the query in each status."""

    trainings: list[JsonObject]
    counts: dict[str, int]


class TrainingList:
    """The trainings of this engine as a list that a person works with."""

    def __init__(
        self,
        runs_dir: Path,
        trainings: TrainingService,
        catalog: Catalog,
        versions: Versions,
        sealer: Sealer,
        on_change: Callable[[str], None],
    ) -> None:
        self._on_change = on_change
        self._runs_dir = runs_dir
        self._trainings = trainings
        self._catalog = catalog
        self._versions = versions
        self._sealer = sealer
        self._labeling = asyncio.Lock()

    async def open(self) -> None:
        """Finish the deletions that an engine's end cut short."""
        for name in await asyncio.to_thread(os.listdir, self._runs_dir):
            if name.startswith(_DELETED_PREFIX):
                await asyncio.to_thread(shutil.rmtree, self._runs_dir / name, ignore_errors=True)
        await asyncio.to_thread(self._versions.collect)

    async def page(self, query: ListQuery) -> Page:
        """Return one page."""
        rows, counts = await self._catalog.page(query)
        return Page([shorten(self._json(row)) for row in rows], counts)

    def _json(self, row: TrainingRow) -> JsonObject:
        record = self._trainings.record(row["id"])
        if record is not None:
            return resource_of(record).model_dump(mode="json")
        stored = row["resource"]
        if not isinstance(stored, dict) or not isinstance(stored.get("urls"), dict):
            return training_of(row).model_dump(mode="json")
        return _DEFAULTS | stored

    async def overview(self, limit: int) -> TrainingsPage:
        """Return the newest trainings and those that are not over, their large values cut."""
        rows, counts = await self._catalog.page(ListQuery(limit=limit))
        newest = [self._shortened(row) for row in rows]
        known = {training.id for training in newest}
        running = [one for one in self._trainings.running() if one.id not in known]
        return TrainingsPage(trainings=[*newest, *map(shortened, running)], counts=counts)

    async def counts(self) -> dict[str, int]:
        """Count the trainings by status."""
        return (await self._catalog.page(ListQuery(limit=1)))[1]

    async def find(self, training_id: str) -> Training | None:
        """Return a training with its large values cut; `None` for a prediction, or where there is none."""
        try:
            training = await self._trainings.get(training_id)
        except Problem:
            return None
        return shortened(training) if training.kind == "training" else None

    def _shortened(self, row: TrainingRow) -> Training:
        record = self._trainings.record(row["id"])
        return shortened(training_of(row) if record is None else resource_of(record))

    async def label(self, training_id: str, tags: object, notes: object) -> Training:
        """Replace tags, notes or both; `None` leaves them.

        Raises:
            Problem: There is no such training, its files are gone, or the labels are not of their form.
        """
        async with self._labeling:  # else one of two at the same time would put back what the other replaced
            return await self._label(training_id, tags, notes)

    async def _label(self, training_id: str, tags: object, notes: object) -> Training:
        training = await self._trainings.get(training_id)
        run_dir = self._runs_dir / training.id
        if not run_dir.is_dir():
            raise Problem(
                404, "Gone", f"The files of training {training_id} are gone: {run_dir} was deleted."
            )
        labels = Labels(tuple(training.tags), training.notes).changed(tags, notes)
        if (record := self._trainings.record(training.id)) is not None:
            record.labels = labels
        await asyncio.to_thread(labels.write, run_dir)
        await self._catalog.set_labels(training.id, training.name, labels.tags, labels.notes)
        self._on_change(training.id)
        return await self._trainings.get(training.id)

    async def rerun(
        self, training_id: str, changes: Mapping[str, object], origin: CallerContext | None
    ) -> Training:
        """Start the same version with the same inputs, but for `changes`.

        Args:
            training_id: What to run again.
            changes: Inputs that differ.
            origin: Where it is started from; `None` for where the first was, without its environment variables,
                which are not stored.

        Raises:
            Problem: There is no such training, its code is gone, or an input is wrong.
        """
        training = await self._trainings.get(training_id)
        spec = await asyncio.to_thread(read_spec, self._runs_dir / training.id)
        if spec is None:
            raise Problem(
                404, "Gone", f"The files of training {training_id} are gone; start it from its notebook."
            )
        if origin is None:
            path = spec.get("sys_path")
            origin = CallerContext(spec["python"], spec["cwd"], None if path is None else tuple(path))
        if origin.cell is None:
            origin = replace(origin, cell=spec.get("started_from"))
        inputs = {**spec.get("given", spec["input"]), **changes}
        if "remote" in spec:
            return await self._trainings.create_remote(
                spec["backend"], spec["remote"], spec["name"], inputs, origin
            )
        version = self._versions.find(spec["version"])
        if version is None:
            raise Problem(
                422,
                "Invalid version",
                f"The code of training {training_id} (version {spec['version'][:12]}) is no longer kept; "
                "start it from its notebook.",
            )
        secret = version.training_input and version.training_input.forgotten_secrets(training.input, changes)
        if secret:
            problem = f"{secret[0]} is secret and kept nowhere; give it again: run.again({secret[0]}=…)"
            raise invalid_input([InvalidField("required", f"input.{secret[0]}", problem)])
        started = await self._trainings.create(
            LaunchRequest(version, inputs, origin, workers=spec.get("workers", 1), ray=spec.get("ray"))
        )
        record = self._trainings.record(started.id)
        if origin.environ is None and record is not None:
            record.notice("Run again without the notebook's own environment variables, which are not stored.")
            return resource_of(record)
        return started

    async def delete(self, training_id: str) -> None:
        """Forget a training and delete its files.

        Raises:
            Problem: There is no such training, or it is not over.
        """
        training = await self._trainings.get(training_id)
        if self._trainings.record(training.id) is not None:
            raise Problem(
                409,
                "Still running",
                f"Training {training_id} is `{training.status}`; cancel it before deleting it.",
            )
        await self._sealer.wait_idle(_SEALING_S)
        self._trainings.forget(training.id)
        run_dir = self._runs_dir / training.id
        gone = run_dir.with_name(f"{_DELETED_PREFIX}{training.id}")
        if run_dir.is_dir():
            run_dir.rename(gone)
        await self._catalog.delete_training(training.id)
        self._on_change(training.id)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        await self._forget_large(training.version)

    async def _forget_large(self, version: str) -> None:
        """Delete a version with large captured data together with the last run of it; small ones stay to be run again."""
        if self._versions.is_large(version) and not await self._catalog.num_runs_of(version):
            await self._catalog.delete_version(version)
            await asyncio.to_thread(self._versions.delete, VersionId(version))
        else:
            await asyncio.to_thread(self._versions.collect)
