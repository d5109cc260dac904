"""What a page sends to the widgets of one form, taken one message at a time and in the order in which it was sent.

JupyterLab asks for a thread of the kernel's for all widgets, beside the one that runs cells. ipykernel redirects the
first message of each widget, and only that one, to the thread that made the widget. Left so, a choice waits behind a
running cell while a later click on Launch overtakes it, and of two checks beside each other the one that began first
may end last, with values from before the other's.

Rule: every widget of a form hears through `keep_order`, so that the last check has seen all that was entered.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from functools import partial
from typing import Any

import ipywidgets


def keep_order(root: ipywidgets.Widget) -> threading.RLock:
    """Have a widget and all below it hear one message at a time, in the order of the page.

    Args:
        root: The outermost widget, complete.

    Returns:
        The lock under which they hear; code that does what a message does holds it too.
    """
    lock = threading.RLock()
    for widget in widgets_below(root):
        if widget.comm is not None:
            widget.comm._reply_subshell_for = _as_asked
            widget.comm.on_msg(partial(_hear, lock, widget))
    return lock


def _as_asked(_data: object, subshell_id: str | None) -> str | None:
    """Stand for ipykernel's redirection: the thread that the page asked for is the right one."""
    return subshell_id


def _hear(lock: threading.RLock, widget: ipywidgets.Widget, message: dict[str, Any]) -> None:
    with lock:
        widget._handle_msg(message)


def widgets_below(root: ipywidgets.Widget) -> Iterator[ipywidgets.Widget]:
    """Yield a widget and all below it."""
    yield root
    for child in getattr(root, "children", ()):
        yield from widgets_below(child)
