"""Whether an interrupt can reach the main thread of a session, and how it can again. Standard library only.

Rule: while the user's code has the main thread, its handlers and masks are its own; when it gives the thread back, the
session takes interrupts again.
"""

from __future__ import annotations

import signal
import threading
from typing import Any

_KERNELS_OWN = (signal.default_int_handler,)
"""What the kernel sets around a cell, also around one that waits for its turn."""


class InterruptWatch:
    """Knows the handler of SIGINT that a session needs. Make it in the main thread, once that is set."""

    def __init__(self) -> None:
        self._handler: Any = signal.getsignal(signal.SIGINT)
        self._thread = threading.get_native_id()  # that of `main_thread()` is the zygote's after a fork

    def why_not_interruptible(self) -> str | None:
        """Say why an interrupt of the main thread would do nothing now; from any thread. `None` where it would.

        A mask is seen on Linux only.
        """
        handler: Any = signal.getsignal(signal.SIGINT)
        if handler is not self._handler and handler not in _KERNELS_OWN:
            named = getattr(handler, "__qualname__", None) or getattr(handler, "name", None) or repr(handler)
            return f"its code has set a handler of its own for SIGINT ({named})"
        if _is_blocked(self._thread):
            return "its code has blocked SIGINT (signal.pthread_sigmask)"
        return None

    def restore(self) -> None:
        """Take interrupts again; in the main thread."""
        handler: Any = signal.getsignal(signal.SIGINT)
        if handler is not self._handler and handler not in _KERNELS_OWN:
            signal.signal(signal.SIGINT, self._handler)
        if hasattr(signal, "pthread_sigmask"):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})


def _is_blocked(thread: int) -> bool:
    try:
        with open(f"/proc/self/task/{thread}/status") as file:
            masks = [line.split()[1] for line in file if line.startswith("SigBlk:")]
    except OSError:
        return False
    return bool(masks) and bool(int(masks[0], 16) >> (signal.SIGINT - 1) & 1)
