"""Carries a view's requests and streams through the comm, where the page has no server of ours (VS Code, Colab).

The rule: every request gets an answer, also when it fails. Messages may arrive on any thread (ipykernel hands comm
messages to subshells), and no request is served on the thread that brought it.
Source: docs/architecture/02-wire.md, "Through the kernel".
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from typing import Protocol

from jupyter_ext_widgets.bundle import StaticFilesMissing, static_dir, static_files

_log = logging.getLogger(__name__)

#: Requests of one panel that are served at the same time; a view makes three when it opens.
_MAX_WORKERS = 4

#: WebSocket close codes (RFC 6455, section 7.4.1): the line broke, and the server failed.
_ABNORMAL_CLOSURE = 1006
_INTERNAL_ERROR = 1011

Send = Callable[[dict[str, object], Sequence[bytes]], None]


class Closable(Protocol):
    """An open stream."""

    def close(self) -> None:
        """End the stream; nothing is called afterwards."""


class EngineBridge(Protocol):
    """The way to the engine. Methods are called from several threads and may block."""

    def request(self, method: str, path: str, body: object | None) -> tuple[int, str, bytes]:
        """Send one request.

        Args:
            method: HTTP method.
            path: Path and query on the engine, such as `/native/trainings/7f3…`.
            body: JSON value to send; `None` for no body.

        Returns:
            Status, content type and body of the answer, whatever the status.
        """

    def open_stream(
        self, path: str, on_message: Callable[[str | bytes], None], on_closed: Callable[[int, str], None]
    ) -> Closable:
        """Open a WebSocket.

        Args:
            path: Path and query on the engine.
            on_message: Called with each message, from one thread at a time.
            on_closed: Called once, last, with the close code and the reason, unless the stream was closed from here.
        """


class Tunnel:
    """Serves the custom messages of one widget.

    Args:
        bridge: The way to the engine.
        send: Sends a custom message with buffers; may be called from any thread.
    """

    def __init__(self, bridge: EngineBridge, send: Send) -> None:
        self._bridge = bridge
        self._send = send
        self._lock = threading.Lock()
        self._streams: dict[str, Closable | None] = {}
        self._executor: Executor | None = None
        self._closed = False

    def handle(self, content: object) -> None:
        """Take one custom message; unknown ones are logged."""
        match content:
            case {"kind": "request", "id": str(id), "method": str(method), "path": str(path), **rest}:
                self._submit(self._request, id, method, path, rest.get("body"))
            case {"kind": "open", "id": str(id), "path": str(path)}:
                self._submit(self._open, id, path)
            case {"kind": "close", "id": str(id)}:
                self._submit(self._close, id)
            case {"kind": "code", "id": str(id), "name": str(name)}:
                self._submit(self._code, id, name)
            case _:
                _log.warning("A view sent a message that is not known here: %.200r", content)

    def close(self) -> None:
        """End all streams; later messages are ignored."""
        with self._lock:
            self._closed = True
            streams = [stream for stream in self._streams.values() if stream is not None]
            self._streams.clear()
            executor, self._executor = self._executor, None
        for stream in streams:
            stream.close()
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)

    def _submit(self, function: Callable[..., None], *args: object) -> None:
        with self._lock:
            if self._closed:
                return
            if self._executor is None:
                self._executor = ThreadPoolExecutor(_MAX_WORKERS, thread_name_prefix="jupyter-ext-panel")
            self._executor.submit(_guarded, function, *args)

    def _request(self, id: str, method: str, path: str, body: object | None) -> None:
        try:
            status, content_type, data = self._bridge.request(method, path, body)
        except Exception as error:  # noqa: BLE001 - the edge: each request is answered
            _log.exception("A view's %s %s failed", method, path)
            detail = f"{type(error).__name__}: {error}"
            status, content_type, data = problem(503, "The engine cannot be reached", detail)
        self._respond(id, status, content_type, data)

    def _code(self, id: str, name: str) -> None:
        try:
            files = static_files()
            if (file := {"panel": files["panel"], "plotly": files["plotly"]}.get(name)) is None:
                raise LookupError(f"There is no code named {name!r}; ask for 'panel' or 'plotly'.")
            data = (static_dir() / file).read_bytes()
        except (StaticFilesMissing, LookupError, OSError) as error:
            self._respond(id, *problem(404, "Not found", str(error)))
        else:
            self._respond(id, 200, "text/javascript", data)

    def _open(self, id: str, path: str) -> None:
        with self._lock:
            self._streams[id] = None
        try:
            stream = self._bridge.open_stream(
                path,
                lambda data: self._forward(id, data),
                lambda code, reason: self._forget(id, code, reason),
            )
        except Exception:  # noqa: BLE001 - the edge: each open is answered
            _log.exception("A view's stream %s could not be opened", path)
            self._forget(id, _INTERNAL_ERROR)
            return
        with self._lock:
            wanted = id in self._streams
            if wanted:
                self._streams[id] = stream
        if not wanted:
            stream.close()

    def _close(self, id: str) -> None:
        with self._lock:
            stream = self._streams.pop(id, None)
        if stream is not None:
            stream.close()

    def _forward(self, id: str, data: str | bytes) -> None:
        with self._lock:
            if id not in self._streams:
                return
        if isinstance(data, str):
            self._send({"kind": "text", "id": id, "data": data}, [])
        else:
            self._send({"kind": "binary", "id": id}, [data])

    def _forget(self, id: str, code: int = _ABNORMAL_CLOSURE, reason: str = "") -> None:
        with self._lock:
            known = id in self._streams
            self._streams.pop(id, None)
        if known:
            self._send({"kind": "closed", "id": id, "code": code, "reason": reason}, [])

    def _respond(self, id: str, status: int, content_type: str, data: bytes) -> None:
        self._send({"kind": "response", "id": id, "status": status, "content_type": content_type}, [data])


def _guarded(function: Callable[..., None], *args: object) -> None:
    # The outer edge of a pool thread: an executor would keep the traceback to itself.
    try:
        function(*args)
    except Exception:  # noqa: BLE001 - the outer edge of a thread
        _log.exception("A view's message could not be served")


def problem(status: int, title: str, detail: str) -> tuple[int, str, bytes]:
    """Make an answer that refuses, as the engine would."""
    body = json.dumps({"title": title, "detail": detail, "status": status}).encode()
    return status, "application/problem+json", body
