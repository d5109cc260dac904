"""Who else is at work in this process: other threads, and signal handlers in the midst of ours. Standard library only."""

from __future__ import annotations

import signal
import sys
import threading
from types import CodeType, FrameType, TracebackType


def others_are_in(code: CodeType) -> bool:
    """Tell whether another thread runs this function now, or something that it called."""
    for thread_id, frame in sys._current_frames().items():
        at: FrameType | None = None if thread_id == threading.get_ident() else frame
        while at is not None:
            if at.f_code is code:
                return True
            at = at.f_back
    return False


def is_from_signal_handler(error: BaseException) -> bool:
    """Tell whether a signal handler raised this in the midst of other code, which then has no right to catch it.

    PyTorch's DataLoader, for one, raises the death of its workers like this, wherever the main thread happens to be.
    """
    handlers = {getattr(signal.getsignal(number), "__code__", None) for number in signal.valid_signals()} - {
        None
    }
    at: TracebackType | None = error.__traceback__
    while at is not None:
        if at.tb_frame.f_code in handlers:
            return True
        at = at.tb_next
    return False
