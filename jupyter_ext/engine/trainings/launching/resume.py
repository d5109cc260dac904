"""Resuming: a new run with an old one's code, inputs and checkpoints. Reads files only; the service decides and starts.

Rule: nothing of the old run is changed. Its checkpoints are linked into the new run, so that either may be deleted.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from jupyter_ext.engine.trainings.artifacts.versions import Version, Versions
from jupyter_ext.engine.trainings.run_spec import RaySpec, ResumedSpec, StartedFromSpec, read_spec
from jupyter_ext.ipc.json_types import JsonObject, JsonValue
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.trainings import TERMINAL, Training
from jupyter_ext.worker.sdk import checkpoint_files, checkpoint_storage
from jupyter_ext.worker.sdk.checkpoint_files import Checkpoint


@dataclass(frozen=True)
class Resumption:
    """What a new run takes over.

    Attributes:
        training_id: The run that it goes on from.
        version: The same code.
        given: The same inputs, with those that were changed.
        python: The same interpreter.
        cwd: The same working directory.
        sys_path: The same import path, where the old run's is known.
        checkpoints: The old run's whole checkpoints, oldest first; the last is the one to go on from.
        notices: Lines about checkpoints that are damaged.
        workers: As many processes.
        ray: At the same place of a Ray cluster, if it was one.
        cell: The same cell of the notebook, where it is known.
        changed: Names of the inputs that are others.
    """

    training_id: str
    version: Version
    given: JsonObject
    python: str
    cwd: str
    sys_path: tuple[str, ...] | None
    checkpoints: list[Checkpoint]
    notices: list[str]
    workers: int = 1
    ray: RaySpec | None = None
    cell: StartedFromSpec | None = None
    changed: tuple[str, ...] = ()

    def resumed_from(self) -> ResumedSpec:
        """Return what the new run's spec.json says of the checkpoint."""
        newest = self.checkpoints[-1]
        return {
            "id": self.training_id,
            "step": newest.step,
            "saved_at": newest.saved_at,
            "bytes": newest.num_bytes,
            "next_call": newest.next_call,
            "changed": list(self.changed),
        }

    def hand_over(self, run_dir: Path) -> None:
        """Link the checkpoints into the new run's directory, or copy them where the disk has no links."""
        target = run_dir / checkpoint_files.DIRECTORY
        target.mkdir(mode=0o700)
        for found in self.checkpoints:
            path, file = target / found.path.name, found.path
            if checkpoint_storage.place_of(file) is not None:
                file = checkpoint_storage.pointer_of(file)
            try:
                os.link(file, target / file.name)
            except OSError:
                shutil.copyfile(file, target / file.name)
            checkpoint_files.write_manifest(replace(found, path=path))


def plan_resumption(
    run_dir: Path, training: Training, changed: Mapping[str, JsonValue], versions: Versions
) -> Resumption:
    """Find out what a run can be resumed with.

    Args:
        run_dir: The old run's directory.
        training: The old run.
        changed: Inputs that are to be others.
        versions: Where its code is.

    Raises:
        Problem: It runs, has succeeded, or has no whole checkpoint; the text says what to do instead.
    """
    name = f"Training {training.id}"
    if training.status not in TERMINAL:
        raise _refusal(f"{name} is `{training.status}`; cancel it first, then resume it.")
    if training.status == "succeeded":
        raise _refusal(f"{name} succeeded, so there is nothing to resume; start a new one.")
    newest, damaged = checkpoint_files.newest(run_dir / checkpoint_files.DIRECTORY)
    if newest is None:
        inputs = "".join(f" -i {key}={value}" for key, value in training.input.items())
        inputs = f"with{inputs[:200]}, " if inputs else ""
        lost = f" ({damaged[0]})" if damaged else ""
        raise _refusal(
            f"{name} cannot be resumed: it has no checkpoint{lost}; run it again from the start {inputs}"
            "and call checkpoint.save(…) in its loop."
        )
    version = versions.find(training.version)
    if version is None:
        raise _refusal(
            f"{name} cannot be resumed: its code {training.version[:12]} was deleted; start a new one."
        )
    spec = read_spec(run_dir)
    if spec is None:
        raise _refusal(f"{name} cannot be resumed: its spec.json is gone or cannot be read; start a new one.")
    secret = version.training_input and version.training_input.forgotten_secrets(spec["input"], changed)
    if secret:
        raise _refusal(
            f"{name} had the secret input {secret[0]!r}, which is kept nowhere; give it again: "
            f"run.resume({secret[0]}=…)."
        )
    whole = _whole_until(newest, run_dir)
    paths, where = spec.get("sys_path"), (spec.get("workers", 1), spec.get("ray"))
    return Resumption(
        training.id,
        version,
        {**spec["input"], **changed},
        spec["python"],
        spec["cwd"],
        None if paths is None else tuple(paths),
        whole,
        damaged,
        *where,
        spec.get("started_from"),
        tuple(name for name, value in changed.items() if spec["input"].get(name) != value),
    )


def _whole_until(newest: Checkpoint, run_dir: Path) -> list[Checkpoint]:
    return [
        found
        for found in checkpoint_files.listing(run_dir / checkpoint_files.DIRECTORY)
        if found.number <= newest.number and checkpoint_files.why_damaged(found) is None
    ]


def _refusal(text: str) -> Problem:
    return Problem(409, "Cannot be resumed", text)
