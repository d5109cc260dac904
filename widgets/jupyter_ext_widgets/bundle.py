"""Where the browser half of the widgets is. Standard library only: the server extension imports this too."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TypedDict


class StaticFiles(TypedDict):
    """File names of the built code, each with a hash of its content."""

    panel: str
    plotly: str


class StaticFilesMissing(RuntimeError):
    """The browser half was never built."""


def static_dir() -> Path:
    """Return the folder that holds the built code."""
    return Path(__file__).parent / "static"


def static_files() -> StaticFiles:
    """Return the names of the built files.

    Raises:
        StaticFilesMissing: The browser half was not built.
    """
    manifest = static_dir() / "manifest.json"
    try:
        names = json.loads(manifest.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise StaticFilesMissing(
            f"{manifest} is missing: this is a source checkout whose browser half was not built. "
            "Run `npm ci && npm run build:prod` in its root."
        ) from None
    return StaticFiles(panel=names["panel"], plotly=names["plotly"])
