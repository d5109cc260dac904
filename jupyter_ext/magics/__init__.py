"""Magics: they parse, call the client and display. No logic in here."""

from __future__ import annotations

from typing import Any


def register(ipython: Any) -> None:
    """Register the magics and begin to warm this interpreter in the background."""
    from jupyter_ext.magics.completion import complete
    from jupyter_ext.magics.engine import EngineMagics
    from jupyter_ext.magics.models import ModelMagics
    from jupyter_ext.magics.training import TrainingMagics
    from jupyter_ext.magics.warmup import begin

    ipython.register_magics(TrainingMagics, ModelMagics, EngineMagics)
    for name in ("%train", "%%train", "%training", "%trainings", "%model", "%models", "%engine"):
        ipython.set_hook("complete_command", complete, str_key=name)
    if _help_without_body not in ipython.input_transformers_cleanup:
        ipython.input_transformers_cleanup.append(_help_without_body)
    begin()


def unregister(ipython: Any) -> None:
    """Take the magics back; trainings go on."""
    for kind, names in (
        ("line", ("train", "training", "trainings", "model", "models", "engine")),
        ("cell", ("train",)),
    ):
        for name in names:
            ipython.magics_manager.magics[kind].pop(name, None)
    if _help_without_body in ipython.input_transformers_cleanup:
        ipython.input_transformers_cleanup.remove(_help_without_body)


def _help_without_body(lines: list[str]) -> list[str]:
    """Let `%%train --help` stand alone: IPython itself refuses a cell magic without a body."""
    if len(lines) == 1 and lines[0].split() in (["%%train", "--help"], ["%%train", "-h"]):
        return ["%train --help\n"]
    return lines
