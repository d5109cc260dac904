"""Models that somebody made by name, so that trainings have a destination. A model is a JSON file.

Rule: files are named by a hash of owner and name, never by what a user typed.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common import records


@dataclass(frozen=True)
class StoredModel:
    """One model. `created_at` is RFC 3339 UTC."""

    owner: str
    name: str
    created_at: str
    visibility: str = "private"
    hardware: str | None = None
    description: str | None = None
    github_url: str | None = None
    paper_url: str | None = None
    license_url: str | None = None
    cover_image_url: str | None = None

    @property
    def full_name(self) -> str:
        """Owner and name."""
        return f"{self.owner}/{self.name}"


class ModelStore:
    """All models that were made by name."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._models: dict[str, StoredModel] = {}

    def open(self) -> None:
        """Read all of them."""
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        for path in sorted(self._directory.glob("*.json")):
            model = records.read_record(path, StoredModel)
            if model is not None:
                self._models[model.full_name] = model

    def get(self, full_name: str) -> StoredModel | None:
        """Find a model by owner and name."""
        return self._models.get(full_name)

    def all(self) -> list[StoredModel]:
        """List them."""
        return list(self._models.values())

    def put(self, model: StoredModel) -> None:
        """Keep a model, in place of one of the same name."""
        records.replace(self._path(model.full_name), asdict(model))
        self._models[model.full_name] = model

    def change(self, full_name: str, changes: dict[str, Any]) -> StoredModel:
        """Change fields of a model.

        Raises:
            KeyError: There is none.
        """
        model = replace(self._models[full_name], **changes)
        self.put(model)
        return model

    def delete(self, full_name: str) -> None:
        """Forget a model."""
        if self._models.pop(full_name, None) is not None:
            self._path(full_name).unlink(missing_ok=True)

    def _path(self, full_name: str) -> Path:
        return self._directory / f"{hashlib.sha256(full_name.encode()).hexdigest()[:32]}.json"
