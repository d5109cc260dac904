"""Make a bundle of a notebook's cell from texts alone, where no kernel runs; nothing of it is executed here."""

from __future__ import annotations

import ast
import json
import re
import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from jupyter_ext.bundles.bundle import Bundle, pack_files
from jupyter_ext.bundles.entry import choose_entry
from jupyter_ext.bundles.notebook_text import CellText, Needed, needed_of
from jupyter_ext.bundles.script_file import entry_manifest
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest

_OURS = re.compile(r"\s*%%(train|debug_session)\b(.*)")


@dataclass(frozen=True)
class Cell:
    """A cell as a page has it.

    Attributes:
        text: What stands in it, a line `%%train` or `%%debug_session` included.
        label: What tracebacks call it.
        before: The cells above it.
        name: What to call the run; by default what the magic line says.
        file: The file that it is the text of, whose folder comes first on the import path; `None` for a notebook's.
    """

    text: str
    label: str = "the cell"
    before: Sequence[CellText] = ()
    name: str = ""
    file: str | None = None


def bundle_of_training(cell: Cell, inputs: Iterable[str] = ()) -> Bundle:
    """Make a bundle of a cell that defines `train(...)`, or is a plain script.

    Args:
        cell: The cell.
        inputs: Names of inputs; a script finds them as variables.

    Returns:
        The bundle; `given` has what the cell's own call and `-i` in its magic line say, and `unknown_names` what only a
        running kernel has.

    Raises:
        InvalidInput: It is not Python, or would do nothing.
    """
    source, name, texts = _read(cell)
    tree = _parse(source)
    names = (*inputs, *texts)
    entry = choose_entry(tree, source, names)
    parts = entry_manifest(entry, source, name or "training")
    given = set(names) if entry.is_script and entry.options is None else set[str]()
    needed = needed_of(source, cell.before, given)
    typed = {} if parts.training_input is None else parts.training_input.parse_text(texts)
    bundle = _bundle(parts.manifest, parts.source, cell, needed, parts.files)
    return replace(
        bundle, training_input=parts.training_input, given={**entry.given, **typed}, notice=entry.notice
    )


def bundle_of_session(cell: Cell) -> Bundle:
    """Make a bundle of a cell that defines a model, for a debug session.

    Raises:
        InvalidInput: It is not Python.
    """
    source, name, _ = _read(cell)
    _parse(source)
    manifest: Manifest = {"kind": "model", "name": name or "session", "entry": ""}
    if cell.file is not None:
        manifest["file"] = cell.file
    return _bundle(manifest, source, cell, needed_of(source, cell.before), {})


def _bundle(manifest: Manifest, source: str, cell: Cell, needed: Needed, more: dict[str, bytes]) -> Bundle:
    files = {**more, "code.py": source.encode("utf-8", "surrogatepass")}
    sources, labels = {}, {}
    for number, part in enumerate(needed.cells):
        filename = f"<cell {number}: {part.label}>"
        sources[filename], labels[filename] = f"sources/{number}.py", part.label
        files[sources[filename]] = part.text.encode("utf-8", "surrogatepass")
    manifest = manifest | {
        "format": 1,
        "label": cell.label,
        "source": "code.py",
        "captured": [],
        "sources": sources,
        "labels": labels,
        "before": [*sources],
    }
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(manifest["name"], pack_files(files), (), None, needed.missing)


def _read(cell: Cell) -> tuple[str, str, dict[str, str]]:
    """Return the text with an empty line in place of our magic, the name, and the inputs that the magic gives."""
    first, newline, rest = cell.text.partition("\n")
    found = _OURS.fullmatch(first)
    if found is None:
        return cell.text, cell.name, {}
    try:
        words = shlex.split(found[2])
    except ValueError:
        words = []
    flags = {i + 1 for i, word in enumerate(words) if word.startswith("-")}
    named = next((word for i, word in enumerate(words) if i not in flags and not word.startswith("-")), "")
    pairs = (words[i].partition("=") for i in flags if i < len(words) and words[i - 1] in ("-i", "--input"))
    texts = {name: text for name, equals, text in pairs if equals and not set(text) & set("{}$")}
    return newline + rest, cell.name or named, texts


def _parse(source: str) -> ast.Module:
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError) as error:
        line = (getattr(error, "text", None) or "").strip()
        if line.startswith(("%", "!", "?")) or line.endswith("?"):
            reason = f"{line!r} is a notebook command, which a training cannot run; put it into another cell"
        else:
            reason = f"{getattr(error, 'msg', error)}" + (f" in `{line}`" if line else "")
        raise InvalidInput(f"line {getattr(error, 'lineno', 1)} of the cell: {reason}.") from None
    if not tree.body:
        raise InvalidInput("The cell is empty; write train(...) or a script into it.")
    return tree
