"""Code versions: bundles from notebooks, kept unpacked under the sha256 of their bytes.

manifest.json       format, kind (cell | function | script | cog), name, entry, label, source, signature, imports,
                    labels, sources, captured
code.py             the text of a cell
signature.py        the text that the inputs are read from, for a function
names.pkl           names of the notebook
function.pkl        the function
sources/<n>.py      texts of other cells, for tracebacks
folder/…            the files of a Cog project
"""

from __future__ import annotations

import hashlib
import io
import os
import re
import shutil
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext.ids import VersionId, is_version_id
from jupyter_ext.protocol.problems import Problem
from jupyter_ext.protocol.training_input import TrainingInput, from_source
from jupyter_ext.worker.files import read_json

MAX_BUNDLE_BYTES = 2 * 2**30
_MEMBERS = re.compile(r"manifest\.json|code\.py|signature\.py|names\.pkl|function\.pkl|sources/\d{1,4}\.py")
_FOLDER_MEMBER = re.compile(r"folder(/(?!\.\.?(/|$))[^/\\\0]+)+")
"""Files of a project: no part of the path is empty, `.` or `..`."""
_KINDS = ("cell", "function", "script", "cog")


@dataclass(frozen=True)
class Version:
    """One code version."""

    id: VersionId
    directory: Path
    manifest: dict[str, Any]
    training_input: TrainingInput | None
    """Its inputs, or `None` for a script, which takes any as variables."""

    @property
    def model(self) -> str:
        """Owner and name of the model that this code trains."""
        return f"local/{model_name(self.manifest['name'])}"


def model_name(text: str) -> str:
    """Make a name that is safe in URLs out of what the user called it."""
    return re.sub(r"[^a-z0-9._-]+", "-", text.lower()).strip("-.") or "training"


class Versions:
    """All code versions on disk."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._known: dict[VersionId, Version] = {}

    def add(self, bundle: bytes) -> Version:
        """Keep a bundle; the same bytes are the same version.

        Raises:
            Problem: The bytes are no bundle, or its code is not Python.
        """
        version_id = VersionId(hashlib.sha256(bundle).hexdigest())
        known = self.find(version_id)
        if known is not None:
            return known
        temporary = self._directory / f".{version_id}.{os.getpid()}"
        try:
            _unpack(bundle, temporary)
            _read(version_id, temporary)
            os.replace(temporary, self._directory / version_id)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        version = self.find(version_id)
        assert version is not None
        return version

    def find(self, version_id: str) -> Version | None:
        """Find a version by its id."""
        if not is_version_id(version_id):
            return None
        key = VersionId(version_id)
        if key not in self._known:
            directory = self._directory / key
            if not (directory / "manifest.json").exists():
                return None
            self._known[key] = _read(key, directory)
        return self._known[key]


def copy_code(version: Version, target: Path) -> None:
    """Give a run its own copy of the code: links where the disk allows, so that large names cost nothing."""
    for source in version.directory.rglob("*"):
        if source.is_file():
            copy = target / source.relative_to(version.directory)
            copy.parent.mkdir(parents=True, exist_ok=True)
            try:
                os.link(source, copy)
            except OSError:
                shutil.copyfile(source, copy)


def _read(version_id: VersionId, directory: Path) -> Version:
    manifest = read_json(directory / "manifest.json")
    if not isinstance(manifest, dict) or manifest.get("kind") not in _KINDS:
        raise _bad_bundle("its manifest.json is missing or not understood")
    text = directory / (manifest.get("signature") or manifest.get("source") or "")
    if not text.is_file():
        raise _bad_bundle("the file that its manifest names as source is missing")
    try:
        found = from_source(text.read_text(encoding="utf-8"), manifest["entry"])
    except SyntaxError as error:
        raise Problem(
            422, "Invalid code", f"The code is not Python: {error.msg} (line {error.lineno})"
        ) from error
    if manifest["kind"] == "cog" and found is None:
        raise _bad_bundle(f"{text.name} defines no {manifest['entry']!r}")
    return Version(version_id, directory, manifest, None if manifest["kind"] == "script" else found)


def _unpack(bundle: bytes, target: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(bundle)) as archive:
            for member in archive.infolist():
                name = member.filename
                if not _MEMBERS.fullmatch(name) and not _FOLDER_MEMBER.fullmatch(name):
                    raise _bad_bundle(f"{member.filename!r} does not belong into it")
                if member.file_size > MAX_BUNDLE_BYTES:
                    raise _bad_bundle(f"{member.filename!r} is larger than 2 GiB")
                path = target / member.filename
                path.parent.mkdir(parents=True, exist_ok=True)
                with archive.open(member) as source, open(path, "wb") as copy:
                    shutil.copyfileobj(source, copy, 1 << 20)
                if member.external_attr >> 16 & 0o100:
                    path.chmod(0o755)
    except zipfile.BadZipFile as error:
        raise _bad_bundle(str(error)) from error


def _bad_bundle(reason: str) -> Problem:
    return Problem(
        422, "Invalid bundle", f"The code bundle cannot be used: {reason}. Send what `jx.train` sends."
    )
