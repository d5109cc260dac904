"""The formats of an export: what their files are called, who writes them, and what an installation may lack for it."""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from typing import Protocol

from jupyter_ext.engine.trainings.export.csv_writer import CsvWriter
from jupyter_ext.engine.trainings.export.parquet_writer import ParquetWriter
from jupyter_ext.engine.trainings.export.points import Stretch
from jupyter_ext.engine.trainings.export.tensorboard_writer import TensorboardWriter
from jupyter_ext.protocol.exports import ExportFormat

MEDIA_TYPES: dict[ExportFormat, str] = {
    "csv": "text/csv; charset=utf-8",
    "parquet": "application/vnd.apache.parquet",
    "tensorboard": "application/zip",
}
_MAX_NAME = 100


class Writer(Protocol):
    """Writes one file. All of it may take long, so it is called in a thread."""

    def begin(self) -> bytes:
        """Return how the file begins."""
        ...

    def add(self, piece: Sequence[Stretch]) -> bytes:
        """Take points; return what can be sent by now."""
        ...

    def end(self) -> bytes:
        """Return the rest of the file."""
        ...


def file_stem(name: str) -> str:
    """Return what a training is called, as far as any disk takes that."""
    kept = re.sub(r"[^\w.-]+", "-", name).lstrip(".-").rstrip("-")
    return kept[:_MAX_NAME] or "training"


def writer_of(format: ExportFormat, name: str, run_id: str, started_at: float) -> Writer:
    """Return a writer for one file.

    Args:
        format: Of the file.
        name: What the training is called.
        run_id: Its id.
        started_at: When it began, Unix s.

    Raises:
        ImportError: This installation lacks a library; see `what_is_missing`.
    """
    if format == "csv":
        return CsvWriter()
    if format == "parquet":
        return ParquetWriter()
    return TensorboardWriter(file_stem(name), run_id, started_at)


def what_is_missing(format: ExportFormat, *, sealed: bool) -> str | None:
    """Say what a format needs that the engine cannot import, and how to get it. Imports it, so call it in a thread.

    Args:
        format: Of the file.
        sealed: Whether points have to be read from Parquet first, whatever they are written to.
    """
    if format != "parquet" and not sealed:
        return None
    try:
        import pyarrow.parquet  # noqa: F401
    except ImportError as error:
        what = "Parquet" if format == "parquet" else "Reading the stored points of this training"
        return (
            f"{what} needs pyarrow, which the engine cannot import ({error}). "
            f"`{sys.executable} -m pip install pyarrow`, then `%engine restart`."
        )
    return None
