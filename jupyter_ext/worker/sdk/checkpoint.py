"""`checkpoint.save`, `checkpoint.latest`, `checkpoint.load`: a state from which a training can go on. Standard library only.

    <run>/checkpoints/checkpoint-<n>.pt | .pkl      the state, written under another name, fsynced, then renamed
    <run>/checkpoints/checkpoint-<n>.json           its manifest, written last: step, time, bytes, sha256, best, run

Rule: a state without its manifest is no checkpoint, and one whose bytes do not give the sha256 of its manifest is never
used: the one before it is. One process of a training saves (rank 0); any may load.
"""

from __future__ import annotations

import hashlib
import math
import os
import pickle
import sys
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from jupyter_ext.ipc import processes
from jupyter_ext.ipc.json_files import NO_ROOM, read_json, write_json
from jupyter_ext.worker.sdk import logging

FORMAT = 1
DIRECTORY = "checkpoints"
KEEP = 2
"""Newest checkpoints that stay."""
_PREFIX = "checkpoint-"
_BEST = "best"
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
        """Return the saved state; see `checkpoint.load`."""
        return load(self, map_location=map_location)


# -- what training code calls -----------------------------------------------------------------------------------------


def save(
    state: Any,
    *,
    step: float | None = None,
    best: bool | str = False,
    keep: int = KEEP,
    directory: str | os.PathLike[str] | None = None,
) -> Checkpoint | None:
    """Save a state, such as `{"model": model.state_dict(), "optimizer": optimizer.state_dict()}`, whole or not at all.

    Args:
        state: Anything that `torch.save`, or without torch `pickle`, takes.
        step: Where the training is; by default the step of the last `log()`.
        best: Whether it is the best so far. It stays until a better one is saved; by a name (`best="recall"`) there
            can be several bests.
        keep: How many of the newest stay, from 1.
        directory: Where it goes; by default to the run.

    Returns:
        The checkpoint, or `None` where the disk is full: that is told, and the one before stays. A rank other than 0 saves none.

    Raises:
        ValueError: `keep` is below 1, or there is neither a run nor a directory.
    """
    if keep < 1:
        raise ValueError(f"checkpoint.save(keep={keep}): keep at least 1.")
    if directory is None and _is_other_rank():
        return None
    where = _directory(directory)
    where.mkdir(mode=0o700, parents=True, exist_ok=True)
    began, report = time.time(), logging.active()
    number = 1 + max((_number(path) for path in where.glob(f"{_PREFIX}*")), default=0)
    at = _step_of(step, number, report)
    suffix = "pkl" if sys.modules.get("torch") is None else "pt"
    planned = Checkpoint(
        path=where / f"{_PREFIX}{number}.{suffix}",
        number=number,
        step=at,
        saved_at=began,
        num_bytes=0,
        best=(best if isinstance(best, str) else _BEST) if best else None,
        run=None if report is None else report.run_dir.name,
        next_call=0 if report is None else report.num_calls,
        sha256="",
    )
    saved = _write(state, planned)
    if saved is None:
        logging.tell(f"checkpoint.save: the disk is full, so nothing was saved at step {at}.")
        return None
    _prune(where, keep)
    if report is not None:
        report.mark(
            "checkpoint",
            step=saved.step,
            saved_at=began,
            bytes=saved.num_bytes,
            best=saved.best,
            took_s=round(time.time() - began, 3),
        )
    return saved


def latest(directory: str | os.PathLike[str] | None = None) -> Checkpoint | None:
    """Return the newest checkpoint that is whole, in a resumed training also that of the run before; else `None`.

    Args:
        directory: Where to look; by default in the run.
    """
    if directory is None and logging.active() is None and "JUPYTER_EXT_RUN_DIR" not in os.environ:
        return None
    found, damaged = newest(_directory(directory))
    for text in damaged:
        logging.tell(text)
    return found


def load(
    which: Checkpoint | str | os.PathLike[str] | None = None,
    *,
    map_location: Any = "cpu",
    directory: str | os.PathLike[str] | None = None,
) -> Any:
    """Return a saved state.

    Args:
        which: A checkpoint or its file, or the name of a best (`"best"`); by default the latest.
        map_location: Where tensors go, as of `torch.load`; `load_state_dict` moves them on to the model's device.
        directory: Where to look; by default in the run.

    Raises:
        FileNotFoundError: There is no such checkpoint; `checkpoint.latest()` is `None` then.
        ValueError: The one asked for is damaged.
    """
    found = _find(which, directory)
    if found is None:
        where = "the run" if directory is None else os.fspath(directory)
        raise FileNotFoundError(
            f"There is no checkpoint {which or ''} in {where}; ask checkpoint.latest() first.".replace(
                "  ", " "
            )
        )
    if (reason := why_damaged(found)) is not None:
        raise ValueError(reason)
    state = _read(found, map_location)
    report = logging.active()
    if report is not None and found.run not in (None, report.run_dir.name):
        report.mark("resumed", step=found.step, saved_at=found.saved_at, run=found.run)
    return state


