"""Bytes are brought to the disk once in a while, and a file that was right gets its name."""

from __future__ import annotations

import time
from pathlib import Path

from jupyter_ext.engine.models.cache.checksums import Checksums
from jupyter_ext.engine.models.download.resume_journal import sync_directory
from jupyter_ext.engine.models.download.reuse import digest_of
from jupyter_ext.engine.models.download.transfer_state import FileFetch, TransferState


class Flusher:
    """Keeps what a transfer fetches.

    Args:
        state: Shared with the other threads.
        verified: Told of what was hashed.
        sync_every_s: What is marked as written is brought to the disk this often.
    """

    def __init__(self, state: TransferState, verified: Checksums, sync_every_s: float) -> None:
        self._state = state
        self._verified = verified
        self._sync_every_s = sync_every_s
        self._right: list[FileFetch] = []

    def take(self, fetch: FileFetch) -> None:
        """Take a file that is whole and right."""
        with self._state.changed:
            self._right.append(fetch)
            self._state.changed.notify_all()

    def run(self) -> None:
        """Sync and publish until all shall stop.

        Raises:
            OSError: The disk does not take it.
        """
        synced_at = time.monotonic()
        while True:
            with self._state.changed:
                if not self._right and not self._state.stopped.is_set():
                    self._state.changed.wait(self._sync_every_s / 4)
                ready, self._right = self._right, []
            self._publish(ready)
            if self._state.stopped.is_set():
                return
            if time.monotonic() - synced_at >= self._sync_every_s:
                for fetch in self._state.files:
                    if not fetch.published:
                        fetch.journal.sync()
                synced_at = time.monotonic()

    def _publish(self, ready: list[FileFetch]) -> None:
        directories = set()
        for fetch in ready:
            fetch.journal.publish()
            blob = Path(fetch.journal.info.blob)
            directories.add(blob.parent)
            algorithm, wanted = digest_of(fetch.file)
            if wanted is not None:
                self._verified.add(blob, algorithm, wanted)
        for directory in directories:
            sync_directory(directory)
        with self._state.changed:
            for fetch in ready:
                fetch.published = True
            self._state.changed.notify_all()
