"""What a page without a kernel sends: a cell's text, or the path of a file or folder. It becomes a bundle here.

Rule: texts and files are read, never executed; what they are is told by the same code that a notebook's kernel uses.
"""

from __future__ import annotations

import asyncio
import os
import shlex
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from jupyter_ext.bundles.bundle import Bundle
from jupyter_ext.bundles.cell_text import Cell, bundle_of_session, bundle_of_training
from jupyter_ext.bundles.cog_project import CONFIG, capture_folder
from jupyter_ext.bundles.notebook_text import CellText
from jupyter_ext.bundles.script_file import capture_file, read_script
from jupyter_ext.engine.api.http.requests import answer, json_object
from jupyter_ext.engine.trainings.artifacts.versions import MadeIn
from jupyter_ext.errors import InvalidInput
from jupyter_ext.protocol.launch_forms import CheckedInputs, LaunchForm, check_inputs
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.schema.form_fields import magic_line

_MAX_CELLS = 5_000
_Json = dict[str, Any]


class EarlierCell(BaseModel):
    """A cell above the one that is started."""

    text: str
    label: str = "an earlier cell"


class Source(BaseModel):
    """What is to be started.

    Attributes:
        path: Of a Python file or of the folder of a Cog project; relative to `cwd` where it is not absolute.
        text: Of a cell, instead.
        label: What tracebacks call the cell.
        before: The cells above it, whose imports, definitions and literals it may use.
        name: What to call the run; by default what the file, the folder or the cell's magic line says.
        cwd: Directory that it runs in.
        python: Interpreter that it runs in; where it is no absolute path, the engine's own.
        input: What the form's controls hold, by the input's name.
    """

    model_config = ConfigDict(extra="ignore")

    path: str | None = None
    text: str | None = None
    label: str = "the cell"
    before: list[EarlierCell] = Field(default=[], max_length=_MAX_CELLS)
    name: str = Field(default="", max_length=200)
    cwd: str | None = None
    python: str | None = None
    input: _Json = {}

    @property
    def file(self) -> Path:
        """The path, where it is."""
        path = Path(self.path or "").expanduser()
        return path if self.cwd is None else Path(self.cwd).expanduser() / path

    @property
    def directory(self) -> str | None:
        """Where it runs: `cwd`, or else the folder of the file."""
        if self.cwd is None and self.path is None:
            return None
        return str(self.file.parent if self.cwd is None else Path(self.cwd).expanduser())

    @property
    def interpreter(self) -> str:
        """Where it runs: an interpreter's path, or this one, which a kernel spec calls `python`."""
        named = self.python or ""
        return named if os.path.isabs(named) else sys.executable

    @property
    def cell(self) -> Cell:
        """The cell."""
        before = [CellText(one.text, one.label) for one in self.before]
        return Cell(self.text or "", self.label, before, self.name)


class SourcesAPI:
    """The route that a form asks; `POST /native/versions` and `/native/session-code` take the same body."""

    def routes(self) -> list[Route]:
        """List the routes."""
        return [Route("/native/forms", self.form, methods=["POST"])]

    async def form(self, request: Request) -> Response:
        """Return the fields of a form for a source, and what is wrong with what stands in it; nothing is kept."""
        source = await read_source(request)
        return answer((await asyncio.to_thread(_form, source)).model_dump(mode="json"))


async def read_source(request: Request) -> Source:
    """Read a source out of a body.

    Raises:
        Problem: It is none.
    """
    try:
        source = Source.model_validate(await json_object(request))
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise Problem(422, "Invalid value", f"{where}: {first['msg'].lower()}.") from None
    if (source.path is None) == (source.text is None):
        raise Problem(422, "Invalid value", "Give either path, of a file or folder, or text, of a cell.")
    return source


def is_json(request: Request) -> bool:
    """Return whether a body is JSON, and so no bundle."""
    return request.headers.get("content-type", "").partition(";")[0].strip() == "application/json"


def made_in_of(source: Source) -> MadeIn | None:
    """Return where a source is from, as far as it says."""
    return None if source.directory is None else MadeIn(source.interpreter, source.directory)


async def training_bundle(source: Source) -> Bundle:
    """Make the bundle of a source that is to be trained.

    Raises:
        Problem: It cannot be; the text says why.
    """
    return await asyncio.to_thread(_bundle, source, tuple(source.input))


async def session_bundle(source: Source) -> Bundle:
    """Make the bundle of a source that is to be debugged.

    Raises:
        Problem: It cannot be; the text says why.
    """

    def make() -> Bundle:
        if source.text is not None:
            return bundle_of_session(source.cell)
        path = source.file
        return bundle_of_session(Cell(read_script(path), path.name, (), source.name or path.stem, str(path)))

    try:
        return await asyncio.to_thread(make)
    except InvalidInput as error:
        raise _refusal(str(error)) from None


def _form(source: Source) -> LaunchForm:
    bundle = _bundle(source, source.input)
    start = _start(source, bundle)
    if bundle.training_input is None:
        checked = CheckedInputs(
            fields=[], values=source.input, errors=[], line=magic_line(start, source.input)
        )
    else:
        checked = check_inputs(bundle.training_input, bundle.given, source.input, start)
    return LaunchForm(
        name=bundle.name,
        fields=checked.fields,
        takes_any=bundle.training_input is None or bundle.training_input.takes_any,
        values=checked.values,
        errors=checked.errors,
        line=checked.line,
        notice=bundle.notice,
        missing=list(bundle.unknown_names),
        cwd=source.directory,
        python=source.interpreter,
    )


def _bundle(source: Source, inputs: Iterable[str]) -> Bundle:
    try:
        if source.text is not None:
            return bundle_of_training(source.cell, inputs)
        path = source.file
        if path.is_dir() or path.name == CONFIG:
            folder = path if path.is_dir() else path.parent
            return capture_folder(folder, source.name or None)
        return capture_file(path, source.name or None, (), inputs)
    except InvalidInput as error:
        raise _refusal(str(error)) from None


def _start(source: Source, bundle: Bundle) -> str:
    """Return the beginning of the line that starts the same in a notebook."""
    if source.text is not None:
        return f"%%train {shlex.quote(bundle.name)}"
    path = source.file
    near = source.cwd is not None and path.is_relative_to(Path(source.cwd).expanduser())
    return f"%train {shlex.quote(os.path.relpath(path, Path(source.cwd or '.').expanduser()) if near else str(path))}"


def _refusal(text: str) -> Problem:
    return Problem(422, "Cannot be started", text)
