"""The control of each kind of input, and what its text means.

Rule: a box takes all that the signature allows; what stands beside it (slider, browser, upload) only writes into it.
"""

from __future__ import annotations

import html
import math
from collections.abc import Callable
from glob import glob
from typing import IO, Any

import ipywidgets

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.protocol.schema.form_fields import NOT_GIVEN, FormField, list_text, list_value, value_of
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext_widgets.file_upload import FileUpload
from jupyter_ext_widgets.path_browser import PathBrowser
from jupyter_ext_widgets.secret_box import SecretBox

LABEL_WIDTH = "150px"
INDENT = "158px"
"""Where the boxes begin: the label and its margin."""
MUTED = "color: var(--jp-ui-font-color2, #616161)"
CHECKBOX_CLASS = "jx-checkbox"
STYLES = f"""<style>
.{CHECKBOX_CLASS} label {{ display: flex; align-items: center; padding: 0; }}
.{CHECKBOX_CLASS} label span {{ order: -1; flex: none; width: {LABEL_WIDTH}; margin-right: 8px; text-align: right; }}
.{CHECKBOX_CLASS} label input {{ margin: 0; }}
</style>"""
"""ipywidgets writes a checkbox's name behind it; here it stands before it, under the names of the other rows."""
_CONTROL_WIDTH = "360px"
_MAX_PATHS = 50
_MAX_ROWS = 6

NO_VALUE = "\0None"
"""Stands for `None` in a list of choices, where ipywidgets takes `None` itself for "nothing chosen"."""
Upload = Callable[[str, IO[bytes]], str]
"""Keeps a file under a name and returns the value of the input."""


def make_control(item: FormField) -> Any:
    """Make the control; its `value` is what `read` takes."""
    common = {
        "description": item.name,
        "tooltip": item.tooltip,
        "style": {"description_width": LABEL_WIDTH},
        "layout": {"width": _CONTROL_WIDTH},
    }
    match item.kind:
        case "choice":
            nothing = [("None", NO_VALUE)] if item.nullable else []
            options = [*nothing, *((str(choice), choice) for choice in item.choices)]
            start = item.default if item.has_default else None
            return ipywidgets.Dropdown(
                options=options, value=NO_VALUE if start is None and item.nullable else start, **common
            )
        case "choices":
            rows = min(_MAX_ROWS, len(item.choices))
            default = tuple(item.default or ()) if item.has_default else ()
            return ipywidgets.SelectMultiple(options=item.choices, value=default, rows=rows, **common)
        case "checkbox":
            made = ipywidgets.Checkbox(value=item.default, indent=False, **common)
            made.add_class(CHECKBOX_CLASS)
            return made
        case "secret":
            return SecretBox(item.name, item.placeholder, item.tooltip)
        case "path" | "paths":
            return ipywidgets.Combobox(value=item.text, placeholder=item.placeholder, **common)
    return ipywidgets.Text(value=item.text, placeholder=item.placeholder, **common)


def read(item: FormField, control: Any, training_input: TrainingInput) -> Any:
    """Return the value that a control stands for, or `NOT_GIVEN`."""
    value = control.value
    if item.kind == "choice":
        return NOT_GIVEN if value is None else None if value == NO_VALUE else value
    return value_of(item, value, training_input)


def row(item: FormField, control: Any, upload: Upload | None) -> tuple[list[Any], list[Any]]:
    """Return what stands in an input's row, and what unfolds below it."""
    if item.slider is not None:
        return [control, _slider(item, control), _description(item)], []
    if item.kind not in ("path", "paths"):
        return [control, _description(item)], []
    several = item.kind == "paths"

    def take(path: str) -> None:
        had = list_value(control.value, of_text=True) if several and control.value else []
        control.value = list_text([*had, path]) if several else path

    control.observe(lambda change: _complete_path(control, change["new"]), "value")
    browser = PathBrowser(take, item.name)
    status = ipywidgets.HTML()
    parts, below = [control, browser.button], [browser.box]
    if upload is not None:

        def keep(name: str, file: IO[bytes]) -> None:
            take(upload(name, file))
            size = file.seek(0, 2)
            status.value = (
                f'<span role="status" style="{MUTED}">{html.escape(name)}, {format_bytes(size)}</span>'
            )

        parts.append(FileUpload(keep, multiple=several, hint=f"Upload a file for {item.name}"))
    return [*parts, status, _description(item)], below


def _description(item: FormField) -> Any:
    made = ipywidgets.HTML(f'<span style="{MUTED}">{html.escape(item.description)}</span>')
    made.layout.margin = "2px 2px 2px 12px"
    made.layout.display = None if item.description else "none"
    return made


def _slider(item: FormField, control: Any) -> Any:
    """Make a slider that writes into the text box, and goes where a typed value is in its range.

    A page sends back where a slider came to stand, on its nearest mark: that is not a move, and leaves what was typed.
    """
    spec = item.slider
    assert spec is not None
    half_a_step = (1 if spec.scale == "integer" else spec.step) / 2 * (1 + 1e-6)

    def place(value: float) -> float:
        return math.log10(value) if spec.scale == "log" else value

    def typed() -> float | None:
        try:
            value = float(control.value)
        except ValueError:
            return None
        low, high = (10**spec.low, 10**spec.high) if spec.scale == "log" else (spec.low, spec.high)
        return value if low <= value <= high else None

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
        value = typed()
        if value is not None:
            made.unobserve(write, "value")
            made.value = int(value) if spec.scale == "integer" else value
            made.observe(write, "value")

    def write(change: Any) -> None:
        value, before = change["new"], typed()
        if before is None or abs(place(value) - place(before)) > half_a_step:
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
