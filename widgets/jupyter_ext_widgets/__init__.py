"""The widgets of jupyter-ext. Widget classes load at first use: the server extension needs the built files only."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jupyter_ext_widgets.bundle import StaticFiles, StaticFilesMissing, static_dir, static_files
from jupyter_ext_widgets.tunnel import Closable, EngineBridge

if TYPE_CHECKING:
    from jupyter_ext_widgets.live_view import LiveView, TrainingPanel

__all__ = [
    "Closable",
    "EngineBridge",
    "LiveView",
    "StaticFiles",
    "StaticFilesMissing",
    "TrainingPanel",
    "static_dir",
    "static_files",
]


def __getattr__(name: str) -> Any:
    """Import the widget classes, and with them anywidget, when one is asked for."""
    if name in ("LiveView", "TrainingPanel"):
        return getattr(import_module("jupyter_ext_widgets.live_view"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
