"""A training's metrics as a file: the formats, and what `/native/trainings/{id}/exports` tells of them."""

from __future__ import annotations

from typing import Literal, get_args

from jupyter_ext.protocol.trainings import Resource

ExportFormat = Literal["csv", "parquet", "tensorboard"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)


class Export(Resource):
    """One format: what its file is called, and what keeps this engine from writing it, in one line with the next step."""

    format: ExportFormat
    file: str
    why_not: str | None = None


class Exports(Resource):
    """The formats that there are."""

    exports: list[Export]
