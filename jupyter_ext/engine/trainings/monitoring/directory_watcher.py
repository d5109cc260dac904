"""Know within a fraction of a millisecond that a quiet run wrote something: inotify on Linux, a poll elsewhere.

Rule: a watch tells of one change and is gone. A busy run is looked at on a timer instead, so that 100,000 writes a
second cost the engine no more than one.
"""

from __future__ import annotations

import asyncio
import logging
import sys
from pathlib import Path
from typing import Any

log = logging.getLogger(__name__)

_POLL_S = 0.05


class Watcher:
    """Sets an event at the next change in a directory."""

    def __init__(self) -> None:
        self._events: dict[Path, asyncio.Event] = {}
        self._inotify: Any = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to watch; call it in the running event loop."""
        if sys.platform == "linux":
            from asyncinotify import Inotify

            self._inotify = Inotify()
            self._task = asyncio.create_task(self._read(), name="inotify")

    def arm(self, directory: Path, event: asyncio.Event) -> None:
        """Have `event` set at the next change in `directory`."""
        if self._inotify is None:
            asyncio.get_running_loop().call_later(_POLL_S, event.set)
            return
        from asyncinotify import Mask

        self._events[directory] = event
        self._inotify.add_watch(directory, Mask.MODIFY | Mask.CREATE | Mask.MOVED_TO | Mask.ONESHOT)

    def close(self) -> None:
        """Stop watching."""
        if self._task is not None:
            self._task.cancel()
        if self._inotify is not None:
            self._inotify.close()

    async def _read(self) -> None:
        async for event in self._inotify:
            if event.watch is None:  # the kernel's queue overflowed: everybody looks
                for waiting in self._events.values():
                    waiting.set()
                self._events.clear()
                continue
            if event.watch.path in self._events:
                self._events.pop(event.watch.path).set()
