"""What `%models` and `%model` show: the live view, and a line where something is over."""

from __future__ import annotations

from typing import Any

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.client.models.handle import Model
from jupyter_ext.client.models.listing import ModelList
from jupyter_ext.magics.display import show_view
from jupyter_ext.protocol.models import Unloaded


def show(found: ModelList[Any]) -> None:
    """Display a list of models, or one of them, live."""
    show_view("models", found.mime_content, found.static_bundle())


def show_and_wait(model: Model, verb: str) -> None:
    """Display a model and wait until what was begun is over; an interrupt ends the waiting only."""
    model._ipython_display_()
    try:
        if verb == "load":
            model.load()
        else:
            model.download(wait=True)
    except KeyboardInterrupt:
        print(f"Stopped waiting; it goes on: %model {model.id}")


class Freed:
    """Says what an unload gave back."""

    def __init__(self, model: Model, freed: Unloaded | None, *, was_loaded: bool) -> None:
        self._model = model
        self._freed = freed
        self._was_loaded = was_loaded

    def __repr__(self) -> str:
        """Return it in a line or two."""
        freed = self._freed
        if freed is None:
            state = self._model.known.state
            if self._was_loaded:
                return f"{self._model.name} is {state}; how much memory that freed is not known."
            return f"{self._model.id} was not loaded; it is {state}."
        before, after = freed.available_before_bytes, freed.available_after_bytes
        still = "" if not freed.held else f" Its pages are still held here by {', '.join(freed.held)}."
        return (
            f"{self._model.id} is unloaded: its process held {format_bytes(freed.host_bytes)} and ended in "
            f"{freed.took_s:.2f} s; memory available {format_bytes(before)} before, {format_bytes(after)} after."
            + still
        )


def delete(model: Model, *, only_files: bool, force: bool) -> Any:
    """Delete a model or its files and return what is to be shown."""
    if only_files:
        return model.delete_files(force=force)
    model.delete(force=force)
    print(f"{model.id} is no longer in the list, and its files are gone unless they are yours.")
    return None
