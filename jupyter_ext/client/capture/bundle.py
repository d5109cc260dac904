"""Code ready to travel: the values that it uses, pickled, and a zip file that is the same for the same code.

Rule: what cannot travel is refused by name before anything starts.
"""

from __future__ import annotations

import io
import json
import linecache
import types
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jupyter_ext.client.capture.names import filenames_of
from jupyter_ext.errors import CannotTravel
from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.trainings import Captured

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Bundle:
    """Code ready to travel."""

    name: str
    data: bytes
    captured: tuple[Captured, ...]
    training_input: TrainingInput | None
    """Its inputs, or `None` for a script."""
    unknown_names: tuple[str, ...] = ()
    """Names that neither the code, the notebook nor Python defines: a NameError to come."""
    given: Mapping[str, Any] = field(default_factory=dict)
    """Inputs that the code's own call or command line gives; those that a person gives go before."""
    notice: str = ""
    """What its user is told of it before it starts."""


@dataclass
class Packed:
    """What travels beside the code itself."""

    captured: list[Captured] = field(default_factory=list)
    imports: dict[str, str] = field(default_factory=dict)
    """Modules by the name that the code knows them by."""
    filenames: set[str] = field(default_factory=set)
    """Files of notebook code, whose lines tracebacks show."""
    files: dict[str, bytes] = field(default_factory=dict)


def pack(found: Mapping[str, Any]) -> Packed:
    """Pickle values with one memo, so that what they share stays shared; modules travel as imports."""
    packed = Packed()
    values = {}
    for name, value in found.items():
        if isinstance(value, types.ModuleType):
            packed.imports[name] = value.__name__
        else:
            values[name] = value
    if not values:
        return packed
    import cloudpickle

    buffer = io.BytesIO()
    pickler = cloudpickle.Pickler(buffer, protocol=5)
    pickler.dump(list(values))
    for name, value in values.items():
        before = buffer.tell()
        try:
            pickler.dump(value)
        except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
            raise CannotTravel(
                f"{name!r} ({type(value).__name__}) cannot travel to the worker: {one_line(error)}. "
                "Make it inside train() instead."
            ) from None
        packed.captured.append(Captured(name=name, type=type(value).__name__, bytes=buffer.tell() - before))
        packed.filenames.update(filenames_of(value))
    packed.files["names.pkl"] = buffer.getvalue()
    return packed


def pickled(thing: Any, told: str) -> bytes:
    """Pickle one thing by value.

    Args:
        thing: What.
        told: What an error says of it: that it cannot travel, and whereto.

    Raises:
        CannotTravel: It, or something that it uses, cannot be pickled.
    """
    import cloudpickle

    try:
        data: bytes = cloudpickle.dumps(thing, protocol=5)
    except Exception as error:  # noqa: BLE001  whatever a user's __reduce__ raises: it cannot travel
        raise CannotTravel(f"{told}: {one_line(error)}.") from None
    return data


def make_bundle(
    manifest: dict[str, Any],
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
        "captured": [item.model_dump() for item in packed.captured],
        "sources": sources,
        "labels": labels,
    }
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(manifest["name"], pack_files(files), tuple(packed.captured), training_input, unknown)


def pack_files(files: Mapping[str, bytes], modes: Mapping[str, int] | None = None) -> bytes:
    """Make a bundle's bytes: the same for the same files.

    Args:
        files: Content by path within the bundle.
        modes: Permission bits by path that are to be kept.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for path, data in sorted(files.items()):
            member = zipfile.ZipInfo(path, _ZIP_TIME)
            member.external_attr = (0o600 | (modes or {}).get(path, 0)) << 16
            archive.writestr(member, data)
    return buffer.getvalue()


def one_line(error: Exception) -> str:
    """Say what went wrong in one line, or else of what kind it is."""
    return " ".join(str(error).split())[:200] or type(error).__name__
