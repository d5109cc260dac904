"""`jx.import_runs(path)`: whatever another tool has left there becomes trainings of the table."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from jupyter_ext.client.imports import other_stores, tensorboard, wandb_files
from jupyter_ext.client.imports.encoding import encode
from jupyter_ext.client.imports.found import FoundRun
from jupyter_ext.client.requests.background_loop import loop_thread
from jupyter_ext.client.requests.process_client import client
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.client.trainings.listing import TrainingList
from jupyter_ext.errors import InvalidInput

_MAX_RUNS = 1_000


def import_runs(path: str | os.PathLike[str], name: str | None = None) -> TrainingList:
    """Make trainings of the runs that TensorBoard, wandb (offline), mlflow (in files) or trackio has recorded.

    Args:
        path: An event file or a `.wandb` file, a folder below which there are some, an `mlruns` folder, or a database of trackio.
        name: What to call them; by default what they are called there.

    Returns:
        The new trainings. The files stay as they are; importing them twice makes them twice.

    Raises:
        InvalidInput: There is nothing of that kind.
    """
    where = Path(path).expanduser()
    runs = [run for run in _found(where) if run.metrics or run.pictures or run.items]
    if not runs:
        raise InvalidInput(
            f"There are no runs at {os.fspath(path)!r}: neither event files of TensorBoard, nor files of wandb or "
            "mlflow, nor a database of trackio."
        )
    if len(runs) > _MAX_RUNS:
        raise InvalidInput(
            f"There are {len(runs)} runs at {os.fspath(path)!r}; import at most {_MAX_RUNS} at once."
        )
    made = []
    for run in runs:
        body = encode(run, name or run.name)
        made.append(Training(client(), loop_thread().run(client().import_run(body))))
    return TrainingList(made)


def _found(where: Path) -> Iterator[FoundRun]:
    if where.is_file() and where.suffix in (".db", ".sqlite"):
        try:
            yield from other_stores.trackio_runs(where)
        except ValueError as error:
            raise InvalidInput(f"{error}.") from None
    elif where.is_file() and where.suffix == ".wandb":
        yield wandb_files.read(where)
    elif where.is_file():
        yield tensorboard.read(where, where.parent.name or where.name)
    elif where.is_dir():
        folders = sorted({file.parent for file in where.rglob("*tfevents*") if file.is_file()})
        for folder in folders:
            relative = folder.relative_to(where).as_posix()
            yield tensorboard.read(folder, where.resolve().name if relative == "." else relative)
        yield from other_stores.mlflow_runs(where)
        yield from map(wandb_files.read, sorted(where.rglob("*.wandb")))
