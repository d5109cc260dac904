"""A training's metrics as a file: the formats, and what `/native/trainings/{id}/exports` tells of them."""

from __future__ import annotations

from typing import Literal, get_args

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.trainings import Resource

ExportFormat = Literal["csv", "parquet", "tensorboard"]
EXPORT_FORMATS: tuple[ExportFormat, ...] = get_args(ExportFormat)

ENDINGS: dict[ExportFormat, str] = {"csv": ".csv", "parquet": ".parquet", "tensorboard": ".tensorboard.zip"}


class Export(Resource):
    """One format: what its file is called, and what keeps this engine from writing it, in one line with the next step."""

    format: ExportFormat
    file: str
    why_not: str | None = None


class Exports(Resource):
    """The formats that there are."""

    exports: list[Export]


def format_of(name: str) -> ExportFormat:
    """Return the format that a file's name asks for.

    Raises:
        InvalidInput: It asks for none.
    """
    for format, ending in ENDINGS.items():
        if name.lower().endswith(f".{ending.rpartition('.')[2]}"):
            return format
    raise InvalidInput(f"{name!r} has no ending of an export: .csv, .parquet, or .zip for TensorBoard.")
