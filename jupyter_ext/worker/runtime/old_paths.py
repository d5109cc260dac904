"""Modules that stored bundles name by a path that they no longer have. Standard library only.

What a notebook imports from us travels by its module's path. Bundles that were made before the modules moved name the
paths below. New ones name `jupyter_ext` and `jupyter_ext.checkpoint`, which stay.
"""

from __future__ import annotations

import importlib
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

MOVED = {
    "jupyter_ext.client.aio": "jupyter_ext.client.requests.async_client",
    "jupyter_ext.client.dataset_handles": "jupyter_ext.client.datasets.handle",
    "jupyter_ext.client.facade": "jupyter_ext.client.trainings.api",
    "jupyter_ext.client.handles": "jupyter_ext.client.trainings.handle",
    "jupyter_ext.client.local_models": "jupyter_ext.client.models.handle",
    "jupyter_ext.client.stream": "jupyter_ext.client.requests.event_stream",
    "jupyter_ext.protocol.debug_sessions": "jupyter_ext.protocol.sessions",
    "jupyter_ext.protocol.local_models": "jupyter_ext.protocol.models",
    "jupyter_ext.protocol.resources": "jupyter_ext.protocol.trainings",
    "jupyter_ext.worker.checkpoint": "jupyter_ext.checkpoint",
    "jupyter_ext.worker.inputs": "jupyter_ext.worker.sdk.inputs",
    "jupyter_ext.worker.reporter": "jupyter_ext.worker.sdk.logging",
}
"""Old paths of the modules whose values a notebook could pass to its code, and where these are now."""
RENAMED = {"jupyter_ext.client.facade": {"EngineDoor": "EngineController"}}
"""Old names in those modules, and what they are called now."""


class _Finder(MetaPathFinder):
    """Finds them; it is the last on `sys.meta_path`, so it is asked for nothing that is found without it."""

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        return ModuleSpec(fullname, _Loader()) if fullname in MOVED else None


class _Loader(Loader):
    """Gives the module that is meant in place of a new one."""

    def exec_module(self, module: ModuleType) -> None:
        name = module.__name__
        meant = sys.modules[name] = importlib.import_module(MOVED[name])
        for old, new in RENAMED.get(name, {}).items():
            setattr(meant, old, getattr(meant, new))


_finder = _Finder()


def install() -> None:
    """Let this process import what has moved by its old path too."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
