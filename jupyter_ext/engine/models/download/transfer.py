"""One transfer at work, in threads of its own: several connections write into one file, a hash follows them.

- `Connections` take ranges in the order of the files, read and pwrite; each block that is whole is marked.
- The `Hasher` hashes the contiguous prefix while the rest arrives.
- The `Flusher` brings what is written to the disk, and gives a file its name after its hash was right.

Nobody here knows asyncio; `run` blocks. Whatever ends it, marks and bytes stay, but those of a file with a wrong hash.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jupyter_ext.bytes_format import format_bytes
from jupyter_ext.engine.models.cache import hf_cache
from jupyter_ext.engine.models.cache.checksums import Checksums
from jupyter_ext.engine.models.download import reuse
from jupyter_ext.engine.models.download.connections import Connections
from jupyter_ext.engine.models.download.disk_space import DiskSpace, free_bytes
from jupyter_ext.engine.models.download.flusher import Flusher
from jupyter_ext.engine.models.download.hasher import Hasher
from jupyter_ext.engine.models.download.rate_limiter import RateLimiter
from jupyter_ext.engine.models.download.resume_journal import Journal, PartialInfo, partial_key, partial_path
from jupyter_ext.engine.models.download.transfer_state import FileFetch, TransferState
from jupyter_ext.engine.models.sources.http_range import Remote
from jupyter_ext.engine.models.sources.http_settings import HttpSettings
from jupyter_ext.engine.models.sources.manifest import Manifest, ManifestFile
from jupyter_ext.errors import DownloadCanceled, DownloadFailed

SAMPLE_S = 0.1


@dataclass
class Sample:
    """How far a transfer is; bytes."""

    phase: str
    bytes_done: int
    resumed_bytes: int
    hashed_bytes: int
    files_done: int
    file: str | None
    num_connections: int = 0


class FileTransfer:
    """Fetches what a manifest lists and is not here.

    Args:
        manifest: What.
        journals_dir: Where journals are.
        settings: How.
        limiter: Shared by all transfers.
        verified: Known hashes.
        disk: Promises of room.
        on_sample: Told how far it is, ten times a second, in the thread of `run`.
        on_whole: Called when all files are there and right, before they are published.
    """

    def __init__(
        self,
        manifest: Manifest,
        journals_dir: Path,
        settings: HttpSettings,
        limiter: RateLimiter,
        verified: Checksums,
        disk: DiskSpace,
        on_sample: Callable[[Sample], None],
        on_whole: Callable[[], None],
    ) -> None:
        self._manifest = manifest
        self._journals_dir = journals_dir
        self._verified = verified
        self._disk = disk
        self._on_sample = on_sample
        self._on_whole = on_whole
        self._state = TransferState()
        self._connections = Connections(self._state, settings, limiter, manifest.settings)
        self._flusher = Flusher(self._state, verified, settings.sync_every_s)
        self._follower = Hasher(self._state, self._flusher.take)
        self._phase = "resolve"
        self._is_canceled = False
        self._here_bytes = 0
        self._num_here = 0
        self._resumed_bytes = 0
        self._most_done_bytes = 0
        self._looked_at_bytes = 0
        self._told_at = 0.0

    def run(self) -> Path:
        """Fetch, check and publish.

        Returns:
            The snapshot's directory.

        Raises:
            DownloadFailed: It cannot be fetched or is not what it should be.
            DownloadCanceled: Somebody called `cancel`.
        """
        if self._manifest.path is not None:
            return self._manifest.path
        try:
            self._link()
            with self._disk.promised(self._manifest.repo_dir, self._left_bytes, str(self._manifest.ref)):
                self._prepare()
                self._transfer()
            self._phase = "publish"
            self._report()
            self._on_whole()
            return hf_cache.publish(self._manifest)
        except OSError as error:
            raise self._disk_failure(error) from error
        finally:
            for fetch in self._state.files:
                if fetch.wrong:
                    fetch.journal.discard()
                elif not fetch.published:
                    fetch.journal.close()
            self._verified.save()

    def cancel(self) -> None:
        """Stop; what was fetched is kept."""
        self._is_canceled = True
        self._state.stop()

    def _left_bytes(self) -> int:
        """Count what is still to be written; before the files are opened, from what lies there."""
        if self._phase != "resolve":
            return self._state.missing_bytes
        left = 0
        for file in self._manifest.blobs:
            blob = hf_cache.blob_path(self._manifest, file)
            if blob.exists() and blob.stat().st_size == file.bytes:
                continue
            try:
                held = os.stat(partial_path(blob, partial_key(blob, self._journals_dir))).st_blocks * 512
            except OSError:
                held = 0
            left += max(0, file.bytes - held)
        return left

    # --- before the first byte

    def _link(self) -> None:
        """Take what another model of this cache has; that needs no room."""
        for file in self._manifest.blobs:
            blob = hf_cache.blob_path(self._manifest, file)
            if not blob.exists():
                reuse.link(file, blob, self._verified, self._looked_at)

    def _prepare(self) -> None:
        """Find what is here already, and open a partial for all else."""
        for file in self._manifest.blobs:
            self._looked_at(0)
            blob = hf_cache.blob_path(self._manifest, file)
            if self._is_here(file, blob):
                self._here_bytes += file.bytes
                self._num_here += 1
            else:
                self._state.files.append(self._open(file, blob))
        self._resumed_bytes = sum(fetch.resumed_bytes for fetch in self._state.files) + self._here_bytes

    def _is_here(self, file: ManifestFile, blob: Path) -> bool:
        """Tell whether a blob is there with the right content; what was never hashed is."""
        if not blob.exists() or blob.stat().st_size != file.bytes:
            return False
        algorithm, wanted = reuse.digest_of(file)
        return wanted is None or self._verified.digest(blob, algorithm, self._looked_at) == wanted

    def _open(self, file: ManifestFile, blob: Path) -> FileFetch:
        """Open a file's partial, with what earlier attempts left or is elsewhere on this machine."""
        key = partial_key(blob, self._journals_dir)
        info = PartialInfo(
            model=str(self._manifest.ref),
            revision=self._manifest.revision,
            name=file.name,
            num_bytes=file.bytes,
            data=str(partial_path(blob, key)),
            blob=str(blob),
            sha256=file.sha256,
            created_at=datetime.now(UTC).isoformat(),
        )
        journal = Journal.open(self._journals_dir, key, info)
        # Without a hash, only the server can say whether what it has is still what was begun.
        known = journal.info.validator if file.has_hash else file.validator
        if not file.has_hash and journal.info.validator != known:
            journal.forget()
            journal.set_validator(known)
        if file.sha256 is not None and not journal.blocks.kept_bytes:
            folders = self._manifest.settings.look_in
            if not reuse.copy(file, journal, folders, self._verified, self._looked_at):
                reuse.begin_from_left_over(journal, blob, self._looked_at)
        remote = Remote(file.url, file.bytes, file.has_hash, validator=known)
        return FileFetch(file, journal, remote, journal.blocks.kept_bytes)

    def _looked_at(self, num_bytes: int) -> None:
        """Say that files of this machine are being looked at, and stop if somebody wants that."""
        if self._state.stopped.is_set():
            raise DownloadCanceled(f"The download of {self._manifest.ref} was canceled.")
        self._looked_at_bytes += num_bytes
        if num_bytes and time.monotonic() - self._told_at >= SAMPLE_S:
            self._told_at = time.monotonic()
            self._on_sample(
                Sample("verify", self._here_bytes, 0, self._looked_at_bytes, self._num_here, None)
            )

    # --- the transfer

    def _transfer(self) -> None:
        """Let all threads work until everything is there and right, or nothing more can be done."""
        self._phase = "transfer"
        self._report()
        try:
            self._state.start(self._follower.run, "models-hash")
            self._state.start(self._flusher.run, "models-sync")
            self._connections.start()
            self._watch()
        finally:
            self._state.stop()
            self._state.join()
        if self._state.is_whole:
            return
        if self._is_canceled:
            raise DownloadCanceled(
                f"The download of {self._manifest.ref} was canceled; what it fetched is kept."
            )
        if self._state.failure is not None:
            raise self._state.failure

    def _watch(self) -> None:
        """Report how far it is until it is over."""
        before = time.monotonic()
        last = self._done_bytes()
        while not self._state.is_over:
            with self._state.changed:
                self._state.changed.wait(SAMPLE_S)
            now = time.monotonic()
            if now - before < SAMPLE_S:
                continue
            done = self._done_bytes()
            self._connections.adjust((done - last) / (now - before))
            before, last = now, done
            self._report()

    # --- how far it is, and how it failed

    def _done_bytes(self) -> int:
        total = sum(fetch.file.bytes for fetch in self._state.files)
        return self._here_bytes + total - self._state.missing_bytes

    def _report(self) -> None:
        self._most_done_bytes = max(self._most_done_bytes, self._done_bytes())
        with self._state.changed:
            unpublished = [fetch for fetch in self._state.files if not fetch.published]
            is_here = all(fetch.blocks.is_whole for fetch in unpublished)
        phase = "verify" if self._phase == "transfer" and unpublished and is_here else self._phase
        self._on_sample(
            Sample(
                phase=phase,
                bytes_done=self._most_done_bytes,
                resumed_bytes=self._resumed_bytes,
                hashed_bytes=self._here_bytes + self._state.hashed_bytes,
                files_done=len(self._manifest.blobs) - len(unpublished),
                file=unpublished[0].file.name if unpublished else None,
                num_connections=self._connections.num_open,
            )
        )

    def _disk_failure(self, error: OSError) -> DownloadFailed:
        where = self._manifest.repo_dir
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free, left = format_bytes(free_bytes(where)), format_bytes(self._left_bytes())
            return DownloadFailed(
                f"The disk of {where} is full: {free} are free, and {self._manifest.ref} needs {left} more. "
                "What was fetched is kept; free some space and download again."
            )
        reason = (error.strerror or type(error).__name__).lower()
        return DownloadFailed(f"{error.filename or where} cannot be written: {reason}.")
