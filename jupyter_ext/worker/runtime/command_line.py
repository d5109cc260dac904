"""The command line of a script that reads its options itself. Standard library only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_ext.ipc.bundle_manifest import OptionSpelling


def words_of(inputs: Mapping[str, object], spellings: Mapping[str, OptionSpelling]) -> list[str]:
    """Return the words that give a script its inputs.

    Args:
        inputs: Values by the input's name. `None` is what an option has that is not given.
        spellings: By the input's name: `flag`, `off` (how its opposite is written), and `form`, see
            `protocol.schema.options`. One that is missing is written `--name value`.
    """
    named: list[str] = []
    positional: list[str] = []
    unnamed = [name for name, how in spellings.items() if how["form"] == "positional" and name in inputs]
    for name in [*(name for name in inputs if name not in unnamed), *unnamed]:
        value = inputs[name]
        if value is None:
            continue
        how = spellings.get(name) or {"flag": f"--{name}", "off": "", "form": _form_of(value)}
        if how["form"] == "positional":
            positional += _texts(value)
        else:
            named += _written(value, how)
    if any(word.startswith("-") for word in positional):
        return [*named, "--", *positional]
    return [*positional, *named]  # first, as an option that takes several words would take them too


def _form_of(value: Any) -> str:
    if isinstance(value, bool):
        return "flag"
    return "list" if isinstance(value, list | tuple) else "value"


def _written(value: Any, how: OptionSpelling) -> list[str]:
    flag = how["flag"]
    match how["form"]:
        case "flag":
            return [flag] if value else []
        case "no-flag":
            return [] if value else [how["off"]]
        case "on-off":
            return [flag if value else how["off"]]
        case "count":
            return [flag] * int(value)
        case "repeated":
            return [word for text in _texts(value) for word in _pair(flag, text)]
        case "list":
            return [flag, *_texts(value)]
    (text,) = _texts(value) if not isinstance(value, list | tuple) else [str(value)]
    return _pair(flag, text)


def _pair(flag: str, text: str) -> list[str]:
    """Return a flag and its value, in one word where the value would be taken for a flag."""
    return [f"{flag}={text}"] if text.startswith("-") and flag.startswith("--") else [flag, text]


def _texts(value: Any) -> list[str]:
    return [str(item) for item in value] if isinstance(value, list | tuple) else [str(value)]
