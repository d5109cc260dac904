"""Read the media of a run: pages of `media/items.jsonl`, and the files that its lines name.

Rule: a line that cannot be read, or that names a file as none is named, is left out and harms no other. What is asked for by
name is a name of that form, so that no request becomes a path.

Source: docs/architecture/03-run-directory.md, "Media".
"""

from __future__ import annotations

import json
import math
import re
from pathlib import Path

from jupyter_ext.engine.common.file_pieces import read_piece
from jupyter_ext.protocol.media import MediaItem, MediaPage

_DIRECTORY, _ITEMS = "media", "items.jsonl"
_PAGE_BYTES = 1 << 20
_FILE_NAME = re.compile(r"[0-9a-f]{32}\.(?:plotly\.)?[a-z0-9]{1,8}")
CONTENT_TYPES = {
    "png": "image/png",
    "jpg": "image/jpeg",
    "gif": "image/gif",
    "webp": "image/webp",
    "svg": "image/svg+xml",
    "wav": "audio/wav",
    "mp3": "audio/mpeg",
    "ogg": "audio/ogg",
    "flac": "audio/flac",
    "mp4": "video/mp4",
    "webm": "video/webm",
    "html": "text/html; charset=utf-8",
    "json": "application/json",
}


def page(run_dir: Path, offset: int) -> MediaPage:
    """Return the items whose lines begin at byte `offset` or later, about 1 MiB of them.

    Args:
        run_dir: The run directory.
        offset: From 0; the `next` of the page before.
    """
    data = read_piece(run_dir / _DIRECTORY / _ITEMS, offset, _PAGE_BYTES)
    end = data.rfind(b"\n") + 1
    found = [item for line in data[:end].split(b"\n") if (item := _item(line)) is not None]
    is_more = len(data) == _PAGE_BYTES
    if end == 0 and is_more:
        end = len(data)  # no line of ours is so long: what it is, is passed over
    return MediaPage(items=found, next=offset + end, more=is_more)


def file(run_dir: Path, name: str) -> Path | None:
    """Return the path of a file of media, or `None` where there is none of this name."""
    if _FILE_NAME.fullmatch(name) is None:
        return None
    path = run_dir / _DIRECTORY / name
    return path if path.is_file() and not path.is_symlink() else None


def content_type(name: str) -> str:
    """Return the content type of a file of media; one that is not known here is bytes and nothing else."""
    return CONTENT_TYPES.get(name.rpartition(".")[2], "application/octet-stream")


def _item(line: bytes) -> MediaItem | None:
    try:
        item = MediaItem.model_validate(json.loads(line))
    except (ValueError, RecursionError):
        return None
    if item.file is not None and _FILE_NAME.fullmatch(item.file) is None:
        return None
    return item if math.isfinite(item.step) and math.isfinite(item.time) else None
