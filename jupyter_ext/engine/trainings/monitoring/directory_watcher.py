"""Know within a millisecond that a run wrote something: inotify on Linux, looks every 50 ms where there is none.

Rules: a file that appears (a start, a stop, an end) always wakes. Writes to files that are there wake only while a watch is
armed, once; a busy run is looked at on a timer instead, so that 100,000 writes a second cost the engine no more than one.
Running out of inotify instances or watches is no failure: what cannot be watched is polled, and `%engine doctor` says so.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_ext.engine.common import health

log = logging.getLogger(__name__)

POLL_S = 0.05
_KEY = "inotify"


class Watch:
    """One directory that is watched.

    Attributes:
        event: Set at a change.
        is_live: Whether the system tells of changes; if not, whoever waits should look every `POLL_S`.
    """

    def __init__(self, watcher: Watcher, directory: Path, event: asyncio.Event) -> None:
        self.directory = directory
        self.event = event
        self.is_live = False
        self.is_armed = False
        self.handle: Any = None
        self._watcher = watcher

    def arm(self) -> None:
        """Have the next write to a file of the directory set the event too."""
        if self.is_live and not self.is_armed:
            self._watcher.arm(self)

    async def wait(self, timeout_s: float) -> None:
        """Return at a change, or after that many seconds; where nothing tells of changes, at the next look."""
        try:
            async with asyncio.timeout(timeout_s if self.is_live else min(timeout_s, POLL_S)):
                await self.event.wait()
        except TimeoutError:
            if not self.is_live:
                self.event.set()


class Watcher:
    """Watches directories."""

    def __init__(self) -> None:
        self._watches: dict[Path, Watch] = {}
        self._inotify: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch; call it in the running event loop."""
        if sys.platform != "linux":
            return
        from asyncinotify import Inotify

        try:
            self._inotify = Inotify()
        except OSError as error:
            _report(error)
            return
        health.clear(_KEY)
        self._task = asyncio.create_task(self._read(), name="inotify")

    @contextmanager
    def watching(self, directory: Path, event: asyncio.Event) -> Iterator[Watch]:
        """Set `event` whenever a file appears in `directory`."""
        watch = self._watches[directory] = Watch(self, directory, event)
        self._add(watch, armed=False)
        try:
            yield watch
        finally:
            self._remove(watch)

    def arm(self, watch: Watch) -> None:
        """Have the next write set the watch's event; see `Watch.arm`."""
        self._add(watch, armed=True)

    def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
        if self._inotify is not None:
            self._inotify.close()
            self._inotify = None

    def _add(self, watch: Watch, *, armed: bool) -> None:
        if self._inotify is None:
            return
        from asyncinotify import Mask

        mask = Mask.CREATE | Mask.MOVED_TO | (Mask.MODIFY if armed else Mask(0))
        try:
            watch.handle = self._inotify.add_watch(watch.directory, mask)
        except OSError as error:
            watch.is_live = watch.is_armed = False
            if not isinstance(error, FileNotFoundError):
                _report(error)
            return
        watch.is_live, watch.is_armed = True, armed

    def _remove(self, watch: Watch) -> None:
        if self._watches.get(watch.directory) is not watch:
            return
        del self._watches[watch.directory]
        if self._inotify is not None and watch.is_live:
            try:
                self._inotify.rm_watch(watch.handle)
            except OSError as error:  # the directory is gone, and its watch with it
                log.debug("%s is no longer watched: %s", watch.directory, error)

    async def _read(self) -> None:
        from asyncinotify import Mask

        async for event in self._inotify:
            if Mask.Q_OVERFLOW in event.mask:
                for watch in self._watches.values():
                    self._wake(watch)
            elif event.watch is not None and (found := self._watches.get(event.watch.path)) is not None:
                if Mask.IGNORED in event.mask and event.watch is found.handle:
                    found.is_live = found.is_armed = False
                self._wake(found)

    def _wake(self, watch: Watch) -> None:
        watch.event.set()
        if watch.is_armed:
            self._add(watch, armed=False)


def _report(error: OSError) -> None:
    health.report(
        _KEY,
        f"No inotify is left ({error.strerror or error}), so runs are looked at every {POLL_S * 1000:.0f} ms instead: "
        "raise fs.inotify.max_user_instances and fs.inotify.max_user_watches.",
    )
