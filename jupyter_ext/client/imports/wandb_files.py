"""Runs that wandb has recorded offline, read without wandb: `wandb/offline-run-…/run-<id>.wandb`.

Source: https://github.com/google/leveldb/blob/main/doc/log_format.md (records in blocks of 32 KiB, behind a head of 7 bytes);
wandb's `wandb_internal.proto` (messages, by the numbers of their fields).
"""

from __future__ import annotations

import contextlib
import json
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TypeGuard

from jupyter_ext.client.imports.found import MAX_BINS, MAX_ITEMS, FoundRun, Picture
from jupyter_ext.client.imports.protobuf import Fields, bytes_of, fields_of

_FILE_HEAD = b":W&B\xe1\xbe\x00"
_HEAD = struct.Struct("<IHB")
_BLOCK_BYTES = 32 << 10
_FULL, _FIRST, _MIDDLE, _LAST = 1, 2, 3, 4
_HISTORY, _CONFIG, _RUN = 2, 5, 17
_WORDS = ("NaN", "Infinity", "-Infinity")
"""Numbers that JSON has no other way to write."""
_MAX_PICTURE_BYTES = 64 << 20


def read(path: Path) -> FoundRun:
    """Read one `.wandb` file; one that is cut short or damaged is read up to there."""
    run = FoundRun(path.stem.removeprefix("run-"), "wandb")
    for data in _records(path):
        with contextlib.suppress(ValueError, IndexError):  # a record that cannot be read harms no other
            _take(run, fields_of(data), path.parent / "files")
    return run


def _records(path: Path) -> Iterator[bytes]:
    data = path.read_bytes()
    if not data.startswith(_FILE_HEAD):
        return
    at, whole = len(_FILE_HEAD), b""
    while True:
        room = _BLOCK_BYTES - at % _BLOCK_BYTES
        if room < _HEAD.size:
            at += room
        if at + _HEAD.size > len(data):
            return
        crc, length, kind = _HEAD.unpack_from(data, at)
        piece = data[at + _HEAD.size : at + _HEAD.size + length]
        if len(piece) < length or zlib.crc32(bytes([kind]) + piece) != crc:
            return
        at += _HEAD.size + length
        whole = piece if kind in (_FULL, _FIRST) else whole + piece
        if kind in (_FULL, _LAST):
            yield whole


def _take(run: FoundRun, record: Fields, files: Path) -> None:
    if _HISTORY in record:
        _take_history(run, fields_of(bytes_of(record, _HISTORY)), files)
    elif _CONFIG in record:
        _take_config(run, fields_of(bytes_of(record, _CONFIG)))
    elif _RUN in record:
        told = fields_of(bytes_of(record, _RUN))
        run.name = bytes_of(told, 8).decode() or run.name
        _take_config(run, fields_of(bytes_of(told, 4)))


def _take_config(run: FoundRun, config: Fields) -> None:
    for key, value in _items(config):
        if not key.startswith("_"):
            run.inputs[key] = value


def _take_history(run: FoundRun, history: Fields, files: Path) -> None:
    row = _with_objects(dict(_items(history)))
    step, time = row.get("_step"), row.get("_timestamp", 0.0)
    if step is None:
        told = fields_of(bytes_of(history, 2)).get(1, [0])[0]
        step = told if isinstance(told, int) else 0
    if not isinstance(step, int | float) or not isinstance(time, int | float):
        return
    for key, value in row.items():
        if key.startswith("_"):
            continue
        if isinstance(value, dict):
            _take_object(run, key, step, time, value, files)
        elif isinstance(value, str) and value not in _WORDS:
            run.add_text(key, step, time, value)
        elif (number := _number(value)) is not None:
            run.add(key, step, number, time)


def _with_objects(row: dict[str, object]) -> dict[str, object]:
    """Put what wandb writes as `img._type`, `img.path`, … back together."""
    for name in [key.removesuffix("._type") for key in row if key.endswith("._type")]:
        parts = {key: row.pop(key) for key in list(row) if key.startswith(f"{name}.")}
        row[name] = {key.removeprefix(f"{name}."): value for key, value in parts.items()}
    return row


def _items(message: Fields) -> Iterator[tuple[str, object]]:
    """Yield the keys and values of a message that repeats `{key, nested_key, value_json}`."""
    for item in message.get(1, ()):
        if isinstance(item, bytes):
            fields = fields_of(item)
            nested = b".".join(part for part in fields.get(2, ()) if isinstance(part, bytes))
            with contextlib.suppress(ValueError):
                yield (bytes_of(fields, 1) or nested).decode(), json.loads(bytes_of(fields, 16))


def _number(value: object) -> float | None:
    if isinstance(value, int | float):
        return float(value)
    return float(str(value)) if value in _WORDS else None


def _take_object(
    run: FoundRun, key: str, step: float, time: float, value: dict[str, object], files: Path
) -> None:
    kind = value.get("_type")
    if kind == "image-file":
        _take_picture(run, key, step, time, value, files)
    elif kind == "histogram":
        counts, edges = value.get("values"), value.get("bins", value.get("packedBins"))
        if isinstance(edges, dict):
            edges = _unpacked(edges)
        if _are_numbers(counts) and _are_numbers(edges):
            run.add_histogram(key, step, time, counts, edges)


def _unpacked(packed: dict[str, object]) -> list[float]:
    """Return evenly spaced edges, which wandb writes as where they begin, how far they are apart, and how many they are."""
    first, step, count = packed.get("min"), packed.get("size"), packed.get("count")
    if not isinstance(first, int | float) or not isinstance(step, int | float):
        return []
    return [first + i * step for i in range(min(count, MAX_BINS) + 1)] if isinstance(count, int) else []


def _are_numbers(values: object) -> TypeGuard[list[float]]:
    return isinstance(values, list) and all(isinstance(value, int | float) for value in values)


def _take_picture(
    run: FoundRun, key: str, step: float, time: float, value: dict[str, object], files: Path
) -> None:
    if len(run.pictures) >= MAX_ITEMS:
        return
    path = (files / str(value.get("path", ""))).resolve()
    inside = path.is_relative_to(files.resolve())
    if inside and path.is_file() and path.stat().st_size <= _MAX_PICTURE_BYTES:
        run.pictures.append(Picture(key, step, time, path.read_bytes()))