# -- what the engine shares -------------------------------------------------------------------------------------------


def listing(directory: Path) -> list[Checkpoint]:
    """List the checkpoints of a directory in the order of saving, whole or not."""
    found = (_from_manifest(path) for path in directory.glob(f"{_PREFIX}*.json"))
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


# -- inside -----------------------------------------------------------------------------------------------------------


def _write(state: Any, planned: Checkpoint) -> Checkpoint | None:
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


def _is_other_rank() -> bool:
    """Tell whether this is a rank of a group other than 0, which has no directory for checkpoints of its own."""
    if os.environ.get("RANK", "0") in ("", "0"):
        return False
    logging.tell("checkpoint.save: of a group of workers only rank 0's state is saved.")
    return True


def _directory(given: str | os.PathLike[str] | None) -> Path:
    if given is not None:
        return Path(given)
    report = logging.active()
    if report is not None:
        return report.run_dir / DIRECTORY
    run_dir = os.environ.get("JUPYTER_EXT_RUN_DIR")  # a process that the training has started
    if run_dir is None:
        raise ValueError("checkpoint: outside of a training say where, as in directory='checkpoints'.")
    return Path(run_dir) / DIRECTORY


def _find(
    which: Checkpoint | str | os.PathLike[str] | None, directory: str | os.PathLike[str] | None
) -> Checkpoint | None:
    if isinstance(which, Checkpoint):
        return which
    if which is None:
        return latest(directory)
    if os.path.isfile(which):
        return _from_manifest(Path(which).with_suffix(".json"))
    bests = [item for item in listing(_directory(directory)) if item.best == os.fspath(which)]
    return bests[-1] if bests else None


def _from_manifest(path: Path) -> Checkpoint | None:
    told = read_json(path)
    if (
        not isinstance(told, dict)
        or told.get("format") != FORMAT
        or os.path.basename(told["file"]) != told["file"]
    ):
        return None
    return Checkpoint(
        path.parent / told["file"],
        told["number"],
        told["step"],
        told["saved_at"],
        told["bytes"],
        told["best"],
        told["run"],
        told["next_call"],
        told["sha256"],
    )


def _read(checkpoint: Checkpoint, map_location: Any) -> Any:
    if checkpoint.path.suffix == ".pkl":
        with open(checkpoint.path, "rb") as file:
            return pickle.load(file)
    import torch

    try:
        return torch.load(checkpoint.path, map_location=map_location, weights_only=True)
    except (
        pickle.UnpicklingError
    ):  # more than tensors and plain values; its bytes are those that this user saved
        return torch.load(checkpoint.path, map_location=map_location, weights_only=False)


def _prune(where: Path, keep: int) -> None:
    """Remove what is neither among the newest nor a best, and what a killed process left half-written."""
    found = listing(where)
    kept = {item.number for item in found[-keep:]} | set(
        {item.best: item.number for item in found if item.best is not None}.values()
    )
    for item in found:
        if item.number not in kept:
            item.path.with_suffix(".json").unlink(missing_ok=True)
            item.path.unlink(missing_ok=True)
    numbers = {item.number for item in found}
    for path in where.glob(f"{_PREFIX}*.p*"):
        if _number(path) not in numbers:
            path.unlink(missing_ok=True)
    for path in where.glob(f".{_PREFIX}*"):
        owner = path.name.rpartition(".")[2]
        if owner.isdecimal() and not processes.is_alive(int(owner), None):
            path.unlink(missing_ok=True)


def _number(path: Path) -> int:
    text = path.stem.removeprefix(_PREFIX)
    return int(text) if text.isdecimal() else 0


def _step_of(step: Any, number: int, report: logging.Reporter | None) -> float:
    """Return the step to save at: the one given, where that is a finite number, or that of the last `log()`."""
    if step is not None:
        try:
            given = float(step.item() if hasattr(step, "item") else step)
        except (OverflowError, TypeError, ValueError):
            given = math.nan
        if math.isfinite(given):
            return int(given) if given.is_integer() else given
        logging.tell(f"checkpoint.save: step={step!r:.40} is not one finite number; the last step is taken.")
    last = float(number if report is None else report.last_step)
    return int(last) if last.is_integer() else last


__all__ = ["Checkpoint", "latest", "load", "save"]
