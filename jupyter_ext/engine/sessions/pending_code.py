"""Code on its way into a session: a bundle from a notebook, unpacked and waiting to be taken.

manifest.json       format, kind (model | object), name, entry, label, source, imports, labels, sources, captured
code.py             the text of a cell
object.pkl          a class, an instance or a function
names.pkl           names of the notebook
sources/<n>.py      texts of other cells, for tracebacks
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import shutil
import zipfile
from pathlib import Path

from jupyter_ext.engine.common.archives import check_size, reading_archive
from jupyter_ext.engine.common.disk import is_disk, report_disk
from jupyter_ext.ids import is_version_id
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.problems import Problem

MAX_BUNDLE_BYTES = 2 * 2**30
_MEMBERS = re.compile(r"manifest\.json|code\.py|names\.pkl|object\.pkl|sources/\d{1,4}\.py")
_KINDS = {"model": "code.py", "object": "object.pkl"}


class PendingCode:
    """Bundles that no session has taken yet.

    Args:
        directory: Theirs.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory

    def add(self, bundle: bytes) -> str:
        """Unpack a bundle; returns its id.

        Raises:
            Problem: The bytes are no bundle.
        """
        bundle_id = hashlib.sha256(bundle).hexdigest()
        target = self._directory / bundle_id
        if target.exists():
            return bundle_id
        temporary = self._directory / f".{bundle_id}.{os.getpid()}"
        shutil.rmtree(temporary, ignore_errors=True)
        try:
            _unpack(bundle, temporary)
            os.replace(temporary, target)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)
        return bundle_id

    def take(self, bundle_id: str, target: Path) -> Manifest:
        """Move a bundle into a session's directory; returns its manifest.

        Raises:
            Problem: There is none of this id.
        """
        source = self._directory / bundle_id
        if not is_version_id(bundle_id) or not source.is_dir():
            raise Problem(422, "Invalid value", f"There is no code {bundle_id[:12]!r}; upload it again.")
        target.parent.mkdir(mode=0o700, exist_ok=True)
        os.replace(source, target)
        manifest: Manifest = read_json(target / "manifest.json")
        return manifest

    def clear(self) -> None:
        """Remove what nobody took; a disk that takes nothing keeps it."""
        shutil.rmtree(self._directory, ignore_errors=True)
        try:
            self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            if not is_disk(error):
                raise
            report_disk(error, self._directory)


def _unpack(bundle: bytes, target: Path) -> None:
    with reading_archive(_bad), zipfile.ZipFile(io.BytesIO(bundle)) as archive:
        check_size(archive, MAX_BUNDLE_BYTES, _bad)
        names = archive.namelist()
        wrong = next((name for name in names if not _MEMBERS.fullmatch(name)), None)
        if wrong is not None:
            raise _bad(f"{wrong[:80]!r} does not belong into it")
        for name in names:
            path = target / name
            path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            with archive.open(name) as source, open(path, "wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    try:
        manifest = json.loads((target / "manifest.json").read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        raise _bad("its manifest.json is missing or not JSON") from None
    kind = manifest.get("kind") if isinstance(manifest, dict) else None
    if not isinstance(kind, str) or kind not in _KINDS:
        raise _bad(f"its kind is none of {', '.join(_KINDS)}")
    if not (target / _KINDS[kind]).is_file():
        raise _bad(f"{_KINDS[kind]} is missing")


def _bad(reason: str) -> Problem:
    return Problem(422, "Invalid code", f"This is no bundle of a session's code: {reason}.")
