"""Which of a model's files are fetched: safetensors and what goes with them; other weights only if they are named.

A name from outside is checked here before it is used for anything.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from jupyter_ext.engine.models.sources.manifest import ManifestFile, SkippedFile
from jupyter_ext.errors import InvalidInput

PICKLED = frozenset({".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle", ".joblib", ".npy", ".npz"})
"""Formats that can run code when they are opened."""

OTHER_WEIGHTS = frozenset(
    {
        ".h5",
        ".msgpack",
        ".onnx",
        ".onnx_data",
        ".ot",
        ".tflite",
        ".gguf",
        ".ggml",
        ".pb",
        ".mlmodel",
        ".engine",
    }
    | {".keras", ".nemo", ".llamafile", ".xml", ".mlpackage", ".weights"}
)
"""Weights that torch does not load."""

NOBODY_MISSES_IT = "not needed to load the model"
"""The reason for which no word need be said."""

NOT_NEEDED = frozenset(
    {
        ".py",
        ".ipynb",
        ".png",
        ".jpg",
        ".jpeg",
        ".gif",
        ".svg",
        ".webp",
        ".mp4",
        ".wav",
        ".pdf",
        ".zip",
        ".gz",
        ".tar",
    }
    | {".parquet", ".csv"}
)
"""Code is never run from a hub, and pictures are for its pages."""

_SAFE_PART = re.compile(r"[^\x00-\x1f\x7f\\/:*?\"<>|]{1,200}")
_MAX_FILES = 10_000


def check_name(name: str) -> str:
    """Check a file's path inside a model, and give it back.

    Raises:
        InvalidInput: It is absolute, leaves the model, or holds what no such path has.
    """
    parts = name.split("/")
    safe = all(_SAFE_PART.fullmatch(part) and part not in (".", "..") for part in parts)
    if not safe or len(name) > 500 or not name.isprintable():
        raise InvalidInput(
            f"The model lists a file called {name!r}, which is no path inside it; nothing was fetched."
        )
    return name


def check_names(names: Sequence[str]) -> None:
    """Check all names of a model together.

    Raises:
        InvalidInput: One is bad, one is there twice, or one is both a file and a folder.
    """
    if len(names) > _MAX_FILES:
        raise InvalidInput(f"The model lists {len(names)} files, and at most {_MAX_FILES} are taken.")
    seen: set[str] = set()
    for name in names:
        check_name(name)
        if name in seen:
            raise InvalidInput(f"The model lists {name!r} twice; nothing was fetched.")
        seen.add(name)
    for name in names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in seen:
                raise InvalidInput(
                    f"The model lists {str(parent)!r} as a file and a folder; nothing was fetched."
                )


def select(
    files: Iterable[ManifestFile], allow_weights: Sequence[str] = (), model: str = "the model"
) -> tuple[tuple[ManifestFile, ...], tuple[SkippedFile, ...]]:
    """Choose what is fetched.

    Args:
        files: All that the model has.
        allow_weights: Names or patterns (`pytorch_model.bin`, `*.bin`) of weights that are fetched though they are no
            safetensors, because the user named them.
        model: What to call it in an error.

    Returns:
        What is fetched, small files first and weights in the order of their names; and what is not, with the reason.

    Raises:
        InvalidInput: The model has weights, and none that may be fetched.
    """
    taken: list[ManifestFile] = []
    skipped: list[SkippedFile] = []
    listed = list(files)
    in_one_file = any(re.fullmatch(r"model(-\d+-of-\d+)?\.safetensors", file.name) for file in listed)
    for file in listed:
        reason = _reason(file.name, allow_weights, in_one_file)
        if reason is None:
            taken.append(file)
        else:
            skipped.append(SkippedFile(file.name, file.bytes, reason))
    refused = [file.name for file in skipped if PurePosixPath(file.name).suffix.lower() in PICKLED]
    if refused and not any(is_weights(file.name, allow_weights) for file in taken):
        raise InvalidInput(
            f"{model} has no safetensors, only {_list(refused)}, which can run code when opened; "
            f"to take it nevertheless, name it: allow_weights=[{refused[0]!r}]."
        )
    others = [file.name for file in skipped if PurePosixPath(file.name).suffix.lower() in OTHER_WEIGHTS]
    if others and not any(is_weights(file.name, allow_weights) for file in taken):
        raise InvalidInput(f"{model} has no safetensors, only {_list(others)}, which torch does not load.")
    taken.sort(key=lambda file: (is_weights(file.name, allow_weights), file.name))
    return tuple(taken), tuple(skipped)


def is_weights(name: str, allow_weights: Sequence[str] = ()) -> bool:
    """Tell whether a file holds weights that are taken."""
    return name.endswith(".safetensors") or _allowed(name, allow_weights)


def is_pickled(name: str) -> bool:
    """Tell whether opening a file of this name can run code."""
    return PurePosixPath(name).suffix.lower() in PICKLED


def _allowed(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)


def _reason(name: str, allow_weights: Sequence[str], in_one_file: bool) -> str | None:
    suffix = PurePosixPath(name).suffix.lower()
    if _allowed(name, allow_weights):
        return None
    if suffix in PICKLED:
        return f"can run code when opened; to take it, name it: allow_weights=[{name!r}]"
    if suffix in OTHER_WEIGHTS:
        return "weights that torch does not load"
    if suffix in NOT_NEEDED or PurePosixPath(name).name == ".gitattributes":
        return NOBODY_MISSES_IT
    if in_one_file and name.startswith("consolidated") and suffix == ".safetensors":
        return "the same weights once more"
    if in_one_file and "/" not in name and re.fullmatch(r"model\.\w+(-\d+-of-\d+)?\.safetensors", name):
        return "another variant of the same weights"
    return None


def _list(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
