"""What a notebook adds to a bundle: the values that its code uses, pickled.

Rule: what cannot travel is refused by name before anything starts.
"""

from __future__ import annotations

import io
import json
import linecache
import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_ext.bundles.bundle import Bundle, LargeFile, one_line, pack_files
from jupyter_ext.client.capture.large import Counter, Spool
from jupyter_ext.client.capture.modules import by_value, changes, is_importable
from jupyter_ext.errors import CannotTravel, InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.trainings import Captured


@dataclass
class Packed:
    """What travels beside the code itself."""

    captured: list[Captured] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    """Modules by the name that the code knows them by."""
    modules: list[types.ModuleType] = field(default_factory=list)
    """The same modules."""
    filenames: set[str] = field(default_factory=set)
    """Files of notebook code, whose lines tracebacks show."""
    files: dict[str, bytes] = field(default_factory=dict)
    large: dict[str, LargeFile] = field(default_factory=dict)
    """Files of the bundle that are kept in the data directory already."""

    def add(self, name: str, content: bytes | LargeFile) -> None:
        """Add a file, by its content or by where that is."""
        if isinstance(content, LargeFile):
            self.large[name] = content
        else:
            self.files[name] = content


def pack(
    found: Mapping[str, object], name: str = "", *, as_file: bool = False, only_sizes: bool = False
) -> Packed:
    """Pickle values with one memo, so that what they share stays shared; modules travel as imports.

    Args:
        found: The values by name.
        name: What they are packed for, for the line that says that it takes a while.
        as_file: Whether large ones may be kept in a file; else all is in memory.
        only_sizes: Whether only their sizes are wanted, as they travel in another way.

    Raises:
        CannotTravel: One cannot be pickled; it is named.
    """
    packed = Packed()
    values = {}
    for name, value in found.items():
        if isinstance(value, types.ModuleType) and is_importable(value):
            packed.imports[name] = value.__name__
            packed.modules.append(value)
        else:
            values[name] = value
    if not values:
        return packed
    from jupyter_ext.client.capture.pickler import NotebookPickler

    buffer = Counter() if only_sizes else Spool(name) if as_file else io.BytesIO()
    pickler = NotebookPickler(buffer)
    pickler.dump(list(values))
    with by_value():
        for name, value in values.items():
            before = buffer.tell()
            try:
                pickler.dump(value)
            except Exception as error:
                if isinstance(buffer, Spool):
                    buffer.discard()
                if isinstance(error, InvalidInput):
                    raise
                raise CannotTravel(
                    f"{name!r} ({type(value).__name__}) cannot travel to the worker: {one_line(error)}. "
                    "Make it inside train() instead."
                ) from None
            size = buffer.tell() - before
            packed.captured.append(Captured(name=name, type=type(value).__name__, bytes=size))
    packed.filenames |= pickler.filenames
    if isinstance(buffer, Spool):
        packed.add("names.pkl", buffer.finish())
    elif isinstance(buffer, io.BytesIO):
        packed.add("names.pkl", buffer.getvalue())
    return packed


def pickled_file(thing: Any, problem: str, name: str, filenames: set[str]) -> bytes | LargeFile:
    """Pickle one thing by value, into a file where it is large; arguments and errors as of `pickled`.

    Args:
        thing: What.
        problem: What an error says of it.
        name: What it is packed for, for the line that says that it takes a while.
        filenames: Gets the files of the code that is in it.
    """
    from jupyter_ext.client.capture.pickler import NotebookPickler

    spool = Spool(name)
    pickler = NotebookPickler(spool)
    try:
        with by_value():
            pickler.dump(thing)
    except InvalidInput:
        raise
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        spool.discard()
        raise CannotTravel(f"{problem}: {one_line(error)}.") from None
    except BaseException:  # an interrupt
        spool.discard()
        raise
    filenames |= pickler.filenames
    return spool.finish()


def pickled(thing: Any, problem: str, filenames: set[str]) -> bytes:
    """Pickle one thing by value.

    Args:
        thing: What.
        problem: What an error says of it: that it cannot travel, and whereto.
        filenames: Gets the files of the code that is in it.

    Raises:
        CannotTravel: It, or something that it uses, cannot be pickled.
    """
    from jupyter_ext.client.capture.pickler import NotebookPickler

    buffer = io.BytesIO()
    pickler = NotebookPickler(buffer)
    try:
        with by_value():
            pickler.dump(thing)
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        raise CannotTravel(f"{problem}: {one_line(error)}.") from None
    filenames |= pickler.filenames
    return buffer.getvalue()


def make_bundle(
    manifest: Manifest,
    files: dict[str, bytes],
    packed: Packed,
    training_input: TrainingInput | None,
    label_of: Callable[[str], str],
    unknown: tuple[str, ...] = (),
) -> Bundle:
    """Make a bundle, with the lines of notebook code that is in no file.

    Args:
        manifest: What the worker is to do with the files.
        files: Content by path within the bundle.
        packed: The names that travel with it.
        training_input: Its inputs, or `None` for a script.
        label_of: Gives what to call a file of code in a traceback.
        unknown: Names that nothing defines.
    """
    sources, labels = {}, {}
    for number, filename in enumerate(sorted(packed.filenames)):
        lines = (
            [] if Path(filename).exists() and "ipykernel" not in filename else linecache.getlines(filename)
        )
        if lines:
            sources[filename] = f"sources/{number}.py"
            labels[filename] = label_of(filename)
            files[f"sources/{number}.py"] = "".join(lines).encode()
    manifest |= {
        "format": 1,
        "imports": packed.imports,
        "captured": [{"name": item.name, "type": item.type, "bytes": item.bytes} for item in packed.captured],
        "sources": sources,
        "labels": labels,
    }
    if notices := changes(packed.modules):
        manifest["notices"] = [*manifest.get("notices", []), *notices]
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(
        manifest["name"],
        pack_files(files),
        tuple(packed.captured),
        training_input,
        unknown,
        large=packed.large,
    )
