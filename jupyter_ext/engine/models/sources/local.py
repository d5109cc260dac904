"""Models that are on this machine already: a folder or file that the user names, the weights of a training."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources import file_selection
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest, ManifestFile
from jupyter_ext.errors import InvalidInput, UnknownId
from jupyter_ext.weights.json_documents import read_object
from jupyter_ext.weights.safetensors import BadHeader, WeightsSummary, read_header, summarize

_MAX_FILES = 10_000


def describe(ref: ModelRef, path: Path, settings: HubSettings, weights: Sequence[str]) -> Manifest:
    """Look at a model on the disk; reads names, sizes, the config and the headers of safetensors files.

    Raises:
        UnknownId: There is nothing, or nothing that may be read.
        InvalidInput: It has no weights that may be loaded, or a safetensors file is broken.
    """
    listed = _listed(ref, path)
    files, skipped = file_selection.select(listed, weights, str(ref))
    if not any(file_selection.is_weights(file.name, weights) for file in files):
        raise InvalidInput(f"{path} holds no safetensors file; name a folder or file that does.")
    root = path if path.is_dir() else path.parent
    names = [file.name for file in files]
    newest = hashlib.sha256(repr([(file.name, file.bytes, file.blob) for file in files]).encode()).hexdigest()
    return Manifest(
        ref=ref,
        revision=newest[:40],
        repo_dir=root,
        files=files,
        settings=settings,
        skipped=skipped,
        config=read_object(root / "config.json") if "config.json" in names else None,
        weights=_weights(root, names),
        path=path,
    )


def _listed(ref: ModelRef, path: Path) -> list[ManifestFile]:
    try:
        if path.is_file():
            found = [path]
            root = path.parent
        else:
            root = path
            found = []
            for directory, folders, names in os.walk(path, onerror=_raise):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                found += [Path(directory) / name for name in sorted(names) if not name.startswith(".")]
                if len(found) > _MAX_FILES:
                    raise InvalidInput(
                        f"{path} holds more than {_MAX_FILES} files; name the model's own folder."
                    )
        files = []
        for file in found:
            if not file.is_file():
                continue
            status = file.stat()
            name = file.relative_to(root).as_posix()
            files.append(ManifestFile(name, status.st_size, "", f"{status.st_ino}-{status.st_mtime_ns}"))
        return files
    except FileNotFoundError:
        raise UnknownId(f"{ref}: there is no {path}.") from None
    except OSError as error:
        raise UnknownId(f"{ref}: {path} cannot be read ({(error.strerror or '').lower()}).") from None


def _raise(error: OSError) -> None:
    raise error


def _weights(root: Path, names: Sequence[str]) -> WeightsSummary | None:
    headers = []
    for name in names:
        if name.endswith(".safetensors"):
            try:
                headers.append(read_header(root / name))
            except BadHeader as error:
                raise InvalidInput(f"{root / name} is no whole safetensors file: {error}.") from None
    return summarize(headers) if headers else None
