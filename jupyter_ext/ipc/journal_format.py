"""The journal's format, for who writes it and who reads it. Standard library only.

Source: docs/architecture/03-run-directory.md, "Journal frame".
"""

from __future__ import annotations

import json
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping
from zlib import crc32

from jupyter_ext.ipc.json_values import clean, clean_text

KIND_KEY, KIND_POINTS, KIND_MANY, KIND_MARK = 1, 2, 3, 4

FRAME_HEAD = struct.Struct("<II")
"""Length of what follows, CRC32 of the same."""
KEY_HEAD = struct.Struct("<BH")
MANY_HEAD = struct.Struct("<BHId")
MARK_HEAD = struct.Struct("<Bd")
MAX_FRAME_BYTES = 1 << 20
"""A length above this is a damaged frame. 65,535 keys in one call make 655 kB."""
MANY_CHUNK = 32_768
"""Points of `many` in one frame, so that a reader can always work in pieces of 1 MiB."""


def journal_name(stream: str, number: int) -> str:
    """Name the `number`-th journal of a stream, from 0."""
    return f"metrics-{stream}-{number}.jnl"


def parse_journal_name(name: str) -> tuple[str, int] | None:
    """Return stream and number of a file name that is a journal's, or `None`."""
    stem, dot, extension = name.rpartition(".")
    kind, _, rest = stem.partition("-")
    stream, _, number = rest.rpartition("-")
    if not dot or extension != "jnl" or kind != "metrics" or not stream or not number.isdecimal():
        return None
    return stream, int(number)


def frame(body: bytes) -> bytes:
    """Make a frame of what follows the CRC."""
    return FRAME_HEAD.pack(len(body), crc32(body)) + body


def key_frame(key_id: int, key: str) -> bytes:
    """Make the frame that names a key."""
    return frame(KEY_HEAD.pack(KIND_KEY, key_id) + clean_text(key).encode())


def mark_frame(time: float, fields: Mapping[str, object]) -> bytes:
    """Make the frame of a mark; `time` in Unix seconds."""
    text = json.dumps(clean(dict(fields)), default=str, ensure_ascii=False)
    return frame(MARK_HEAD.pack(KIND_MARK, time) + text.encode("utf-8", "replace"))


def float64_bytes(numbers: Iterable[float]) -> bytes | memoryview:
    """Return little-endian float64; what is that already (numpy, array) is not copied."""
    if sys.byteorder == "little":
        try:
            view = memoryview(numbers)  # type: ignore[arg-type]
        except TypeError:
            pass
        else:
            if view.format in ("d", "<d") and view.ndim == 1 and view.c_contiguous:
                return view.cast("B")
    floats = array("d", [float(number) for number in numbers])
    if sys.byteorder == "big":
        floats.byteswap()
    return floats.tobytes()
