"""Where a request comes from: this process's interpreter, directory, import path and variables.

Rule: nothing here is written anywhere; the engine hands the variables to a worker in memory.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from typing import NotRequired, TypedDict

from jupyter_ext.client.requests.notebook_place import NotebookPlace, notebook_place
from jupyter_ext.client.requests.process_settings import process_settings
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.start_environment import SETTINGS_VARIABLE

_NOT_FOR_WORKERS = ("JPY_", "KERNEL_")


class Origin(TypedDict):
    """Where a request comes from, as the engine takes it; `started_from` is the notebook's cell, where there is one."""

    python: str
    cwd: str
    sys_path: list[str]
    environ: dict[str, str]
    started_from: NotRequired[NotebookPlace]


def current_directory() -> str:
    """Return this process's directory.

    Raises:
        InvalidInput: It was deleted.
    """
    try:
        return os.getcwd()
    except FileNotFoundError:
        raise InvalidInput(
            "The notebook's folder was deleted, so nothing can run in it; go to another one first: %cd ~"
        ) from None


def origin() -> Origin:
    """Return where this process is: its interpreter, directory, import path and variables.

    Raises:
        InvalidInput: Its directory was deleted.
    """
    made: Origin = {
        "python": sys.executable,
        "cwd": current_directory(),
        "sys_path": [entry for entry in sys.path if entry],
        "environ": {**worker_environ(os.environ), SETTINGS_VARIABLE: json.dumps(process_settings())},
    }
    if (place := notebook_place()) is not None:
        made["started_from"] = place
    return made


def worker_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Return the variables that a worker gets from this process: all but those that belong to the kernel itself."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_NOT_FOR_WORKERS)}
    if kept.get("MPLBACKEND", "").startswith("module://"):
        del kept["MPLBACKEND"]  # it draws into a cell, and a worker has none
    return kept
