"""`%%train NAME --form` and `jx.form(fn)`: a form for the inputs; its button starts the training below it."""

from __future__ import annotations

import concurrent.futures
import os
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from IPython.display import DisplayHandle, display

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.client.capture.capture import capture_function
from jupyter_ext.client.trainings import api
from jupyter_ext.client.trainings.handle import Training
from jupyter_ext.errors import InvalidInput
from jupyter_ext.magics.display import show_in


class Form:
    """A form that displays itself; `run` is the training that it started last."""

    def __init__(
        self,
        capture: Callable[[], Bundle],
        line: Callable[[dict[str, object]], str],
        initial: Mapping[str, str] | None = None,
        destination: str | None = None,
    ) -> None:
        from jupyter_ext_widgets.training_form import TrainingForm

        from jupyter_ext.protocol.schema.form_fields import text_of

        self._capture = capture
        self._destination = destination
        bundle = capture()
        if bundle.training_input is None:
            raise InvalidInput(
                f"{bundle.name} is a plain script, which has no signature to draw a form from; define train(...)."
            )
        self.run: Training | None = None
        self._slot: DisplayHandle | None = None
        self._keeping: concurrent.futures.Future[None] | None = None
        shown = {**{name: text_of(value) for name, value in bundle.given.items()}, **(initial or {})}
        self._form = TrainingForm(bundle.name, bundle.training_input, self._start, line, shown, api.upload)

    @property
    def values(self) -> dict[str, object] | None:
        """The inputs that differ from their defaults, or `None` while something is wrong."""
        return self._form.values

    def launch(self) -> Training | None:
        """Start what the form says, as its button does."""
        self._form.launch()
        return self.run

    def _start(self, values: dict[str, object]) -> None:
        # Captured anew: names of the notebook travel as they are now, not as they were when the form was drawn.
        # What the code itself gives is in the form already, where it may have been changed.
        self.run = api.start(replace(self._capture(), given={}), values, self._destination)
        if self._slot is not None:
            if self._keeping is not None:
                self._keeping.cancel()
            self._keeping = show_in(self._slot, self.run)

    def _ipython_display_(self) -> None:
        display(self._form.box)
        # The panel is an output of the cell by itself, so that it stays when the form's kernel is gone.
        slot = display({"text/plain": ""}, raw=True, display_id=True)
        self._slot = slot if isinstance(slot, DisplayHandle) else None


def form(function: Callable[..., Any] | str | os.PathLike[str], name: str | None = None) -> Form:
    """Draw a form for the inputs of a function; its button starts a training and shows the panel below.

    Args:
        function: A plain function, also one of the notebook; or the path of a Python file, whose options are its inputs,
            or of a Cog project folder.
        name: What to call its trainings; by default the function's, the file's or the folder's name.

    Raises:
        InvalidInput: It is no function and no such file, or has no inputs that could be read.
        CannotTravel: It uses a name that cannot be sent to the worker.
    """
    from jupyter_ext.protocol.schema.form_fields import call_line

    if isinstance(function, str | os.PathLike):
        written = repr(os.fspath(function))
    else:
        written = getattr(function, "__name__", "function")

    def line(values: dict[str, object]) -> str:
        return call_line(written if name is None else f"{written}, name={name!r}", values)

    def capture() -> Bundle:
        if isinstance(function, str | os.PathLike):
            return api.capture_path(function, name)
        return capture_function(function, name)

    return Form(capture, line)
