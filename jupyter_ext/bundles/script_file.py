"""Make a bundle of a Python file, and say what the worker is to do with a text.

Rule: nothing of the user's code is executed here.
"""

from __future__ import annotations

import ast
import json
import os
import re
import tokenize
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.bundles.arguments import split_arguments
from jupyter_ext.bundles.bundle import Bundle, one_line, pack_files
from jupyter_ext.bundles.entry import ENTRY, Entry, choose_entry, without
from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.schema.signature import from_source

MAX_SCRIPT_BYTES = 16 << 20
"""What is larger is not code that a person wrote."""


@dataclass(frozen=True)
class EntryParts:
    """What a chosen entry adds to a bundle."""

    manifest: Manifest
    source: str
    training_input: TrainingInput | None
    files: dict[str, bytes]


def entry_manifest(entry: Entry, source: str, name: str, called: str = ENTRY) -> EntryParts:
    """Return what the worker is to do with a text, its inputs, and the files that say so.

    Args:
        entry: What was chosen.
        source: The text.
        name: What the user calls the training.
        called: What messages call a script that has options.
    """
    manifest: Manifest = {"kind": "script" if entry.is_script else "cell", "name": name, "entry": ENTRY}
    signature = entry.signature
    if entry.options is not None:
        manifest |= {"options": entry.options.spellings(), "entry": called}
        signature = entry.options.signature(called)
    files = {"signature.py": signature.encode()} if signature else {}
    manifest |= {"signature": "signature.py"} if signature else {}
    has_inputs = bool(signature) or not entry.is_script
    training_input = from_source(signature or source, manifest["entry"]) if has_inputs else None
    return EntryParts(manifest, without(source, entry.left_out), training_input, files)


def capture_file(
    path: str | os.PathLike[str],
    name: str | None = None,
    arguments: Sequence[str] = (),
    inputs: Iterable[str] = (),
) -> Bundle:
    """Make a bundle of a Python file, which runs as `__main__` as if it were started from a command line.

    Args:
        path: The file; its folder comes first on the import path.
        name: What to call the training; by default the file's name.
        arguments: What follows `--`. What the file declares as options become inputs; the rest is passed on as it is.
        inputs: Names of inputs that are given besides.

    Raises:
        InvalidInput: There is no such file, or it is not Python.
    """
    file = Path(path).expanduser().resolve()
    source = read_script(file)
    try:
        tree = ast.parse(source)
    except SyntaxError as error:
        raise InvalidInput(f"{file.name}, line {error.lineno}: {error.msg}.") from None
    called = re.sub(r"\W", "_", file.stem)
    try:
        entry = choose_entry(tree, source, tuple(inputs))
    except InvalidInput as error:
        raise InvalidInput(f"{file.name}: {error}") from None
    found = entry_manifest(entry, source, name or file.stem, called if called.isidentifier() else ENTRY)
    given, others = split_arguments(arguments, entry.options, found.training_input)
    if others and not entry.is_script:
        raise InvalidInput(
            f"{file.name} defines train(...), which is called with inputs; give {others[0]!r} as -i name=value."
        )
    manifest = found.manifest | {
        "format": 1,
        "label": file.name,
        "source": "code.py",
        "file": str(file),
        "arguments": others,
        "captured": [],
    }
    files = {**found.files, "code.py": found.source.encode("utf-8", "surrogatepass")}
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(
        manifest["name"],
        pack_files(files),
        (),
        found.training_input,
        given={**entry.given, **given},
        notice=f"{file.name}: {entry.notice}" if entry.notice and not entry.is_script else "",
    )


def read_script(file: Path) -> str:
    """Read a file as Python does, by its own encoding line.

    Raises:
        InvalidInput: It cannot be read, or is no text.
    """
    if file.suffix == ".ipynb":
        raise InvalidInput(
            f"{file.name} is a notebook; save it as a script: jupyter nbconvert --to script {file.name}"
        )
    if file.exists() and (not file.is_file() or file.stat().st_size > MAX_SCRIPT_BYTES):
        raise InvalidInput(f"{file} is no Python file, or larger than {format_bytes(MAX_SCRIPT_BYTES)}.")
    try:
        with tokenize.open(file) as opened:
            return opened.read()
    except OSError as error:
        raise InvalidInput(f"{file} cannot be read: {error.strerror}.") from None
    except (SyntaxError, UnicodeDecodeError) as error:
        raise InvalidInput(f"{file.name} is not Python: {one_line(error)}.") from None
