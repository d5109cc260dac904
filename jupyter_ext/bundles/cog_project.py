"""Make a bundle of a Cog project folder: `cog.yaml` names the trainer, the folder's files travel with it.

Rule: the same files give the same bytes, wherever and whenever they lie. Nothing of the folder is executed here.

Source: Cog's docs, "cog.yaml reference" and "Training API".
"""

from __future__ import annotations

import ast
import json
import os
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from jupyter_ext.bundles.bundle import Bundle, pack_files
from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.errors import InvalidInput
from jupyter_ext.ipc.bundle_manifest import Manifest
from jupyter_ext.protocol.schema.signature import from_source

CONFIG = "cog.yaml"
MAX_FILE_BYTES = 32 << 20
"""A larger file is data or weights; it is left out with a notice and better given as an input."""
MAX_FOLDER_BYTES = 256 << 20
MAX_FILES = 10_000
_SKIPPED_FOLDERS = {
    ".cog",
    ".git",
    ".hg",
    ".ipynb_checkpoints",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".svn",
    ".tox",
    ".venv",
    "__pycache__",
    "node_modules",
    "venv",
}
_SKIPPED_ENDINGS = (".pyc", ".pyo", ".swp", "~")


def capture_folder(folder: str | os.PathLike[str], name: str | None = None) -> Bundle:
    """Make a bundle of a Cog project.

    Args:
        folder: With `cog.yaml`, whose `train` names a file and a function or class in it.
        name: What to call the training; by default the folder's name.

    Raises:
        InvalidInput: It is no such folder, its trainer cannot be found, or it is too large to travel.
    """
    root = Path(folder).expanduser().resolve()
    if not root.is_dir():
        raise InvalidInput(f"There is no folder {os.fspath(folder)!r}.")
    config = _config(root)
    source, entry = _trainer(root, config)
    training_input = _inputs(root, source, entry)
    files: dict[str, bytes] = {}
    modes: dict[str, int] = {}
    notices = []
    total = 0
    for path in _walk(root):
        relative = path.relative_to(root).as_posix()
        size = path.stat().st_size
        if size > MAX_FILE_BYTES:
            notices.append(
                f"{relative} ({format_bytes(size)}) did not travel with the folder: it is larger than "
                f"{format_bytes(MAX_FILE_BYTES)}. Give its path as an input instead."
            )
            continue
        total += size
        if total > MAX_FOLDER_BYTES or len(files) >= MAX_FILES:
            raise InvalidInput(
                f"{root.name}: the folder holds more than {format_bytes(MAX_FOLDER_BYTES)} or {MAX_FILES:,} files; "
                "move its data elsewhere and give the path as an input."
            )
        try:
            files[f"folder/{relative}"] = path.read_bytes()
        except OSError as error:
            raise InvalidInput(f"{root.name}/{relative} cannot be read: {error.strerror}.") from None
        modes[f"folder/{relative}"] = path.stat().st_mode & 0o100
    manifest: Manifest = {
        "format": 1,
        "kind": "cog",
        "name": name or root.name,
        "entry": entry,
        "label": source,
        "source": f"folder/{source}",
        "captured": [],
        "notices": notices,
    }
    predictor = _predictor(root, config)
    if predictor is not None:
        manifest["predict"] = {"source": f"folder/{predictor[0]}", "entry": predictor[1]}
    files["manifest.json"] = json.dumps(manifest, sort_keys=True).encode()
    return Bundle(manifest["name"], pack_files(files, modes), (), training_input)


def _config(root: Path) -> dict[str, object]:
    """Read `cog.yaml`."""
    try:
        text = (root / CONFIG).read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InvalidInput(
            f"{root.name} has no {CONFIG}; a Cog project has one, with a line such as train: "
            '"train.py:train".'
        ) from None
    try:
        import yaml
    except ImportError:
        raise InvalidInput(f"Reading {CONFIG} needs PyYAML: pip install 'jupyter-ext[cog]'.") from None
    try:
        config = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InvalidInput(f"{root.name}/{CONFIG} is not YAML: {' '.join(str(error).split())}.") from None
    return config if isinstance(config, dict) else {}


def _named(config: dict[str, object], key: str) -> tuple[str, str] | None:
    """Return the file and the name in it that a line such as `train: "train.py:train"` gives."""
    value = config.get(key)
    file, colon, entry = value.partition(":") if isinstance(value, str) else ("", "", "")
    return (file, entry) if colon and entry.isidentifier() else None


def _predictor(root: Path, config: dict[str, object]) -> tuple[str, str] | None:
    """Return file and name of what predicts, where the project has one."""
    named = _named(config, "predict") or _named(config, "run")
    return named if named is not None and _is_file_of(root, named[0]) else None


def _is_file_of(root: Path, file: str) -> bool:
    path = PurePosixPath(file)
    return not path.is_absolute() and ".." not in path.parts and (root / path).is_file()


def _trainer(root: Path, config: dict[str, object]) -> tuple[str, str]:
    """Return file and name of the trainer, as `cog.yaml` says them."""
    named = _named(config, "train")
    if named is None:
        raise InvalidInput(
            f"{root.name}/{CONFIG} names no trainer: it has train: {config.get('train')!r}; write train: "
            '"train.py:train", a file and a function or class in it.'
        )
    file, entry = named
    if not _is_file_of(root, file):
        raise InvalidInput(f"{root.name}/{CONFIG} names {file!r}, which is no file of the folder.")
    return PurePosixPath(file).as_posix(), entry


def _inputs(root: Path, source: str, entry: str) -> Any:
    try:
        found = from_source((root / source).read_text(encoding="utf-8"), entry)
    except SyntaxError as error:
        raise InvalidInput(f"{root.name}/{source}, line {error.lineno}: {error.msg}.") from None
    if found is None:
        defined = [
            node.name
            for node in ast.parse((root / source).read_text(encoding="utf-8")).body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
        ]
        raise InvalidInput(
            f"{root.name}/{source} defines no function {entry!r} and no class of that name with train(); "
            f"it defines {', '.join(defined) or 'nothing'}."
        )
    return found


def _walk(root: Path) -> Iterator[Path]:
    """Yield the files of a project in a fixed order, without what tools keep beside it."""
    for directory, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in _SKIPPED_FOLDERS)
        for name in sorted(names):
            path = Path(directory, name)
            if not name.endswith(_SKIPPED_ENDINGS) and path.is_file():
                yield path
