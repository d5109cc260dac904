"""Which notebook and which of its cells this process is running, as far as its front end says."""

from __future__ import annotations

import os
import sys
import time
from typing import TypedDict

PATH_VARIABLE = "JPY_SESSION_NAME"
"""Source: jupyter_server, which gives a kernel the path of its notebook; names of consoles end otherwise."""


class NotebookPlace(TypedDict):
    """A cell: the notebook's path, empty where it is not known, and the cell's id."""

    notebook: str
    cell: str


class ShownIn(TypedDict):
    """The notebook that an output was made in: by it a page knows the outputs of a copy. `at` is Unix seconds."""

    notebook: str
    at: float


def shown_in() -> ShownIn | None:
    """Return the notebook that is being run, as an output keeps it, or `None` where none says so."""
    place = notebook_place()
    return {"notebook": place["notebook"], "at": time.time()} if place and place["notebook"] else None


def notebook_place() -> NotebookPlace | None:
    """Return the cell that is being run, or `None` where no notebook says so.

    Source: JupyterLab and Notebook 7 send `cellId` in the metadata of each `execute_request`.
    """
    shells = sys.modules.get("IPython.core.interactiveshell")
    shell = None if shells is None else shells.InteractiveShell._instance
    parent = getattr(shell, "parent_header", None)
    metadata = parent.get("metadata") if isinstance(parent, dict) else None
    cell = metadata.get("cellId") if isinstance(metadata, dict) else None
    if not isinstance(cell, str) or not cell:
        return None
    path = os.environ.get(PATH_VARIABLE, "")
    return {"notebook": path if path.endswith(".ipynb") else "", "cell": cell}
