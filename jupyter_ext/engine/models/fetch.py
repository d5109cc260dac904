"""One transfer at work, in threads of its own: several connections write into one file, a hash follows them.

- Workers take ranges in the order of the files, read into their buffer and pwrite; each block that is whole is marked.
- The follower hashes the contiguous prefix while the rest arrives.
- The keeper brings what is written to the disk, and gives a file its name after its hash was right.

Nobody here knows asyncio; `run` blocks. Whatever ends it, marks and bytes stay, but those of a file with a wrong hash.
"""

from __future__ import annotations

import errno
import http.client
import os
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

from jupyter_ext.engine.models import adoption, cache
from jupyter_ext.engine.models.blocks import FileBlocks, Range
from jupyter_ext.engine.models.disk import DiskSpace, free_bytes, readable
from jupyter_ext.engine.models.fetch_settings import MIB, FetchSettings
from jupyter_ext.engine.models.http_source import Changed, Connector, Remote, TryAgain
from jupyter_ext.engine.models.journal import Journal, PartialInfo, partial_key, partial_path
from jupyter_ext.engine.models.limiter import RateLimiter
from jupyter_ext.engine.models.manifest import Manifest, ManifestFile
from jupyter_ext.engine.models.verified import Verified, new_hash
from jupyter_ext.errors import DownloadCanceled, DownloadFailed

_BUFFER_BYTES = MIB
_MIN_READ_BYTES = 16 * 1024
_SAMPLE_S = 0.1
_RAMP_S = 0.3
_MIN_STEAL_BYTES = 4 * MIB
_WORTH_STEALING_S = 0.5
"""What is under way to the connection that is stolen from is lost, so a steal must save more than that."""


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


@dataclass(eq=False)
class _FileFetch:
    """One file on its way."""

    file: ManifestFile
    journal: Journal
    remote: Remote
    resumed_bytes: int
    probing: bool = False
    restarts: int = 0
    generation: int = 0
    published: bool = False
    wrong: bool = False

    @property
    def blocks(self) -> FileBlocks:
        return self.journal.blocks

    @property
    def is_open(self) -> bool:
        """Whether another connection may work on it now."""
        if self.probing:
            return False
        return self.remote.ranged is not False or not self.blocks.active


