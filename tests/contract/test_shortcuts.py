"""Our keyboard shortcuts take none away that JupyterLab has."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LAB_SCHEMAS = Path(sys.prefix) / "share" / "jupyter" / "lab" / "schemas" / "@jupyterlab"


def test_no_shortcut_of_jupyterlab_is_taken() -> None:
    taken = {keys: command for command, keys in _shortcuts(LAB_SCHEMAS)}
    assert taken[("D", "D")] == "notebook:delete-cell"
    ours = list(_shortcuts(ROOT / "labextension" / "schema"))
    assert ours
    assert [(command, keys, taken[keys]) for command, keys in ours if keys in taken] == []


def _shortcuts(folder: Path) -> Iterator[tuple[str, tuple[str, ...]]]:
    for path in sorted(folder.rglob("*.json")):
        schema = json.loads(path.read_text())
        for shortcut in schema.get("jupyter.lab.shortcuts", ()):
            yield shortcut["command"], tuple(shortcut["keys"])
