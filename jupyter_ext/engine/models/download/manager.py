"""The door to downloads: what a model consists of, fetch it, find it, forget it. Knows nothing of who asks.

`resolve`, `newer` and transfers wait for the network in threads; the rest reads or changes the disk and is quick, but for
`delete` of many files.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.models.cache import hf_cache, snapshot_index
from jupyter_ext.engine.models.cache.checksums import Checksums
from jupyter_ext.engine.models.download import partial_files as partials
from jupyter_ext.engine.models.download import size_estimate
from jupyter_ext.engine.models.download.disk_space import DiskSpace
from jupyter_ext.engine.models.download.partial_files import Partial
from jupyter_ext.engine.models.download.rate_limiter import RateLimiter
from jupyter_ext.engine.models.download.resume_journal import partial_key
from jupyter_ext.engine.models.download.task import OnProgress, TransferTask
from jupyter_ext.engine.models.download.transfer import FileTransfer, Sample
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.sources import file_selection, hub, local, url
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import InvalidInput, UnknownId
from jupyter_ext.protocol.models import DownloadState, PartialFile

MAX_AT_ONCE = 3
"""Models that are fetched at the same time; the others wait, as `queued`."""

MIN_BYTES_PER_S = 1024


class Downloads:
    """All downloads of one engine.

    Args:
        directory: Where journals and records are (`Locations.local_models_dir`).
        training_path: Gives the weights of a training, by its id; `None` if it has none.
        fetching: How hard servers are asked.
    """

    def __init__(
        self,
        directory: Path,
        training_path: Callable[[str], Path | None] = lambda _: None,
        fetching: HttpSettings | None = None,
    ) -> None:
        self.limiter = RateLimiter()
        self._directory = directory
        self._journals_dir = directory / "partials"
        self._records_dir = directory / "snapshots"
        self._training_path = training_path
        self._fetching = fetching or HttpSettings()
        self._limit_file = directory / "limit.json"
        self.limiter.bytes_per_s = _read_limit(self._limit_file)
        self._verified = Checksums(directory / "verified.json")
        self._disk = DiskSpace()
        self._tasks: dict[str, TransferTask] = {}
        self._turns: dict[Path, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    async def resolve(
        self,
        ref: ModelRef | str,
        *,
        settings: HubSettings | None = None,
        allow_weights: Sequence[str] = (),
    ) -> Manifest:
        """Find out what a model consists of, without fetching its weights.

        Args:
            ref: The model.
            settings: The asking notebook's; without them, the engine's own environment.
            allow_weights: Names or patterns of weights that are no safetensors and are fetched all the same.

        Raises:
            InvalidInput: It is no reference, or the model has nothing that may be fetched.
            UnknownId: There is no such model or revision.
            DownloadFailed: Nobody can be asked, or the answer makes no sense.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        settings = settings or HubSettings.from_environment()
        return await asyncio.to_thread(self._resolve, ref, settings, tuple(allow_weights))

    def start(self, manifest: Manifest, on_progress: OnProgress | None = None) -> TransferTask:
        """Begin to fetch, or join whoever fetches the same already.

        Args:
            manifest: From `resolve`.
            on_progress: Called on the event loop with each picture, about ten times a second, and with the last.
        """
        task = self._tasks.get(manifest.key)
        if task is None or not task.is_running:
            turn = self._turns.setdefault(manifest.repo_dir, asyncio.Lock())
            task = TransferTask(
                manifest, lambda on_sample: self._fetch(manifest, on_sample), turn, self._slots
            )
            self._tasks[manifest.key] = task
        if on_progress is not None:
            task.listen(on_progress)
        return task

    def running(self) -> list[TransferTask]:
        """Give the downloads that go on."""
        self._tasks = {key: task for key, task in self._tasks.items() if task.is_running}
        return list(self._tasks.values())

    @property
    def bytes_per_s(self) -> float | None:
        """Give the rate that all downloads share, bytes a second; `None` is no limit."""
        return self.limiter.bytes_per_s

    def set_bytes_per_s(self, bytes_per_s: float | None) -> None:
        """Limit the rate of all downloads together from now on, also of those that run; kept for the next engine.

        Raises:
            InvalidInput: It is not more than 0.
        """
        if bytes_per_s is not None and not MIN_BYTES_PER_S <= bytes_per_s < float("inf"):
            raise InvalidInput(
                f"A limit of {bytes_per_s:g} bytes a second is none to work with; give at least {MIN_BYTES_PER_S}, or none."
            )
        self.limiter.bytes_per_s = bytes_per_s
        self._directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        with new_file(self._limit_file) as temporary:
            temporary.write_text(json.dumps(bytes_per_s), encoding="ascii")

    def state(self) -> DownloadState:
        """Give the rate and the partial files, newest first."""
        running = {str(task.manifest.ref) for task in self.running()}
        files = [
            PartialFile(
                key=partial.key,
                model=partial.model,
                file=partial.file,
                kept_bytes=partial.kept_bytes,
                bytes=partial.total_bytes,
                is_running=partial.model in running,
                changed_at=datetime.fromtimestamp(partial.changed_at, UTC).isoformat(timespec="seconds"),
            )
            for partial in self.partials()
        ]
        return DownloadState(bytes_per_s=self.bytes_per_s, partials=files)

    async def close(self) -> None:
        """Stop all downloads and wait until they have; what they fetched is kept."""
        tasks = self.running()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(task.wait() for task in tasks), return_exceptions=True)

    def partials(self) -> list[Partial]:
        """Give what was begun and not finished, newest first; also what is being fetched just now."""
        return partials.listed(self._journals_dir)

    def remove_partial(self, key: str) -> int:
        """Remove what was begun; gives the bytes of disk that were freed, 0 if there is no such partial.

        Raises:
            InvalidInput: It is being fetched just now.
        """
        for task in self.running():
            blobs = [hf_cache.blob_path(task.manifest, file) for file in task.manifest.files]
            if key in {partial_key(blob, self._journals_dir) for blob in blobs}:
                raise InvalidInput(f"{task.manifest.ref} is being downloaded; cancel that first.")
        return partials.remove(self._journals_dir, key)

    def find_local(self, ref: ModelRef | str, settings: HubSettings | None = None) -> Path | None:
        """Give where a model is whole on this machine, without asking the network; `None` if it is not."""
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        if ref.source == "file":
            path = Path(ref.name)
            return path if path.exists() else None
        if ref.source == "training":
            return self._training_path(ref.name)
        repo_dir = self._repo_dir(ref, settings or HubSettings.from_environment())
        commit = hf_cache.commit_of_ref(repo_dir, ref)
        if commit is None:
            return None
        snapshot = repo_dir / "snapshots" / commit
        whole = snapshot_index.is_whole(self._records_dir, snapshot)
        if whole is None:
            whole = hf_cache.is_complete(snapshot)
        return snapshot if whole else None

    def describe_local(
        self, ref: ModelRef | str, settings: HubSettings | None = None, allow_weights: Sequence[str] = ()
    ) -> Manifest | None:
        """Describe a model that is whole on this machine, as `resolve` does, without asking the network.

        Raises:
            InvalidInput: What is there cannot be loaded.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        settings = settings or HubSettings.from_environment()
        path = self.find_local(ref, settings)
        if path is None:
            return None
        # What the user let in by name at the download is no longer asked for.
        allowed = ("*",) if ref.source in ("hub", "url") else allow_weights
        found = local.describe(ref, path, settings, allowed)
        return replace(found, revision=path.name) if path.parent.name == "snapshots" else found

    def all_local(self, settings: HubSettings | None = None) -> list[ModelRef]:
        """Give the models of a cache that are whole: the main branch where it is there, else the revision that is."""
        settings = settings or HubSettings.from_environment()
        found = []
        for ref in hf_cache.named(settings.cache_dir):
            if self.find_local(ref, settings) is not None:
                found.append(ref)
        return found

    def kept_bytes(self, ref: ModelRef | str) -> int:
        """Give how much of a model interrupted downloads have left here, bytes."""
        text = str(parse_ref(ref) if isinstance(ref, str) else ref)
        return sum(partial.kept_bytes for partial in self.partials() if partial.model == text)

    def local_revision(self, ref: ModelRef | str, settings: HubSettings | None = None) -> str | None:
        """Give the revision of what `find_local` finds."""
        path = self.find_local(ref, settings)
        return path.name if path is not None and path.parent.name == "snapshots" else None

    def delete(self, ref: ModelRef | str, settings: HubSettings | None = None) -> int:
        """Remove a fetched model from the cache; gives the bytes freed. Files that other revisions share stay.

        Raises:
            InvalidInput: It is being downloaded, or it is the user's own and not ours to delete.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        if ref.source not in ("hub", "url"):
            raise InvalidInput(f"{ref} is your own file and is not deleted; remove it yourself.")
        repo_dir = self._repo_dir(ref, settings or HubSettings.from_environment())
        if any(task.manifest.repo_dir == repo_dir for task in self.running()):
            raise InvalidInput(f"{ref} is being downloaded; cancel that first.")
        commit = hf_cache.commit_of_ref(repo_dir, ref)
        if commit is None:
            return 0
        return self._delete_commit(repo_dir, commit)

    def delete_revision(self, ref: ModelRef, revision: str, settings: HubSettings) -> int:
        """Remove a revision that an update has replaced, if it was fetched here; gives the bytes freed."""
        repo_dir = self._repo_dir(ref, settings)
        is_current = hf_cache.commit_of_ref(repo_dir, ref) == revision
        fetched_here = (
            snapshot_index.is_whole(self._records_dir, repo_dir / "snapshots" / revision) is not None
        )
        return 0 if is_current or not fetched_here else self._delete_commit(repo_dir, revision)

    def _delete_commit(self, repo_dir: Path, commit: str) -> int:
        snapshot_index.remove(self._records_dir, repo_dir / "snapshots" / commit)
        return hf_cache.delete_revision(repo_dir, commit)

    async def newer(self, ref: ModelRef | str, settings: HubSettings | None = None) -> str | None:
        """Ask whether there is another revision than the one that is here; gives it.

        For a pinned commit the main branch is asked.

        Raises:
            UnknownId: The model is no longer there.
            DownloadFailed: Nobody can be asked.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        settings = settings or HubSettings.from_environment()
        here = self.local_revision(ref, settings)
        if here is None or ref.source not in ("hub", "url"):
            return None
        there = await asyncio.to_thread(self._current_revision, ref, settings)
        return there if there != here else None

    def _current_revision(self, ref: ModelRef, settings: HubSettings) -> str:
        if ref.source == "hub":
            return hub.commit_of(ref, settings, hub.MAIN if ref.is_pinned else None)
        return url.look_up(ref, settings, self._fetching, [url.file_name(ref)])[0]

    def _resolve(self, ref: ModelRef, settings: HubSettings, allow_weights: tuple[str, ...]) -> Manifest:
        if ref.source in ("file", "training"):
            path = Path(ref.name) if ref.source == "file" else self._training_path(ref.name)
            if path is None:
                raise UnknownId(f"There is no training {ref.name} with weights that could be loaded.")
            return local.describe(ref, path, settings, allow_weights)
        repo_dir = self._repo_dir(ref, settings)
        if ref.source == "url":
            revision, file = url.look_up(ref, settings, self._fetching, allow_weights)
            manifest = Manifest(ref, revision, repo_dir, (file,), settings, refs=(hub.MAIN,))
        else:
            revision, listed = hub.list_files(ref, settings)
            files, skipped = file_selection.select(listed, allow_weights, str(ref))
            refs = () if ref.is_pinned else (ref.revision or hub.MAIN,)
            manifest = Manifest(ref, revision, repo_dir, files, settings, refs, skipped)
        config, weights = size_estimate.look_ahead(manifest, self._fetching)
        return Manifest(
            ref,
            revision,
            repo_dir,
            manifest.files,
            settings,
            manifest.refs,
            manifest.skipped,
            config,
            weights,
        )

    def _repo_dir(self, ref: ModelRef, settings: HubSettings) -> Path:
        if ref.source == "url":
            return url.repo_dir(ref, self._directory)
        return hf_cache.hub_repo_dir(ref, settings)

    def _fetch(self, manifest: Manifest, on_sample: Callable[[Sample], None]) -> FileTransfer:
        return FileTransfer(
            manifest,
            self._journals_dir,
            self._fetching,
            self.limiter,
            self._verified,
            self._disk,
            on_sample,
            on_whole=lambda: snapshot_index.write(self._records_dir, manifest),
        )


def _read_limit(path: Path) -> float | None:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return None
    return float(found) if isinstance(found, int | float) and found >= MIN_BYTES_PER_S else None
