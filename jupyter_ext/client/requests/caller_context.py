"""Where a request comes from: this process's interpreter, directory, import path and variables, and its inputs as text.

Rule: nothing here is written anywhere; the engine hands the variables to a worker in memory.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from typing import Any

_NOT_FOR_WORKERS = ("JPY_", "KERNEL_")


def plain_inputs(inputs: Mapping[str, Any]) -> dict[str, Any]:
    """Turn paths into absolute text, as the worker may have a directory of its own, and secrets into theirs."""
    return {name: _plain(value) for name, value in inputs.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, os.PathLike):
        return os.path.abspath(value)
    if callable(getattr(value, "get_secret_value", None)):
        return value.get_secret_value()
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def origin() -> dict[str, Any]:
    """Say where this process is: its interpreter, directory, import path and variables."""
    return {
        "python": sys.executable,
        "cwd": os.getcwd(),
        "sys_path": [entry for entry in sys.path if entry],
        "environ": worker_environ(os.environ),
    }


def worker_environ(environ: Mapping[str, str]) -> dict[str, str]:
    """Give the variables that a worker gets from this process: all but those that belong to the kernel itself."""
    kept = {name: value for name, value in environ.items() if not name.startswith(_NOT_FOR_WORKERS)}
    if kept.get("MPLBACKEND", "").startswith("module://"):
        del kept["MPLBACKEND"]  # it draws into a cell, and a worker has none
    return kept
