"""Names and ids of files that came from elsewhere."""

from __future__ import annotations

import base64
import hashlib
import re

_MAX_NAME_BYTES = 200
_UNSAFE = re.compile(r'[\x00-\x1f\x7f/\\:*?"<>|\ud800-\udfff]+')
"""What a file system, or a shell that is not careful, could take for something else."""


def safe_name(name: str) -> str:
    """Return a file name like the one that a client gave: letters of any script and the extension stay.

    At most 200 bytes are kept, from the end.
    """
    kept = _UNSAFE.sub("-", name.replace("\\", "/").rpartition("/")[2]).strip()
    return kept.encode()[-_MAX_NAME_BYTES:].decode(errors="ignore").lstrip(".-") or "file"


def file_id(run_id: str, part: str) -> str:
    """Return the id of a file that a run leaves, always the same one."""
    digest = hashlib.sha256(f"{run_id} {part}".encode()).digest()[:16]
    return base64.b32hexencode(digest).decode().rstrip("=").lower()
