"""Magics: they parse, call the client and display. No logic in here."""

from __future__ import annotations

from typing import Any

from jupyter_ext.client import display_hook

_LINE = (
    "train", "training", "trainings", "debug_session", "debug_sessions", "debug_call", "model", "models", "engine"
)  # fmt: skip
_CELL = ("train", "debug_session", "in_session")


def register(ipython: Any) -> None:
    """Register the magics and begin to warm this interpreter in the background."""
    from jupyter_ext.magics.completion import complete
    from jupyter_ext.magics.debugging import DebuggingMagics
    from jupyter_ext.magics.engine import EngineMagics
    from jupyter_ext.magics.models import ModelMagics
    from jupyter_ext.magics.training import TrainingMagics
    from jupyter_ext.magics.warmup import begin

    ipython.register_magics(TrainingMagics, DebuggingMagics, ModelMagics, EngineMagics)
    for name in (*(f"%{name}" for name in _LINE), *(f"%%{name}" for name in _CELL)):
        ipython.set_hook("complete_command", complete, str_key=name)
    if _help_without_body not in ipython.input_transformers_cleanup:
        ipython.input_transformers_cleanup.append(_help_without_body)
    display_hook.renderer = render
    begin()


def unregister(ipython: Any) -> None:
    """Take the magics back; trainings go on."""
    for kind, names in (("line", _LINE), ("cell", _CELL)):
        for name in names:
            ipython.magics_manager.magics[kind].pop(name, None)
    if _help_without_body in ipython.input_transformers_cleanup:
        ipython.input_transformers_cleanup.remove(_help_without_body)
    display_hook.renderer = None


def render(kind: display_hook.Kind, handle: Any) -> None:
    """Display a handle as a live view; what that takes is imported on first use."""
    match kind:
        case "training" | "trainings" | "compare":
            from jupyter_ext.magics import display

            if kind == "training":
                display.show(handle)
            elif kind == "trainings":
                display.show_table(handle)
            else:
                display.show_comparison(handle)
        case "models":
            from jupyter_ext.magics import model_display

            model_display.show(handle)
        case "session" | "debug_training":
            from jupyter_ext.magics import session_display

            session_display.show(handle) if kind == "session" else session_display.show_training(handle)


def _help_without_body(lines: list[str]) -> list[str]:
    """Let `%%train --help` stand alone: IPython itself refuses a cell magic without a body."""
    words = lines[0].split() if len(lines) == 1 else []
    if len(words) == 2 and words[1] in ("--help", "-h") and words[0] in [f"%%{name}" for name in _CELL]:
        return [
            f"{words[0][1:] if words[0] != '%%in_session' else words[0]} --help\n",
            *(["pass\n"] if words[0] == "%%in_session" else []),
        ]
    return lines
