"""A training is no notebook: nothing of the interpreter that it was forked from may say otherwise. Standard library only.

The interpreter has ipykernel imported, for debug sessions. Libraries take that for a notebook and draw into a cell that nobody
sees (tqdm.auto), or ask a shell that is not there. Whoever needs these modules in a training imports them afresh.
"""

from __future__ import annotations

import sys

_NOTEBOOK = ("IPython", "ipykernel", "ipywidgets")
_forgotten: list[object] = []
"""Modules that nobody finds any more. To free them would touch thousands of pages that are shared with the parent: 10 ms."""


def forget_notebook() -> None:
    """Forget the modules of a notebook that were imported before the fork."""
    for name in list(sys.modules):
        if name.partition(".")[0] in _NOTEBOOK:
            _forgotten.append(sys.modules.pop(name))
