"""Where the threads of a session stand, and which of them a debugger leaves alone. Standard library only."""

from __future__ import annotations

import linecache
import sys
import threading
from collections.abc import Mapping
from types import FrameType

from jupyter_ext.ipc.payloads.call_failures import Frame
from jupyter_ext.ipc.payloads.session_messages import Stack
from jupyter_ext.worker.runtime import tracebacks

_OURS = ("IOPub", "Heartbeat", "Control", "Shell channel", "calls", "asyncio_")


def keep_out_of_debuggers(thread: threading.Thread) -> None:
    """Have debugpy neither stop nor trace a thread: it has to answer while the others stand at a breakpoint."""
    for name in ("pydev_do_not_trace", "is_pydev_daemon_thread"):
        setattr(thread, name, True)


def stacks(labels: Mapping[str, str]) -> list[Stack]:
    """Return where each of the user's threads stands, the main thread first.
    Only the user's frames of each are told, and the innermost one.
    """
    running = sys._current_frames()
    payload: list[Stack] = []
    for thread in threading.enumerate():
        frame = running.get(thread.ident or 0)
        if frame is None or thread is threading.current_thread() or thread.name.startswith(_OURS):
            continue
        is_main = thread is threading.main_thread()
        payload.append({"name": thread.name, "main": is_main, "frames": _frames(frame, labels)})
    return sorted(payload, key=lambda one: not one["main"])


def _frames(innermost: FrameType, labels: Mapping[str, str]) -> list[Frame]:
    found: list[Frame] = []
    at: FrameType | None = innermost
    while at is not None:
        code = at.f_code
        if tracebacks.is_shown(code.co_filename, labels, innermost=at is innermost):
            line = at.f_lineno or 0
            found.append(
                {
                    "file": labels.get(code.co_filename, code.co_filename),
                    "line": line,
                    "function": code.co_name,
                    "source": linecache.getline(code.co_filename, line).strip() or None,
                }
            )
        at = at.f_back
    return found[::-1]
