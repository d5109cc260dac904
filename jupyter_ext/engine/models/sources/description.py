"""What is known of a model's files, whether they are here or on a hub."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.protocol.models import ModelFile


@dataclass(frozen=True)
class ModelDescription:
    """A model's files; sizes in bytes."""

    revision: str | None = None
    path: Path | None = None
    files: Sequence[ModelFile] = ()
    bytes: int | None = None
    memory_bytes: int | None = None
    num_parameters: int | None = None
    dtype: str | None = None
    architecture: str | None = None
    tokenizer: bool = False
    notices: Sequence[str] = ()
