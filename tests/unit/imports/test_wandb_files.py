"""Files of wandb's offline mode: written here as wandb writes them, byte for byte of the format."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from jupyter_ext.client.imports import wandb_files
from jupyter_ext.client.imports.found import Counted


def lengthy(number: int, data: bytes) -> bytes:
    head = varint(number << 3 | 2)
    return head + varint(len(data)) + data


def varint(number: int) -> bytes:
    found = b""
    while number > 0x7F:
        found += bytes([number & 0x7F | 0x80])
        number >>= 7
    return found + bytes([number])


def item(key: str, value: object, *, nested: bool = False) -> bytes:
    names = (
        b"".join(lengthy(2, part.encode()) for part in key.split(".")) if nested else lengthy(1, key.encode())
    )
    return lengthy(1, names + lengthy(16, json.dumps(value).encode()))


def file_of(*records: bytes) -> bytes:
    """Return a file of these records, those that do not fit into a block in pieces."""
    out = b":W&B" + struct.pack("<HB", 0xBEE1, 0)
    for record in records:
        rest, is_first = record, True
        while rest or is_first:
            room = (1 << 15) - len(out) % (1 << 15)
            if room < 7:
                out += bytes(room)
                room = 1 << 15
            piece, rest = rest[: room - 7], rest[room - 7 :]
            kind = (1 if not rest else 2) if is_first else (4 if not rest else 3)
            out += struct.pack("<IHB", zlib.crc32(bytes([kind]) + piece), len(piece), kind) + piece
            is_first = False
    return out


def run_file(tmp_path: Path, num_steps: int) -> Path:
    config = lengthy(4, item("lr", 0.1) + item("_wandb", {}) + item("model.width", 8, nested=True))
    records = [lengthy(17, config + lengthy(8, b"brave-moon"))]
    for step in range(num_steps):
        row = {
            "loss": 1 / (step + 1),
            "_step": step,
            "_timestamp": 1e9 + step,
            "note": "x" * 40,
            "odd": "NaN",
        }
        items = b"".join(item(*pair) for pair in row.items()) + item("val.acc", step, nested=True)
        records.append(lengthy(2, items))
    path = tmp_path / "run-abc123.wandb"
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "picture.png").write_bytes(b"png")
    (tmp_path / "secret.png").write_bytes(b"no")
    pictures = (("one", "picture.png"), ("two", "../secret.png"), ("three", "gone.png"))
    nested = item("four._type", "image-file", nested=True) + item("four.path", "picture.png", nested=True)
    records.append(lengthy(2, nested + item("four.width", 3, nested=True) + item("_step", 8)))
    records += [
        lengthy(2, item(key, {"_type": "image-file", "path": name}) + item("_step", 7))
        for key, name in pictures
    ]
    path.write_bytes(file_of(*records, lengthy(5, item("late", [1, 2]))))
    return path


def test_points_config_and_pictures_are_read(tmp_path: Path) -> None:
    path = run_file(tmp_path, 2_000)
    assert path.stat().st_size > 4 << 15
    run = wandb_files.read(path)
    assert (run.name, run.source) == ("brave-moon", "wandb")
    assert run.inputs == {"lr": 0.1, "model.width": 8, "late": [1, 2]}
    assert set(run.metrics) == {"loss", "odd", "val.acc"}
    assert run.metrics["loss"].steps == list(range(2_000))
    assert run.metrics["loss"].values == [1 / (step + 1) for step in range(2_000)]
    assert run.metrics["loss"].times[-1] == 1e9 + 1_999
    assert [(picture.key, picture.step, picture.data) for picture in run.pictures] == [
        ("four", 8, b"png"),
        ("one", 7, b"png"),
    ]


@pytest.mark.parametrize("damage", ["cut", "flipped"])
def test_a_damaged_file_is_read_up_to_there(tmp_path: Path, damage: str) -> None:
    path = run_file(tmp_path, 2_000)
    data = bytearray(path.read_bytes())
    if damage == "cut":
        del data[len(data) // 2 :]
    else:
        data[len(data) // 2] ^= 1
    path.write_bytes(data)
    steps = wandb_files.read(path).metrics["loss"].steps
    assert 500 < len(steps) < 1_500
    assert steps == list(range(len(steps)))


def test_texts_and_histograms_are_read(tmp_path: Path) -> None:
    packed = {"_type": "histogram", "values": [1, 2], "packedBins": {"min": 0, "size": 0.5, "count": 2}}
    records = [
        lengthy(2, item("h", {"_type": "histogram", "values": [1, 2], "bins": [0, 1, 3]}) + item("_step", 1)),
        lengthy(2, item("packed", packed) + item("_step", 2) + item("note", "went well")),
        lengthy(2, item("bad", {"_type": "histogram", "values": [1, "x"], "bins": [0, 1, 3]})),
        lengthy(2, item("worse", {**packed, "packedBins": {"min": 0, "size": 1, "count": 10**12}})),
    ]
    path = tmp_path / "run-x.wandb"
    path.write_bytes(file_of(*records))
    items = wandb_files.read(path).items
    assert [(found.key, found.step, found.value) for found in items] == [
        ("h", 1, ([1, 2], [0, 1, 3])),
        ("packed", 2, ([1, 2], [0, 0.5, 1])),
        ("note", 2, "went well"),
    ]


def test_what_wandb_wrote_is_read(tmp_path: Path) -> None:
    pytest.importorskip("wandb")
    code = """
import sys, wandb
run = wandb.init(mode="offline", dir=sys.argv[1], project="p", config={"lr": 0.1}, settings=wandb.Settings(silent=True))
run.log({"loss": 0.5, "h": wandb.Histogram([1, 2, 2, 3], num_bins=4), "note": "went well"}, step=3)
run.finish()
"""
    subprocess.run([sys.executable, "-c", code, str(tmp_path)], check=True, capture_output=True, timeout=120)
    (path,) = tmp_path.rglob("*.wandb")
    run = wandb_files.read(path)
    assert run.inputs["lr"] == 0.1
    assert run.metrics["loss"].values == [0.5]
    items = {found.key: found for found in run.items}
    assert (items["note"].step, items["note"].value) == (3, "went well")
    counted = items["h"].value
    assert isinstance(counted, Counted)
    assert sum(counted.counts) == 4
    assert (counted.edges[0], counted.edges[-1]) == (1, 3)


def test_another_file_has_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x.wandb"
    path.write_bytes(b"something else")
    assert wandb_files.read(path).metrics == {}
