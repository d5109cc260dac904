"""debugpy's adapter with a Unix socket in the place of its port: run as `adapter.py SOCKET ADAPTER_DIRECTORY ARGUMENTS…`.

Rule: whoever may open the socket may run code as this user, so it is this user's alone; what else the adapter listens on takes
connections of this user only.

Source: debugpy 1.8, adapter/__main__.py and common/sockets.py.
"""

from __future__ import annotations

import os
import runpy
import socket
import sys
from typing import Any


def main() -> None:
    """Be the adapter."""
    here = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != here]
    path, directory = sys.argv[1:3]
    sys.argv[:] = [directory, *sys.argv[3:]]
    sys.path.insert(0, os.path.dirname(os.path.dirname(directory)))
    listeners = runpy.run_path(os.path.join(here, "peers.py"))
    from debugpy.common import sockets

    def create_server(
        host: str | None, port: int = 0, backlog: int = 8, timeout: Any = None
    ) -> socket.socket:
        if host != path:
            own: socket.socket = own_server(
                listeners["OwnListener"], host or "127.0.0.1", port, backlog, timeout
            )
            return own
        server: socket.socket = listeners["UnixListener"](socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.exists(path):
            os.unlink(path)  # of an adapter that was killed
        before = os.umask(0o177)
        try:
            server.bind(path)
        finally:
            os.umask(before)
        server.settimeout(timeout)
        server.listen(backlog)
        return server

    sockets.create_server = create_server
    runpy.run_path(directory, run_name="__main__")


def own_server(kind: Any, host: str, port: int, backlog: int, timeout: Any) -> Any:
    """Listen on a port for connections of this user.

    Args:
        kind: The class of the socket.
        host: Address.
        port: 0 for any that is free.
        backlog: Connections that may wait.
        timeout: Of `accept`, seconds, or `None`.
    """
    server = kind(socket.AF_INET, socket.SOCK_STREAM)
    server.bind((host, port or 0))
    server.settimeout(timeout)
    server.listen(backlog)
    return server


if __name__ == "__main__":
    main()
