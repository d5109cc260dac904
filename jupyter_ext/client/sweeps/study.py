"""The sweep's memory: an Optuna study in a journal in the run's directory, which outlives whoever writes it.

Rule: one process at a time drives a study, and one that was killed while it wrote harms nothing: the torn line is cut off.
"""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import optuna
from optuna.storages.journal import JournalFileBackend, JournalStorage
from optuna.trial import FrozenTrial, TrialState

from jupyter_ext.client.sweeps.plan import Direction
from jupyter_ext.worker.sdk.logging import should_stop

FILE_NAME = "study.journal"
LOST = "lost"
"""Attribute of a trial that did not end by itself: it does not count, and its inputs are tried again."""
_NAME = "sweep"
_NUM_STARTUP_TRIALS = 5
_WAIT_S = 0.1
_GRID = 64
"""Of a long curve so many steps, and twice as many at most, are compared with those of other trials."""


class _NoLock:
    """The journal is locked as a whole, by `driving`."""

    def acquire(self) -> bool:
        return True

    def release(self) -> None:
        return


@contextmanager
def driving(directory: Path) -> Iterator[Path]:
    """Hold a study alone, and wait for whoever holds it; yield its journal, whole."""
    path = directory / FILE_NAME
    file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        _lock(file)
        _cut_torn_line(file)
        yield path
    finally:
        os.close(file)


def open_study(
    journal: Path, direction: Direction, *, prune: bool, parallel: int, seed: int | None
) -> optuna.Study:
    """Open a study, or make it where there is none."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    storage = JournalStorage(JournalFileBackend(str(journal), lock_obj=_NoLock()))  # type: ignore[arg-type]
    study = optuna.create_study(storage=storage, study_name=_NAME, direction=direction, load_if_exists=True)
    # a seed begins anew with each process: the number of trials keeps it from repeating what it chose before
    chosen = None if seed is None else seed + len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=chosen, constant_liar=parallel > 1)
    startup = _NUM_STARTUP_TRIALS
    study.pruner = optuna.pruners.MedianPruner(startup) if prune else optuna.pruners.NopPruner()
    return study


def counts(trial: FrozenTrial) -> bool:
    """Tell whether a trial is one of those that were asked for."""
    return trial.state.is_finished() and LOST not in trial.user_attrs


def best_of(study: optuna.Study) -> FrozenTrial | None:
    """Return the best trial so far."""
    done = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    return study.best_trial if done else None


def is_compared(step: int) -> bool:
    """Tell whether this step of a curve is compared with that of other trials: a grid that gets coarser, the same for all."""
    return step >= 0 and step % (1 << max(0, step.bit_length() - _GRID.bit_length() + 1)) == 0


def _lock(file: int) -> None:
    told = False
    while True:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if not told:
                print("Waits for the process that drives this sweep now.")
                told = True
            if should_stop():
                raise KeyboardInterrupt from None
            time.sleep(_WAIT_S)


def _cut_torn_line(file: int) -> None:
    content = os.pread(file, os.fstat(file).st_size, 0)
    os.ftruncate(file, content.rfind(b"\n") + 1)
