"""Models that are whole on this machine: found, described and deleted without asking the network. Blocks: call it in a thread.

Rule: what was fetched here is known file by file; of what others put in the cache, a config or weights and all shards must be there.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path

from jupyter_ext.engine.models.cache import hf_cache, snapshot_index
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources import local, url
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest

log = logging.getLogger(__name__)

FETCHED = ("hub", "url")
"""Sources whose files are fetched into a cache; others lie where the user or a training put them."""


class LocalSnapshots:
    """Snapshots in the Hugging Face cache, and those of addresses beside it.

    Args:
        directory: Where models of addresses and the index of fetched snapshots are.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._index_dir = directory / "snapshots"

    def repo_dir(self, ref: ModelRef, settings: HubSettings) -> Path:
        """Return the directory of a fetched model."""
        if ref.source == "url":
            return url.repo_dir(ref, self._directory)
        return hf_cache.hub_repo_dir(ref, settings)

    def find(self, ref: ModelRef, settings: HubSettings) -> Path | None:
        """Return where a model is whole, or `None` if it is not."""
        if ref.source not in FETCHED:
            path = Path(ref.name)
            return path if ref.source == "file" and path.exists() else None
        repo_dir = self.repo_dir(ref, settings)
        commit = hf_cache.commit_of_ref(repo_dir, ref)
        if commit is None:
            return None
        snapshot = repo_dir / "snapshots" / commit
        whole = snapshot_index.is_whole(self._index_dir, snapshot)
        if whole is None:
            whole = hf_cache.is_complete(snapshot)
        return snapshot if whole else None

    def revision(self, ref: ModelRef, settings: HubSettings) -> str | None:
        """Return the revision of what `find` finds, where it has one."""
        path = self.find(ref, settings)
        return path.name if path is not None and path.parent.name == "snapshots" else None

    def describe(self, ref: ModelRef, settings: HubSettings) -> Manifest | None:
        """Describe a model that is whole, or return `None` if it is not.

        Raises:
            InvalidInput: What is there cannot be loaded.
        """
        path = self.find(ref, settings)
        if path is None:
            return None
        # What the user let in by name at the download is no longer asked for.
        named = ("*",) if ref.source in FETCHED else ()
        found = local.describe(ref, path, settings, named)
        return replace(found, revision=path.name) if path.parent.name == "snapshots" else found

    def all(self, settings: HubSettings) -> list[ModelRef]:
        """List the models of a hub's cache that are whole: the main branch where it is there, else the revision that is."""
        found = []
        for ref in hf_cache.named(settings.cache_dir):
            try:
                if self.find(ref, settings) is not None:
                    found.append(ref)
            except OSError as error:
                log.warning("%s in the cache is passed over: %s", ref, error)
        return found

    def note_whole(self, manifest: Manifest) -> None:
        """Note which files a snapshot that was fetched here consists of."""
        snapshot_index.write(self._index_dir, manifest)

    def delete(self, ref: ModelRef, settings: HubSettings) -> int:
        """Delete a fetched model; files that other revisions share stay.

        Returns:
            The bytes freed.
        """
        repo_dir = self.repo_dir(ref, settings)
        commit = hf_cache.commit_of_ref(repo_dir, ref)
        return 0 if commit is None else self._delete_commit(repo_dir, commit)

    def delete_revision(self, ref: ModelRef, revision: str, settings: HubSettings) -> int:
        """Delete a revision that an update has replaced, if it was fetched here.

        Returns:
            The bytes freed.
        """
        repo_dir = self.repo_dir(ref, settings)
        is_current = hf_cache.commit_of_ref(repo_dir, ref) == revision
        fetched_here = snapshot_index.is_whole(self._index_dir, repo_dir / "snapshots" / revision) is not None
        return 0 if is_current or not fetched_here else self._delete_commit(repo_dir, revision)

    def _delete_commit(self, repo_dir: Path, commit: str) -> int:
        snapshot_index.remove(self._index_dir, repo_dir / "snapshots" / commit)
        return hf_cache.delete_revision(repo_dir, commit)
