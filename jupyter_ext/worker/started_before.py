"""For processes that the tree before the modules moved has started, and that import something of ours for the first time now.

An upgrade in place leaves trainings, sessions and hosts running with the modules that they have loaded. What they import
later comes from the new files. By their old paths that is `checkpoint`, `decthings_calls` and `model_generation`, which
lie beside this module; by a path that has not changed it is `jupyter_ext.integrations`.

All four files, and what `sdk/__init__` does for this one, can go in 0.3: such a process ends with its machine at the latest.
"""

from __future__ import annotations

import importlib
import sys
from pathlib import Path

_NOW = {
    "jupyter_ext.worker.checkpoint": "jupyter_ext.checkpoint",
    "jupyter_ext.worker.decthings_calls": "jupyter_ext.ipc.decthings.codec",
    "jupyter_ext.worker.model_generation": "jupyter_ext.worker.model_host.generation",
}
_SHARED = {
    "jupyter_ext.worker.reporter": "jupyter_ext.worker.sdk.logging",
    "jupyter_ext.worker.model_inputs": "jupyter_ext.worker.model_host.tensor_io",
}
"""Modules with state or classes of which a process must not have two."""


def replace(name: str) -> None:
    """Put the module that has taken the place of an old one under its old path."""
    share_loaded()
    sys.modules[name] = importlib.import_module(_NOW[name])


def share_loaded() -> None:
    """Let new modules find those that this process has loaded by their old paths."""
    for old, new in _SHARED.items():
        if old in sys.modules:
            sys.modules.setdefault(new, sys.modules[old])
    host = sys.modules.get("jupyter_ext.worker.model_host")
    if host is not None and not hasattr(host, "__path__"):
        host.__path__ = [str(Path(__file__).parent / "model_host")]  # a module then, a package now
