"""`from jupyter_ext import checkpoint`: save a state of a training and go on from it. Standard library only.

Bundles that are stored name this module and its functions by its path, so it has to stay importable.
"""

from __future__ import annotations

from jupyter_ext.worker.sdk.checkpoint import Checkpoint, latest, load, save

__all__ = ["Checkpoint", "latest", "load", "save"]

for _public in (Checkpoint, latest, load, save):
    _public.__module__ = __name__
