"""The Hugging Face cache layout: `blobs/` by hash, `snapshots/<commit>/` of links to them, `refs/` that name commits.

`transformers` and `huggingface_hub` find what lies here. A snapshot appears whole or not at all, and a blob is replaced by
renaming, so whoever has an older one mapped keeps it.

Source: huggingface_hub's "Understand caching" page.
"""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path, PurePosixPath

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.sources.hub import MAIN
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest, ManifestFile
from jupyter_ext.errors import InvalidInput
from jupyter_ext.weights.files import MAX_INDEX_BYTES
from jupyter_ext.weights.json_documents import read_object


def hub_repo_dir(ref: ModelRef, settings: HubSettings) -> Path:
    """Return a hub model's directory in the cache."""
    from huggingface_hub.file_download import repo_folder_name

    return settings.cache_dir / repo_folder_name(repo_id=ref.name, repo_type="model")


def blob_path(manifest: Manifest, file: ManifestFile) -> Path:
    """Return where a file's bytes lie when they are whole."""
    return manifest.repo_dir / "blobs" / file.blob


def publish(manifest: Manifest) -> Path:
    """Make the snapshot of a model whose blobs are all there, then let its refs mean it.

    Returns:
        The snapshot's directory.

    Raises:
        OSError: The cache cannot be written.
    """
    target = manifest.snapshot_dir
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        building = target.with_name(f".{target.name}.{uuid.uuid4().hex[:8]}")
        try:
            for file in manifest.files:
                _link(building, file)
            try:
                os.rename(building, target)
            except OSError:
                if not target.is_dir():
                    raise
        finally:
            shutil.rmtree(building, ignore_errors=True)
    # Somebody else's snapshot of the same commit may hold fewer files, or copies.
    for file in manifest.files:
        if not _is_linked(target, file):
            _link(target, file)
    for name in manifest.refs:
        path = manifest.repo_dir / "refs" / Path(*PurePosixPath(name).parts)
        path.parent.mkdir(parents=True, exist_ok=True)
        with new_file(path) as temporary:
            temporary.write_text(manifest.revision, encoding="utf-8")
    return target


def _link(directory: Path, file: ManifestFile) -> None:
    path = directory / Path(*PurePosixPath(file.name).parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    up = "../" * (len(PurePosixPath(file.name).parts) + 1)
    temporary = path.with_name(f".link.{uuid.uuid4().hex}")
    os.symlink(f"{up}blobs/{file.blob}", temporary)
    os.replace(temporary, path)


def _is_linked(directory: Path, file: ManifestFile) -> bool:
    path = directory / Path(*PurePosixPath(file.name).parts)
    return path.is_symlink() and path.exists() and os.path.basename(os.readlink(path)) == file.blob


def commit_of_ref(repo_dir: Path, ref: ModelRef) -> str | None:
    """Return the commit that a reference means in the cache, without asking anybody."""
    if ref.is_pinned:
        return ref.revision
    path = repo_dir / "refs" / Path(*PurePosixPath(ref.revision or MAIN).parts)
    try:
        commit = path.read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        return None
    return commit if commit and "/" not in commit and not commit.startswith(".") else None


def named(cache_dir: Path) -> list[ModelRef]:
    """Return what a cache's directories and refs name, whole or not; what is no model of a hub is left out."""
    found = []
    for repo_dir in sorted(cache_dir.glob("models--*")) if cache_dir.is_dir() else ():
        name = repo_dir.name.removeprefix("models--").replace("--", "/")
        try:
            revisions = _revisions(repo_dir)
        except OSError:
            continue
        for revision in revisions:
            try:
                found.append(parse_ref(f"hub:{name}{revision}"))
            except InvalidInput:
                continue
    return found


def _revisions(repo_dir: Path) -> list[str]:
    """Return what follows a model's name for each revision that its directory names; nothing for the main branch."""
    refs_dir, snapshots = repo_dir / "refs", repo_dir / "snapshots"
    refs = sorted(path.relative_to(refs_dir).as_posix() for path in refs_dir.rglob("*") if path.is_file())
    revisions = [""] if MAIN in refs else [f"@{ref}" for ref in refs]
    if not revisions and snapshots.is_dir():
        revisions = [f"@{path.name}" for path in sorted(snapshots.iterdir())]
    return revisions


def is_complete(snapshot: Path) -> bool:
    """Tell whether a snapshot that somebody else made can be loaded: a config or weights, and all shards of an index."""
    if not snapshot.is_dir():
        return False
    files = [path for path in snapshot.rglob("*") if not path.is_dir()]
    if any(not path.exists() for path in files):
        return False
    for index in snapshot.glob("*.safetensors.index.json"):
        shards = (read_object(index, MAX_INDEX_BYTES) or {}).get("weight_map")
        if not isinstance(shards, dict):
            return False
        names = {name for name in shards.values() if isinstance(name, str)}
        return {snapshot / name for name in names} <= set(files)
    return any(path.suffix == ".safetensors" for path in files)


def delete_revision(repo_dir: Path, commit: str) -> int:
    """Remove a snapshot, the refs that mean it and the blobs that no other snapshot has, and return the bytes freed.

    Whoever has a removed file mapped keeps it until they let go.
    """
    snapshots = repo_dir / "snapshots"
    mine = _blobs_of(snapshots / commit)
    others: set[str] = set()
    for other in snapshots.iterdir() if snapshots.is_dir() else ():
        if other.name != commit:
            others |= _blobs_of(other)
    for ref in (repo_dir / "refs").rglob("*") if (repo_dir / "refs").is_dir() else ():
        if ref.is_file() and ref.read_text(encoding="utf-8", errors="replace").strip() == commit:
            ref.unlink(missing_ok=True)
    shutil.rmtree(snapshots / commit, ignore_errors=True)
    freed = 0
    for name in mine - others:
        blob = repo_dir / "blobs" / name
        try:
            status = blob.lstat()
            blob.unlink()
        except OSError:
            continue
        freed += status.st_size if status.st_nlink == 1 else 0
    if not any(snapshots.iterdir()) if snapshots.is_dir() else True:
        _remove_if_empty(repo_dir)
    return freed


def _blobs_of(snapshot: Path) -> set[str]:
    if not snapshot.is_dir():
        return set()
    return {os.path.basename(os.readlink(path)) for path in snapshot.rglob("*") if path.is_symlink()}


def _remove_if_empty(repo_dir: Path) -> None:
    """Remove a model's directory when nothing is left in it that anybody could want; partials count as something."""
    blobs = repo_dir / "blobs"
    if blobs.is_dir() and any(blobs.iterdir()):
        return
    for name in ("blobs", "refs", "snapshots", "trees", ".no_exist"):
        shutil.rmtree(repo_dir / name, ignore_errors=True)
    try:
        repo_dir.rmdir()
    except OSError:
        pass
