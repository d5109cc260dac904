"""The service's way to the downloads: environments become settings, manifests become descriptions."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from jupyter_ext.engine.models import memory
from jupyter_ext.engine.models.download.manager import Downloads
from jupyter_ext.engine.models.download.task import TransferTask
from jupyter_ext.engine.models.interfaces import Environ, ModelDescription
from jupyter_ext.engine.models.reference import ModelRef
from jupyter_ext.engine.models.sources import file_selection
from jupyter_ext.engine.models.sources import local as local_files
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import InvalidInput, JupyterExtError
from jupyter_ext.protocol.models import ModelFile, Transfer

log = logging.getLogger(__name__)


class HubDownloads:
    """Fetches with `Downloads`; see `parts.Fetching`.

    Args:
        downloads: The library.
    """

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def resolve(
        self, ref: ModelRef, environ: Environ, weights: Sequence[str] = ()
    ) -> tuple[ModelDescription, Manifest]:
        """Ask what there is to fetch."""
        manifest = await self._downloads.resolve(
            ref, settings=HubSettings.from_environment(environ), allow_weights=weights
        )
        return _described(manifest), manifest

    def start(self, plan: Manifest, on_progress: Callable[[Transfer], None]) -> TransferTask:
        """Begin to fetch what was resolved, or join whoever fetches it."""
        return self._downloads.start(plan, on_progress)

    async def local(self, ref: ModelRef, environ: Environ) -> ModelDescription | None:
        """Describe the files that are here whole, or give `None`."""
        settings = HubSettings.from_environment(environ)
        try:
            manifest = await asyncio.to_thread(self._downloads.describe_local, ref, settings)
        except JupyterExtError as error:
            log.warning("what is here of %s is passed over: %s", ref, error)
            return None
        return None if manifest is None else _described(manifest, manifest.path)

    async def describe(self, ref: ModelRef, path: Path) -> ModelDescription:
        """Describe a folder or file that the user or a training owns; a file that is named may be of any kind."""
        weights = (path.name,) if path.is_file() else ()  # noqa: ASYNC240  one look
        manifest = await asyncio.to_thread(
            local_files.describe, ref, path, HubSettings.from_environment({}), weights
        )
        return _described(manifest, path, revision="")

    async def kept_bytes(self, ref: ModelRef, environ: Environ) -> int:
        """Tell how much of a model an interrupted download has left."""
        return await asyncio.to_thread(self._downloads.kept_bytes, ref)

    async def remove(self, ref: ModelRef, environ: Environ) -> None:
        """Delete a model's files and what is kept of an interrupted download."""
        settings = HubSettings.from_environment(environ)

        def remove() -> None:
            for partial in self._downloads.partials():
                if partial.model == str(ref):
                    self._downloads.remove_partial(partial.key)
            self._downloads.delete(ref, settings)

        await asyncio.to_thread(remove)

    async def remove_revision(self, ref: ModelRef, revision: str, environ: Environ) -> None:
        """Delete a revision that was fetched here."""
        await asyncio.to_thread(
            self._downloads.delete_revision, ref, revision, HubSettings.from_environment(environ)
        )

    async def newer(self, ref: ModelRef, environ: Environ) -> str | None:
        """Give the revision that the hub has now, where it is another one."""
        return await self._downloads.newer(ref, HubSettings.from_environment(environ))

    def disk_bytes(self, environ: Environ) -> tuple[int, int]:
        """Tell how much room there is where files go: free, and in all."""
        try:
            path = HubSettings.from_environment(environ).cache_dir
        except InvalidInput:  # a download says what is wrong with it
            path = HubSettings.from_environment({}).cache_dir
        while not path.exists() and path != path.parent:
            path = path.parent
        usage = shutil.disk_usage(path)
        return usage.free, usage.total

    async def all_local(self, environ: Environ) -> list[ModelRef]:
        """List the models of the hub's cache whose files are here whole."""
        settings = HubSettings.from_environment(environ)
        return await asyncio.to_thread(self._downloads.all_local, settings)

    async def close(self) -> None:
        """Stop what runs; what has come is kept."""
        await self._downloads.close()


def _described(manifest: Manifest, path: Path | None = None, revision: str | None = None) -> ModelDescription:
    weights = manifest.weights
    notices = [
        f"{file.name} was left out: {file.reason}"
        for file in manifest.skipped
        if path is None and file.reason != file_selection.NOBODY_MISSES_IT
    ]
    return ModelDescription(
        revision=manifest.revision if revision is None else revision or None,
        path=path,
        files=[ModelFile(name=f.name, bytes=f.bytes, sha256=f.sha256) for f in manifest.files],
        bytes=manifest.total_bytes,
        memory_bytes=weights.num_bytes + memory.PROCESS_BYTES if weights else None,
        num_parameters=weights.num_parameters if weights else None,
        dtype=weights.dtype if weights else None,
        architecture=manifest.architecture,
        tokenizer=manifest.has_tokenizer,
        notices=notices,
    )
