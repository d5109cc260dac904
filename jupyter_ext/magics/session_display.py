"""What a debug session and a training in it look like in a notebook: live on a page, and still where nothing is alive."""

from __future__ import annotations

import json
import threading
import time
from typing import TYPE_CHECKING

from IPython.display import DisplayHandle

from jupyter_ext.client.sessions.report import clock
from jupyter_ext.client.sessions.training import DebugTraining
from jupyter_ext.errors import JupyterExtError
from jupyter_ext.magics.display import SAVED_PICTURE_INTERVAL_S, LiveOutput, show_live, show_view
from jupyter_ext.protocol import sessions as protocol

if TYPE_CHECKING:
    from jupyter_ext.client.sessions.session import Session

_LOOK_INTERVAL_S = 1.0
_VIEW = "session"


def attach_text(session: Session, endpoint: protocol.Endpoint) -> str:
    """Say how a debugger, a console and JupyterLab are connected to a session."""
    resource = session.resource
    return "\n".join(
        [
            f"Debugger (DAP, debugpy) of {session.name}: {endpoint.socket}",
            f"  VS Code, launch.json: {json.dumps(_launch_configuration(session.name, endpoint))}",
            *_port_lines(endpoint),
            f"Console: jupyter console --existing {resource.connection_file}",
            "JupyterLab (console, debugger): start the server with --ServerApp.allow_external_kernels=True "
            f"--ServerApp.external_connection_dir={resource.connection_file.rpartition('/')[0]}",
        ]
    )


def _launch_configuration(name: str, endpoint: protocol.Endpoint) -> dict[str, object]:
    """Return what VS Code attaches with; it wants `listen` where it runs an adapter, which leaves that out."""
    how: dict[str, object] = {
        "debugAdapterPath": endpoint.adapter,
        "listen": {"host": "127.0.0.1", "port": 0},
    }
    if endpoint.port is not None:
        how = {"connect": {"host": endpoint.host, "port": endpoint.port}}
    return {"name": name, "type": "debugpy", "request": "attach", "justMyCode": False, **how}


def _port_lines(endpoint: protocol.Endpoint) -> list[str]:
    if endpoint.port is None:
        return []
    return [
        f"  Whoever gets to {endpoint.host}:{endpoint.port} as this user runs code in the session, until it ends."
    ]


def show(session: Session) -> None:
    """Display a session: live on a page, and in some lines where nothing is alive."""
    show_view(_VIEW, session.mime_content(), {"text/plain": describe(session.resource)})


def describe(one: protocol.DebugSession) -> str:
    """Describe a session in some lines."""
    lines = [f"Session {one.name} ({one.id}): {one.status}"]
    if one.exit is not None:
        return "\n".join(
            [*lines, f"  {one.exit.message}", *([f"  {one.exit.hint}"] if one.exit.hint else [])]
        )
    if one.entry is not None:
        lines.append(f"  makes models from {one.entry.kind} {one.entry.name}")
    lines += [f"  model {model.id}: {model.type}, {model.num_calls} calls" for model in one.models]
    for training in one.trainings:
        last = "  ".join(
            f"{metric.name}={metric.last}" for metric in training.metrics if metric.last is not None
        )
        lines.append(f"  training {training.id}: {training.state} {training.progress:.0%} {last}".rstrip())
    if one.busy is not None and one.busy.started_at is not None:
        waiting = f", {len(one.queued)} waiting" if one.queued else ""
        lines.append(f"  busy with {one.busy.op} for {clock(time.time() - one.busy.started_at)}{waiting}")
    if one.failure is not None:
        lines.append(f"  stopped in {one.failure.op} at {one.failure.type}: {one.failure.message}")
    lines += [f"  {notice}" for notice in one.notices]
    return "\n".join(lines)


def show_training(training: DebugTraining) -> None:
    """Display a training's live curves, and keep the saved output's picture of them current; the cell does not wait."""
    content = training.mime_content()
    if content is None:
        print(repr(training))
        return
    shown = show_live(_VIEW, content, {"text/plain": repr(training)})
    if isinstance(shown.slot, DisplayHandle):
        threading.Thread(
            target=_keep_saved_output_current,
            args=(training, shown),
            name="jupyter_ext picture",
            daemon=True,
        ).start()


def _keep_saved_output_current(training: DebugTraining, shown: LiveOutput) -> None:
    drawn_at = -SAVED_PICTURE_INTERVAL_S
    try:
        while True:
            running = training.status == "running"
            if not running or time.monotonic() - drawn_at >= SAVED_PICTURE_INTERVAL_S:
                drawn_at = time.monotonic()
                still = {"text/plain": repr(training), "image/svg+xml": training.picture()}
                shown.update(training.mime_content() or shown.data, still, is_last=not running)
            if not running:
                return
            time.sleep(_LOOK_INTERVAL_S)
    except JupyterExtError as error:
        shown.update(shown.data, {"text/plain": f"{training!r}\n{error}"}, is_last=True)
