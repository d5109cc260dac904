"""Trainings into the catalog, and out of its rows.

Rule: one row that makes no sense never fails a list; what its columns say stands in for it.
"""

from __future__ import annotations

from typing import Literal, cast

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.catalog.rows import TrainingRow
from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.health import report
from jupyter_ext.protocol.trainings import TERMINAL, Status, Training, Urls


async def put_training(catalog: Catalog, training: Training) -> None:
    """Put a training or prediction as clients see it into the catalog; a trial of a sweep has a kind of its own there."""
    is_trial = training.sweep is not None and training.sweep.trial is not None
    await catalog.put_training(
        training.id,
        name=training.name,
        model=training.model,
        version=training.version,
        status=training.status,
        created_at=training.created_at,
        started_at=training.started_at,
        completed_at=training.completed_at,
        kind="trial" if is_trial else training.kind,
        resource=training.model_dump(mode="json", exclude_none=True),
    )


def training_of(row: TrainingRow) -> Training:
    """Return the training of a row; see `Catalog.get_training`."""
    try:
        return Training.model_validate(row["resource"])
    except (ValueError, TypeError) as error:
        reason = records.why(error)
        report(f"catalog {row['id']}", f"The record of training {row['id']} cannot be read ({reason}).")
        return _stand_in(row)


def _stand_in(row: TrainingRow) -> Training:
    """Return what the columns of a row say of a training."""
    is_known = row["status"] in {"starting", "processing", *TERMINAL}
    kind: Literal["training", "prediction"] = "prediction" if row["kind"] == "prediction" else "training"
    return Training(
        id=row["id"],
        model=row["model"],
        version=row["version"],
        status=cast("Status", row["status"]) if is_known else "failed",
        created_at=row["created_at"],
        started_at=row["started_at"],
        completed_at=row["completed_at"],
        name=row["name"],
        kind=kind,
        urls=Urls(get=f"/v1/{kind}s/{row['id']}", cancel=f"/v1/{kind}s/{row['id']}/cancel"),
        notices=["The record of this run in the catalog cannot be read; its files are kept."],
    )
