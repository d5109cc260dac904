"""What a model will take and what there is to hold it: from safetensors headers, /proc, control groups and nvidia-smi.

Rule: an estimate is made of numbers that are written somewhere, and the numbers are shown to whoever is refused.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.errors import InvalidInput
from jupyter_ext.weights.files import WeightFile
from jupyter_ext.weights.safetensors import FLOATS, main_dtype

DTYPES = {
    "float32": 4, "float16": 2, "bfloat16": 2, "float64": 8,
    "fp32": 4, "fp16": 2, "bf16": 2, "half": 2, "float": 4, "double": 8,
}  # fmt: skip
"""Dtypes that can be asked for, with bytes per element; the short names mean what they mean to people."""
_LONG = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16", "half": "float16", "float": "float32", "double": "float64"}  # fmt: skip
PROCESS_BYTES = 48 << 20
"""What a forked host takes beside the weights, measured: interpreter, caches, buffers of a first call."""
TRANSFORMERS_BYTES = 128 << 20
"""What it takes where it imports `transformers`, one architecture and a tokenizer first, measured with 5.23."""
PRELOADED_BYTES = 50 << 20
"""What it takes where it was forked from a process that has them imported."""
WRONG_BY = 0.2
"""An estimate that missed by more than this share is told."""
_SMI = ("nvidia-smi", "--query-gpu=memory.free,memory.total", "--format=csv,noheader,nounits")
_SMI_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Estimate:
    """What loading takes. `mapped` tells whether the pages are the file's own, shared with whoever maps it too."""

    weights_bytes: int
    num_parameters: int | None
    dtype: str | None
    mapped: bool
    process_bytes: int = PROCESS_BYTES

    @property
    def memory_bytes(self) -> int:
        """The weights and the process that holds them, in bytes."""
        return self.weights_bytes + self.process_bytes


def dtype_name(text: str | None) -> str | None:
    """Return a dtype's long name; `None` and "auto" are the checkpoint's own.

    Raises:
        InvalidInput: There is no such dtype.
    """
    if text is None or text == "auto":
        return None
    name = text.removeprefix("torch.")
    if name not in DTYPES:
        raise InvalidInput(
            f"dtype {text!r} is unknown; give float32, float16, bfloat16, float64 or auto (the checkpoint's)."
        )
    return _LONG.get(name, name)


def estimate(files: Sequence[WeightFile], dtype: str | None = None) -> Estimate:
    """Estimate what a model takes in memory.

    Args:
        files: Its weight files.
        dtype: What floating weights are converted to, a long name; `None` leaves them.
    """
    if any(file.tensors is None for file in files):
        return Estimate(sum(file.bytes for file in files), None, dtype, dtype is None)
    tensors = [tensor for file in files for tensor in file.tensors or ()]
    elements: dict[str, int] = {}
    for tensor in tensors:
        elements[tensor.dtype] = elements.get(tensor.dtype, 0) + tensor.num_elements
    own = main_dtype(elements)
    is_as_stored = dtype is None or own == dtype
    weights = sum(
        tensor.num_bytes
        if is_as_stored or tensor.dtype not in FLOATS
        else tensor.num_elements * DTYPES[dtype or ""]
        for tensor in tensors
    )
    num_parameters = sum(tensor.num_elements for tensor in tensors)
    return Estimate(weights, num_parameters, dtype or own, is_as_stored)


def total_bytes(root: Path = Path("/")) -> int:
    """Return the machine's memory in bytes, or its control group's limit where that is lower."""
    limit = _group_limit(root)
    total = _meminfo(root)["MemTotal"]
    return total if limit is None else min(total, limit[0])


def available_bytes(root: Path = Path("/")) -> int:
    """Return what a new process can use, in bytes: MemAvailable, or what its control groups leave where that is less.

    Args:
        root: Where /proc and /sys are.
    """
    available = _meminfo(root)["MemAvailable"]
    limit = _group_limit(root)
    return available if limit is None else max(0, min(available, limit[1]))


def _meminfo(root: Path) -> dict[str, int]:
    lines = (root / "proc/meminfo").read_text().splitlines()
    return {name: int(rest.split()[0]) * 1024 for name, rest in (line.split(":", 1) for line in lines)}


def _group_limit(root: Path) -> tuple[int, int] | None:
    """Return limit and remainder of the tightest control group that this process is in, in bytes."""
    try:
        lines = (root / "proc/self/cgroup").read_text().splitlines()
    except OSError:
        return None
    found = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        if controllers == "":
            base, limit, usage = root / "sys/fs/cgroup", "memory.max", "memory.current"
        elif "memory" in controllers.split(","):
            base, limit, usage = (
                root / "sys/fs/cgroup/memory",
                "memory.limit_in_bytes",
                "memory.usage_in_bytes",
            )
        else:
            continue
        parts = [part for part in path.split("/") if part and part != ".."]
        for depth in range(len(parts), -1, -1):
            group = base.joinpath(*parts[:depth])
            if (found_limit := _limit_of(group, limit, usage)) is not None:
                found.append(found_limit)
    return min(found, key=lambda pair: pair[1]) if found else None


def _limit_of(group: Path, limit_name: str, usage_name: str) -> tuple[int, int] | None:
    """Return a group's limit and what is left of it: cache that can be dropped is not in use."""
    try:
        text = (group / limit_name).read_text().strip()
        usage = int((group / usage_name).read_text())
        stat = dict(line.split() for line in (group / "memory.stat").read_text().splitlines())
    except (OSError, ValueError):
        return None
    if not text.isdigit() or int(text) >= 1 << 60:  # "max", and what version 1 writes for it
        return None
    droppable = int(stat.get("total_inactive_file", stat.get("inactive_file", 0)))
    return int(text), int(text) - usage + droppable


async def device_free_bytes(device: str) -> int | None:
    """Return the free memory of a CUDA device in bytes, or `None` where that cannot be known."""
    program = shutil.which(_SMI[0])
    if not device.startswith("cuda") or program is None:
        return None
    process = await asyncio.create_subprocess_exec(
        program, *_SMI[1:], stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    try:
        text, _ = await asyncio.wait_for(process.communicate(), _SMI_TIMEOUT_S)
    except TimeoutError:
        process.kill()
        return None
    lines = text.decode().splitlines()
    index = int(device.partition(":")[2] or 0)
    try:
        return int(lines[index].split(",")[0]) << 20
    except (IndexError, ValueError):
        return None
