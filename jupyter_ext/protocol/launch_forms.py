"""A form for what can be started, as a page draws it: the fields, and what is wrong with what stands in them.

Rule: a page draws and sends back what its controls hold; what that means and whether it is right is decided here.

Source: docs/architecture/02-wire.md, "Forms".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Literal

from jupyter_ext.protocol.schema import form_fields
from jupyter_ext.protocol.schema.form_fields import NOT_GIVEN, Kind
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.trainings import Resource


class LaunchSlider(Resource):
    """A slider beside a text box; the ends of a `log` one are powers of ten."""

    low: float
    high: float
    step: float
    scale: Literal["integer", "linear", "log"]


class LaunchField(Resource):
    """One input: its control, and what that holds at first."""

    name: str
    kind: Kind
    type_text: str
    required: bool
    nullable: bool
    description: str
    tooltip: str
    placeholder: str
    choices: list[Any]
    slider: LaunchSlider | None = None
    value: Any = None
    """A text, a choice, a list of choices or a truth value."""


class LaunchError(Resource):
    """What is wrong with one input."""

    name: str
    message: str


class LaunchForm(Resource):
    """What can be started, and with what.

    Attributes:
        name: What it is called.
        fields: Its inputs; none for a script that reads no command line.
        takes_any: Whether it takes inputs that it does not name.
        values: The inputs that differ from their defaults, but for secrets.
        errors: What is wrong with them; an empty name is that of the whole.
        line: What one would type to start the same.
        notice: What its user is told of it.
        missing: Names of the notebook that only its kernel has.
        cwd: The directory that it is to run in; `None` for one of its own.
        python: The interpreter that it is to run in.
    """

    name: str
    fields: list[LaunchField]
    takes_any: bool
    values: dict[str, Any]
    errors: list[LaunchError]
    line: str
    notice: str = ""
    missing: list[str]
    cwd: str | None = None
    python: str


class CheckedInputs(Resource):
    """What the controls of a form stand for."""

    fields: list[LaunchField]
    values: dict[str, Any]
    errors: list[LaunchError]
    line: str


def check_inputs(
    training_input: TrainingInput,
    given: Mapping[str, object],
    typed: Mapping[str, Any],
    start: str,
) -> CheckedInputs:
    """Draw up the fields of a form and judge what stands in its controls.

    Args:
        training_input: The inputs.
        given: Values to begin with, that the code gives itself.
        typed: What the controls hold, by name; those that are left out hold what they began with.
        start: The beginning of the line that starts the same.
    """
    fields = form_fields.fields_of(training_input)
    known = {item.name: item for item in fields}
    drawn = [_drawn(item, given) for item in fields]
    holds = {item.name: item.value for item in drawn} | {
        name: value for name, value in typed.items() if name in known
    }
    values = {
        name: form_fields.value_of(known[name], value, training_input)
        for name, value in holds.items()
        if not (known[name].kind == "choice" and value is None and not known[name].nullable)
    }
    values = {name: value for name, value in values.items() if value is not NOT_GIVEN}
    values = form_fields.changed(fields, values)
    others = [name for name in typed if name not in known]
    values |= {name: typed[name] for name in others}
    wrong: dict[str, str] = {}
    for problem in training_input.validate(values)[1]:
        name = problem.field.removeprefix("input.").partition(".")[0]
        wrong.setdefault(name if name in known else "", problem.description)
    line = form_fields.magic_line(start, form_fields.shown(fields, values))
    return CheckedInputs(
        fields=drawn,
        values={name: value for name, value in values.items() if not _is_secret(known, name)},
        errors=[LaunchError(name=name, message=message) for name, message in wrong.items()],
        line=line,
    )


def _is_secret(known: Mapping[str, form_fields.FormField], name: str) -> bool:
    return name in known and known[name].kind == "secret"


def _drawn(item: form_fields.FormField, given: Mapping[str, object]) -> LaunchField:
    value: Any = given.get(item.name, item.default if item.has_default else None)
    if item.kind == "choices":
        value = list(value or ())
    elif item.kind == "checkbox":
        value = bool(value)
    elif item.kind != "choice":
        text = form_fields.list_text if item.kind in ("list", "paths") else form_fields.text_of
        value = text(value) if item.name in given and item.kind != "secret" else item.text
    return LaunchField(
        name=item.name,
        kind=item.kind,
        type_text=item.type_text,
        required=item.required,
        nullable=item.nullable,
        description=item.description,
        tooltip=item.tooltip,
        placeholder=item.placeholder,
        choices=list(item.choices),
        slider=None if item.slider is None else LaunchSlider(**asdict(item.slider)),
        value=value,
    )
