"""How a handle shows itself in a notebook: live where the magics are loaded, and by its MIME bundle everywhere else.

Rule: this layer knows no widgets. The magics set `renderer`, once and for every kind of handle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

Kind = Literal["training", "trainings", "compare", "models", "session", "debug_training"]

renderer: Callable[[Kind, Any], None] | None = None
"""Displays a handle or a list of the given kind as a live view."""


def show(kind: Kind, handle: object, static: Callable[[], Mapping[str, object]]) -> None:
    """Display a handle.

    Args:
        kind: What it is.
        handle: What is displayed.
        static: Returns its MIME bundle, for where nothing of ours draws it live.
    """
    if renderer is not None:
        renderer(kind, handle)
        return
    from IPython.display import display

    display(dict(static()), raw=True)
