"""Find the engine of this user on this host, or start it.

Rule: the lock decides, not a pid file. Whoever holds `engine.lock` is the engine; whoever holds `start.lock` may
start one. Only the standard library is used, so that looking for the engine costs milliseconds.
"""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import select
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_ext import __version__
from jupyter_ext.config import PROTOCOL_VERSION, Locations, locations
from jupyter_ext.errors import EngineStartError, EngineUnreachable, ProtocolMismatch
from jupyter_ext.ipc import private_sockets, processes

CONNECT_TIMEOUT_S = 5.0

_START_ATTEMPTS = 3
"""An engine that is killed between its first breath and its first answer gets a successor."""

_SOCKET_WAIT_S = 10.0
"""An engine looks every second whether its socket is still there; a busy one is late."""

_RUN_WAIT_S, _RUN_POLL_S = 5.0, 0.1
"""Code of a training waits so long for an engine that somebody else starts."""


@dataclass(frozen=True)
class Connection:
    """A running engine."""

    socket_path: str
    info: dict[str, Any]


class _UnixHTTPConnection(http.client.HTTPConnection):
    def __init__(self, socket_path: str, timeout_s: float) -> None:
        super().__init__("engine", timeout=timeout_s)
        self._socket_path = socket_path

    def connect(self) -> None:
        self.sock = private_sockets.connect(self._socket_path, self.timeout)


def request(
    socket_path: str, method: str, path: str, body: object = None, *, timeout_s: float = CONNECT_TIMEOUT_S
) -> tuple[int, Any]:
    """Make one JSON request to an engine.

    Returns:
        The HTTP status and the decoded body, `None` where it is empty.

    Raises:
        OSError: Nobody listens, or the answer did not come in time.
    """
    connection = _UnixHTTPConnection(socket_path, timeout_s)
    try:
        payload = None if body is None else json.dumps(body).encode()
        headers = {} if payload is None else {"Content-Type": "application/json"}
        connection.request(method, path, payload, headers)
        response = connection.getresponse()
        data = response.read()
        return response.status, _decode(data)
    except http.client.HTTPException as error:
        raise ConnectionError(f"the engine at {socket_path} broke off its answer: {error!r}") from error
    finally:
        connection.close()


def _decode(data: bytes) -> Any:
    """Decode JSON; what is none, nobody of ours has sent."""
    try:
        return json.loads(data) if data else None
    except ValueError:
        return None


def find(where: Locations | None = None) -> Connection | None:
    """Find the running engine, without starting one.

    Raises:
        EngineUnreachable: One runs but does not answer.
    """
    where = where or locations()
    path = str(where.socket)
    try:
        status, info = request(path, "GET", "/native/engine")
    except (FileNotFoundError, ConnectionError):
        return None
    except private_sockets.NotPrivate as error:
        raise EngineUnreachable(
            f"Nothing was sent to {path}: {error}. Remove it, or set JUPYTER_EXT_RUNTIME_DIR to a folder of your own."
        ) from error
    except OSError as error:
        raise EngineUnreachable(
            f"The engine at {path} does not answer ({error}); see {where.engine_log}, or run `%engine restart`."
        ) from error
    if status != 200 or not isinstance(info, dict) or "protocol" not in info:
        raise EngineUnreachable(
            f"What answers at {path} is not a jupyter-ext engine (HTTP {status}); remove that file."
        )
    return Connection(path, info)


def ensure(timeout_s: float = 30.0, where: Locations | None = None) -> Connection:
    """Find the engine, start it where there is none, replace it where it is older than this client.

    However many processes call this at once, one engine comes of it. Code that runs in a training starts none: the training's end would
    end the engine with all else that it has started. It waits for a moment until somebody else has.

    Args:
        timeout_s: How long to wait for it to answer, seconds.
        where: The directories; by default those of this user and host.

    Raises:
        EngineStartError: It could not be started; the message says why.
        ProtocolMismatch: The running engine is newer than this client can speak with.
        EngineUnreachable: One runs but does not answer; or none runs, and this is code of a training.
    """
    where = where or locations()
    try:
        connection = find(where)
    except EngineUnreachable:
        if not _is_held(where.start_lock):
            raise
        connection = None  # somebody is starting it; it reads its directories before it answers
    if connection is not None and not _is_older(connection):
        return connection
    if processes.RUN_ID_VARIABLE in os.environ:
        return _await_engine(where, min(timeout_s, _RUN_WAIT_S))
    try:
        where.make()
    except OSError as error:
        raise EngineStartError(
            f"The engine cannot be started: {error.strerror or error}: {error.filename or where.runtime_dir}. "
            "Set JUPYTER_EXT_DATA_DIR and JUPYTER_EXT_RUNTIME_DIR to folders that you can write."
        ) from error
    deadline = time.monotonic() + timeout_s
    with _locked(where.start_lock, deadline):
        connection = find(where)
        if connection is not None and _is_older(connection):
            _drain(connection, where, deadline)
            connection = None
        connection = connection or _start_until_it_answers(where, deadline)
    if connection is None:
        raise EngineStartError(f"The engine started and ended at once; see {where.engine_log}.")
    return connection


