"""A form for the inputs of one `train()`: checked as one types by the model that checks the launch itself.

Rule: what the form shows as the equivalent line is what its button starts.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from typing import Any

import ipywidgets

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.schema.form_fields import NOT_GIVEN, FormField, changed, fields_of, shown
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext_widgets.form_controls import (
    INDENT,
    MUTED,
    NO_VALUE,
    STYLES,
    Upload,
    make_control,
    read,
    row,
)
from jupyter_ext_widgets.message_order import keep_order

_LINE = f"display: block; user-select: all; overflow-wrap: anywhere; white-space: pre-wrap; line-height: 1.5; {MUTED}"
_ERROR = "color: var(--jp-error-color1, #d32f2f)"


class TrainingForm:
    """Draws the form and keeps its values.

    Args:
        title: What is trained.
        training_input: Its inputs.
        launch: Starts it with the inputs that differ from their defaults; what it raises is shown.
        line: Writes the line that starts the same.
        initial: Texts to begin with, as after `-i`.
        upload: Keeps a file that was uploaded for a path and gives its value; without it there is no upload.

    Attributes:
        box: The widget.
        values: The inputs that differ from their defaults, or `None` while something is wrong.
    """

    def __init__(
        self,
        title: str,
        training_input: TrainingInput,
        launch: Callable[[dict[str, object]], None],
        line: Callable[[dict[str, object]], str],
        initial: Mapping[str, str] | None = None,
        upload: Upload | None = None,
    ) -> None:
        self.values: dict[str, object] | None = None
        self._input = training_input
        self._launch = launch
        self._line_of = line
        self._upload = upload
        self._fields = fields_of(training_input)
        self._controls = {item.name: make_control(item) for item in self._fields}
        self._errors = {item.name: _message() for item in self._fields}
        self._general = _message()
        self._line = ipywidgets.HTML()
        self._button = ipywidgets.Button(
            description="Launch", button_style="primary", icon="play", layout={"flex": "0 0 auto"}
        )
        self._button.on_click(lambda _: self.launch())
        rows = [self._row(item) for item in self._fields]
        heading = ipywidgets.HTML(f"{STYLES}<b>{html.escape(title)}</b>")
        bottom = ipywidgets.HBox(
            [self._button, self._line],
            layout={"align_items": "center", "grid_gap": "12px", "margin": "6px 0"},
        )
        self.box = ipywidgets.VBox([heading, *rows, self._general, bottom], layout={"max_width": "1100px"})
        self.box.add_class("jx-form")
        for control in self._controls.values():
            control.observe(lambda _: self._check(), "value")
        for name, value in training_input.parse_text(initial or {}).items():
            if name not in self._controls:
                raise InvalidInput(
                    f"{training_input.entry}() has no input {name!r}; it takes {', '.join(self._controls)}."
                )
            kind = next(item.kind for item in self._fields if item.name == name)
            if kind == "choice" and value is None:
                value = NO_VALUE
            self._controls[name].value = (
                value if kind in ("choice", "choices", "checkbox") else (initial or {})[name]
            )
        self._check()
        self._lock = keep_order(self.box)

    def launch(self) -> None:
        """Start what the form says; does nothing while something is wrong."""
        with self._lock:
            self._launch_values()

    def _launch_values(self) -> None:
        if self.values is None:
            return
        self._button.disabled = True
        try:
            self._launch(self.values)
        except Exception as error:  # noqa: BLE001  the outer edge of a click: it is shown where it was made
            _tell(self._general, f"{type(error).__name__}: {error}")
        else:
            _tell(self._general, "")
        finally:
            self._button.disabled = False

    def _row(self, item: FormField) -> Any:
        parts, below = row(item, self._controls[item.name], self._upload)
        error = self._errors[item.name]
        error.layout.margin = f"0 0 0 {INDENT}"
        wrapping = {"flex_flow": "row wrap", "align_items": "center"}
        return ipywidgets.VBox([ipywidgets.HBox(parts, layout=wrapping), *below, error])

    def _check(self) -> None:
        """Look at all values, as the launch would."""
        given: dict[str, object] = {}
        for item in self._fields:
            value = read(item, self._controls[item.name], self._input)
            if value is not NOT_GIVEN:
                given[item.name] = value
        given = changed(self._fields, given)
        _checked, wrong = self._input.validate(given)
        problems: dict[str, str] = {}
        for field in wrong:
            problems.setdefault(field.field.removeprefix("input.").partition(".")[0], field.description)
        for name, message in self._errors.items():
            _tell(message, problems.pop(name, ""))
        _tell(self._general, "; ".join(problems.values()))
        self.values = None if wrong else given
        self._button.disabled = bool(wrong)
        line = html.escape(self._line_of(shown(self._fields, given)))
        self._line.value = (
            f'<code style="{_LINE}" title="Starts the same" aria-label="Equivalent line">{line}</code>'
        )


def _message() -> Any:
    made = ipywidgets.HTML()
    made.layout.display = "none"
    return made


def _tell(message: Any, text: str) -> None:
    message.value = f'<span role="alert" style="{_ERROR}">{html.escape(text)}</span>' if text else ""
    message.layout.display = None if text else "none"
