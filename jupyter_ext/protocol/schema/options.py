"""Options of a script: their inputs as source text of a signature, and how each is written on the command line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from jupyter_ext.ipc.bundle_manifest import OptionSpelling

Form = Literal["value", "list", "repeated", "flag", "no-flag", "on-off", "text-bool", "count", "positional"]
"""How an input is written: `--lr 1`, `--sizes 1 2`, `--tag a --tag b`, `--fast` where true, `--no-fast` where false, either
of `--fast` and `--no-fast`, `--fast true`, `-v` so many times, or without a name."""


@dataclass(frozen=True)
class Option:
    """One option: its input's name, its parameter in source text, and how it is written."""

    name: str
    parameter: str
    flag: str
    form: Form
    off: str = ""
    flags: tuple[str, ...] = ()

    @property
    def spelling(self) -> OptionSpelling:
        """How it is written, for the worker."""
        return {"flag": self.flag, "off": self.off, "form": self.form}


@dataclass(frozen=True)
class ScriptOptions:
    """All options that could be read."""

    options: tuple[Option, ...]
    is_complete: bool = True

    def signature(self, entry: str) -> str:
        """Return text that defines a function with the same inputs."""
        required = [option.parameter for option in self.options if " = " not in option.parameter]
        others = [option.parameter for option in self.options if " = " in option.parameter]
        rest = [] if self.is_complete else ["**others"]
        named = ["*", *required, *others] if self.options else []
        return f"def {entry}({', '.join([*named, *rest])}): ...\n"

    def spellings(self) -> dict[str, OptionSpelling]:
        """Return how each input is written."""
        return {option.name: option.spelling for option in self.options}
