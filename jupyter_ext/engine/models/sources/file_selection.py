"""Which of a model's files are fetched: safetensors and what goes with them; other weights only if they are named.

A name from outside is checked here before it is used for anything. What git allows and a file here can be called is
taken as it is, however odd; a name that no file here can have leaves that file out; one that no repository can hold is a lie,
and nothing is taken from who tells it.
"""

from __future__ import annotations

import fnmatch
import os
import re
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import PurePosixPath

from jupyter_ext.engine.models.sources.manifest import NOBODY_MISSES_IT, ManifestFile, SkippedFile
from jupyter_ext.errors import InvalidInput
from jupyter_ext.weights import formats

NOT_NEEDED = frozenset({
    ".py", ".ipynb", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".webp", ".mp4", ".wav", ".pdf", ".zip", ".gz", ".tar",
    ".parquet", ".csv",
})  # fmt: skip
"""Code is never run from a hub, and pictures are for its pages."""

_MAX_FILES = 10_000
_MAX_PART_BYTES = 255
"""Longest name of a file or folder on Linux."""
_MAX_PATH_BYTES = 1000
"""Longest path inside a model; 4,096 is the system's limit for all of it."""


def check_name(name: str) -> str:
    """Check that a path stays inside its model, and return it.

    Raises:
        InvalidInput: It is absolute, leaves the model, or is no path that a repository can hold.
    """
    if "\0" in name or any(part in ("", ".", "..") for part in name.split("/")):
        raise InvalidInput(
            f"The model lists a file called {ascii(name)[:200]}, which is no path inside it; nothing was fetched."
        )
    return name


def why_not_storable(name: str) -> str | None:
    """Tell why no file here can have a name that `check_name` lets through, or return `None`."""
    if any(unicodedata.category(character) in ("Cc", "Cs") for character in name):
        return "its name holds characters that no file here should have"
    num_bytes = [len(os.fsencode(part)) for part in name.split("/")]
    if max(num_bytes) > _MAX_PART_BYTES or sum(num_bytes) + len(num_bytes) > _MAX_PATH_BYTES:
        return "its name is longer than that of any file here"
    return None


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
            raise InvalidInput(f"The model lists {ascii(name)[:200]} twice; nothing was fetched.")
        seen.add(name)
    for name in names:
        for parent in PurePosixPath(name).parents:
            if str(parent) in seen:
                raise InvalidInput(
                    f"The model lists {ascii(str(parent))[:200]} as a file and a folder; nothing was fetched."
                )


def select(
    files: Iterable[ManifestFile], weights: Sequence[str] = (), model: str = "the model"
) -> tuple[tuple[ManifestFile, ...], tuple[SkippedFile, ...]]:
    """Choose what is fetched.

    Args:
        files: All that the model has.
        weights: Names or patterns (`pytorch_model.bin`, `*.bin`) of weights that are fetched though they are no
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
        reason = why_not_storable(file.name) or _reason(file.name, weights, in_one_file)
        if reason is None:
            taken.append(file)
        else:
            skipped.append(SkippedFile(file.name, file.bytes, reason))
    if not any(is_weights(file.name, weights) for file in taken):
        _refuse_without_weights(skipped, model)
    taken.sort(key=lambda file: (is_weights(file.name, weights), file.name))
    return tuple(taken), tuple(skipped)


def _refuse_without_weights(skipped: Sequence[SkippedFile], model: str) -> None:
    """Say which weights were left out, where nothing else is left; a model without any is none of our business here.

    Raises:
        InvalidInput: Some were.
    """
    unstorable = [file for file in skipped if is_weights(file.name) and why_not_storable(file.name)]
    if unstorable:
        raise InvalidInput(
            f"{model} has weights only in {ascii(unstorable[0].name)[:200]}: {unstorable[0].reason}."
        )
    pickled = [file.name for file in skipped if formats.ending(file.name) in formats.PICKLED]
    if pickled:
        raise InvalidInput(
            f"{model} has no safetensors, only {_list(pickled)}, which can run code when opened; "
            f"to take it nevertheless, name it: weights=[{pickled[0]!r}]."
        )
    others = [
        file.name for file in skipped if not formats.is_loadable(file.name) and _holds_weights(file.name)
    ]
    if others:
        raise InvalidInput(f"{model} has no safetensors, only {_list(others)}, which torch does not load.")


def is_weights(name: str, weights: Sequence[str] = ()) -> bool:
    """Tell whether a file holds weights that are taken."""
    return name.endswith(formats.SAFETENSORS) or is_named(name, weights)


def is_named(name: str, weights: Sequence[str]) -> bool:
    """Tell whether the user named a file, exactly or by a pattern."""
    return any(name == pattern or fnmatch.fnmatchcase(name, pattern) for pattern in weights)


def not_loadable(names: Iterable[str], weights: Sequence[str]) -> list[str]:
    """List the files that are fetched because they were named, and of a format that cannot be loaded here."""
    return [
        name
        for name in names
        if is_named(name, weights) and not formats.is_loadable(name) and _holds_weights(name)
    ]


def _holds_weights(name: str) -> bool:
    return formats.ending(name) in formats.OTHER | formats.OTHER_PICKLED | formats.PICKLED


def _reason(name: str, weights: Sequence[str], in_one_file: bool) -> str | None:
    ending = formats.ending(name)
    if is_named(name, weights):
        return None
    if formats.can_run_code(name):
        return f"can run code when opened; to take it, name it: weights=[{name!r}]"
    if ending in formats.OTHER:
        return "weights that torch does not load"
    if ending in NOT_NEEDED or PurePosixPath(name).name == ".gitattributes":
        return NOBODY_MISSES_IT
    if in_one_file and name.startswith("consolidated") and ending == formats.SAFETENSORS:
        return "the same weights once more"
    if in_one_file and "/" not in name and re.fullmatch(r"model\.\w+(-\d+-of-\d+)?\.safetensors", name):
        return "another variant of the same weights"
    return None


def _list(names: Sequence[str], most: int = 3) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more
