"""Downloads: what is to be fetched, at most a few at once, one for each content; and what cut ones have left.

The event loop's side. `Downloads` meets `interfaces.Downloader`; what blocks is done in threads.
"""

from __future__ import annotations

import asyncio
import json
import logging
import shutil
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path

from jupyter_ext.engine.common.atomic_write import new_file
from jupyter_ext.engine.models.cache import hf_cache
from jupyter_ext.engine.models.cache.checksums import Checksums
from jupyter_ext.engine.models.cache.snapshots import FETCHED, LocalSnapshots
from jupyter_ext.engine.models.download import partial_files, resolve
from jupyter_ext.engine.models.download.disk_space import DiskSpace, existing_parent
from jupyter_ext.engine.models.download.partial_files import Partial
from jupyter_ext.engine.models.download.progress import Progress
from jupyter_ext.engine.models.download.rate_limiter import RateLimiter
from jupyter_ext.engine.models.download.resume_journal import partial_key
from jupyter_ext.engine.models.download.transfer import FileTransfer, Sample
from jupyter_ext.engine.models.reference import ModelRef, parse_ref
from jupyter_ext.engine.models.sources import local
from jupyter_ext.engine.models.sources.description import ModelDescription
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.hub_settings import HubSettings
from jupyter_ext.engine.models.sources.manifest import Manifest
from jupyter_ext.errors import DownloadCanceled, DownloadFailed, InvalidInput, JupyterExtError
from jupyter_ext.protocol.models import DownloadState, PartialFile, Transfer

log = logging.getLogger(__name__)

MAX_AT_ONCE = 3
"""Models that are fetched at the same time; the others wait, as `queued`."""

MIN_BYTES_PER_S = 1024

OnProgress = Callable[[Transfer], None]


