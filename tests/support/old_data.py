"""The data directory in `tests/fixtures/data_before_rooms.tar.xz`, laid out for an engine of this tree."""

from __future__ import annotations

import json
import sqlite3
import sys
import tarfile
from pathlib import Path
from typing import Any

_FIXTURE = Path(__file__).parents[1] / "fixtures" / "data_before_rooms"
_MADE_IN = "/srv/jx"
"""Where the fixture was made; what it says of paths begins with it."""


def expected() -> dict[str, Any]:
    """Return what the tree that wrote it said of it."""
    return dict(json.loads(_FIXTURE.with_suffix(".json").read_text(encoding="utf-8")))


def unpack(root: Path) -> None:
    """Lay out `data` and `notebooks` in a directory, as if they had been written there with this interpreter."""
    with tarfile.open(f"{_FIXTURE}.tar.xz") as archive:
        archive.extractall(root, filter="tar")
    for path in (root / "data").glob("**/*.json"):
        text = path.read_text(encoding="utf-8")
        if _MADE_IN in text:
            path.write_text(_moved(text, root), encoding="utf-8")
    catalog = sqlite3.connect(root / "data" / "catalog.sqlite")
    for table, column in (("trainings", "resource"), ("versions", "manifest")):
        for id, text in catalog.execute(f"SELECT id, {column} FROM {table}").fetchall():
            if _MADE_IN in text:
                catalog.execute(f"UPDATE {table} SET {column} = ? WHERE id = ?", (_moved(text, root), id))
    catalog.commit()
    catalog.close()


def lose_catalog(root: Path) -> None:
    """Remove the catalog, which an engine makes anew."""
    for path in (root / "data").glob("catalog.sqlite*"):
        path.unlink()


def _moved(text: str, root: Path) -> str:
    return text.replace(f"{_MADE_IN}/venv/bin/python", sys.executable).replace(_MADE_IN, str(root))
