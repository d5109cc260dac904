"""Reading zip archives that somebody else made: damaged, cut, encrypted, or made to do harm.

Rule: whatever is wrong with an archive refuses it in one line; whatever is wrong with our disk is never blamed on it.
"""

from __future__ import annotations

import errno
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from lzma import LZMAError

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.common.records import why

_DAMAGED = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    LookupError,  # empty names, and names that the directory does not have
    struct.error,
    NotImplementedError,  # a method or version that nobody here unpacks
    RuntimeError,  # encrypted members
    ValueError,
    OverflowError,
)
_OUR_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE)


MAX_MEMBERS = 10_000


def check_size(archive: zipfile.ZipFile, max_bytes: int, refusal: Callable[[str], Exception]) -> None:
    """Refuse an archive that would unpack to more than is taken; zipfile reads no member beyond what it says it has.

    Args:
        archive: The archive.
        max_bytes: Of all its members together, unpacked.
        refusal: Makes the exception of a reason in one line.
    """
    members = archive.infolist()
    if len(members) > MAX_MEMBERS:
        raise refusal(f"it has {len(members):,} files, over {MAX_MEMBERS:,}")
    if (num_bytes := sum(member.file_size for member in members)) > max_bytes:
        raise refusal(f"it unpacks to {format_bytes(num_bytes)}, over {format_bytes(max_bytes)}")


@contextmanager
def reading_archive(refusal: Callable[[str], Exception]) -> Iterator[None]:
    """Translate what reading and unpacking an archive raises.

    Args:
        refusal: Makes the exception of a reason in one line.

    Raises:
        OSError: The disk takes nothing more; it is not the archive's fault.
    """
    try:
        yield
    except _DAMAGED as error:
        if type(error) is type(refusal("")):
            raise  # the caller's own refusal
        raise refusal(f"it is no whole zip archive ({why(error)})") from error
    except OSError as error:  # bz2's "invalid data stream", and names that no file can have
        if error.errno in _OUR_DISK:
            raise
        raise refusal(f"it cannot be unpacked ({error.strerror or error})") from error
