"""What a medium is on its way to the disk. Standard library only."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

MAX_ITEM_BYTES = 64 << 20
"""One medium has at most so many bytes."""

JsonValue = str | int | float | bool | None | list["JsonValue"] | dict[str, "JsonValue"]


@dataclass(frozen=True)
class Prepared:
    """A medium whose data are copied, ready to be encoded in any thread.

    Attributes:
        kind: `image`, `histogram`, `table`, `text`, `audio`, `video`, `html`, `plotly`, `confusion_matrix`, `pr_curve`.
        suffix: Of the file, such as `png`.
        encode: Makes the file's bytes, where there is a file.
        raw_bytes: How much is held until then.
        data: What needs no file, as JSON; too large, it becomes one.
        facts: More about it: size in pixels, caption and the like.
    """

    kind: str
    suffix: str = "json"
    encode: Callable[[], bytes] | None = None
    raw_bytes: int = 0
    data: JsonValue = None
    facts: dict[str, JsonValue] = field(default_factory=dict)


def read_file(path: str | os.PathLike[str]) -> bytes:
    """Return the bytes of a medium that is a file.

    Raises:
        ValueError: There is none, or it is too large.
    """
    try:
        size = os.stat(path).st_size
        if size > MAX_ITEM_BYTES:
            raise ValueError(
                f"{os.fspath(path)} has {size >> 20} MiB; a medium has at most {MAX_ITEM_BYTES >> 20}"
            )
        return Path(path).read_bytes()
    except OSError as error:
        raise ValueError(f"{os.fspath(path)!r} cannot be read ({error.strerror or error})") from None


_MAGIC = (
    (0, b"\x89PNG\r\n\x1a\n", "png"),
    (0, b"\xff\xd8\xff", "jpg"),
    (0, b"GIF8", "gif"),
    (8, b"WEBP", "webp"),
    (8, b"WAVE", "wav"),
    (0, b"ID3", "mp3"),
    (0, b"\xff\xfb", "mp3"),
    (0, b"OggS", "ogg"),
    (0, b"fLaC", "flac"),
    (4, b"ftyp", "mp4"),
    (0, b"\x1aE\xdf\xa3", "webm"),
)


def suffix_of(data: bytes) -> str | None:
    """Return the kind of file that bytes are by their beginning, or `None` where that is none known here."""
    head = data[:512].lstrip().lower()
    if head.startswith((b"<svg", b"<?xml")) and b"<svg" in data[:4096].lower():
        return "svg"
    return next((kind for at, magic, kind in _MAGIC if data[at : at + len(magic)] == magic), None)