@dataclass(eq=False)
class Fetch:
    """Fetches what a manifest lists and is not here.

    Attributes:
        manifest: What.
        journals_dir: Where journals are.
        settings: How.
        limiter: Shared by all transfers.
        verified: Known hashes.
        disk: Promises of room.
        on_sample: Told how far it is, ten times a second, in the thread of `run`.
        on_whole: Called when all files are there and right, before they are published.
    """

    manifest: Manifest
    journals_dir: Path
    settings: FetchSettings
    limiter: RateLimiter
    verified: Verified
    disk: DiskSpace
    on_sample: Callable[[Sample], None]
    on_whole: Callable[[], None]
    _files: list[_FileFetch] = field(default_factory=list)
    _stopped: threading.Event = field(default_factory=threading.Event)
    _failure: BaseException | None = None
    _phase: str = "resolve"
    _here_bytes: int = 0
    _resumed_bytes: int = 0
    _num_here: int = 0
    _hashed_bytes: int = 0
    _num_workers: int = 0
    _max_workers: int = 0
    _not_before: float = 0.0
    _speed: float = 0.0
    _high_water: int = 0
    _looked_at_told: float = 0.0

    def __post_init__(self) -> None:
        self._changed = threading.Condition()
        self._connectors: list[Connector] = []
        self._threads: list[threading.Thread] = []
        self._to_publish: list[_FileFetch] = []
        self._canceled = False
        self._max_workers = self.settings.max_connections

    def run(self) -> Path:
        """Fetch, check and publish.

        Returns:
            The snapshot's directory.

        Raises:
            DownloadFailed: It cannot be fetched or is not what it should be.
            DownloadCanceled: Somebody called `cancel`.
        """
        if self.manifest.path is not None:
            return self.manifest.path
        try:
            self._link()
            with self.disk.promised(self.manifest.repo_dir, self._left_bytes, str(self.manifest.ref)):
                self._prepare()
                self._transfer()
            self._phase = "publish"
            self._report()
            self.on_whole()
            return cache.publish(self.manifest)
        except OSError as error:
            raise self._disk_failure(error) from error
        finally:
            for fetch in self._files:
                if fetch.wrong:
                    fetch.journal.discard()
                elif not fetch.published:
                    fetch.journal.close()

    def cancel(self) -> None:
        """Stop; what was fetched is kept."""
        self._canceled = True
        self._stop()

    def _left_bytes(self) -> int:
        """Count what is still to be written; before the files are opened, from what lies there."""
        if self._phase != "resolve":
            with self._changed:
                return sum(fetch.blocks.missing_bytes for fetch in self._files if not fetch.published)
        left = 0
        for file in self.manifest.files:
            blob = cache.blob_path(self.manifest, file)
            if blob.exists() and blob.stat().st_size == file.bytes:
                continue
            key = partial_key(blob, self.journals_dir)
            try:
                held = os.stat(partial_path(blob, key)).st_blocks * 512
            except OSError:
                held = 0
            left += max(0, file.bytes - held)
        return left

    # --- before the first byte

    def _link(self) -> None:
        """Take what another model of this cache has; that needs no room."""
        for file in self.manifest.files:
            blob = cache.blob_path(self.manifest, file)
            if not blob.exists():
                adoption.link(file, blob, self.verified, self._looked_at)

    def _prepare(self) -> None:
        """Find what is here already, and open a partial for all else."""
        for file in self.manifest.files:
            if self._stopped.is_set():
                raise DownloadCanceled(f"The download of {self.manifest.ref} was canceled.")
            blob = cache.blob_path(self.manifest, file)
            if self._is_here(file, blob):
                self._here_bytes += file.bytes
                self._num_here += 1
                continue
            self._files.append(self._open(file, blob))
        self._resumed_bytes = sum(fetch.resumed_bytes for fetch in self._files) + self._here_bytes
        self._high_water = self._resumed_bytes

    def _is_here(self, file: ManifestFile, blob: Path) -> bool:
        """Tell whether a blob is there with the right content; what was never hashed is."""
        if not blob.exists() or blob.stat().st_size != file.bytes:
            return False
        if not file.has_hash:
            return True
        algorithm, wanted = adoption.digest_of(file)
        return self.verified.digest(blob, algorithm, self._looked_at) == wanted

    def _open(self, file: ManifestFile, blob: Path) -> _FileFetch:
        key = partial_key(blob, self.journals_dir)
        info = PartialInfo(
            model=str(self.manifest.ref),
            revision=self.manifest.revision,
            name=file.name,
            num_bytes=file.bytes,
            data=str(partial_path(blob, key)),
            blob=str(blob),
            sha256=file.sha256,
            created_at=datetime.now(UTC).isoformat(),
        )
        journal = Journal.open(self.journals_dir, key, info)
        # Without a hash, only the server can say whether what it has is still what was begun.
        known = file.validator if not file.has_hash else journal.info.validator
        if not file.has_hash and (known is None or journal.info.validator != known):
            journal.forget()
            journal.set_validator(known)
        if file.sha256 is not None and not journal.blocks.kept_bytes:
            folders = self.manifest.settings.look_in
            if not adoption.copy(file, journal, folders, self.verified, self._looked_at):
                adoption.begin_from_left_over(journal, blob, self._looked_at)
        remote = Remote(file.url, file.bytes, file.has_hash, validator=known)
        return _FileFetch(file, journal, remote, journal.blocks.kept_bytes)

    def _looked_at(self, num_bytes: int) -> None:
        """Say that files are being looked at, and stop if somebody wants that."""
        if self._stopped.is_set():
            raise DownloadCanceled(f"The download of {self.manifest.ref} was canceled.")
        self._hashed_bytes += num_bytes
        now = time.monotonic()
        if now - self._looked_at_told >= _SAMPLE_S:
            self._looked_at_told = now
            names = [file.name for file in self.manifest.files]
            sample = Sample(
                "verify", self._here_bytes, 0, self._hashed_bytes, self._num_here, names[self._num_here]
            )
            self.on_sample(sample)

    # --- the transfer

    def _transfer(self) -> None:
        self._phase = "transfer"
        self._hashed_bytes = 0
        self._report()
        follower = threading.Thread(
            target=self._guarded, args=(self._follow,), name="models-hash", daemon=True
        )
        keeper = threading.Thread(target=self._guarded, args=(self._keep,), name="models-sync", daemon=True)
        self._threads += [follower, keeper]
        follower.start()
        keeper.start()
        for _ in range(self._first_connections()):
            self._add_worker()
        started = time.monotonic()
        before, last = started, self._done_bytes()
        try:
            while not self._is_over():
                with self._changed:
                    self._changed.wait(_SAMPLE_S)
                now = time.monotonic()
                if now - before < _SAMPLE_S:
                    continue
                done = self._done_bytes()
                self._speed = (done - last) / (now - before)
                before, last = now, done
                if now - started > _RAMP_S:
                    self._maybe_add_worker()
                self._report()
        finally:
            self._stop()
            for thread in self._threads:
                thread.join()
        if self._canceled:
            raise DownloadCanceled(
                f"The download of {self.manifest.ref} was canceled; what it fetched is kept."
            )
        if self._failure is not None:
            raise self._failure

    def _first_connections(self) -> int:
        pieces = sum(max(1, fetch.blocks.missing_bytes // (8 * MIB)) for fetch in self._files)
        return max(1, min(self.settings.connections, pieces)) if self._files else 0

    def _maybe_add_worker(self) -> None:
        """Try one more connection where those at work are slow and there is enough left for it."""
        left = self._left_bytes()
        limited = self.limiter.bytes_per_s is not None
        slow = self._speed < self.settings.slow_bytes_per_s
        busy = time.monotonic() >= self._not_before
        if slow and busy and not limited and left > 16 * MIB and self._num_workers < self._max_workers:
            self._add_worker()

    def _add_worker(self) -> None:
        connector = Connector(self.manifest.settings, self.settings.stall_s)
        self._connectors.append(connector)
        thread = threading.Thread(
            target=self._guarded, args=(self._work, connector), name="models-fetch", daemon=True
        )
        self._threads.append(thread)
        self._num_workers += 1
        thread.start()

    def _guarded(self, target: Callable[..., None], *args: object) -> None:
        try:
            target(*args)
        except OSError as error:
            self._fail(self._disk_failure(error))
        except BaseException as error:  # noqa: BLE001 - carried to the thread of `run`, which raises it
            self._fail(error)

    def _work(self, connector: Connector) -> None:
        """Fetch one range after another until there is none."""
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        attempts = 0
        try:
            while (taken := self._next()) is not None:
                fetch, active = taken
                began = active.position
                try:
                    self._fetch_range(connector, fetch, active, buffer)
                    attempts = 0
                except TryAgain as problem:
                    attempts = 1 if active.position > began else attempts + 1
                    self._again(problem, fetch, attempts)
                    if problem.pause_s and self._num_workers > 1:
                        # The server has had enough of so many at once.
                        self._max_workers = max(1, self._num_workers - 1)
                        return
                except Changed as problem:
                    self._restart(fetch, active, str(problem))
                finally:
                    with self._changed:
                        fetch.probing = False
                        if active in fetch.blocks.active:
                            fetch.blocks.give_back(active)
                        self._changed.notify_all()
        finally:
            connector.drop()
            with self._changed:
                self._num_workers -= 1

    def _next(self) -> tuple[_FileFetch, Range] | None:
        """Wait for bytes that nobody fetches; `None` if there will be none for this connection."""
        with self._changed:
            while not self._is_over():
                if time.monotonic() < self._not_before:
                    self._changed.wait(min(1.0, self._not_before - time.monotonic()))
                    continue
                for fetch in self._files:
                    if fetch.is_open and fetch.blocks.has_missing:
                        active = fetch.blocks.take(self.settings.request_bytes)
                        fetch.probing = fetch.remote.ranged is None
                        if active is not None:
                            return fetch, active
                stolen = self._steal()
                if stolen is not None:
                    return stolen
                self._changed.wait(0.5)
        return None

    def _steal(self) -> tuple[_FileFetch, Range] | None:
        """Take half of what a slow connection still has, when that saves time."""
        if not self._speed:
            return None
        share = self._speed / max(1, self._num_workers)
        for fetch in self._files:
            if fetch.remote.ranged and not fetch.probing:
                stolen = fetch.blocks.steal(max(_MIN_STEAL_BYTES, int(share * _WORTH_STEALING_S)))
                if stolen is not None:
                    return fetch, stolen
        return None

    def _fetch_range(
        self, connector: Connector, fetch: _FileFetch, active: Range, buffer: memoryview
    ) -> None:
        body = connector.open_range(fetch.remote, active.position, active.end)
        with self._changed:
            fetch.probing = False
            if fetch.remote.ranged is False:
                fetch.blocks.take_rest(active)
            fetch.journal.set_validator(fetch.remote.validator)
            self._changed.notify_all()
        skip = body.skip
        size = 4 * _MIN_READ_BYTES
        while (left := active.left) > 0:
            if self._stopped.is_set():
                raise TryAgain("stopped")
            limit = self.limiter.bytes_per_s
            most = size if limit is None else min(size, max(_MIN_READ_BYTES, int(limit / 20)))
            began = time.monotonic()
            try:
                num_read = body.response.readinto(buffer[: min(most, left + skip)])
            except (OSError, http.client.HTTPException) as error:
                connector.drop()
                stalled = isinstance(error, TimeoutError)
                why = f"sent nothing for {self.settings.stall_s:g} s" if stalled else "broke the connection"
                raise TryAgain(f"{fetch.remote.host} {why}") from None
            if not num_read:
                connector.drop()
                raise TryAgain(f"{fetch.remote.host} ended its answer {left} bytes too early")
            took = time.monotonic() - began
            size = min(_BUFFER_BYTES, size * 2) if took < 0.05 else max(_MIN_READ_BYTES, size // 2)
            self.limiter.take(num_read, self._stopped)
            dropped = min(skip, num_read)
            skip -= dropped
            self._write(fetch, active, buffer[dropped:num_read])
        connector.done(body)

    def _write(self, fetch: _FileFetch, active: Range, piece: memoryview) -> None:
        offset = active.position
        written = 0
        while written < len(piece):
            written += os.pwrite(fetch.journal.data_fd, piece[written:], offset + written)
        with self._changed:
            # Half of the range may have gone to another connection meanwhile.
            blocks = fetch.blocks.advance(active, min(len(piece), active.left))
            self._changed.notify_all()
        fetch.journal.mark(blocks)

    def _again(self, problem: TryAgain, fetch: _FileFetch, attempts: int) -> None:
        """Wait before another attempt, or give up."""
        if self._stopped.is_set():
            return
        if attempts >= self.settings.max_attempts:
            raise DownloadFailed(
                f"{fetch.file.name}: {problem}, {attempts} times in a row. What was fetched is kept; download again to go on."
            )
        backoff_s = min(self.settings.max_pause_s, self.settings.first_pause_s * 2 ** (attempts - 1))
        pause_s = max(problem.pause_s, backoff_s * random.uniform(0.8, 1.2))
        if problem.pause_s:
            with self._changed:
                self._not_before = max(self._not_before, time.monotonic() + problem.pause_s)
        self._stopped.wait(pause_s)

    def _restart(self, fetch: _FileFetch, active: Range, reason: str) -> None:
        """Deal with a file that is not the one that was begun, without ever mixing the two."""
        with self._changed:
            fetch.blocks.give_back(active)
            fetch.restarts += 1
            if fetch.file.has_hash and fetch.restarts <= self.settings.max_connections:
                # The hash says what it must be, whatever this server calls it, and has the last word.
                fetch.remote.validator = None
                fetch.remote.location = None
                return
            # Removed when nobody writes to it any more.
            fetch.wrong = True
        raise DownloadFailed(
            f"{fetch.file.name} changed at its server while it was fetched ({reason}); download it again to get the new one."
        )

    # --- the hash that follows

    def _follow(self) -> None:
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        for fetch in self._files:
            while not self._follow_file(fetch, buffer):
                if self._stopped.is_set():
                    return

    def _follow_file(self, fetch: _FileFetch, buffer: memoryview) -> bool:
        """Hash a file while it arrives; `True` when it was right."""
        algorithm, wanted = adoption.digest_of(fetch.file)
        hasher = new_hash(algorithm, fetch.file.bytes)
        position, generation = 0, fetch.generation
        while position < fetch.file.bytes:
            with self._changed:
                while fetch.blocks.prefix <= position and not self._stopped.is_set():
                    self._changed.wait(1.0)
                prefix = fetch.blocks.prefix
            while position < prefix:
                if self._stopped.is_set() or generation != fetch.generation:
                    return False
                piece = buffer[: min(len(buffer), prefix - position)]
                num_read = os.preadv(fetch.journal.data_fd, [piece], position)
                if not num_read:
                    raise DownloadFailed(
                        f"The partial of {fetch.file.name} was cut by somebody; download it again."
                    )
                hasher.update(piece[:num_read])
                position += num_read
                self._hashed_bytes += num_read
            if self._stopped.is_set():
                return False
        digest = hasher.hexdigest()
        if wanted is not None and digest != wanted:
            self._mismatch(fetch, algorithm, digest, wanted)
            return False
        with self._changed:
            self._to_publish.append(fetch)
            self._changed.notify_all()
        return True

    def _mismatch(self, fetch: _FileFetch, algorithm: str, digest: str, wanted: str) -> None:
        """Throw away a file that is not what it should be; once more, if part of it came from an earlier attempt."""
        self._hashed_bytes -= fetch.file.bytes
        with self._changed:
            if fetch.resumed_bytes and fetch.generation == 0:
                fetch.generation += 1
                fetch.journal.forget()
                fetch.remote.validator = None
                self._changed.notify_all()
                return
            fetch.wrong = True
        kind = "sha256" if algorithm == "sha256" else "git hash"
        raise DownloadFailed(
            f"{fetch.file.name} has the {kind} {digest[:16]}…, and should have {wanted[:16]}…: what came from "
            f"{fetch.remote.host} is not the file. It was thrown away; download it again."
        )

    # --- the disk

    def _keep(self) -> None:
        """Bring bytes to the disk once in a while, and publish files that were right."""
        synced_at = time.monotonic()
        while True:
            with self._changed:
                if not self._to_publish and not self._stopped.is_set():
                    self._changed.wait(self.settings.sync_every_s / 4)
                ready, self._to_publish = self._to_publish, []
            for fetch in ready:
                self._publish(fetch)
            if self._stopped.is_set():
                break
            if time.monotonic() - synced_at >= self.settings.sync_every_s:
                for fetch in self._files:
                    if not fetch.published:
                        fetch.journal.sync()
                synced_at = time.monotonic()

    def _publish(self, fetch: _FileFetch) -> None:
        fetch.journal.publish()
        algorithm, wanted = adoption.digest_of(fetch.file)
        if wanted is not None:
            self.verified.add(cache.blob_path(self.manifest, fetch.file), algorithm, wanted)
        with self._changed:
            fetch.published = True
            self._changed.notify_all()

    # --- the end, and how far it is

    def _is_over(self) -> bool:
        return self._stopped.is_set() or all(fetch.published for fetch in self._files)

    def _fail(self, error: BaseException) -> None:
        with self._changed:
            self._failure = self._failure or error
        self._stop()

    def _stop(self) -> None:
        self._stopped.set()
        with self._changed:
            self._changed.notify_all()
        for connector in list(self._connectors):
            connector.stop()

    def _disk_failure(self, error: OSError) -> DownloadFailed:
        where = self.manifest.repo_dir
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            free, left = readable(free_bytes(where)), readable(self._left_bytes())
            return DownloadFailed(
                f"The disk of {where} is full: {free} are free, and {self.manifest.ref} needs {left} more. "
                "What was fetched is kept; free some space and download again."
            )
        reason = (error.strerror or type(error).__name__).lower()
        return DownloadFailed(f"{error.filename or where} cannot be written: {reason}.")

    def _done_bytes(self) -> int:
        with self._changed:
            return self._here_bytes + sum(
                fetch.file.bytes - (0 if fetch.published else fetch.blocks.missing_bytes)
                for fetch in self._files
            )

    def _report(self) -> None:
        self._high_water = max(self._high_water, self._done_bytes())
        with self._changed:
            unpublished = [fetch for fetch in self._files if not fetch.published]
            whole = all(fetch.blocks.is_whole for fetch in unpublished)
        phase = "verify" if self._phase == "transfer" and unpublished and whole else self._phase
        self.on_sample(
            Sample(
                phase=phase,
                bytes_done=self._high_water,
                resumed_bytes=self._resumed_bytes,
                hashed_bytes=self._here_bytes + self._hashed_bytes,
                files_done=self._num_here + len(self._files) - len(unpublished),
                file=unpublished[0].file.name if unpublished else None,
                num_connections=self._num_workers,
            )
        )
