"""Rows of the catalog as they are read: columns as SQLite has them, JSON as what it says."""

from __future__ import annotations

from typing import TypedDict

from jupyter_ext.ipc.json_types import JsonValue


class TrainingRow(TypedDict):
    """A training or prediction; `resource` is its JSON, `None` where somebody has damaged it."""

    id: str
    name: str
    model: str
    version: str
    status: str
    created_at: str
    started_at: str | None
    completed_at: str | None
    updated_at: str
    kind: str
    tags: str
    notes: str
    search: str
    resource: JsonValue


class VersionItem(TypedDict):
    """A version in a list."""

    id: str
    model: str
    created_at: str


class VersionRow(VersionItem):
    """A version with its manifest, which is `None` where somebody has damaged it."""

    manifest: JsonValue
