"""Weights in memory without reading them: the file's own pages as tensors, shared by every process that maps them.

Rule: the map is private and may be written, so that a write makes a copy of its page and never reaches the file.
"""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch

from jupyter_ext.weights.files import BadWeights, WeightFile
from jupyter_ext.weights.safetensors import DTYPES, FLOATS, TensorHeader

_POPULATE_READ = 22
"""MADV_POPULATE_READ, Linux 5.14: map the pages now, reading what is not cached."""
_NORESERVE = getattr(mmap, "MAP_NORESERVE", 0)


def tensors_of(
    files: Sequence[WeightFile], device: torch.device, dtype: torch.dtype | None
) -> dict[str, torch.Tensor]:
    """Return the tensors of weight files: mapped where they stay as they are, copied where dtype or device differ.

    Args:
        files: From `files.find`.
        device: Where they are to be.
        dtype: What floating ones become; `None` leaves them.

    Raises:
        BadWeights: A pickled file holds something else than tensors by name.
    """
    found: dict[str, torch.Tensor] = {}
    for file in files:
        mapped = _mapped(file) if file.tensors is not None else _unpickled(file.path)
        for name, tensor in mapped.items():
            floats = (file.tensors is None and tensor.is_floating_point()) or name in _floats(file)
            found[name] = tensor.to(device, dtype if dtype is not None and floats else tensor.dtype)
    return found


def _floats(file: WeightFile) -> frozenset[str]:
    return frozenset(tensor.name for tensor in file.tensors or () if tensor.dtype in FLOATS)


def _mapped(file: WeightFile) -> dict[str, torch.Tensor]:
    with open(file.path, "rb") as opened:
        pages = mmap.mmap(opened.fileno(), 0, mmap.MAP_PRIVATE | _NORESERVE, mmap.PROT_READ | mmap.PROT_WRITE)
    if len(pages) != file.bytes:
        raise BadWeights(f"{file.path.name} was changed on the disk while it was loaded; load it again.")
    return {tensor.name: _tensor(tensor, pages, file.path.name) for tensor in file.tensors or ()}


def _tensor(header: TensorHeader, pages: mmap.mmap, file_name: str) -> torch.Tensor:
    name = DTYPES[header.dtype].torch
    dtype = None if name is None else getattr(torch, name, None)
    if dtype is None:
        raise BadWeights(
            f"{file_name} has tensors of {header.dtype}, for which torch {torch.__version__} has no dtype."
        )
    shape = header.shape
    if header.dtype == "F4" and header.num_elements:  # torch's dtype holds two numbers
        shape = (*shape[:-1], shape[-1] // 2)
    if not header.num_elements:
        return torch.empty(shape, dtype=dtype)
    if header.begin % dtype.itemsize:  # a writer that did not align: vector instructions would fail on it
        whole = torch.frombuffer(bytearray(pages[header.begin : header.end]), dtype=dtype)
    else:
        count = header.num_bytes // dtype.itemsize
        whole = torch.frombuffer(pages, dtype=dtype, count=count, offset=header.begin)
    return whole.reshape(shape)


def _unpickled(path: Path) -> dict[str, torch.Tensor]:
    """Read a pickled file that was named on purpose; even so nothing but tensors and plain values is made."""
    try:
        try:
            content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except RuntimeError:  # the format before torch 1.6 cannot be mapped
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # noqa: BLE001  torch raises many kinds for what is no checkpoint
        line = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise BadWeights(f"{path.name} cannot be read as weights: {line}") from None
    for key in ("state_dict", "model_state_dict", "model"):
        if isinstance(content, dict) and isinstance(content.get(key), dict):
            content = content[key]
            break
    tensors = (
        {name: item for name, item in content.items() if isinstance(item, torch.Tensor)}
        if isinstance(content, dict)
        else {}
    )
    if not tensors:
        raise BadWeights(f"{path.name} holds a {type(content).__name__} and no tensors by name.")
    return tensors


def ranges(paths: Iterable[Path]) -> list[tuple[int, int, str]]:
    """Tell where in this process files are mapped: first and last address plus one, and the file, in order.

    Args:
        paths: Files; links are followed.
    """
    wanted = {os.path.realpath(path) for path in paths}
    found = []
    try:
        lines = Path("/proc/self/maps").read_text(errors="replace").splitlines()
    except OSError:
        return []
    for line in lines:
        parts = line.split(maxsplit=5)
        if len(parts) == 6 and (parts[5] in wanted or parts[5].removesuffix(" (deleted)") in wanted):
            begin, _, end = parts[0].partition("-")
            found.append((int(begin, 16), int(end, 16), parts[5]))
    return found


def populate(paths: Iterable[Path]) -> None:
    """Map all pages of these files that this process has mapped, so that the first call need not fault them in."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.madvise.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    for begin, end, _ in ranges(paths):
        if libc.madvise(begin, end - begin, _POPULATE_READ):
            libc.madvise(begin, end - begin, mmap.MADV_WILLNEED)  # an older kernel
