"""What the threads of one transfer share: files on their way, one condition, and how it ends."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from jupyter_ext.engine.models.download.block_map import FileBlocks
from jupyter_ext.engine.models.download.resume_journal import Journal
from jupyter_ext.engine.models.sources.http_range import Remote
from jupyter_ext.engine.models.sources.manifest import ManifestFile


@dataclass(eq=False)
class FileFetch:
    """One file on its way; changed only under the state's condition.

    Attributes:
        file: What it is.
        journal: Its partial.
        remote: Its server.
        resumed_bytes: Of it, from earlier attempts.
        probing: The first request is under way, which tells whether ranges are served.
        restarts: How often the server had another version.
        generation: How often it was begun anew because its hash was wrong.
        published: It is whole, right and has its name.
        wrong: It must be thrown away when nobody works on it any more.
    """

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
        """Which bytes are here."""
        return self.journal.blocks

    @property
    def is_open(self) -> bool:
        """Tell whether another connection may work on it now."""
        if self.probing:
            return False
        return self.remote.ranged is not False or not self.blocks.active


class TransferState:
    """Shared by the threads of one transfer.

    Attributes:
        changed: Held to look at or change files; notified when one changed.
        stopped: Set when all threads shall end.
        failure: Why it ended, if by a fault; the first counts.
        files: What is on its way.
        hashed_bytes: How far the hash is, over all files.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.stopped = threading.Event()
        self.failure: BaseException | None = None
        self.files: list[FileFetch] = []
        self.hashed_bytes = 0
        self._on_stop: list[Callable[[], None]] = []
        self._threads: list[threading.Thread] = []

    def on_stop(self, call: Callable[[], None]) -> None:
        """Have something called when all threads shall end; it must wake whoever waits."""
        self._on_stop.append(call)

    def start(self, target: Callable[[], None], name: str) -> None:
        """Run something in a thread; what it raises becomes the failure."""

        def guarded() -> None:
            try:
                target()
            except BaseException as error:  # noqa: BLE001 - carried to the thread that waits, which raises it
                with self.changed:
                    self.failure = self.failure or error
                self.stop()

        thread = threading.Thread(target=guarded, name=name, daemon=True)
        with self.changed:
            self._threads.append(thread)
        thread.start()

    def stop(self) -> None:
        """Have all threads end."""
        self.stopped.set()
        with self.changed:
            self.changed.notify_all()
        for call in list(self._on_stop):
            call()

    def join(self) -> None:
        """Wait until all threads have ended."""
        for thread in self._threads:
            thread.join()

    @property
    def is_whole(self) -> bool:
        """Tell whether every file is there and right."""
        return all(fetch.published for fetch in self.files)

    @property
    def is_over(self) -> bool:
        """Tell whether there is nothing more to do."""
        return self.stopped.is_set() or self.is_whole

    @property
    def missing_bytes(self) -> int:
        """Count the bytes that are not here."""
        with self.changed:
            return sum(fetch.blocks.missing_bytes for fetch in self.files if not fetch.published)
