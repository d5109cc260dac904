"""Large parts of code bundles: each is kept once, under its sha256, and versions and runs link to it.

The process that has the data writes the file (see `client.capture.large`), so that nothing large is sent or copied.

Rule: a file that nothing links to any more is removed, but not at once: somebody may be about to name it.
"""

from __future__ import annotations

import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from jupyter_ext.ipc.json_files import read_json
from jupyter_ext.protocol.problems import Problem

NAMES = "blobs.json"
"""The bundle's member that says which of its files have which hash."""
_SHA256 = re.compile(r"[0-9a-f]{64}")
_PATIENCE_S = 3600.0


def link_large(
    directory: Path, kept_in: Path, is_member: Callable[[str], bool], refuse: Callable[[str], Problem]
) -> None:
    """Put the large files of a bundle where the rest of it is.

    Args:
        directory: The unpacked bundle.
        kept_in: Where large files are kept.
        is_member: Whether a bundle may have a file of this name.
        refuse: Makes an error of a reason.

    Raises:
        Problem: A file is not there, or the bundle names none.
    """
    named = read_json(directory / NAMES)
    if named is None and not (directory / NAMES).exists():
        return
    if not isinstance(named, dict):
        raise refuse(f"its {NAMES} is not understood")
    for name, digest in named.items():
        if not is_member(name) or not isinstance(digest, str) or not _SHA256.fullmatch(digest):
            raise refuse(f"its {NAMES} is not understood")
        source, target = kept_in / digest, directory / name
        try:
            try:
                os.link(source, target)
            except FileNotFoundError:
                raise
            except OSError:  # a disk without links, or a link too many
                shutil.copyfile(source, target)
        except FileNotFoundError:
            raise refuse(f"the content of its {name} is not there any more; start it once more") from None


def has_large(directory: Path) -> bool:
    """Whether a version has large files."""
    return (directory / NAMES).exists()


def collect(kept_in: Path) -> int:
    """Remove files that nothing links to, and those that a process left half written; return how many bytes that frees."""
    freed = 0
    try:
        entries = list(os.scandir(kept_in))
    except FileNotFoundError:
        return 0
    for entry in entries:
        try:
            status = entry.stat(follow_symlinks=False)
            if status.st_nlink == 1 and time.time() - status.st_mtime > _PATIENCE_S:
                os.unlink(entry.path)
                freed += status.st_size
        except OSError:
            continue  # gone meanwhile, or no file: then it is not ours
    return freed
