"""Run cells in a debug session over Jupyter's own channels."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, cast

from IPython.core.error import StdinNotImplementedError
from IPython.display import publish_display_data

from jupyter_ext.errors import InvalidInput, SessionEnded
from jupyter_ext.ipc.payloads.session_reports import SessionReport

if TYPE_CHECKING:
    from jupyter_ext.client.sessions.session import Session

_CONNECT_WITHIN_S = 20.0
_LOOK_INTERVAL_S = 0.5
_ERRORS = "\x1b[0m"


class _Silent(RuntimeError):
    """A session's kernel has not answered in time."""


def run_cell(session: Session, cell: str, *, top: bool = False, wait: bool = False) -> None:
    """Run a cell in a session and show its output here as it comes.

    Args:
        session: Where.
        cell: The code.
        top: In the session's namespace, also where a frame is kept.
        wait: In its main thread, after what is busy there; else beside that, in a subshell.

    Raises:
        SessionEnded: It is gone.
        InvalidInput: The cell asks for input, and this front end has nobody to ask.
    """
    from jupyter_client.blocking.client import BlockingKernelClient

    state = session.channel.call("status", answer=SessionReport)
    in_frame = state["failure"] is not None and state["failure"]["num_frames"] and not top
    if in_frame:
        cell = "%%jx_frame\n" + cell
    kernel = BlockingKernelClient(connection_file=session.resource.connection_file)
    kernel.load_connection_file()
    kernel.start_channels()
    subshell = None
    try:
        _await_subscription(kernel)
        if not wait and (state["busy"] is not None or state["queued"] or state["cell_runs"]):
            subshell = _control(kernel, "create_subshell_request", {})["subshell_id"]
        _execute(session, kernel, cell, subshell)
    except StdinNotImplementedError:
        raise InvalidInput(
            f"The code asks for input, which this front end does not pass on; the cell in {session.name} was interrupted."
        ) from None
    except _Silent as error:
        raise SessionEnded(f"Session {session.name} does not answer: {error}") from None
    finally:
        if subshell is not None and session.resource.exit is None:
            with contextlib.suppress(_Silent):  # it ends with the session anyway
                _control(kernel, "delete_subshell_request", {"subshell_id": subshell})
        kernel.stop_channels()


def _await_subscription(kernel: Any) -> None:
    """Wait until the session's output comes here. Its main thread may be busy, so nothing is asked of that."""
    import queue

    deadline = time.monotonic() + _CONNECT_WITHIN_S
    while time.monotonic() < deadline:
        _control(
            kernel, "kernel_info_request", {}
        )  # its status on iopub shows the subscription, where there is no welcome
        try:
            kernel.get_iopub_msg(timeout=_LOOK_INTERVAL_S)
        except queue.Empty:
            continue
        return
    raise _Silent("its output channel stays silent")


def _execute(session: Session, kernel: Any, cell: str, subshell: str | None) -> None:
    content = {
        "code": cell,
        "silent": False,
        "store_history": True,
        "user_expressions": {},
        "allow_stdin": True,
    }
    content["stop_on_error"] = True
    message = kernel.session.msg("execute_request", content)
    message["header"]["subshell_id"] = subshell
    kernel.shell_channel.send(message)
    message_id = message["header"]["msg_id"]
    try:
        _show_until_idle(session, kernel, message_id)
    except (KeyboardInterrupt, StdinNotImplementedError):
        kernel.control_channel.send(kernel.session.msg("interrupt_request", {}))
        raise


def _show_until_idle(session: Session, kernel: Any, message_id: str) -> None:
    import queue

    while True:
        try:
            message = kernel.get_iopub_msg(timeout=_LOOK_INTERVAL_S)
        except queue.Empty:
            _answer_stdin(kernel)
            if session.resource.exit is not None:
                exit = session.resource.exit
                raise SessionEnded(f"Session {session.name} ended during the cell: {exit.message}") from None
            continue
        if message["parent_header"].get("msg_id") != message_id:
            continue
        kind, content = message["header"]["msg_type"], message["content"]
        if kind == "status" and content["execution_state"] == "idle":
            return
        _show(kind, content)


def _answer_stdin(kernel: Any) -> None:
    """Pass on what the session's code asks its user, such as `input()` or the prompt of `%debug`."""
    import queue

    try:
        message = kernel.get_stdin_msg(timeout=0)
    except queue.Empty:
        return
    content = message["content"]
    if content.get("password"):
        import getpass

        text = getpass.getpass(content["prompt"])
    else:
        text = input(content["prompt"])
    kernel.input(text)


def _show(kind: str, content: Mapping[str, object]) -> None:
    import sys

    if kind == "stream":
        print(content["text"], end="", file=sys.stderr if content["name"] == "stderr" else sys.stdout)
    elif kind in ("display_data", "execute_result"):
        publish_display_data(content["data"], content.get("metadata") or {})
    elif kind == "error":
        print("\n".join(cast("list[str]", content["traceback"])) + _ERRORS)


def _control(kernel: Any, kind: str, content: Mapping[str, object]) -> dict[str, Any]:
    import queue

    message = kernel.session.msg(kind, dict(content))
    kernel.control_channel.send(message)
    deadline = time.monotonic() + _CONNECT_WITHIN_S
    while time.monotonic() < deadline:
        try:
            reply = kernel.get_control_msg(timeout=_CONNECT_WITHIN_S)
        except queue.Empty:
            break
        if reply["parent_header"].get("msg_id") == message["header"]["msg_id"]:
            found: dict[str, Any] = reply["content"]
            return found
    raise _Silent(f"no reply to {kind}")
