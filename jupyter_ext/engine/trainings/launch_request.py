"""Runs to be made: what is asked for, and the directory that it gets before there is a process."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.trainings.artifacts.file_inputs import FileInputs
from jupyter_ext.engine.trainings.artifacts.versions import Version, copy_code
from jupyter_ext.engine.trainings.record import Record
from jupyter_ext.engine.trainings.resume import Resumption
from jupyter_ext.ids import new_training_id
from jupyter_ext.ipc.json_files import write_json
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.schema.inputs import TrainingInput


@dataclass(frozen=True)
class CallerContext:
    """Where a training is started from. `environ` holds secrets and is never stored; without `cwd` the run gets a
    directory of its own.
    """

    python: str
    cwd: str | None = None
    sys_path: tuple[str, ...] | None = None
    environ: Mapping[str, str] | None = None


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
    """

    version: Version
    given: Mapping[str, Any]
    origin: CallerContext
    destination: str | None = None
    webhook: Mapping[str, Any] | None = None
    plan: Resumption | None = None
    kind: Literal["training", "prediction"] = "training"
    cancel_after_s: float | None = None


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
        detail = f"Version {version.id[:12]} of {version.model} defines neither predict() nor run(); it can only train."
        raise Problem(422, "Version cannot predict", detail)
    return version.prediction_input


def prepare(
    request: LaunchRequest, inputs: dict[str, Any], runs_dir: Path, file_inputs: FileInputs
) -> Record:
    """Make the directory of a run, with all that it needs before there is a process."""
    version, origin = request.version, request.origin
    spec = _spec(request.kind, version.manifest["name"], version.model, version.id, inputs, origin)
    spec |= {"captured": version.manifest.get("captured", []), "destination": request.destination}
    spec |= {} if request.plan is None else request.plan.spec()
    spec["notices"] = [*version.manifest.get("notices", []), *spec.get("notices", [])]
    spec["sys_path"] = origin.sys_path
    spec["cancel_after_s"] = request.cancel_after_s
    record = Record(spec["id"], runs_dir / spec["id"], spec)
    _make_run_dir(record)
    run_dir = record.run_dir
    copy_code(version, run_dir / "code")
    if request.plan is not None:
        request.plan.hand_over(run_dir)
    if request.kind == "prediction" and version.predictor is not None:
        write_json(run_dir / "code" / "manifest.json", version.manifest | {"entry": version.predictor.entry})
        spec["returns_path"] = version.predictor.returns_path
        if version.gives_weights and version.trained is not None:
            inputs["weights"] = file_inputs.link(str(version.trained.weights), run_dir / "weights")
    write_json(run_dir / "spec.json", spec)
    return record


def prepare_remote(
    backend: str,
    remote: Mapping[str, str],
    name: str,
    inputs: dict[str, Any],
    origin: CallerContext,
    runs_dir: Path,
) -> Record:
    """Make the directory of a run on a service."""
    spec = _spec("training", name, remote["model"], remote["version"], inputs, origin)
    spec |= {"backend": backend, "remote": dict(remote), "captured": [], "destination": None}
    record = Record(spec["id"], runs_dir / spec["id"], spec)
    _make_run_dir(record)
    write_json(record.run_dir / "spec.json", spec)
    return record


def _spec(
    kind: str, name: str, model: str, version: str, inputs: dict[str, Any], origin: CallerContext
) -> dict[str, Any]:
    """Return what a run's directory says of it before there is a process."""
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
