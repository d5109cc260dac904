"""Which files a snapshot that was fetched here consists of, so that a whole one is told from half of one offline."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.models.sources.manifest import Manifest


def _path(directory: Path, snapshot: Path) -> Path:
    return directory / f"{hashlib.sha256(str(snapshot).encode()).hexdigest()[:32]}.json"


def write(directory: Path, manifest: Manifest) -> None:
    """Note that a snapshot is whole."""
    directory.mkdir(parents=True, exist_ok=True, mode=0o700)
    files = {file.name: file.bytes for file in manifest.files}
    with new_file(_path(directory, manifest.snapshot_dir)) as temporary:
        temporary.write_text(json.dumps({"model": str(manifest.ref), "files": files}), encoding="utf-8")


def is_whole(directory: Path, snapshot: Path) -> bool | None:
    """Tell whether all files of a snapshot that was fetched here are there; `None` if it was not fetched here."""
    try:
        files = json.loads(_path(directory, snapshot).read_text(encoding="utf-8"))["files"]
        return all((snapshot / name).stat().st_size == num_bytes for name, num_bytes in files.items())
    except FileNotFoundError:
        return None if not _path(directory, snapshot).exists() else False
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def remove(directory: Path, snapshot: Path) -> None:
    """Forget a snapshot."""
    _path(directory, snapshot).unlink(missing_ok=True)
