"""Runs to be made: what is asked for, and the directory that it gets before there is a process."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.versions import Version, copy_code
from jupyter_ext.engine.trainings.delivery.webhooks import WebhookRecord
from jupyter_ext.engine.trainings.launching.resume import Resumption
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.run_spec import (
    FILE_NAME,
    RaySpec,
    RemoteSpec,
    RunSpec,
    StartedFromSpec,
    SweepSpec,
)
from jupyter_ext.ids import TrainingId, new_training_id
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.schema.inputs import TrainingInput


@dataclass(frozen=True)
class CallerContext:
    """Where a training is started from. `environ` holds secrets and is never stored; without `cwd` the run gets a
    directory of its own. `cell` is the notebook's.
    """

    python: str
    cwd: str | None = None
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None
    cell: StartedFromSpec | None = None


@dataclass(frozen=True)
class LaunchRequest:
    """A run to be made: a training, or a prediction by the version's own function.

    Attributes:
        version: The code.
        given: Inputs as the client gave them.
        origin: Where it is started from.
        destination: Model that the training makes a version of, if any.
        webhook: `{url, events, base_url}`, or `None`.
        plan: What it takes over from a run that it resumes, if any.
        kind: What it is.
        cancel_after_s: It is canceled so many seconds after it was made, unless it is over; `None` for never.
        workers: How many processes train; more than one are the ranks of a group.
        ray: Where on a Ray cluster it runs; `None` for on this machine.
        sweep: The sweep that it is a trial of, or drives, if any; a new one has no id yet, and gets the run's.
    """

    version: Version
    given: Mapping[str, JsonValue]
    origin: CallerContext
    destination: str | None = None
    webhook: WebhookRecord | None = None
    plan: Resumption | None = None
    kind: Literal["training", "prediction"] = "training"
    cancel_after_s: float | None = None
    workers: int = 1
    sweep: SweepSpec | None = None
    ray: RaySpec | None = None


def origin_where_made(version: Version, default: CallerContext) -> CallerContext:
    """Return where a version runs for a client that does not say: in the interpreter that it was made with.

    Modules that lie beside the notebook can be imported, but the run's directory is one of its own.

    Raises:
        Problem: That interpreter is gone.
    """
    made = version.made_in
    python = version.trained.python if version.trained else made.python if made else default.python
    if not os.access(python, os.X_OK):
        detail = (
            f"Version {version.id[:12]} of {version.model} was made with {python[:200]}, which is gone; "
            "train it once more from a notebook, and it is remembered with that notebook's interpreter."
        )
        raise Problem(422, "Interpreter is gone", detail)
    return CallerContext(python, sys_path=(*made.sys_path, made.cwd) if made else None)


def declared_inputs(request: LaunchRequest) -> TrainingInput | None:
    """Return the inputs that a request's function takes from its client.

    Raises:
        Problem: A prediction is wanted of code that defines none.
    """
    version = request.version
    if request.kind == "training":
        return version.training_input
    if version.predictor is None:
        detail = (
            f"Version {version.id[:12]} of {version.model} defines no predict() or run(), and no Predictor class with "
            "one; it can only train."
        )
        raise Problem(422, "Version cannot predict", detail)
    return version.prediction_input


def prepare(request: LaunchRequest, inputs: JsonObject, runs_dir: Path, file_inputs: FileInputs) -> Record:
    """Make the directory of a run, with all that it needs before there is a process; where that fails, nothing is left."""
    version, origin = request.version, request.origin
    spec = _spec(request.kind, version.manifest["name"], version.model, version.id, inputs, origin, runs_dir)
    spec["captured"] = version.manifest.get("captured", [])
    spec["destination"] = request.destination
    spec["notices"] = list(version.manifest.get("notices", []))
    if request.plan is not None:
        spec["resumed_from"] = request.plan.resumed_from()
        spec["notices"] += request.plan.notices
    spec["sys_path"] = None if origin.sys_path is None else list(origin.sys_path)
    spec["cancel_after_s"] = request.cancel_after_s
    if request.workers > 1:
        spec["workers"] = request.workers
    if request.ray is not None:
        spec["backend"], spec["ray"] = "ray", request.ray
    if request.sweep is not None:
        spec["sweep"] = {"id": request.sweep["id"] or spec["id"], "trial": request.sweep["trial"]}
        if request.sweep["trial"] is not None:
            spec["name"] = f"{spec['name']} #{request.sweep['trial']}"
    if origin.cell is not None:
        spec["started_from"] = origin.cell
    with _run_dir(spec, runs_dir) as run_dir:
        copy_code(version, run_dir / "code")
        if request.plan is not None:
            request.plan.hand_over(run_dir)
        if request.kind == "prediction" and version.predictor is not None:
            manifest = version.manifest | version.predictor.manifest()
            write_json(run_dir / "code" / "manifest.json", manifest)
            spec["returns_path"] = version.predictor.returns_path
            if version.gives_weights and version.trained is not None:
                inputs["weights"] = file_inputs.link(str(version.trained.weights), run_dir / "weights")
        file_inputs.keep_large(spec["id"], spec["given"])
        write_json(run_dir / FILE_NAME, spec)
        return Record(TrainingId(spec["id"]), run_dir, spec)


def prepare_remote(
    backend: str,
    remote: RemoteSpec,
    name: str,
    inputs: JsonObject,
    origin: CallerContext,
    runs_dir: Path,
) -> Record:
    """Make the directory of a run on a service; where that fails, nothing is left."""
    spec = _spec("training", name, remote["model"], remote["version"], inputs, origin, runs_dir)
    spec["backend"], spec["remote"] = backend, remote
    spec["captured"], spec["destination"] = [], None
    if origin.cell is not None:
        spec["started_from"] = origin.cell
    with _run_dir(spec, runs_dir) as run_dir:
        write_json(run_dir / FILE_NAME, spec)
        return Record(TrainingId(spec["id"]), run_dir, spec)


def _spec(
    kind: Literal["training", "prediction"],
    name: str,
    model: str,
    version: str,
    inputs: JsonObject,
    origin: CallerContext,
    runs_dir: Path,
) -> RunSpec:
    """Return what a run's directory says of it; one that was started from nowhere works in a folder of its own there."""
    created, run_id = time.time(), new_training_id()
    return {
        "id": run_id,
        "kind": kind,
        "name": name,
        "model": model,
        "version": version,
        "input": inputs,
        "given": dict(inputs),
        "created_at": rfc3339(created),
        "created_unix": created,
        "python": origin.python,
        "cwd": str(runs_dir / run_id / "work") if origin.cwd is None else origin.cwd,
    }


def remove_half_made(run_dir: Path) -> None:
    """Remove what a killed engine left of a run that it was making: a directory without a spec where nothing ever ran."""
    if any((run_dir / name).exists() for name in ("start.json", "exit.json", "claim.json", "training.json")):
        return
    if not any(run_dir.glob("metrics-*.jnl")):
        shutil.rmtree(run_dir, ignore_errors=True)


@contextmanager
def _run_dir(spec: RunSpec, runs_dir: Path) -> Iterator[Path]:
    """Make a run's directory, and remove it where it cannot be filled."""
    run_dir = runs_dir / spec["id"]
    run_dir.mkdir(mode=0o700)
    try:
        (run_dir / "logs.txt").touch(mode=0o600)
        if spec["cwd"] == str(run_dir / "work"):
            (run_dir / "work").mkdir(mode=0o700)
        yield run_dir
    except BaseException:
        shutil.rmtree(run_dir, ignore_errors=True)
        raise
