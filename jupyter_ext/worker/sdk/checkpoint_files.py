"""The files of checkpoints, which the engine reads too. Standard library only.

    <run>/checkpoints/checkpoint-<n>.pt | .pkl      the state, written under another name, fsynced, then renamed
    <run>/checkpoints/checkpoint-<n>.json           its manifest, written last: step, time, bytes, sha256, best, run

Rule: a state without its manifest is no checkpoint, and one whose bytes do not give the sha256 of its manifest is never
used: the one before it is.
"""

from __future__ import annotations

import hashlib
import os
import pickle
import sys
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import NO_ROOM, read_json, write_json
from jupyter_ext.worker.sdk import checkpoint_storage, logging

FORMAT = 1
DIRECTORY = "checkpoints"
PREFIX = "checkpoint-"
_HASH_BYTES = 1 << 20

_intact: dict[Path, tuple[int, int, int]] = {}
"""Files that were found whole, by inode, size and time of change, so that `latest` and `load` read them once."""


@dataclass(frozen=True)
class Checkpoint:
    """One checkpoint on disk.

    Attributes:
        path: The file of the state.
        number: Place in the order of saving, from 1; a resumed run counts on.
        step: The step it was saved at, on the axis of the code's own `log(step=…)`.
        saved_at: When saving began, Unix seconds.
        num_bytes: Size of the state.
        best: What it is the best of, or `None`.
        run: Id of the training that saved it, or `None` outside of one.
        next_call: How many `log()` calls there had been: a resumed run counts on from here where it gives no step.
        sha256: Digest of the state's bytes, hexadecimal.
    """

    path: Path
    number: int
    step: float
    saved_at: float
    num_bytes: int
    best: str | None
    run: str | None
    next_call: int
    sha256: str

    def load(self, map_location: Any = "cpu") -> Any:
        """Return the saved state, and tell a run that goes on from another's that it does.

        Args:
            map_location: Where tensors go, as of `torch.load`.

        Raises:
            ValueError: It is damaged, or cannot be fetched from where it is kept.
        """
        if (place := checkpoint_storage.place_of(self.path)) is not None:
            _fetch(self, place)
        if (reason := why_damaged(self)) is not None:
            raise ValueError(reason)
        state = _read_state(self, map_location)
        report = logging.active()
        if report is not None and self.run not in (None, report.run_dir.name):
            report.mark("resumed", step=self.step, saved_at=self.saved_at, run=self.run)
        return state


def listing(directory: Path) -> list[Checkpoint]:
    """List the checkpoints of a directory in the order of saving, whole or not."""
    found = (from_manifest(path) for path in directory.glob(f"{PREFIX}*.json"))
    return sorted((item for item in found if item is not None), key=lambda item: item.number)


def newest(directory: Path) -> tuple[Checkpoint | None, list[str]]:
    """Return the newest whole checkpoint of a directory, and a line on each newer one that is damaged."""
    damaged: list[str] = []
    for found in reversed(listing(directory)):
        reason = why_damaged(found)
        if reason is None:
            return found, damaged
        damaged.append(reason)
    return None, damaged


def why_damaged(checkpoint: Checkpoint) -> str | None:
    """Say what is wrong with a checkpoint's bytes, or `None` where they are those that were saved."""
    path = checkpoint.path
    if checkpoint_storage.place_of(path) is not None:
        return None  # its bytes are checked when they are here
    head = f"The checkpoint of step {checkpoint.step} ({path.name}) is not used:"
    try:
        status = path.stat()
        identity = (status.st_ino, status.st_size, status.st_mtime_ns)
        if status.st_size != checkpoint.num_bytes:
            return f"{head} it has {status.st_size} of {checkpoint.num_bytes} bytes."
        if _intact.get(path) == identity:
            return None
        digest = hashlib.sha256()
        with open(path, "rb") as file:
            while piece := file.read(_HASH_BYTES):
                digest.update(piece)
    except OSError as error:
        return f"{head} {error.strerror}."
    if digest.hexdigest() != checkpoint.sha256:
        return f"{head} its bytes are not those that were saved."
    _intact[path] = identity
    return None


