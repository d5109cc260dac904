"""Trainings out of rows of the catalog.

Rule: one row that makes no sense never fails a list; what its columns say stands in for it.
"""

from __future__ import annotations

from typing import Literal, cast

from jupyter_ext.engine.catalog.rows import TrainingRow
from jupyter_ext.engine.common import records
from jupyter_ext.engine.common.health import report
from jupyter_ext.protocol.trainings import TERMINAL, Status, Training, Urls


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
