"""A form for the inputs of one `train()`: checked as one types by the model that checks the launch itself.

Rule: what the form shows as the equivalent line is what its button starts.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Mapping
from glob import glob
from typing import Any

import ipywidgets

from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.training_input import TrainingInput
from jupyter_ext_widgets.form_fields import FormField, changed, fields_of

_ERROR = "color: var(--jp-error-color1, #d32f2f)"
_MUTED = "color: var(--jp-ui-font-color2, #616161)"
_MAX_PATHS = 50
_LABEL_WIDTH = "150px"


class TrainingForm:
    """Draws the form and keeps its values.

    Args:
        title: What is trained.
        training_input: Its inputs.
        launch: Starts it with the inputs that differ from their defaults; what it raises is shown.
        line: Writes the line that starts the same.
        initial: Texts to begin with, as after `-i`.

    Attributes:
        box: The widget.
        values: The inputs that differ from their defaults, or `None` while something is wrong.
    """

    def __init__(
        self,
        title: str,
        training_input: TrainingInput,
        launch: Callable[[dict[str, Any]], None],
        line: Callable[[dict[str, Any]], str],
        initial: Mapping[str, str] | None = None,
    ) -> None:
        self.values: dict[str, Any] | None = None
        self._input = training_input
        self._launch = launch
        self._line_of = line
        self._fields = fields_of(training_input)
        self._controls = {item.name: _control(item) for item in self._fields}
        self._errors = {item.name: _message() for item in self._fields}
        self._general = _message()
        self._line = ipywidgets.HTML()
        self._button = ipywidgets.Button(description="Launch", button_style="primary", icon="play")
        self._button.on_click(lambda _: self.launch())
        rows = [self._row(item) for item in self._fields]
        heading = ipywidgets.HTML(f"<b>{html.escape(title)}</b>")
        bottom = ipywidgets.HBox(
            [self._button, self._line],
            layout={"align_items": "center", "grid_gap": "12px", "margin": "6px 0"},
        )
        self.box = ipywidgets.VBox([heading, *rows, self._general, bottom], layout={"max_width": "900px"})
        self.box.add_class("jx-form")
        for control in self._controls.values():
            control.observe(lambda _: self._check(), "value")
        for name, value in training_input.parse_text(initial or {}).items():
            if name not in self._controls:
                raise InvalidInput(
                    f"{training_input.entry}() has no input {name!r}; it takes {', '.join(self._controls)}."
                )
            by_value = isinstance(self._controls[name], ipywidgets.Dropdown | ipywidgets.Checkbox)
            self._controls[name].value = value if by_value else (initial or {})[name]
        self._check()

    def launch(self) -> None:
        """Start what the form says; does nothing while something is wrong."""
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
        control, parts = self._controls[item.name], [self._controls[item.name]]
        if item.slider is not None:
            parts.append(_slider(item, control))
        if item.kind == "path":
            control.observe(lambda change: _complete_path(control, change["new"]), "value")
        error = self._errors[item.name]
        error.layout.margin = f"0 0 0 {_LABEL_WIDTH}"
        return ipywidgets.VBox([ipywidgets.HBox(parts), error])

    def _check(self) -> None:
        """Look at all values, as the launch would."""
        given: dict[str, Any] = {}
        for item in self._fields:
            value = self._controls[item.name].value
            if item.kind in ("choice", "checkbox"):
                if value is not None:
                    given[item.name] = value
            elif value != "":  # an empty box stands for the default
                given |= self._input.parse_text({item.name: value})
        given = changed(self._fields, given)
        _checked, wrong = self._input.validate(given)
        told: dict[str, str] = {}
        for field in wrong:
            told.setdefault(field.field.removeprefix("input.").partition(".")[0], field.description)
        for name, message in self._errors.items():
            _tell(message, told.pop(name, ""))
        _tell(self._general, "; ".join(told.values()))
        self.values = None if wrong else given
        self._button.disabled = bool(wrong)
        line = html.escape(self._line_of(given))
        self._line.value = f'<code style="user-select: all; {_MUTED}" title="Starts the same" aria-label="Equivalent line">{line}</code>'


def _control(item: FormField) -> Any:
    common = {
        "description": item.name,
        "tooltip": item.tooltip,
        "style": {"description_width": _LABEL_WIDTH},
        "layout": {"width": "360px"},
    }
    match item.kind:
        case "choice":
            return ipywidgets.Dropdown(
                options=item.choices, value=item.default if item.has_default else None, **common
            )
        case "checkbox":
            return ipywidgets.Checkbox(value=item.default, indent=True, **common)
        case "path":
            return ipywidgets.Combobox(value=item.text, placeholder=_placeholder(item), **common)
    return ipywidgets.Text(value=item.text, placeholder=_placeholder(item), **common)


def _placeholder(item: FormField) -> str:
    if item.required:
        return f"{item.type_text}, required"
    return f"{item.type_text}, default {item.text}" if item.text else item.type_text


def _slider(item: FormField, control: Any) -> Any:
    """Make a slider that writes into the text box, and goes where a typed value is in its range."""
    spec = item.slider
    assert spec is not None
    common = {"readout": False, "layout": {"width": "300px"}, "tabbable": False, "tooltip": item.tooltip}
    if spec.scale == "integer":
        made = ipywidgets.IntSlider(min=int(spec.low), max=int(spec.high), **common)
    elif spec.scale == "linear":
        made = ipywidgets.FloatSlider(min=spec.low, max=spec.high, step=spec.step, **common)
    else:
        made = ipywidgets.FloatLogSlider(
            min=spec.low, max=spec.high, step=spec.step, value=10**spec.low, **common
        )

    def follow(_change: object = None) -> None:
        try:
            value = float(control.value)
        except ValueError:
            return
        low, high = (10**spec.low, 10**spec.high) if spec.scale == "log" else (spec.low, spec.high)
        if low <= value <= high:
            made.unobserve(write, "value")
            made.value = int(value) if spec.scale == "integer" else value
            made.observe(write, "value")

    def write(change: Any) -> None:
        value = change["new"]
        control.value = str(value) if spec.scale == "integer" else f"{value:.3g}"

    made.observe(write, "value")
    control.observe(follow, "value")
    follow()
    return made


def _complete_path(control: Any, begun: str) -> None:
    control.options = sorted(glob(f"{glob_escaped(begun)}*"))[:_MAX_PATHS]


def glob_escaped(text: str) -> str:
    """Take wildcards in a typed path as they are written."""
    return "".join(f"[{letter}]" if letter in "*?[" else letter for letter in text)


def _message() -> Any:
    made = ipywidgets.HTML()
    made.layout.display = "none"
    return made


def _tell(message: Any, text: str) -> None:
    message.value = f'<span role="alert" style="{_ERROR}">{html.escape(text)}</span>' if text else ""
    message.layout.display = None if text else "none"