class Downloads:
    """All downloads of one engine.

    Args:
        directory: Where journals and records are (`Locations.local_models_dir`).
        http: How hard servers are asked.
    """

    def __init__(self, directory: Path, http: HttpSettings | None = None) -> None:
        self.limiter = RateLimiter()
        self.snapshots = LocalSnapshots(directory)
        self._directory = directory
        self._journals_dir = directory / "partials"
        self._http = http or HttpSettings()
        self._limit_file = directory / "limit.json"
        self.limiter.bytes_per_s = _read_limit(self._limit_file)
        self._verified = Checksums(directory / "verified.json")
        self._disk = DiskSpace()
        self._tasks: dict[str, TransferTask] = {}
        self._turns: dict[Path, asyncio.Lock] = {}
        self._slots = asyncio.Semaphore(MAX_AT_ONCE)

    # -- fetching -------------------------------------------------------------------------------------------------

    async def resolve(
        self, ref: ModelRef | str, settings: HubSettings | None = None, weights: Sequence[str] = ()
    ) -> Manifest:
        """Find out what a model consists of, without fetching its weights.

        Args:
            ref: The model.
            settings: The asking notebook's; without them, the engine's own environment.
            weights: Names or patterns of weights that are no safetensors and are fetched all the same.

        Raises:
            InvalidInput: It is no reference, or the model has nothing that may be fetched.
            UnknownId: There is no such model or revision.
            DownloadFailed: Nobody can be asked, or the answer makes no sense.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        settings = settings or HubSettings.from_environment()
        repo_dir = self.snapshots.repo_dir(ref, settings)
        return await asyncio.to_thread(resolve.resolve, ref, repo_dir, settings, self._http, tuple(weights))

    async def newer(self, ref: ModelRef | str, settings: HubSettings) -> str | None:
        """Ask whether there is another revision than the one that is here, and return it.

        For a pinned commit the main branch is asked.

        Raises:
            UnknownId: The model is no longer there.
            DownloadFailed: Nobody can be asked.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        here = await asyncio.to_thread(self.snapshots.revision, ref, settings)
        if here is None or ref.source not in FETCHED:
            return None
        there = await asyncio.to_thread(resolve.current_revision, ref, settings, self._http)
        return there if there != here else None

    def start(self, manifest: Manifest, on_progress: OnProgress | None = None) -> TransferTask:
        """Begin to fetch, or join whoever fetches the same already.

        Args:
            manifest: From `resolve`.
            on_progress: Called on the event loop with each state, about ten times a second, and with the last.
        """
        task = self._tasks.get(manifest.key)
        if task is None or not task.is_running:
            turn = self._turns.setdefault(manifest.repo_dir, asyncio.Lock())
            task = TransferTask(
                manifest, lambda on_sample: self._transfer(manifest, on_sample), turn, self._slots
            )
            self._tasks[manifest.key] = task
        if on_progress is not None:
            task.listen(on_progress)
        return task

    def _transfer(self, manifest: Manifest, on_sample: Callable[[Sample], None]) -> FileTransfer:
        return FileTransfer(
            manifest,
            self._journals_dir,
            self._http,
            self.limiter,
            self._verified,
            self._disk,
            on_sample,
            on_whole=lambda: self.snapshots.note_whole(manifest),
        )

    def running(self) -> list[TransferTask]:
        """List the downloads that go on."""
        self._tasks = {key: task for key, task in self._tasks.items() if task.is_running}
        return list(self._tasks.values())

    async def close(self) -> None:
        """Stop all downloads and wait until they have; what they fetched is kept."""
        tasks = self.running()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*(task.wait() for task in tasks), return_exceptions=True)

    # -- what is here ---------------------------------------------------------------------------------------------

    async def local(self, ref: ModelRef, settings: HubSettings) -> ModelDescription | None:
        """Describe the files that are here whole, or return `None`."""
        try:
            manifest = await asyncio.to_thread(self.snapshots.describe, ref, settings)
        except JupyterExtError as error:
            log.warning("what is here of %s is passed over: %s", ref, error)
            return None
        return None if manifest is None else manifest.description(manifest.path)

    async def describe(self, ref: ModelRef, path: Path) -> ModelDescription:
        """Describe a folder or file that the user or a training owns; a file that is named may be of any kind.

        Raises:
            JupyterExtError: There are no weights, or broken ones; one line.
        """

        def look() -> Manifest:
            named = (path.name,) if path.is_file() else ()
            return local.describe(ref, path, HubSettings.from_environment({}), named)

        return (await asyncio.to_thread(look)).description(path)

    async def all_local(self, settings: HubSettings) -> list[ModelRef]:
        """List the models of the hub's cache whose files are here whole."""
        return await asyncio.to_thread(self.snapshots.all, settings)

    async def kept_bytes(self, ref: ModelRef | str) -> int:
        """Count what interrupted downloads have left of a model, bytes."""
        return sum(
            partial.kept_bytes
            for partial in await asyncio.to_thread(self.partials)
            if partial.model == str(ref)
        )

    def disk_bytes(self, settings: HubSettings) -> tuple[int, int]:
        """Return the space of the disk that files go to, bytes: free, and in all."""
        usage = shutil.disk_usage(existing_parent(settings.cache_dir))
        return usage.free, usage.total

    async def remove(self, ref: ModelRef, settings: HubSettings) -> None:
        """Delete a model's files and what is kept of an interrupted download.

        Raises:
            InvalidInput: It is being downloaded, or it is the user's own.
        """

        def remove() -> None:
            for partial in self.partials():
                if partial.model == str(ref):
                    self.remove_partial(partial.key)
            self.delete(ref, settings)

        await asyncio.to_thread(remove)

    async def remove_revision(self, ref: ModelRef, revision: str, settings: HubSettings) -> None:
        """Delete a revision that was fetched here and that an update has replaced; others' stay."""
        await asyncio.to_thread(self.snapshots.delete_revision, ref, revision, settings)

    def delete(self, ref: ModelRef | str, settings: HubSettings | None = None) -> int:
        """Delete a fetched model from the cache; files that other revisions share stay.

        Returns:
            The bytes freed.

        Raises:
            InvalidInput: It is being downloaded, or it is the user's own and not ours to delete.
        """
        ref = parse_ref(ref) if isinstance(ref, str) else ref
        settings = settings or HubSettings.from_environment()
        if ref.source not in FETCHED:
            raise InvalidInput(f"{ref} is your own file and is not deleted; remove it yourself.")
        repo_dir = self.snapshots.repo_dir(ref, settings)
        if any(task.manifest.repo_dir == repo_dir for task in self.running()):
            raise InvalidInput(f"{ref} is being downloaded; cancel that first.")
        return self.snapshots.delete(ref, settings)

    # -- all together ---------------------------------------------------------------------------------------------

    @property
    def bytes_per_s(self) -> float | None:
        """The rate that all downloads share, bytes a second; `None` is no limit."""
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
        """Return the rate and the partial files, newest first."""
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

    def partials(self) -> list[Partial]:
        """List what was begun and not finished, newest first; also what is being fetched just now."""
        return partial_files.listed(self._journals_dir)

    def remove_partial(self, key: str) -> int:
        """Remove what was begun.

        Returns:
            The bytes of disk that were freed, 0 if there is no such partial.

        Raises:
            InvalidInput: It is being fetched just now.
        """
        for task in self.running():
            blobs = [hf_cache.blob_path(task.manifest, file) for file in task.manifest.files]
            if key in {partial_key(blob, self._journals_dir) for blob in blobs}:
                raise InvalidInput(f"{task.manifest.ref} is being downloaded; cancel that first.")
        return partial_files.remove(self._journals_dir, key)


