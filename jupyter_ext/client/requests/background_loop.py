"""The one thread whose event loop carries every request of this process.

Rule: nothing blocks in this loop; whoever wants an answer synchronously waits outside of it.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections.abc import Coroutine
from typing import Any, TypeVar

from jupyter_ext.client.requests.quiet_logs import LOOP_THREAD, keep_quiet

T = TypeVar("T")


class LoopThread:
    """A daemon thread with an event loop."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.pid = os.getpid()
        keep_quiet()
        self._thread = threading.Thread(target=self.loop.run_forever, name=LOOP_THREAD, daemon=True)
        self._thread.start()

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin some work in the loop."""
        return asyncio.run_coroutine_threadsafe(work, self.loop)

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Do some work in the loop and wait for it; an interrupt cancels the work."""
        future = self.submit(work)
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise


_current: LoopThread | None = None
_lock = threading.Lock()


def loop_thread() -> LoopThread:
    """Return this process's loop thread; a forked child gets one of its own."""
    global _current
    with _lock:
        if _current is None or _current.pid != os.getpid():
            _current = LoopThread()
        return _current
