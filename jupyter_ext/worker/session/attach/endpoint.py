"""Has debugpy listen for a session: on a Unix socket of this user's, and on a port where that was asked for.

debugpy listens on demand only, because a process that it traces takes half as long again for every small step.

Rule: a debugger runs code. So the socket is this user's alone, and the port takes this user's connections only.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import socket
import sys
from pathlib import Path
from typing import Any

from jupyter_ext.ipc.payloads.session_reports import EndpointReport
from jupyter_ext.worker.session.attach import adapter, bridge, peers
from jupyter_ext.worker.session.attach.adapter import own_server

_PIECE = 1 << 16


class PortRefused(Exception):
    """A port would be reachable for other people of this machine."""


class DebugEndpoint:
    """Where debuggers reach this process; debugpy listens once.

    Args:
        session_dir: The session's; gets two small scripts.
        socket_path: Where the Unix socket goes.
    """

    def __init__(self, session_dir: Path, socket_path: str) -> None:
        self._session_dir = session_dir
        self._socket_path = socket_path
        self._is_open = False
        self._relay: asyncio.Server | None = None
        self.port: int | None = None

    def describe(self) -> EndpointReport | None:
        """Describe it for clients; `None` until it is open."""
        if not self._is_open:
            return None
        return {
            "socket": self._socket_path,
            "adapter": str(self._session_dir / "debug-adapter.py"),
            "host": None if self.port is None else "127.0.0.1",
            "port": self.port,
        }

    def open(self) -> None:
        """Have debugpy listen on the Unix socket, unless it does.

        Raises:
            ImportError: This Python has no debugpy.
            RuntimeError: debugpy listens already, for somebody else.
        """
        if self._is_open:
            return
        self._prepare()
        import debugpy

        debugpy.listen((self._socket_path, 0))
        self._is_open = True

    def guard(self, debugger: Any) -> None:
        """Have the kernel's own debugger, JupyterLab's, listen for this user only whenever it starts.

        Args:
            debugger: ipykernel's; its `start` has debugpy listen on a port of 127.0.0.1.
        """
        start = debugger.start

        def guarded() -> Any:
            with contextlib.suppress(ImportError):  # it says so itself
                self._prepare()
            return start()

        debugger.start = guarded

    def _prepare(self) -> None:
        """Have whatever debugpy listens on from now on, here and in its adapter, take this user's connections only."""
        import debugpy
        from debugpy.common import sockets

        def create_server(host: str | None, port: int = 0, backlog: int = 8, timeout: Any = None) -> Any:
            return own_server(peers.OwnListener, host or "127.0.0.1", port or 0, backlog, timeout)

        python = self._write(
            "debug-adapter.sh", _ADAPTER, sys.executable, adapter.__file__, self._socket_path
        )
        python.chmod(0o700)
        self._write("debug-adapter.py", _BRIDGE, bridge.__file__, self._socket_path)
        sockets.create_server = create_server
        debugpy.configure(python=str(python))

    async def open_port(self, *, force: bool = False) -> None:
        """Pass connections to a free port of 127.0.0.1 on to the socket; those of this user.

        Args:
            force: Also where other people have processes on this machine.

        Raises:
            PortRefused: They have.
        """
        if self._relay is not None:
            return
        others = peers.other_users()
        if others and not force:
            who = ", ".join(others[:3]) + (" and others" if len(others) > 3 else "")
            raise PortRefused(f"{who} also use this machine, who could try a port")
        self._relay = await asyncio.start_server(self._pass_on, "127.0.0.1", 0)
        self.port = self._relay.sockets[0].getsockname()[1]

    def close_port(self) -> None:
        """Close the port; debuggers that came over it stay."""
        if self._relay is not None:
            self._relay.close()
        self._relay = self.port = None

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection: socket.socket = writer.get_extra_info("socket")
        if peers.peer_uid(connection) != os.getuid():
            writer.close()
            return
        try:
            to_here, to_debugpy = await asyncio.open_unix_connection(self._socket_path)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, to_debugpy), _copy(to_here, writer), return_exceptions=True)

    def _write(self, name: str, text: str, *values: str) -> Path:
        path = self._session_dir / name
        quoted = map(repr, values) if name.endswith(".py") else map(shlex.quote, values)
        path.write_text(text.format(*quoted), encoding="utf-8")
        return path


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
    finally:
        writer.close()


_ADAPTER = """#!/bin/sh
exec {0} {1} {2} "$@"
"""
_BRIDGE = """# VS Code runs this as its debug adapter.
import runpy
import sys

sys.argv[1:] = [{1}]
runpy.run_path({0}, run_name="__main__")
"""
