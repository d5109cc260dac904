"""What the engine writes is its user's alone, also in a data directory that others may look into.

Rule: the engine and what it starts for itself write with umask 077; interpreters of the user's code are started with the umask that
the engine was started with, because the files that training code writes are the user's.
"""

from __future__ import annotations

import logging
import os
import stat
from collections.abc import Iterable
from pathlib import Path

log = logging.getLogger(__name__)

_user_umask = -1


def write_privately() -> None:
    """Set the umask of this process for good, and remember the one before."""
    global _user_umask
    before = os.umask(0o077)
    if _user_umask < 0:
        _user_umask = before


def user_umask() -> int:
    """Return the umask for processes that run the user's code, as `subprocess` takes it: -1 leaves it as it is."""
    return _user_umask


def tighten(paths: Iterable[Path]) -> None:
    """Take the rights of others off files and directories of our own; links and what belongs to others stay."""
    for path in paths:
        try:
            found = path.lstat()
            is_ours = found.st_uid == os.getuid() and not stat.S_ISLNK(found.st_mode)
            if is_ours and found.st_mode & 0o077:
                path.chmod(stat.S_IMODE(found.st_mode) & ~0o077)
        except FileNotFoundError:
            continue
        except OSError as error:
            log.warning("%s stays open to others: %s", path, error)
