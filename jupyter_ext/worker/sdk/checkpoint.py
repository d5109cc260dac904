"""`checkpoint.save`, `checkpoint.latest`, `checkpoint.load`: a state from which a training can go on. Standard library only.

Rule: one process of a training saves (rank 0); any may load. What a checkpoint is on disk is `checkpoint_files`'.
"""

from __future__ import annotations

import math
import os
import sys
import time
from pathlib import Path
from typing import Any

from jupyter_ext.worker.sdk import logging
from jupyter_ext.worker.sdk.checkpoint_files import (
    DIRECTORY,
    PREFIX,
    Checkpoint,
    from_manifest,
    listing,
    newest,
    number_of,
    prune,
    write_state,
)

KEEP = 2
"""Newest checkpoints that stay."""
_BEST = "best"


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
    number = 1 + max((number_of(path) for path in where.glob(f"{PREFIX}*")), default=0)
    at = _step_of(step, number, report)
    suffix = "pkl" if sys.modules.get("torch") is None else "pt"
    planned = Checkpoint(
        path=where / f"{PREFIX}{number}.{suffix}",
        number=number,
        step=at,
        saved_at=began,
        num_bytes=0,
        best=(best if isinstance(best, str) else _BEST) if best else None,
        run=None if report is None else report.run_dir.name,
        next_call=0 if report is None else report.num_calls,
        sha256="",
    )
    saved = write_state(state, planned)
    if saved is None:
        logging.tell(f"checkpoint.save: the disk is full, so nothing was saved at step {at}.")
        return None
    prune(where, keep)
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
    return found.load(map_location)


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
        return from_manifest(Path(which).with_suffix(".json"))
    bests = [item for item in listing(_directory(directory)) if item.best == os.fspath(which)]
    return bests[-1] if bests else None


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
