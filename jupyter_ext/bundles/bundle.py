"""Code ready to travel: a zip file that is the same for the same code."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from jupyter_ext.protocol.schema.inputs import TrainingInput
from jupyter_ext.protocol.trainings import Captured

_ZIP_TIME = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class LargeFile:
    """Content that is kept in the data directory under its hash.

    Attributes:
        path: Where it is.
        sha256: Its hash.
        num_bytes: Its size.
    """

    path: Path
    sha256: str
    num_bytes: int


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
    given: Mapping[str, object] = field(default_factory=dict)
    """Inputs that the code's own call or command line gives; those that a person gives go before."""
    large: Mapping[str, LargeFile] = field(default_factory=dict)
    """Its files that are not in `data`, by name; see `for_engine`."""
    notice: str = ""
    """What its user is told of it before it starts."""

    def for_engine(self) -> bytes:
        """Return what the engine is sent: large files are only named, by their hashes."""
        if not self.large:
            return self.data
        hashes = {name: file.sha256 for name, file in self.large.items()}
        return added(self.data, "blobs.json", json.dumps(hashes, sort_keys=True).encode())


def added(data: bytes, name: str, content: bytes) -> bytes:
    """Return a bundle's bytes with one more file."""
    buffer = io.BytesIO(data)
    with zipfile.ZipFile(buffer, "a", zipfile.ZIP_STORED) as archive:
        archive.writestr(zipfile.ZipInfo(name, _ZIP_TIME), content)
    return buffer.getvalue()


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
