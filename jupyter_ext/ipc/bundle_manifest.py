"""`manifest.json` of a code bundle: what the notebook side writes, and the engine and a worker read. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Required, TypedDict


class OptionSpelling(TypedDict):
    """How one input of a script is written on its command line; see `protocol.schema.options`."""

    flag: str
    off: str
    form: str


class Predictor(TypedDict):
    """What predicts, where that is not in the trainer's file: a file in the bundle, and a name in it."""

    source: str
    entry: str


class Captured(TypedDict):
    """A notebook name that travels by value, and how many bytes it takes."""

    name: str
    type: str
    bytes: int


class Manifest(TypedDict, total=False):
    """What a bundle holds and what is to be done with it.

    Attributes:
        kind: What it is made of.
        name: What its user calls it.
        entry: The function, class or object that is called.
        label: What tracebacks call the text.
        source: The file in the bundle that has the text.
        signature: The file in the bundle that the inputs are read from, where that is another one.
        file: The file that the text is of, for one that runs as if started from a command line.
        arguments: Its command line, as far as that is no input.
        options: How its inputs are written on the command line.
        imports: Modules by the name that the code knows them by.
        captured: Names of the notebook that travel with it: `name`, `type`, `bytes`.
        sources: Texts of notebook code by its file name: files in the bundle.
        before: Those of them that are executed before the text, for the names that they define.
        labels: What tracebacks call these.
        notices: What its user is told.
        predict: What predicts, where that lies elsewhere.
    """

    format: int
    kind: Required[Literal["cell", "function", "script", "cog", "model", "object"]]
    name: Required[str]
    entry: Required[str]
    label: str
    source: str
    signature: str
    file: str
    arguments: list[str]
    options: Mapping[str, OptionSpelling]
    imports: dict[str, str]
    captured: list[Captured]
    sources: dict[str, str]
    before: list[str]
    labels: dict[str, str]
    notices: list[str]
    predict: Predictor