def write_manifest(checkpoint: Checkpoint) -> None:
    """Write the manifest beside a checkpoint's state; from then on it is one."""
    write_json(
        checkpoint.path.with_suffix(".json"),
        {
            "format": FORMAT,
            "file": checkpoint.path.name,
            "number": checkpoint.number,
            "step": checkpoint.step,
            "saved_at": checkpoint.saved_at,
            "bytes": checkpoint.num_bytes,
            "best": checkpoint.best,
            "run": checkpoint.run,
            "next_call": checkpoint.next_call,
            "sha256": checkpoint.sha256,
        },
    )
    directory = os.open(checkpoint.path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def from_manifest(path: Path) -> Checkpoint | None:
    """Read a checkpoint's manifest; `None` where there is none, or it is none of this format."""
    told = read_json(path)
    if not isinstance(told, dict) or told.get("format") != FORMAT:
        return None
    try:
        name = told["file"]
        if os.path.basename(name) != name:
            return None
        return Checkpoint(
            path=path.parent / name,
            number=int(told["number"]),
            step=told["step"],
            saved_at=told["saved_at"],
            num_bytes=told["bytes"],
            best=told["best"],
            run=told["run"],
            next_call=told["next_call"],
            sha256=told["sha256"],
        )
    except (KeyError, TypeError, ValueError):
        return None


def write_state(state: Any, planned: Checkpoint) -> Checkpoint | None:
    """Write a state and its manifest; return the checkpoint, or `None` where the disk is full."""
    path = planned.path
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    writer: _HashingWriter | None = None
    try:
        with open(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
            writer = _HashingWriter(file)
            if path.suffix == ".pkl":
                pickle.dump(state, writer, protocol=5)
            else:
                sys.modules["torch"].save(state, writer)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
        saved = replace(planned, num_bytes=writer.num_bytes, sha256=writer.sha256.hexdigest())
        write_manifest(saved)
    except Exception as error:
        cause = writer.error if writer is not None and writer.error is not None else error
        if not isinstance(cause, OSError) or cause.errno not in NO_ROOM:
            raise
        path.unlink(missing_ok=True)
        return None
    finally:
        temporary.unlink(missing_ok=True)
    return saved


class _HashingWriter:
    """Passes bytes on to a file and follows their sha256; remembers why the file refused them."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()
        self.num_bytes = 0
        self.error: OSError | None = None

    def write(self, data: Any) -> int:
        view = memoryview(data).cast("B")
        try:
            self._file.write(view)
        except OSError as error:
            self.error = error
            raise
        self.sha256.update(view)
        self.num_bytes += len(view)
        return len(view)

    def flush(self) -> None:
        self._file.flush()


def _fetch(checkpoint: Checkpoint, place: str) -> None:
    try:
        checkpoint_storage.fetch(checkpoint.path, place)
    except (OSError, ImportError, ValueError) as error:
        text = f"The checkpoint of step {checkpoint.step} is kept at {place}, from where it cannot be fetched: {error}"
        raise ValueError(text) from error


def _read_state(checkpoint: Checkpoint, map_location: Any) -> Any:
    if checkpoint.path.suffix == ".pkl":
        with open(checkpoint.path, "rb") as file:
            return pickle.load(file)
    import torch

    try:
        return torch.load(checkpoint.path, map_location=map_location, weights_only=True)
    except pickle.UnpicklingError:
        # More than tensors and plain values; its bytes are those that this user saved.
        return torch.load(checkpoint.path, map_location=map_location, weights_only=False)


def prune(where: Path, keep: int) -> None:
    """Remove what is neither among the newest nor a best, and what a killed process left half-written."""
    found = listing(where)
    kept = {item.number for item in found[-keep:]} | set(
        {item.best: item.number for item in found if item.best is not None}.values()
    )
    for item in found:
        if item.number not in kept:
            item.path.with_suffix(".json").unlink(missing_ok=True)
            item.path.unlink(missing_ok=True)
            checkpoint_storage.pointer_of(item.path).unlink(missing_ok=True)
    numbers = {item.number for item in found}
    for path in where.glob(f"{PREFIX}*.p*"):
        if number_of(path) not in numbers:
            path.unlink(missing_ok=True)
    for path in where.glob(f".{PREFIX}*"):
        owner = path.name.rpartition(".")[2]
        if owner.isdecimal() and not processes.is_alive(int(owner), None):
            path.unlink(missing_ok=True)


def number_of(path: Path) -> int:
    """Return a checkpoint's number, which its file is named by, or 0 where that is no checkpoint's name."""
    text = path.stem.removeprefix(PREFIX)
    return int(text) if text.isdecimal() else 0