def _await_engine(where: Locations, timeout_s: float) -> Connection:
    """Wait for an engine that somebody else starts."""
    until = time.monotonic() + timeout_s
    while time.monotonic() < until:
        if (connection := find(where)) is not None:
            return connection
        time.sleep(_RUN_POLL_S)
    raise EngineUnreachable(
        "No engine runs, and code that runs in a training starts none; `%engine start` does."
    )


def _start_until_it_answers(where: Locations, deadline: float) -> Connection | None:
    """Start an engine, and another one where it ends at once; wait for one that runs without a socket."""
    for left in reversed(range(_START_ATTEMPTS)):
        connection = _await_socket(where, deadline) if is_running(where) else None
        if connection is None:
            try:
                _start(where, deadline)
            except _EndedSilently:
                if not left:
                    raise
            connection = find(where)
        if connection is not None:
            return connection
    return None


class _EndedSilently(EngineStartError):
    """It was killed, or crashed, before it could say whether it is ready."""


def _await_socket(where: Locations, deadline: float) -> Connection | None:
    """Wait for an engine that runs but has lost its socket, and binds it again, or is just ending."""
    until = min(deadline, time.monotonic() + _SOCKET_WAIT_S)
    while is_running(where) and time.monotonic() < until:
        connection = find(where)
        if connection is not None:
            return connection
        time.sleep(0.02)
    return None


def is_running(where: Locations) -> bool:
    """Tell whether an engine holds the lock, also one that does not answer."""
    return _is_held(where.engine_lock)


def _is_held(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def _is_older(connection: Connection) -> bool:
    theirs = connection.info["protocol"]
    if theirs > PROTOCOL_VERSION:
        raise ProtocolMismatch(
            f"The running engine is jupyter-ext {connection.info.get('version')} (protocol {theirs}); this notebook has "
            f"{__version__} (protocol {PROTOCOL_VERSION}). Run `pip install -U jupyter-ext` here and restart the kernel."
        )
    return bool(theirs < PROTOCOL_VERSION) or _release(connection.info.get("version", "0")) < _release(
        __version__
    )


def _release(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split(".")[:3] if part.isdigit())


def _drain(connection: Connection, where: Locations, deadline: float) -> None:
    request(connection.socket_path, "POST", "/native/engine/drain", {})
    while is_running(where):
        if time.monotonic() > deadline:
            raise EngineStartError(
                f"The older engine (pid {connection.info.get('pid')}) did not make way; run `%engine restart`."
            )
        time.sleep(0.02)


@contextmanager
def _locked(path: Path, deadline: float) -> Iterator[None]:
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        while True:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise EngineStartError(
                        f"Somebody else has been starting the engine for too long; see {path}."
                    ) from None
                time.sleep(0.01)
        yield
    finally:
        os.close(descriptor)


def _start(where: Locations, deadline: float) -> None:
    """Start an engine, detached, and wait until it says on a pipe that it is ready or why it is not."""
    ready_read, ready_write = os.pipe()
    environment = dict(os.environ)
    environment["JUPYTER_EXT_DATA_DIR"] = str(where.data_dir)
    environment["JUPYTER_EXT_RUNTIME_DIR"] = str(where.runtime_dir)
    try:
        with open(where.engine_log, "ab", opener=_private) as log:
            subprocess.run(  # returns at once: the engine leaves this process by a fork of its own
                [sys.executable, "-m", "jupyter_ext.engine", "--ready-fd", str(ready_write)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd="/",
                env=environment,
                pass_fds=[ready_write],
                start_new_session=True,
                check=False,
            )
    except OSError as error:
        os.close(ready_read)
        raise EngineStartError(f"The engine cannot be started: {error}; see {where.engine_log}.") from error
    finally:
        os.close(ready_write)
    try:
        answer = _read_line(ready_read, deadline)
    finally:
        os.close(ready_read)
    if answer == "ready":
        return
    if answer:
        raise EngineStartError(f"The engine cannot be started: {answer}")
    raise _EndedSilently(
        f"The engine ended while starting; the last lines of {where.engine_log}: {_tail(where.engine_log)}"
    )


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _read_line(descriptor: int, deadline: float) -> str:
    data = b""
    while not data.endswith(b"\n"):
        readable, _, _ = select.select([descriptor], [], [], max(0.0, deadline - time.monotonic()))
        if not readable:
            raise EngineStartError(
                "The engine did not come up in time; run `%engine log` to see how far it got."
            )
        chunk = os.read(descriptor, 4096)
        if not chunk:
            break
        data += chunk
    return data.decode(errors="replace").strip()


def _tail(path: Path, num_lines: int = 3) -> str:
    try:
        with open(path, "rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - 4096))
            lines = file.read().decode(errors="replace").strip().splitlines()
    except OSError:
        return "(no log)"
    return " | ".join(lines[-num_lines:]) or "(empty)"
