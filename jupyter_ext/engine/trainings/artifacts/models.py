"""Models and their versions: those that somebody made by name, and those that come with the code of a cell.

Rule: a model from a cell exists as long as it has a version; nobody made it, and nobody can delete it but by those.
"""

from __future__ import annotations

import re
import time
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from jupyter_ext.engine.catalog.catalog import Catalog
from jupyter_ext.engine.common.clock import rfc3339
from jupyter_ext.engine.common.paging import Cursor
from jupyter_ext.engine.files.named_models import ModelStore, StoredModel
from jupyter_ext.engine.files.uploads import FileStore
from jupyter_ext.engine.trainings.artifacts.versions import Version, Versions
from jupyter_ext.protocol.problems import InvalidField, Problem, invalid_input, not_found

_PART = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9._-]{0,126}[a-zA-Z0-9])?")
TEXT_FIELDS = ("description", "github_url", "paper_url", "license_url", "cover_image_url", "hardware")
_NO_VERSION = "The specified version does not exist (or perhaps you don't have permission to use it?)"


class Models:
    """All models and versions of this engine."""

    def __init__(self, store: ModelStore, versions: Versions, files: FileStore, catalog: Catalog) -> None:
        self._store = store
        self._versions = versions
        self._files = files
        self._catalog = catalog

    async def get(self, full_name: str) -> StoredModel:
        """Return a model.

        Raises:
            Problem: There is none of this owner and name.
        """
        if model := self._store.get(full_name):
            return model
        implied = await self._catalog.version_models()
        if full_name not in implied:
            raise not_found("model", full_name, "POST /v1/models makes one.")
        return _implied(full_name, implied[full_name])

    async def all(self) -> list[StoredModel]:
        """List all models, newest first."""
        implied = await self._catalog.version_models()
        found = self._store.all()
        known = {model.full_name for model in found}
        found += [_implied(name, at) for name, at in implied.items() if name not in known]
        return sorted(found, key=lambda model: (model.created_at, model.full_name), reverse=True)

    async def search(self, text: str) -> list[StoredModel]:
        """List the models whose name or description has every word of a text."""
        words = text.lower().split()
        return [
            model
            for model in await self.all()
            if all(word in f"{model.full_name} {model.description or ''}".lower() for word in words)
        ]

    async def create(self, body: Mapping[str, object]) -> StoredModel:
        """Make a model.

        Raises:
            Problem: A field is missing or wrong, or there is one of this name.
        """
        wrong = [
            InvalidField("required", name, f"{name} is required: letters, digits, '.', '_' and '-'")
            for name in ("owner", "name")
            if not _PART.fullmatch(str(body.get(name, "")))
        ]
        changes = _fields(body, wrong)
        full_name = f"{body.get('owner')}/{body.get('name')}"
        if not wrong and (self._store.get(full_name) or full_name in await self._catalog.version_models()):
            wrong.append(
                InvalidField("unique", "name", f"A model {full_name} exists already; take it as it is")
            )
        if wrong:
            raise invalid_input(wrong)
        model = StoredModel(str(body["owner"]), str(body["name"]), rfc3339(time.time()))
        self._store.put(replace(model, **changes))
        return await self.get(full_name)

    async def update(self, full_name: str, body: Mapping[str, object]) -> StoredModel:
        """Change what a model says of itself.

        Raises:
            Problem: There is no such model, or a field is wrong.
        """
        model = await self.get(full_name)
        wrong: list[InvalidField] = []
        changes = _fields(body, wrong)
        if wrong:
            raise invalid_input(wrong)
        if self._store.get(full_name) is None:
            self._store.put(model)
        return self._store.change(full_name, changes)

    async def delete(self, full_name: str) -> None:
        """Delete a model without versions.

        Raises:
            Problem: There is no such model, or it has versions.
        """
        await self.get(full_name)
        if await self._catalog.list_versions(full_name, limit=1):
            detail = f"{full_name} has versions; delete them first."
            raise Problem(400, "Model has versions", detail)
        self._store.delete(full_name)

    async def require_destination(self, given: Any) -> str:
        """Check where a training is to go.

        Raises:
            Problem: It is no owner/name, or there is no such model.
        """
        if not isinstance(given, str) or not re.fullmatch(rf"{_PART.pattern}/{_PART.pattern}", given):
            says = f"destination={str(given)[:60]!r} is not of the form owner/name"
            raise invalid_input([InvalidField("type", "destination", says)])
        if self._store.get(given) is None and given not in await self._catalog.version_models():
            raise Problem(404, "Not found", "The specified training destination does not exist")
        return given

    async def num_runs(self, full_name: str) -> int:
        """Count the trainings and predictions of a model's versions."""
        return await self._catalog.num_runs(full_name)

    async def versions(
        self, full_name: str, limit: int, cursor: Cursor | None = None
    ) -> list[tuple[Version, str]]:
        """List a model's versions, newest first, each with when it was made.

        Raises:
            Problem: There is no such model.
        """
        await self.get(full_name)
        rows = await self._catalog.list_versions(full_name, limit, cursor)
        found = [(self._versions.find(row["id"]), row["created_at"]) for row in rows]
        return [(version, created_at) for version, created_at in found if version is not None]

    async def version(self, full_name: str, version_id: str) -> tuple[Version, str]:
        """Return a version and when it was made.

        Raises:
            Problem: There is no such version of that model.
        """
        await self.get(full_name)
        version, row = self._versions.find(version_id), await self._catalog.get_version(version_id)
        if version is None or row is None or version.model != full_name:
            raise not_found(
                "version", version_id[:64], f"GET /v1/models/{full_name}/versions lists those there are."
            )
        return version, row["created_at"]

    async def delete_version(self, full_name: str, version_id: str) -> None:
        """Delete a version and its weights; its runs stay.

        Raises:
            Problem: There is no such version.
        """
        version, _ = await self.version(full_name, version_id)
        await self._catalog.delete_version(version.id)
        self._versions.delete(version.id)
        if version.trained and version.trained.weights:
            self._files.delete(version.trained.weights)

    async def resolve(self, reference: str) -> Version:
        """Find the version that `hash`, `owner/name:hash` or `owner/name` (its newest) names.

        Raises:
            Problem: It names none.
        """
        full_name, _, version_id = reference.rpartition(":") if ":" in reference else ("", "", reference)
        if "/" in version_id:
            newest = await self._catalog.list_versions(version_id, limit=1)
            full_name, version_id = version_id, newest[0]["id"] if newest else ""
        version = self._versions.find(version_id)
        if version is None or (full_name and version.model != full_name):
            raise Problem(422, "Invalid version or not permitted", _NO_VERSION)
        return version


def _implied(full_name: str, created_at: str) -> StoredModel:
    owner, _, name = full_name.partition("/")
    return StoredModel(owner, name, created_at)


def _fields(body: Mapping[str, object], wrong: list[InvalidField]) -> dict[str, Any]:
    """Read the fields that a client may set; what is wrong goes into `wrong`."""
    changes: dict[str, Any] = {}
    for name in TEXT_FIELDS:
        value = body.get(name)
        if value is not None and not isinstance(value, str):
            wrong.append(InvalidField("type", name, f"{name}={str(value)[:40]!r} is not a text"))
        elif name in body:
            changes[name] = value
    if "visibility" in body:
        if body["visibility"] not in ("public", "private"):
            says = f"visibility={str(body['visibility'])[:40]!r} is neither public nor private"
            wrong.append(InvalidField("enum", "visibility", says))
        changes["visibility"] = body["visibility"]
    return changes
