"""The weight files of a model as they lie on disk: which they are, and what their headers say. Standard library only.

Rule: nothing here reads weights or unpickles anything; a name in an index never leads out of the model's directory.

Source: https://huggingface.co/docs/safetensors, Hugging Face's index of shards.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jupyter_ext.weights import formats
from jupyter_ext.weights.json_documents import BadJson, read_document
from jupyter_ext.weights.safetensors import BadHeader, TensorHeader, read_header

INDEX = "model.safetensors.index.json"
MAX_INDEX_BYTES = 64 << 20
"""Largest index of shards that is read; that of 91,000 tensors has 9 MB."""


class BadWeights(ValueError):
    """Weights that are not there or not what their header says; the text names the file and the next step."""


@dataclass(frozen=True)
class WeightFile:
    """One file. `tensors` is `None` for a pickled one, whose contents nobody knows before it is read."""

    path: Path
    bytes: int
    tensors: tuple[TensorHeader, ...] | None


def find(path: Path, wanted: str | None = None) -> list[WeightFile]:
    """Find the weight files of a model and read their headers.

    Args:
        path: A directory in Hugging Face's layout, or one file.
        wanted: The file to take, by name. Naming a pickled file is the permission to read it.

    Raises:
        BadWeights: There are none, or they are not whole, or only pickled ones and none was named.
    """
    if wanted is not None:
        return [_file(_inside(path, wanted) if path.is_dir() else path)]
    if path.is_dir():
        return [_file(found) for found in _in_directory(path)]
    if formats.can_run_code(path.name):
        raise BadWeights(_refuse_pickled(path.name))
    return [_file(path)]


def _in_directory(path: Path) -> list[Path]:
    if (path / "model.safetensors").exists():
        return [path / "model.safetensors"]
    if (path / INDEX).exists():
        return _shards(path / INDEX)
    found = sorted(path.glob("*.safetensors"))
    if len(found) == 1:
        return found
    if found:
        names = ", ".join(file.name for file in found[:5])
        raise BadWeights(
            f"{path} has several weight files and no index: {names}; name one with weights='{found[0].name}'."
        )
    names_here = sorted(file.name for file in path.iterdir()) if path.exists() else []
    if pickled := [name for name in names_here if formats.ending(name) in formats.PICKLED]:
        raise BadWeights(_refuse_pickled(pickled[0]))
    if others := [name for name in names_here if formats.ending(name) in formats.OTHER]:
        raise BadWeights(f"{path} has no safetensors weights, only {others[0]}, which torch does not load.")
    raise BadWeights(f"{path} has no safetensors weights; download the model again or name a file.")


def _refuse_pickled(name: str) -> str:
    return f"{name} is a pickle, not safetensors; if you trust where it comes from, name it: load(weights={name!r})."


def _shards(index: Path) -> list[Path]:
    try:
        document = read_document(index, MAX_INDEX_BYTES)
    except BadJson as error:
        raise BadWeights(
            f"{index.name} is no index of shards (it {error}); download the model again."
        ) from None
    names = document.get("weight_map") if isinstance(document, dict) else None
    if not isinstance(names, dict):
        raise BadWeights(f"{index.name} is no index of shards (no weight_map); download the model again.")
    plain = {_plain_name(name) for name in names.values()}
    return [_inside(index.parent, name) for name in sorted(plain)]


def _plain_name(name: object) -> str:
    """Return a name that stays in its directory and that the system can take.

    Raises:
        BadWeights: It is none.
    """
    is_plain = isinstance(name, str) and name == os.path.basename(name) and name not in ("", ".", "..")
    if not isinstance(name, str) or not is_plain or not name.isprintable():
        raise BadWeights(f"{ascii(name)[:200]} is no name of a file in the model's directory.")
    return name


def _inside(directory: Path, name: str) -> Path:
    """Return the path of a file in a directory."""
    _plain_name(name)
    if not (directory / name).exists():
        raise BadWeights(f"{name} is missing in {directory}; download the model again.")
    return directory / name


def _file(path: Path) -> WeightFile:
    ending = formats.ending(path.name)
    if ending in formats.OTHER | formats.OTHER_PICKLED:
        raise BadWeights(
            f"{path.name} is of a format that torch does not load; name a file of safetensors or a checkpoint of torch."
        )
    try:
        if ending in formats.PICKLED:
            return WeightFile(path, path.stat().st_size, None)
        header = read_header(path)
    except OSError as error:
        raise BadWeights(f"{path} cannot be read: {error.strerror}.") from None
    except BadHeader as error:
        raise BadWeights(f"{path.name} is no whole safetensors file: {error}; download it again.") from None
    if header.unloadable is not None:
        raise BadWeights(f"{path.name} has tensors of {header.unloadable}, for which torch has no dtype.")
    return WeightFile(path, header.file_bytes, header.tensors)
