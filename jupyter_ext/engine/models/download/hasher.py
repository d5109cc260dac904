"""The hash that follows the bytes while they arrive, so that at the end there is little left to read."""

from __future__ import annotations

import os
from collections.abc import Callable

from jupyter_ext.engine.models.cache.checksums import new_hash
from jupyter_ext.engine.models.download.reuse import digest_of
from jupyter_ext.engine.models.download.transfer_state import FileFetch, TransferState
from jupyter_ext.engine.models.sources.http_settings import MIB
from jupyter_ext.errors import DownloadFailed

_BUFFER_BYTES = MIB


class Hasher:
    """Hashes the files of a transfer one after another, each as far as it is here without a gap.

    Args:
        state: Shared with the other threads.
        on_right: Called with a file that is whole and what it should be.
    """

    def __init__(self, state: TransferState, on_right: Callable[[FileFetch], None]) -> None:
        self._state = state
        self._on_right = on_right

    def run(self) -> None:
        """Hash until the last file was right, or all shall stop.

        Raises:
            DownloadFailed: A file is not what it should be.
        """
        buffer = memoryview(bytearray(_BUFFER_BYTES))
        for fetch in self._state.files:
            while not self._follow(fetch, buffer):
                if self._state.stopped.is_set():
                    return

    def _follow(self, fetch: FileFetch, buffer: memoryview) -> bool:
        """Hash a file while it arrives; `False` if all shall stop, or it is begun anew."""
        algorithm, wanted = digest_of(fetch.file)
        hasher = new_hash(algorithm, fetch.file.bytes)
        position = 0
        while position < fetch.file.bytes:
            prefix = self._wait_beyond(fetch, position)
            while position < prefix and not self._state.stopped.is_set():
                piece = buffer[: min(len(buffer), prefix - position)]
                num_read = os.preadv(fetch.journal.data_fd, [piece], position)
                if not num_read:
                    raise DownloadFailed(
                        f"The partial of {fetch.file.name} was cut by somebody; download it again."
                    )
                hasher.update(piece[:num_read])
                position += num_read
                self._state.hashed_bytes += num_read
            if self._state.stopped.is_set():
                return False
        digest = hasher.hexdigest()
        if wanted is not None and digest != wanted:
            self._mismatch(fetch, algorithm, digest, wanted)
            return False
        self._on_right(fetch)
        return True

    def _wait_beyond(self, fetch: FileFetch, position: int) -> int:
        """Wait for more than what was hashed, and return how far it is here."""
        with self._state.changed:
            while fetch.blocks.prefix <= position and not self._state.stopped.is_set():
                self._state.changed.wait(1.0)
            return fetch.blocks.prefix

    def _mismatch(self, fetch: FileFetch, algorithm: str, digest: str, wanted: str) -> None:
        """Begin a file anew if part of it came from an earlier attempt; otherwise have it thrown away.

        Raises:
            DownloadFailed: What the server sends is not the file.
        """
        self._state.hashed_bytes -= fetch.file.bytes
        with self._state.changed:
            if fetch.resumed_bytes and not fetch.generation:
                fetch.generation += 1
                fetch.journal.forget()
                fetch.remote.validator = None
                self._state.changed.notify_all()
                return
            fetch.wrong = True
        kind = "sha256" if algorithm == "sha256" else "git hash"
        raise DownloadFailed(
            f"{fetch.file.name} has the {kind} {digest[:16]}…, and should have {wanted[:16]}…: what came from "
            f"{fetch.remote.host} is not the file. It was thrown away; download it again."
        )
