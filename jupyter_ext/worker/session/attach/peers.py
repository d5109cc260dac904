"""Which user is at the other end of a connection on this machine. Standard library only.

Rule: where that cannot be said, the answer is nobody, and nobody is let in.
"""

from __future__ import annotations

import os
import pwd
import socket
import sys
from pathlib import Path
from typing import Any

_FIRST_PERSON = 1000
_NOBODY = 65534


def peer_uid(connection: socket.socket, proc: Path = Path("/proc")) -> int | None:
    """Return the user id of whoever connected over TCP from 127.0.0.1; `None` where the system does not say.

    Source: Linux, Documentation/networking/proc_net_tcp.rst.
    """
    try:
        ours, theirs = (_in_proc(name) for name in (connection.getsockname(), connection.getpeername()))
        with open(proc / "net" / "tcp", encoding="ascii") as table:
            next(table)
            for line in table:
                fields = line.split()
                if (fields[1], fields[2]) == (theirs, ours):
                    return int(fields[7])
    except (OSError, ValueError, IndexError, StopIteration):
        return None
    return None


class OwnListener(socket.socket):
    """A listening socket that accepts this user's connections and closes all others."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection of this user's."""
        while True:
            connection, address = super().accept()
            if peer_uid(connection) == os.getuid():
                return connection, address
            connection.close()


class UnixListener(socket.socket):
    """A listening Unix socket that names its addresses as pairs, as code for TCP expects."""

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept the next connection."""
        return super().accept()[0], ("unix", 0)

    def getsockname(self) -> tuple[str, int]:
        """Return its path, and no port."""
        return str(super().getsockname()), 0


def other_users(proc: Path = Path("/proc")) -> list[str]:
    """Name the other people who have processes on this machine."""
    found = set()
    for entry in proc.iterdir():
        try:
            uid = entry.stat().st_uid if entry.name.isdigit() else _NOBODY
        except OSError:
            continue  # it has just ended
        if _FIRST_PERSON <= uid < _NOBODY and uid != os.getuid():
            found.add(uid)
    return sorted(_name(uid) for uid in found)


def _in_proc(address: tuple[str, int]) -> str:
    """Return an address as /proc/net/tcp writes it: the IPv4 address in the host's byte order."""
    host, port = address
    return f"{int.from_bytes(socket.inet_aton(host), sys.byteorder):08X}:{port:04X}"


def _name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return f"user {uid}"
