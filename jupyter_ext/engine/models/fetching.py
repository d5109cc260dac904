"""The service's way to the downloads: environments become settings, manifests become descriptions."""

from __future__ import annotations

import asyncio
import logging
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from jupyter_ext.engine.models import cache, local_files, memory, records
from jupyter_ext.engine.models.downloads import Downloads
from jupyter_ext.engine.models.hub_settings import HubSettings
from jupyter_ext.engine.models.manifest import Manifest
from jupyter_ext.engine.models.parts import Described, Environ
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.transfer import TransferTask
from jupyter_ext.errors import InvalidInput, JupyterExtError
from jupyter_ext.protocol.local_models import ModelFile, Transfer

log = logging.getLogger(__name__)

_REPO_PREFIX = "models--"
"""Names of a hub model's directory in the cache begin so; its slashes are `--`."""


class HubFetching:
    """Fetches with `Downloads`; see `parts.Fetching`.

    Args:
        downloads: The library.
    """

    def __init__(self, downloads: Downloads) -> None:
        self._downloads = downloads

    async def resolve(
        self, ref: ModelRef, environ: Environ, weights: Sequence[str] = ()
    ) -> tuple[Described, Manifest]:
        """Ask what there is to fetch."""
        manifest = await self._downloads.resolve(
            ref, settings=HubSettings.from_environment(environ), allow_weights=weights
        )
        return _described(manifest), manifest

    def start(self, plan: Manifest, on_progress: Callable[[Transfer], None]) -> TransferTask:
        """Begin to fetch what was resolved, or join whoever fetches it."""
        return self._downloads.start(plan, on_progress)

    async def local(self, ref: ModelRef, environ: Environ) -> Described | None:
        """Describe the files that are here whole, or give `None`."""
        settings = HubSettings.from_environment(environ)
        path = await asyncio.to_thread(self._downloads.find_local, ref, settings)
        if path is None:
            return None
        try:
            manifest = await asyncio.to_thread(local_files.describe, ref, path, settings, ("*",))
        except JupyterExtError as error:
            log.warning("%s in %s is passed over: %s", ref, path, error)
            return None
        return _described(manifest, path, revision=path.name)

    async def describe(self, ref: ModelRef, path: Path) -> Described:
        """Describe a folder or file that the user or a training owns; a file that is named may be of any kind."""
        weights = (path.name,) if path.is_file() else ()  # noqa: ASYNC240  one look
        manifest = await asyncio.to_thread(
            local_files.describe, ref, path, HubSettings.from_environment({}), weights
        )
        return _described(manifest, path, revision="")

    async def kept_bytes(self, ref: ModelRef, environ: Environ) -> int:
        """Tell how much of a model an interrupted download has left."""
        partials = await asyncio.to_thread(self._downloads.partials)
        return sum(partial.kept_bytes for partial in partials if partial.model == str(ref))

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

    def disk_free_bytes(self, environ: Environ) -> int:
        """Tell how much room there is where files go."""
        path = HubSettings.from_environment(environ).cache_dir
        while not path.exists() and path != path.parent:
            path = path.parent
        return shutil.disk_usage(path).free

    async def all_local(self, environ: Environ) -> list[ModelRef]:
        """List the models of the hub's cache whose files are here whole."""
        directory = HubSettings.from_environment(environ).cache_dir

        def find() -> list[ModelRef]:
            found = []
            for path in sorted(directory.glob(f"{_REPO_PREFIX}*")):
                name = path.name.removeprefix(_REPO_PREFIX).replace("--", "/", 1)
                try:
                    ref = parse_ref(f"hub:{name}")
                    if self._downloads.find_local(ref, HubSettings.from_environment(environ)):
                        found.append(ref)
                except (InvalidInput, OSError) as error:
                    log.info("%s in the cache is no model for us: %s", path.name, error)
            return found

        return await asyncio.to_thread(find)


def _described(manifest: Manifest, path: Path | None = None, revision: str | None = None) -> Described:
    weights = manifest.weights
    notices = [f"{file.name} was left out: {file.reason}" for file in manifest.skipped if path is None]
    return Described(
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
