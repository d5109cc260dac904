"""States of checkpoints that are kept elsewhere: on a file system that machines share, or in a store that fsspec reaches.

    <run>/checkpoints/checkpoint-<n>.at     instead of the state: the path or URL where it is

Rule: such a checkpoint is whole by its manifest, which is written only once its state is stored; its bytes are checked when they are loaded.
Standard library, and fsspec for URLs.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

_SUFFIX = ".at"


def pointer_of(state: Path) -> Path:
    """Return the file that says where a state is, which is not in its own place."""
    return state.with_suffix(_SUFFIX)


def place_of(state: Path) -> str | None:
    """Return where a state is kept, or `None` where it is in its own place, or nowhere."""
    if state.exists():
        return None
    try:
        return pointer_of(state).read_text(encoding="utf-8").strip() or None
    except OSError:
        return None


def put(path: Path, place: str) -> None:
    """Store a file, whole or not at all.

    Raises:
        OSError: It cannot be stored.
        ImportError: fsspec is missing, or what it needs for this kind of URL.
    """
    if "://" not in place:
        target = Path(place)
        target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{os.getpid()}")
        shutil.copyfile(path, temporary)
        os.replace(temporary, target)
        return
    import fsspec

    files, name = fsspec.core.url_to_fs(place)
    files.makedirs(name.rpartition("/")[0], exist_ok=True)
    files.put_file(str(path), name)


def fetch(state: Path, place: str) -> None:
    """Put a state into its own place.

    Raises:
        OSError: It cannot be read, or not be written here.
        ImportError: As of `put`.
    """
    temporary = state.with_name(f".{state.name}.{os.getpid()}")
    try:
        if "://" not in place:
            shutil.copyfile(place, temporary)
        else:
            import fsspec

            files, name = fsspec.core.url_to_fs(place)
            files.get_file(name, str(temporary))
        os.replace(temporary, state)
    finally:
        temporary.unlink(missing_ok=True)


def remove(place: str) -> None:
    """Remove a file that was stored.

    Raises:
        OSError: It cannot be removed.
    """
    if "://" not in place:
        Path(place).unlink(missing_ok=True)
        return
    import fsspec

    files, name = fsspec.core.url_to_fs(place)
    files.rm_file(name)