class TransferTask:
    """A running or ended download as the event loop sees it; made by `Downloads.start`, used on the loop only.

    Attributes:
        manifest: What is fetched.
        transfer: How far it is.
    """

    def __init__(
        self,
        manifest: Manifest,
        make_transfer: Callable[[Callable[[Sample], None]], FileTransfer],
        turn: asyncio.Lock,
        slots: asyncio.Semaphore,
    ) -> None:
        self.manifest = manifest
        self._progress = Progress(manifest.total_bytes, len(manifest.blobs))
        self._listeners: list[OnProgress] = []
        self._loop = asyncio.get_running_loop()
        self._file_transfer = make_transfer(self._hand_over)
        # Two revisions of a model share files, so they come one after the other; and not too many models at once.
        self._turn = turn
        self._slots = slots
        self._is_canceled = False
        self._has_begun = False
        self._task = asyncio.create_task(self._run(), name=f"download {manifest.ref}")
        # Whoever does not wait has the resource to look at.
        self._task.add_done_callback(lambda task: None if task.cancelled() else task.exception())

    @property
    def transfer(self) -> Transfer:
        """Return how far it is."""
        return self._progress.transfer

    @property
    def is_running(self) -> bool:
        """Tell whether it goes on."""
        return not self._task.done()

    def listen(self, on_progress: OnProgress) -> None:
        """Have a callback called with each state, about ten times a second, and with the last one."""
        self._listeners.append(on_progress)

    def cancel(self) -> None:
        """Stop it; what it fetched is kept. Asking again, or after the end, does nothing."""
        if self.is_running and not self._is_canceled:
            self._is_canceled = True
            self._file_transfer.cancel()
            if not self._has_begun:
                self._task.cancel()

    async def wait(self) -> Path:
        """Wait for the end. Being canceled while waiting does not cancel the download.

        Returns:
            The snapshot's directory.

        Raises:
            DownloadFailed: It failed; the message says why and what helps.
            DownloadCanceled: Somebody canceled it.
        """
        return await asyncio.shield(self._task)

    async def _run(self) -> Path:
        try:
            async with self._turn, self._slots:
                self._has_begun = True
                path = await asyncio.to_thread(self._file_transfer.run)
        except asyncio.CancelledError:
            if self._has_begun or not self._is_canceled:
                self._file_transfer.cancel()
                raise
            self._publish(self._progress.end("canceled"))
            raise DownloadCanceled(f"The download of {self.manifest.ref} was canceled.") from None
        except DownloadCanceled:
            self._publish(self._progress.end("canceled"))
            raise
        except JupyterExtError as error:
            self._publish(self._progress.end("failed", str(error)))
            raise
        except Exception as error:
            log.exception("the download of %s broke", self.manifest.ref)
            text = f"The download of {self.manifest.ref} broke ({type(error).__name__}); the engine's log says where."
            self._publish(self._progress.end("failed", text))
            raise DownloadFailed(text) from error
        self._publish(self._progress.end("completed"))
        return path

    def _hand_over(self, sample: Sample) -> None:
        """Take a sample in the fetching thread to the loop."""
        try:
            self._loop.call_soon_threadsafe(self._take, sample)
        except RuntimeError:
            # The loop is closed: nobody looks any more.
            return

    def _take(self, sample: Sample) -> None:
        if self.transfer.status == "running":
            self._publish(self._progress.update(sample))

    def _publish(self, transfer: Transfer) -> None:
        for listener in list(self._listeners):
            try:
                listener(transfer)
            except Exception:
                log.exception("a listener of the download of %s failed", self.manifest.ref)


def _read_limit(path: Path) -> float | None:
    try:
        found = json.loads(path.read_text(encoding="ascii"))
    except (OSError, ValueError, RecursionError):
        return None
    return float(found) if isinstance(found, int | float) and found >= MIN_BYTES_PER_S else None
