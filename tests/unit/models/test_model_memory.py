"""What a model takes and what there is: headers, estimates, control groups."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
from model_tools import save

from jupyter_ext.engine.models import memory
from jupyter_ext.errors import InvalidInput
from jupyter_ext.weights import files as model_files
from jupyter_ext.weights.files import BadWeights

GIB = 1 << 30


def header(path: Path, tensors: dict[str, object], size: int | None = None) -> Path:
    """Write a file of any size with this header; the data is a hole."""
    text = json.dumps(tensors).encode()
    path.write_bytes(len(text).to_bytes(8, "little") + text)
    if size is not None:
        with open(path, "r+b") as file:
            file.truncate(8 + len(text) + size)
    return path


def test_the_estimate_is_what_torch_takes(tmp_path: Path) -> None:
    path = save(
        tmp_path / "m.safetensors",
        {
            "w": torch.zeros(64, 32, dtype=torch.bfloat16),
            "ids": torch.zeros(10, dtype=torch.int64),
            "e": torch.zeros(0, 4),
        },
    )
    files = model_files.find(path)
    own = memory.estimate(files)
    assert (own.weights_bytes, own.num_parameters, own.dtype, own.mapped) == (
        64 * 32 * 2 + 80,
        64 * 32 + 10,
        "bfloat16",
        True,
    )
    wide = memory.estimate(files, "float32")
    assert (wide.weights_bytes, wide.dtype, wide.mapped) == (64 * 32 * 4 + 80, "float32", False)
    assert memory.estimate(files, "bfloat16") == own


@pytest.mark.parametrize(
    ("given", "meant"), [("bf16", "bfloat16"), ("torch.float16", "float16"), ("auto", None), (None, None)]
)
def test_dtypes_have_the_names_that_people_use(given: str | None, meant: str | None) -> None:
    assert memory.dtype_name(given) == meant


def test_an_unknown_dtype_is_named() -> None:
    with pytest.raises(InvalidInput, match="dtype 'int3' is unknown; give float32"):
        memory.dtype_name("int3")


@pytest.mark.parametrize(
    ("tensors", "size", "says"),
    [
        ({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 12]}}, 12, "12 bytes, and 16"),
        (
            {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
            15,
            "no whole safetensors.*by its header; download it again",
        ),
        (
            {"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}},
            17,
            "no whole safetensors.*by its header; download it again",
        ),
        ({"w": {"dtype": "F33", "shape": [4], "data_offsets": [0, 16]}}, 16, "unknown dtype 'F33'"),
        ({"w": {"dtype": "F32", "shape": [-4], "data_offsets": [0, 16]}}, 16, "bad shape"),
        ({"w": {"dtype": "F32"}}, 16, "'w' has the unknown dtype|bad shape"),
        (
            {
                "a": {"dtype": "U8", "shape": [4], "data_offsets": [0, 4]},
                "b": {"dtype": "U8", "shape": [4], "data_offsets": [2, 6]},
            },
            6,
            "'b' begins at byte 2 instead of 4",
        ),
    ],
)
def test_a_header_that_lies_is_refused(
    tmp_path: Path, tensors: dict[str, object], size: int, says: str
) -> None:
    with pytest.raises(BadWeights, match=says):
        model_files.find(header(tmp_path / "m.safetensors", tensors, size))


def test_what_is_no_safetensors_file_is_refused(tmp_path: Path) -> None:
    for content in (b"", b"1234", (1 << 60).to_bytes(8, "little") + b"{}", b"<html>not found</html>"):
        (tmp_path / "m.safetensors").write_bytes(content)
        with pytest.raises(BadWeights, match=r"m\.safetensors is no whole safetensors file"):
            model_files.find(tmp_path)


def test_shards_are_found_by_their_index(tmp_path: Path) -> None:
    save(tmp_path / "a.safetensors", {"x": torch.zeros(2)})
    save(tmp_path / "b.safetensors", {"y": torch.zeros(3)})
    index = tmp_path / model_files.INDEX
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "b.safetensors"}}))
    files = model_files.find(tmp_path)
    assert [tensor.name for file in files for tensor in file.tensors or ()] == ["x", "y"]
    assert memory.estimate(files).weights_bytes == 20
    index.write_text(json.dumps({"weight_map": {"x": "a.safetensors", "y": "c.safetensors"}}))
    with pytest.raises(BadWeights, match=r"c\.safetensors is missing"):
        model_files.find(tmp_path)
    for hostile in ("../a.safetensors", "/etc/passwd", "..", "", 5):
        index.write_text(json.dumps({"weight_map": {"x": hostile}}))
        with pytest.raises(BadWeights, match="no name of a file"):
            model_files.find(tmp_path)


def test_pickles_are_taken_only_by_name(tmp_path: Path) -> None:
    torch.save({"w": torch.zeros(2)}, tmp_path / "pytorch_model.bin")
    with pytest.raises(BadWeights, match=r"is a pickle.*load\(weights='pytorch_model\.bin'\)"):
        model_files.find(tmp_path)
    with pytest.raises(BadWeights, match="is a pickle"):
        model_files.find(tmp_path / "pytorch_model.bin")
    (file,) = model_files.find(tmp_path, "pytorch_model.bin")
    assert file.tensors is None
    assert memory.estimate([file]).weights_bytes == file.bytes


def machine(root: Path, available: int, groups: dict[str, tuple[str, int, int]], own: str) -> Path:
    """Write /proc and /sys of a machine: groups by path, with limit, usage and droppable cache."""
    (root / "proc/self").mkdir(parents=True)
    (root / "proc/meminfo").write_text(
        f"MemTotal: {64 * GIB // 1024} kB\nMemAvailable: {available // 1024} kB\n"
    )
    (root / "proc/self/cgroup").write_text(f"0::{own}\n")
    for path, (limit, usage, inactive) in groups.items():
        group = root / f"sys/fs/cgroup{path}"
        group.mkdir(parents=True, exist_ok=True)
        (group / "memory.max").write_text(f"{limit}\n")
        (group / "memory.current").write_text(f"{usage}\n")
        (group / "memory.stat").write_text(f"anon 5\ninactive_file {inactive}\n")
    return root


def test_the_tightest_control_group_counts(tmp_path: Path) -> None:
    groups = {
        "/": ("max", 0, 0),
        "/pod": (str(8 * GIB), 6 * GIB, 3 * GIB),
        "/pod/me": (str(16 * GIB), 2 * GIB, 0),
    }
    root = machine(tmp_path, 40 * GIB, groups, "/pod/me")
    assert memory.available_bytes(root) == 5 * GIB
    assert memory.total_bytes(root) == 8 * GIB


def test_without_a_limit_the_machine_counts(tmp_path: Path) -> None:
    root = machine(tmp_path, 40 * GIB, {"/": ("max", 0, 0)}, "/")
    assert (memory.available_bytes(root), memory.total_bytes(root)) == (40 * GIB, 64 * GIB)


def test_the_older_control_groups_count_too(tmp_path: Path) -> None:
    root = machine(tmp_path, 40 * GIB, {}, "/")
    (root / "proc/self/cgroup").write_text("5:cpu,cpuacct:/x\n4:memory:/docker/abc\n")
    group = root / "sys/fs/cgroup/memory/docker/abc"
    group.mkdir(parents=True)
    (group / "memory.limit_in_bytes").write_text(str(2 * GIB))
    (group / "memory.usage_in_bytes").write_text(str(GIB))
    (group / "memory.stat").write_text(f"total_inactive_file {GIB // 2}\n")
    assert memory.available_bytes(root) == 3 * GIB // 2
