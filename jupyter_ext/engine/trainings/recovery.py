"""What an engine does at its start with the trainings of those before it.

Rules: a run that the catalog does not know is put back into it. One that goes on is followed. One that was made and never begun, because
the engine ended first, is started now: who made it was told that it would run. One damaged run harms no other.
"""

from __future__ import annotations

import asyncio
import sqlite3
import time
from pathlib import Path

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.catalog.rows import TrainingRow
from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.disk import describe, is_disk
from jupyter_ext.engine.processes.shim_process import ShimProcess
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.versions import Version, Versions
from jupyter_ext.engine.trainings.catalog_rows import put_training, training_of
from jupyter_ext.engine.trainings.labels import Labels
from jupyter_ext.engine.trainings.launching.launch_request import CallerContext, remove_half_made
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.run_monitor import RunMonitor
from jupyter_ext.engine.trainings.run_spec import FILE_NAME, RunSpec, read_spec
from jupyter_ext.ids import TrainingId, is_training_id
from jupyter_ext.ipc import run_files
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import Cause, Training

START_AGAIN_WITHIN_S = 600.0
"""A run that was made longer ago and never begun is not started any more: nobody expects it now."""
_NOT_BEGUN = "The engine ended before this run could begin"


class Recovery:
    """Takes over what engines before this one have left.

    Args:
        runs_dir: One directory per run.
        catalog: The index of all runs.
        versions: The code that runs are made of.
        monitor: Whatever is not over.
        file_inputs: Checks inputs that are given as links.
    """

    def __init__(
        self,
        runs_dir: Path,
        catalog: Catalog,
        versions: Versions,
        monitor: RunMonitor,
        file_inputs: FileInputs,
    ) -> None:
        self._runs_dir = runs_dir
        self._catalog = catalog
        self._versions = versions
        self._monitor = monitor
        self._file_inputs = file_inputs

    async def run(self) -> None:
        """Adopt what runs, start what was made and never begun, and end what ended while no engine was there."""
        try:
            going_on = await self._read_in()
        except OSError as error:
            if not is_disk(error):
                raise
            await self._catalog.move_to_memory(describe(error))
            going_on = await self._read_in()
        for record in going_on:
            try:
                self._take_over(record)
            except (ValueError, TypeError, KeyError, OSError) as error:
                records.set_aside(record.run_dir, records.why(error))

    async def register(self, version: Version) -> None:
        """Put a version into the catalog."""
        await self._catalog.put_version(
            version.id, model=version.model, created_at=rfc3339(time.time()), manifest=version.manifest
        )

    async def _read_in(self) -> list[Record]:
        """Bring the catalog up to date with the directories, and return what still runs for all it says.

        Raises:
            OSError: The catalog's disk takes nothing more.
        """
        known = await self._catalog.training_ids()
        for run_dir in await asyncio.to_thread(_run_dirs, self._runs_dir, known):
            await self._put_back(run_dir)
        if self._catalog.needs_rebuild:
            for version_id in self._versions.all_ids():
                if (version := self._versions.find(version_id)) is not None:
                    await self.register(version)
            await self._catalog.mark_rebuilt()
        going_on = []
        for status in ("starting", "processing"):
            for row in await self._catalog.list_trainings(status=status, limit=1_000_000, kind=None):
                run_dir = self._runs_dir / row["id"]
                spec = await asyncio.to_thread(read_spec, run_dir)
                if spec is not None:
                    going_on.append(Record(TrainingId(row["id"]), run_dir, spec))
                else:
                    await self._end_lost(row, run_dir)
        return going_on

    async def _put_back(self, run_dir: Path) -> None:
        """Put a run that the catalog does not know back into it."""
        if not records.is_there(run_dir / FILE_NAME):
            await asyncio.to_thread(remove_half_made, run_dir)
            return
        try:
            spec = await asyncio.to_thread(read_spec, run_dir)
            ended = records.read_record(run_dir / "training.json", Training)
            if ended is not None:
                labels = Labels.read(run_dir)
                ended.tags, ended.notes = list(labels.tags), labels.notes
                await put_training(self._catalog, ended)
            elif spec is not None:
                await self._monitor.persist(Record(TrainingId(run_dir.name), run_dir, spec))
        except (ValueError, TypeError, KeyError, sqlite3.Error) as error:
            records.set_aside(run_dir, records.why(error))

    def _take_over(self, record: Record) -> None:
        """Follow a run of an engine before this one, and start it where that never happened."""
        if record.runs_here and _never_began(record.run_dir):
            self._start(record)
        else:
            self._monitor.backend(record).adopt(record.run_dir)
            self._monitor.adopt(record)

    def _start(self, record: Record) -> None:
        """Start a run that was made by an engine that ended before it could."""
        spec = record.spec
        try:
            urls = self._files_to_get(spec)
        except Problem as problem:
            ShimProcess(record.run_dir).fail_start(problem.detail)
            self._monitor.adopt(record)
            return
        record.notice(
            f"{_NOT_BEGUN}; the next one started it, without the notebook's own environment variables, which are not stored."
        )
        paths = spec.get("sys_path")
        origin = CallerContext(spec["python"], spec["cwd"], None if paths is None else tuple(paths))
        self._monitor.launch(record, origin, urls)

    def _files_to_get(self, spec: RunSpec) -> list[str]:
        """Name the inputs of a run that are links to fetch first.

        Raises:
            Problem: It cannot be started.
        """
        if time.time() - spec["created_unix"] > START_AGAIN_WITHIN_S:
            raise _refusal("and that was too long ago to start it now unasked")
        version = self._versions.find(spec["version"])
        if version is None:
            raise _refusal("and its code is gone")
        declared = version.prediction_input if spec.get("kind") == "prediction" else version.training_input
        secret = declared.forgotten_secrets(spec.get("given", spec["input"]), {}) if declared else []
        if secret:
            raise _refusal(f"and its secret input {secret[0]!r} is kept nowhere")
        return self._file_inputs.check(declared, spec["input"])

    async def _end_lost(self, row: TrainingRow, run_dir: Path) -> None:
        """End a run of the catalog that was going on and whose files are gone or cannot be read."""
        training = training_of(row)
        training.status, training.completed_at = "failed", rfc3339(time.time())
        training.cause = Cause(
            kind="lost",
            message=f"The files of this run are gone or cannot be read: {run_dir}.",
            hint="Run it again from its notebook.",
        )
        training.error = training.cause.message
        await put_training(self._catalog, training)


def _run_dirs(runs_dir: Path, known: set[str]) -> list[Path]:
    """List the runs that the catalog does not know; those that it knows are not looked at."""
    return list(records.directories(runs_dir, is_training_id, known))


def _never_began(run_dir: Path) -> bool:
    """Tell whether no process has ever been at work on a run; those of older versions did not claim its directory."""
    begun = (run_files.CLAIM, run_files.START, run_files.ERROR, run_files.EXIT)
    return not any((run_dir / name).exists() for name in begun) and not any(run_dir.glob("metrics-*.jnl"))


def _refusal(why: str) -> Problem:
    return Problem(409, "Never began", f"{_NOT_BEGUN}, {why}. Run it again.")
