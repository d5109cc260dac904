"""Journals, read by a plain loop over the frames that shares no code with our reader."""

from __future__ import annotations

import json
import struct
import zlib
from pathlib import Path
from typing import Any, NamedTuple

from jupyter_ext.ipc.journal_format import journal_name, parse_journal_name


class Read(NamedTuple):
    points: list[tuple[str, float, float]]
    marks: list[dict[str, Any]]
    torn_bytes: int


def read(path: Path) -> Read:
    data, position, keys = path.read_bytes(), 0, {}
    points: list[tuple[str, float, float]] = []
    marks: list[dict[str, Any]] = []
    while position + 8 <= len(data):
        length, crc = struct.unpack_from("<II", data, position)
        body = data[position + 8 : position + 8 + length]
        if len(body) < length or zlib.crc32(body) != crc:
            break
        position += 8 + length
        if body[0] == 1:
            keys[struct.unpack_from("<H", body, 1)[0]] = body[3:].decode()
        elif body[0] == 2:
            _, step = struct.unpack_from("<dd", body, 1)
            for at in range(17, length, 10):
                key_id, value = struct.unpack_from("<Hd", body, at)
                points.append((keys[key_id], step, value))
        elif body[0] == 3:
            key_id, n, _ = struct.unpack_from("<HId", body, 1)
            numbers = struct.unpack_from(f"<{2 * n}d", body, 15)
            points += [(keys[key_id], numbers[i], numbers[n + i]) for i in range(n)]
        else:
            marks.append(json.loads(body[9:]))
    return Read(points, marks, len(data) - position)


def read_stream(directory: Path, stream: str) -> Read:
    points: list[tuple[str, float, float]] = []
    marks: list[dict[str, Any]] = []
    found = sorted(p for f in directory.glob("*.jnl") if (p := parse_journal_name(f.name)) and p[0] == stream)
    for part in found:
        got = read(directory / journal_name(*part))
        points += got.points
        marks += got.marks
    return Read(points, marks, 0)
